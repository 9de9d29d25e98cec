"""The steps of a degradation as pictures: what each does to one place of an image."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from jsr import degradations, images, metrics
from jsr.errors import UserError

CROP = 192  # side of the shown place, HR px
ZOOM = 2
_TITLE = 28  # height of a caption, px


def explain_folder(hr_dir, out_dir, protocol, *, fixed=None, overwrite=False, passed=None, say=lambda line: None):
    """Writes `<folder and stem>.png` for every image: the HR crop, and its place after each step, not smoothed.

    Args:
      hr_dir: folder of images, at any depth.
      out_dir: folder of the pictures, made where missing.
      protocol: key of `jsr.degradations.PROTOCOLS`, not of clips.
      fixed: {parameter of the protocol: value to set}.
      overwrite: replaces files in the way; else they stay, each an error.
      passed: jsr.listing.PassedOver, to which all that is not explained is added.
      say: called with lines: image, step, parameters, size, bytes, PSNR against the step's input.

    Returns:
      One UserError for each image that could not be explained.

    Raises:
      UserError: unknown protocol or parameter, a protocol of clips, no images.
    """
    degradations.draw(protocol, **(fixed or {}))
    if degradations.protocol(protocol).video:
        raise UserError(f"{protocol}: is for clips; --explain shows only images")
    errors = []
    for target, path in places(hr_dir, out_dir, passed).items():
        try:
            steps = explain(path, protocol, fixed or {})
            images.write_png(target, side_by_side(steps), replace=overwrite)
        except UserError as e:
            errors.append(e)
            continue
        say(path.relative_to(hr_dir).as_posix())
        for caption, _, detail in steps[1:]:
            say(f"  {caption}: {detail}")
    return errors


def places(hr_dir, out_dir, passed=None):
    """{path of a picture that `explain_folder` writes: image}; UserError where there are no images, or two for one."""
    if Path(out_dir).resolve() == Path(hr_dir).resolve():
        raise UserError(f"{out_dir}: is the folder of the HR images; choose another one for the pictures")
    found = {}
    for path in images.list_images(hr_dir, passed=passed, out=out_dir):
        target = Path(out_dir, path.relative_to(hr_dir)).with_suffix(".png")
        if target in found:
            raise UserError(f"{path}: has the same stem as {found[target].name}; rename or remove one")
        found[target] = path
    return found


def explain(path, protocol, fixed):
    """[(caption, uint8 image (H, W, 3), detail)]: the HR image, and what each step made of it.

    Raises:
      UserError: the image cannot be read, is smaller than the scale, or a codec refuses it.
    """
    image = images.read_rgb(path)
    try:
        image = degradations.crop_to_multiple(image, degradations.protocol(protocol).scale)
    except ValueError as e:
        raise UserError(f"{path}: {e}, the scale of {protocol}; remove it") from e
    record = degradations.draw(protocol, path.stem, **fixed)
    steps = [("HR", image, "")]
    for step, made in zip(record["steps"], degradations.trace(record, image), strict=True):
        data, after = made if made[1] is not None else (made[0], degradations.decode(made[0], record))
        settings, libraries = in_words(step, " ")
        detail = f"{settings}; {after.shape[1]}x{after.shape[0]} px; {libraries}"
        if data is not None:
            detail += f"; {len(data):,} bytes"
            before = steps[-1][1]
            if before.shape == after.shape:
                detail += f", PSNR[rgb] {metrics.score(after, before, ['psnr[rgb]'])['psnr[rgb]']:.2f} dB to before"
        steps.append((step["fn"], after, detail))
    return steps


def in_words(step, between):
    """(parameters, libraries) of a step of a record as text; `between` stands between two parameters."""
    libraries = [step[key] for key in ("library", "decoded_by") if key in step]
    parameters = (f"{key}={value}" for key, value in step.items() if key not in ("fn", "library", "decoded_by"))
    return between.join(parameters), " > ".join(libraries)


def side_by_side(steps):
    """The same place of images beside each other, enlarged without smoothing, each with its caption.

    Args:
      steps: [(caption, uint8 image (H, W, 3), ignored)]; the first, of HR size, says which place: the busiest.

    Returns:
      uint8 (H, W, 3).
    """
    hr = steps[0][1]
    side = min(CROP, *hr.shape[:2])
    y, x = _busiest(hr, side)
    panels = []
    for caption, image, _ in steps:
        scale = hr.shape[0] / image.shape[0]  # below 1 where a step enlarges
        crop = image[int(y / scale):max(int((y + side) / scale), 1), int(x / scale):max(int((x + side) / scale), 1)]
        panel = Image.new("RGB", (side * ZOOM, side * ZOOM + _TITLE), "white")
        panel.paste(Image.fromarray(crop).resize((side * ZOOM, side * ZOOM), Image.Resampling.NEAREST), (0, _TITLE))
        ImageDraw.Draw(panel).text((4, 6), f"{caption} {image.shape[1]}x{image.shape[0]}", fill="black", font_size=14)
        panels.append(np.asarray(panel))
    return np.concatenate(panels, axis=1)


def _busiest(image, side):
    """The corner of the square with the most texture, on a grid of half squares."""
    grey = image.mean(-1)
    texture = np.abs(np.diff(grey, axis=0, append=grey[-1:])) + np.abs(np.diff(grey, axis=1, append=grey[:, -1:]))
    total = np.pad(texture.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    ys, xs = (range(0, length - side + 1, max(side // 2, 1)) for length in grey.shape)
    return max(((y, x) for y in ys for x in xs),
               key=lambda p: (total[p[0] + side, p[1] + side] - total[p[0], p[1] + side] - total[p[0] + side, p[1]]
                              + total[p]))

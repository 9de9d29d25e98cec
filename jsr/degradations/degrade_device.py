"""A protocol on the device, within the training step: the very bits of `jsr.degradations.degrade_part`.

The host cuts a window of the HR image around a crop, always of one size, and draws what the protocol leaves to chance;
resize and JPEG are the device's. Beyond the borders of an image a window is zero, and both know where they are.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from PIL import features

from jsr import degradations
from jsr.degradations import jpeg_device, resize, resize_device
from jsr.errors import UserError

LIBRARIES = {"pillow": "pillow", **dict.fromkeys(("9a", "9b", "9c", "9d"), "9d"), **dict.fromkeys(("9e", "9f"), "9e")}
_RESIZES, _CODECS = (*resize_device.PILLOW, "matlab_bicubic"), ("jpeg", "png")
_REACH = 4  # LR px around a window that a resize looks at
_BLOCK = 16  # px, of JPEG with chroma at half the size
_CHROMA_REACH = 2  # LR px around a crop that its decoder looks at
_LEAST = 8  # LR px of a crop's side


@dataclasses.dataclass(frozen=True)
class Form:
    """What a device does for a protocol.

    Attributes:
      scale: HR size over LR size.
      size: height and width of the crop, LR px.
      resize: key of `jsr.degradations.resize_device.RESIZES`, "" for none.
      jpeg: {subsampling, library, decoder} as of `jsr.degradations.jpeg_device.jpeg`, () for none; its items.
    """

    scale: int
    size: tuple[int, int]
    resize: str
    jpeg: tuple

    @property
    def window(self):
        """Height and width of the LR window: blocks that the crop, with what is around it, may lie in."""
        return tuple(-(-(side + 2 * _CHROMA_REACH + _BLOCK - 1) // _BLOCK) * _BLOCK if self.jpeg else side
                     for side in self.size)

    @property
    def shape(self):
        """Shape of the HR window."""
        return *((side + 2 * self.margin) * self.scale for side in self.window), 3

    @property
    def margin(self):
        """LR px around the LR window that the HR window has."""
        return _REACH if self.resize else 0

    def first(self, start):
        """The first row or column of the LR window, LR px, of a crop that begins at `start`."""
        return max(start - _CHROMA_REACH, 0) // _BLOCK * _BLOCK if self.jpeg else start


def form(name, size, **fixed):
    """The Form of a protocol for LR crops of a size (height, width).

    Args:
      name: key of `jsr.degradations.PROTOCOLS`.
      size: height and width, LR px.
      **fixed: as of `jsr.degradations.draw`.

    Raises:
      UserError: the device has no form of it, or the crop is too small.
    """
    if degradations.protocol(name).video:
        raise UserError(f"{name}: clips have no form on the device; leave it to the host")
    *before, codec = degradations.protocol(name).steps
    resizes, codec = [step["fn"] for step in before], {key: fixed.get(key, value) for key, value in codec.items()}
    other = [f"{fn} before another codec" if fn in degradations.CODECS else fn for fn in resizes if fn not in _RESIZES]
    other += resizes[1:] + [codec["fn"]] * (codec["fn"] not in _CODECS)
    ends = [codec[end] for end in ("encoder", "decoder")] if codec["fn"] == "jpeg" else []
    other += [f"the JPEG of {end}" for end in ends if end not in LIBRARIES]
    if "pillow" in ends and not features.check_feature("libjpeg_turbo"):
        other.append("the JPEG of this Pillow, which is not libjpeg-turbo's,")
    if other:
        raise UserError(f"{name}: {other[0]} has no form on the device, which has {', '.join(_RESIZES)}, and "
                        f"then {' or '.join(_CODECS)}; leave it to the host")
    if min(size) < _LEAST:
        raise UserError(f"{name}: the device makes LR crops of {_LEAST} px at least, not of {size[0]}x{size[1]}; take "
                        "a larger crop (--config.stages[0].crop=...)")
    jpeg = {"subsampling": codec["subsampling"], **dict(zip(("library", "decoder"), map(LIBRARIES.get, ends),
                                                            strict=True))} if ends else {}
    return Form(degradations.protocol(name).scale, tuple(size), "".join(resizes), tuple(jpeg.items()))


def part(form, hr, corner, record):
    """What the host gives of an image.

    Args:
      form: Form.
      hr: uint8 (H, W, 3), or what can be sliced as such; rows and columns beyond a multiple of the scale do not count.
      corner: first row and column of the crop, LR px.
      record: of `jsr.degradations.draw`.

    Returns:
      {"hr": uint8, `form.shape`; "place": int32 (2, 3), LR px: of rows and columns the window's first, the crop's
      first, and the number that the image has; "jpeg_quality": int32 (), where there is a JPEG}.
    """
    scale, margin, window = form.scale, form.margin, np.zeros(form.shape, np.uint8)
    place = np.array([[form.first(start), start, side // scale]
                      for start, side in zip(corner, hr.shape[:2], strict=True)], np.int32)
    inside, source = [], []
    for (first, _, side), length in zip(place.tolist(), form.window, strict=True):
        begin, end = max(first - margin, 0), min(first + length + margin, side)
        source.append(slice(begin * scale, end * scale))
        inside.append(slice((begin - first + margin) * scale, (end - first + margin) * scale))
    window[tuple(inside)] = hr[tuple(source)]
    quality = degradations.jpeg_quality(record) if form.jpeg else None
    return {"hr": window, "place": place} | ({} if quality is None else {"jpeg_quality": np.int32(quality)})


def degraded(form, batch):
    """A batch with what `part` gives of its samples, as one with LR and HR crops.

    Args:
      form: Form.
      batch: {key: array (N, ...)}.

    Returns:
      dict of the other arrays, and "lr" uint8 (N, h, w, 3), "hr" (N, h * scale, w * scale, 3).
    """
    hr, place = batch["hr"], batch["place"]
    first, start, side = (place[..., index] for index in range(3))
    lr = hr
    if form.resize:
        for axis in (1, 0) if form.resize in resize_device.PILLOW else (0, 1):  # Pillow takes the width first
            lr = _resized(form, lr, axis, first[:, axis], side[:, axis])
        lr = lr.astype(jnp.uint8)
    if form.jpeg:
        lr = jpeg_device.jpeg(lr, batch["jpeg_quality"], sizes=jnp.minimum(side - first, np.array(form.window)),
                              **dict(form.jpeg))
    corner = start - first
    rest = {key: value for key, value in batch.items() if key not in ("place", "jpeg_quality")}
    return rest | {"lr": _cut(lr, corner, form.size),
                   "hr": _cut(hr, (corner + form.margin) * form.scale, [its * form.scale for its in form.size])}


def _cut(images, corners, size):
    """The part of each image (N, H, W, 3) from its corner (N, 2) on."""
    def of(image, corner):
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), (*size, image.shape[-1]))

    return jax.vmap(of)(images, corners)


def _resized(form, x, axis, first, side):
    """One pass along rows (axis 0) or columns of windows (N, H, W, 3); `side` (N,) is that of the images, LR px."""
    pixels, table = _taps(form.resize, form.scale)
    border = len(table) // 2
    position = first[:, None] + jnp.arange(form.window[axis])  # (N, out)
    kind = jnp.where(position < border, position, jnp.maximum(border, position - side[:, None] + len(table)))
    weights = jnp.take(table, jnp.clip(kind, 0, len(table) - 1), axis=0)  # (N, out, taps)
    places = (np.arange(form.window[axis])[:, None] + form.margin) * form.scale + pixels
    x = jnp.moveaxis(x.astype(table.dtype), axis + 1, 1)
    total = sum(jnp.take(x, places[:, tap], axis=1) * weights[:, :, tap, None, None] for tap in range(len(pixels)))
    if table.dtype == np.int32:
        total = (total + (1 << (resize_device.PRECISION_BITS - 1))) >> resize_device.PRECISION_BITS
        total = jnp.clip(total, 0, 255)
    else:
        total = jnp.floor(jnp.clip(total, 0, 255) + 0.5)
    return jnp.moveaxis(total, 1, axis + 1)


@functools.cache
def _taps(name, scale):
    """(places of taps from the first HR pixel of an LR one on, weights (kinds, taps)) of a resize.

    Weights are Pillow's, int32, or MATLAB's, float32, where they are exact. Kinds of LR pixels are those at the first
    border, the one in the middle of all, those at the last border.
    """
    kernel, support = resize_device.PILLOW.get(name, (None, 2))
    count = 2 * support + 1
    if kernel:
        pixels, weights = resize_device.pillow_taps(count * scale, count, kernel, support)
    else:
        (_, pixels, weights), _ = resize.matlab_passes((count * scale,) * 2, (count,) * 2)
    pixels = pixels - scale * np.arange(count)
    reach = np.arange(pixels[weights != 0].min(), pixels[weights != 0].max() + 1)
    table = np.zeros((count, len(reach)), weights.dtype)
    for tap, kind in zip(*np.nonzero(weights), strict=True):
        table[kind, pixels[tap, kind] - reach[0]] += weights[tap, kind]
    return reach, table if kernel else table.astype(np.float32)

"""Degradations: HR image to the bytes of the LR file, by the codecs and resizers that the challenges used.

A protocol is a row of `PROTOCOLS`: steps as data. Those of a challenge stand in its file, jsr/challenges/ais24.py for
one. What a protocol leaves to chance is drawn from a seed; what was drawn, and the versions of the libraries that did
the work, are recorded with the LR image, from which `replay` makes it again.
"""

from collections.abc import Callable, Iterator, Mapping
import dataclasses
import functools
import re
from typing import TYPE_CHECKING, Any
import zlib

import numpy as np
import PIL

from jsr import challenges, guests, lazy
from jsr.challenges.rules import JPEG
from jsr.degradations import _video, avif, heic, hevc, jpeg, jpegxl, resize, second_order, webp
from jsr.degradations.second_order import FILTERS, Filter
from jsr.errors import MissingLibrary, UserError, nearest
from jsr.images import png_bytes, read_rgb

if TYPE_CHECKING:
    from jsr.degradations import jpeg_device, resize_device, second_order_device

__all__ = ["CODECS", "FILTERS", "PROTOCOLS", "Codec", "Degradation", "Degraded", "Filter", "choices", "codec",
           "codec_kinds", "codecs", "crop_to_multiple", "decode", "degrade", "degrade_part", "draw", "jpeg_device",
           "jpeg_quality", "other_codecs", "parameters", "protocol", "replay", "resize_device", "second_order_device",
           "sees_whole", "settings", "trace"]
# The twins in JAX, which needs a while to import
__getattr__ = lazy.getter(__name__, {
    name: f"{__name__}.{name}" for name in ("jpeg_device", "resize_device", "second_order_device")})

# What a step makes, (bytes, image): a codec's file and the image decoded from it, or None for either
Made = tuple[bytes, np.ndarray] | tuple[bytes, None] | tuple[None, np.ndarray]
_RESIZE_REACH = {"pillow_bicubic": 2}  # LR px beyond which a resize does not look
_FARTHEST = 4  # of all others
_CHROMA_REACH = 2  # LR px beyond which no decoder of JPEG looks, as it enlarges chroma
_FILTER_REACH = 16  # LR px that a part of an image gets around it where there are filters
_PILLOW = {"library": f"Pillow {PIL.__version__}"}
_NUMPY = {"library": f"NumPy {np.__version__}"}


@dataclasses.dataclass(frozen=True)
class Codec:
    """A step of a degradation that is a codec.

    Attributes:
      encode: function of (image, **parameters) to bytes.
      decode: function of (bytes), and of `decoder` where there is a choice, to uint8 (H, W, 3).
      suffix: suffix of its files.
      record: function of the step's parameters to a dict of all that makes the bytes, `library` among it, the name
        and version of what encodes, and of a lossy codec `decoded_by`, those of what decodes.
      block: side of the blocks that it cuts images into, px (JPEG: with chroma at half the size); 1 of one without.
      reach: function of the step's parameters to the px around a part from which the part is decoded; None is a block.
      whole: whether all of an image decides of every part of it.
    """

    encode: Callable[..., bytes]
    decode: Callable[..., np.ndarray]
    suffix: str
    record: Callable[..., dict[str, Any]]
    block: int = 1
    reach: Callable[..., int] | None = None
    whole: bool = False


CODECS = {
    "png": Codec(png_bytes, read_rgb, ".png", lambda: _PILLOW),
    "jpeg": Codec(jpeg.encode, jpeg.decode, jpeg.SUFFIX, lambda *, encoder, decoder, **_: {
        "library": jpeg.library(encoder), "decoded_by": jpeg.library(decoder)}, block=16,
                  reach=lambda *, encoder, **_: 16 if encoder in jpeg.TRELLIS else _CHROMA_REACH),
    "webp": Codec(webp.encode, webp.decode, webp.SUFFIX, lambda **encoding: {
        **webp.record(**encoding), "decoded_by": webp.library()}, block=16),
    "avif": Codec(avif.encode, avif.decode, avif.SUFFIX, lambda *, decoder, **encoding: {
        **avif.record(**encoding), "decoded_by": avif.reader(decoder)}, whole=True),
    "heic": Codec(heic.encode, heic.decode, heic.SUFFIX, lambda **encoding: {
        **heic.record(**encoding), "decoded_by": heic.library()}, whole=True),
    "jpegxl": Codec(jpegxl.encode, jpegxl.decode, jpegxl.SUFFIX, lambda **encoding: {
        **jpegxl.record(**encoding), "decoded_by": jpegxl.library()}, whole=True),
    "hevc": Codec(hevc.encode, hevc.decode, hevc.SUFFIX, lambda **encoding: {
        **hevc.record(**encoding), "decoded_by": _video.library()}),
}
_ENDS = ("encoder", "decoder")  # parameters that say who does a codec's two halves
_STEADY = ("libjpeg-turbo", "libwebp", "libavif", "FFmpeg")  # as encoder or decoder, of any version of these years


@dataclasses.dataclass(frozen=True)
class Degradation:
    """The steps by which a challenge, or another protocol, makes its LR images.

    Attributes:
      scale: HR size over LR size.
      steps: the steps in turn, each {"fn": key of `jsr.degradations.resize.RESIZES` or of `CODECS`, or a
        guest's Codec "mypkg.codecs:mine", parameters...}.
        A parameter that is a range or a tuple is drawn from it, each value as likely as another. A step of
        `jsr.degradations.second_order.FILTERS` has ranges from which it draws its own parameters. The last step is a
        codec.
      video: HR and LR are clips, uint8 YUV 4:2:0 (T, H * 3 // 2, W).
    """

    scale: int
    steps: tuple[dict[str, Any], ...]
    video: bool = False


PROTOCOLS = {
    **{name: Degradation(track.scale, track.degradation, track.video)
       for name, track in challenges.CHALLENGES.items() if track.degradation},
    # Not of a challenge: NTIRE 2023's without its JPEG.
    **{f"ntire23_x{scale}_plain": Degradation(scale, ({"fn": "pillow_bicubic", "scale": scale}, {"fn": "png"}))
       for scale in (2, 3)},
    # AIVerse's test of NTIRE 2024, which saves every input once more before it is restored.
    "ntire24_again": Degradation(1, (*challenges.CHALLENGES["ntire24"].degradation, {**JPEG, "quality": 90})),
    # Not of a challenge: photographs as people have them, and the same without JPEG.
    **{f"photo_x{scale}{suffix}": Degradation(scale, (*({"fn": "pillow_bicubic", "scale": scale},) * (scale > 1),
                                                       codec))
       for scale in (1, 2, 4)
       for suffix, codec in (("", {**JPEG, "quality": range(10, 96)}), ("_clean", {"fn": "png"}))},
    # Not of a challenge: compressed twice, as pictures that were passed on are.
    "jpeg_webp": Degradation(1, ({**JPEG, "quality": range(10, 91)},
                                 {"fn": "webp", "quality": range(10, 91), "method": 4})),
    # Not of a challenge: pictures as phones keep them.
    **{f"photo_x{scale}_{codec['fn']}": Degradation(scale, (*({"fn": "pillow_bicubic", "scale": scale},) * (scale > 1),
                                                            codec))
       for scale in (1, 2, 4)
       for codec in ({"fn": "heic", "quality": range(20, 91), "subsampling": "4:2:0"},
                     {"fn": "jpegxl", "quality": range(20, 91)})},
    # Not of a challenge: Real-ESRGAN's second-order degradation.
    **{f"real_esrgan_x{scale}": Degradation(scale, (
        *second_order.REAL_ESRGAN[0], {**JPEG, "quality": range(30, 96)}, *second_order.REAL_ESRGAN[1], {"fn": "png"}))
       for scale in (2, 4)},
}


@dataclasses.dataclass(frozen=True)
class Degraded:
    """A degraded image.

    Attributes:
      lr_bytes: the content of its file.
      suffix: suffix of that file.
      record: what made it, for JSON: {protocol, seed, steps}, every step with what its parameters do not say: the
        versions of its libraries, `library` and of a lossy codec `decoded_by`, and other settings of its codec.
    """

    lr_bytes: bytes
    suffix: str
    record: dict[str, Any]

    def decode(self) -> np.ndarray:
        """The LR image, decoded as the protocol says: uint8 (H, W, 3), of a clip (T, H * 3 // 2, W)."""
        return decode(self.lr_bytes, self.record)


def protocol(name: str) -> Degradation:
    """The row `name` of `PROTOCOLS`, or a guest's Degradation ("mypkg.codecs:phone", jsr.guests).

    Raises:
      UserError: there is none; the nearest is named.
    """
    if guests.is_function(name):
        return guests.attribute(name, Degradation, "a jsr.degradations.Degradation")
    if name not in PROTOCOLS:
        raise UserError(f"degradation protocol {name!r} is unknown; {nearest(name, PROTOCOLS)}")
    return PROTOCOLS[name]


def codec(fn: str) -> Codec:
    """The codec of a step: a row of `CODECS`, or a guest's ("mypkg.codecs:mine")."""
    if guests.is_function(fn):
        return guests.attribute(fn, Codec, "a jsr.degradations.Codec")
    return CODECS[fn]


def _is_codec(step):
    return step["fn"] in CODECS or guests.is_function(step["fn"])


def parameters(name: str) -> dict[str, Any]:
    """{parameter: value or range} of a protocol; the first step's, if several steps have the parameter.

    The ranges of filters, which depend on each other, are a protocol's own, and are not among them.
    """
    return {key: value for step in reversed(protocol(name).steps) if step["fn"] not in FILTERS
            for key, value in step.items() if key not in ("fn", "scale")}


def settings(name: str, chosen: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """A person's settings of a protocol, in the form that `draw` takes.

    Args:
      name: key of `PROTOCOLS`.
      chosen: {parameter: value}. Instead of a number there may be a range as text, "60-100", both ends included, or a
        list of numbers: one of them is drawn for each image, each as likely as another.
      where: text before a parameter's name in error messages, for example "data.train[0].set.".

    Returns:
      {parameter: value, range or tuple}.

    Raises:
      UserError: unknown protocol or parameter, text that is no range, a value that the codec does not take, or a
        library that is missing.
    """
    known = parameters(name)
    for key in chosen:
        if key not in known:
            raise UserError(f"{where}{key}: {name} has no parameter {key!r}; {nearest(key, known)}")
    found = {key: value if isinstance(known[key], str) and isinstance(value, str) else _choice(value, where + key)
             for key, value in chosen.items()}
    for key, value in found.items():
        ends = (value[0], value[-1]) if isinstance(value, range) else value if isinstance(value, tuple) else (value,)
        for end in dict.fromkeys(ends):
            if wrong := _refused(name, key, end):
                raise UserError(f"{where}{key}: {wrong}")
    return found


def _choice(value, key):
    """The number, range or tuple of numbers that a person wrote."""
    if isinstance(value, str):
        ends = re.fullmatch(r"\s*(\d+)\s*-\s*(\d+)\s*", value)
        if not ends:
            raise UserError(f"{key}: {value!r} is no range; give a whole number, a range such as 60-100, or a list")
        first, last = map(int, ends.groups())
        if last < first:
            raise UserError(f"{key}: the range {value} is empty; write its smaller end first")
        return range(first, last + 1)
    if isinstance(value, (list, tuple)):
        if not value or not all(type(number) is int for number in value):
            raise UserError(f"{key}: {list(value)} must be a list of whole numbers, one or more")
        return tuple(value)
    return value


@functools.cache
def _refused(name, key, value):
    """Why a protocol cannot have a parameter at a value, found by trying; "" where it can."""
    p = protocol(name)
    side = 64 * p.scale
    try:
        degrade(name, np.zeros((1, side * 3 // 2, side) if p.video else (side, side, 3), np.uint8),
                **{key: value}).decode()
    except MissingLibrary:
        raise
    except UserError as e:
        return str(e)
    return ""


def draw(name: str, seed: int | str = 0, **fixed: Any) -> dict[str, Any]:
    """Draws a protocol's parameters for one image, so that nothing random is left.

    A protocol's libraries of JPEG are those of its organisers. Where one is not on this machine, and is not asked for
    by `fixed`, Pillow's stands in for it, under its own name (`codecs`).

    Args:
      name: key of `PROTOCOLS`.
      seed: an int, or a text such as the image's name. The same seed draws the same.
      **fixed: parameters to set instead, as qp=31 or encoder="9d", of every step that has them; of a range or a tuple
        a value is drawn.

    Returns:
      The record of `Degraded`.

    Raises:
      UserError: unknown protocol or parameter, or a library that is missing.
    """
    steps = protocol(name).steps
    known = parameters(name)
    for key in fixed:
        if key not in known:
            raise UserError(f"{name} has no parameter {key!r}; {nearest(key, known)}")
    number = zlib.crc32(seed.encode(errors="surrogateescape")) if isinstance(seed, str) else seed
    rng = np.random.default_rng([number, zlib.crc32(name.encode())])
    drawn = []
    for step in steps:
        if step["fn"] in FILTERS:
            ranges = {key: value for key, value in step.items() if key != "fn"}
            step = {"fn": step["fn"], **FILTERS[step["fn"]].draw(rng, **ranges)}
            drawn.append(step | _made_by(step))
            continue
        step = _here(step, fixed) | {key: fixed[key] for key in step if key in fixed}
        step = {key: int(rng.choice(value)) if isinstance(value, (range, tuple)) else value
                for key, value in step.items()}
        drawn.append(step | _made_by(step))
    return {"protocol": name, "seed": seed, "steps": drawn}


def _here(step, fixed):
    """A step by libraries of this machine, of those that nobody chose."""
    missing = [end for end in _ENDS if step["fn"] == "jpeg" and end not in fixed and not jpeg.is_here(step[end])]
    return step | dict.fromkeys(missing, "pillow")


def codecs(record: Mapping[str, Any]) -> str:
    """The encoder and the decoder in a record of `Degraded`: "libjpeg 9d > libjpeg-turbo 3.1.4".

    Scores of images that other codecs made are no scores of these. Of several codecs in turn there are several pairs.

    Returns:
      The pairs; "" where nothing is lost, as with PNG, or what made the image is not known.
    """
    return ", then ".join(f"{_short(step['library'])} > {_short(step['decoded_by'])}"
                          for step in record.get("steps", ()) if "decoded_by" in step)


def _short(library):
    """The name and version that a library's text begins with."""
    return library.partition(",")[0].partition(" (jpeglib")[0]


def codec_kinds(text: str) -> str:
    """A text of `codecs` without versions of codecs whose versions all give the same pixels."""
    return re.sub(rf"({'|'.join(_STEADY)}) [^ ,]+", r"\1", text)


def other_codecs(record: Mapping[str, Any], name: str) -> str:
    """The reason, other codecs, why scores of a record's image cannot stand beside a protocol's; "" if they can.

    Args:
      record: record of `Degraded`; {} where what made the image is not known, against which nothing is said.
      name: name of the protocol that judges. What a method does after its codecs is the method's.
    """
    if not record or name not in PROTOCOLS:
        return ""
    own, there = (["{encoder} > {decoder}".format(**step) for step in steps if set(_ENDS) <= set(step)]
                  for steps in (PROTOCOLS[name].steps, record["steps"]))
    if own == there[:len(own)]:
        return ""
    return f"LR images by {codecs(record) or 'no lossy codec'}, where {name} has {', then '.join(own) or 'none'}"


def choices(name: str, parameter: str) -> tuple[int, ...]:
    """The values that a protocol draws a parameter from, in order.

    Raises:
      UserError: unknown protocol, or a parameter that it does not draw.
    """
    drawn = {key: value for step in protocol(name).steps if step["fn"] not in FILTERS
             for key, value in step.items() if isinstance(value, (range, tuple))}
    if parameter not in drawn:
        known = nearest(parameter, drawn) if drawn else "nor anything else"
        raise UserError(f"{name} draws no {parameter!r}; {known}")
    return tuple(drawn[parameter])


def degrade(name: str, hr: np.ndarray, *, seed: int | str = 0, **fixed: Any) -> Degraded:
    """Degrades an image, or a clip, as the challenge's organisers did.

    Args:
      name: key of `PROTOCOLS`.
      hr: uint8 (H, W, 3), H and W multiples of the protocol's scale (`crop_to_multiple`); of a video protocol
        (T, H * 3 // 2, W), YUV 4:2:0.
      seed, **fixed: see `draw`.

    Returns:
      Degraded.

    Raises:
      UserError: unknown protocol or parameter, a value that a codec does not take, or a library that is missing.
      ValueError: wrong type or size of `hr`.
    """
    return replay(draw(name, seed, **fixed), hr)


def replay(record: Mapping[str, Any], hr: np.ndarray) -> Degraded:
    """Degrades again as a record says, with the libraries installed now.

    Returns:
      Degraded, whose record has the versions of now: equal records mean equal bytes.
    """
    *_, (lr_bytes, _) = trace(record, hr)
    return _made(record, lr_bytes)


def jpeg_quality(record: Mapping[str, Any]) -> int | None:
    """The JPEG quality in a record of `Degraded`: of the last JPEG among its steps, None without one."""
    found = [step["quality"] for step in record.get("steps", ()) if step["fn"] == "jpeg"]
    return found[-1] if found else None


def sees_whole(name: str) -> bool:
    """Whether a protocol has a codec that must encode the whole image to know a part of it."""
    return any(codec(step["fn"]).whole for step in protocol(name).steps if _is_codec(step))


def degrade_part(name: str, hr: Any, rows: tuple[int, int], columns: tuple[int, int], *,
                 kept: Callable[[list, Callable[[], bytes]], bytes] | None = None,
                 seed: int | str = 0, **fixed: Any) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Degrades only as much of an image as a part of its LR image needs.

    The part equals the same part of the whole LR image, bit for bit. With resizes and JPEG the codec gets whole blocks
    of the whole image's grid, those in which the part and the px next to it lie, since chroma is interpolated; where
    there are several codecs, one block more on each side than the part lies in. AVIF gets the whole image. WebP, which
    predicts from block to block, and mozjpeg300 and mozjpeg403, which choose coefficients beyond a block, give another
    image's part, with the grid of the whole.

    Args:
      name: key of `PROTOCOLS`, of images.
      hr: uint8 (H, W, 3), or what can be sliced as such; rows and columns beyond a multiple of the scale do not count.
      rows, columns: (first, last + 1), LR px.
      kept: of codecs that get the whole image: function of the record's steps and of a function that makes the LR file,
        which may give bytes that it kept; None makes them.
      seed, **fixed: see `draw`.

    Returns:
      (LR part, uint8; the HR part; the record of `Degraded`).
    """
    record, scale = draw(name, seed, **fixed), protocol(name).scale
    if sees_whole(name):
        def make():
            height, width = (side - side % scale for side in hr.shape[:2])
            return replay(record, hr[:height, :width]).lr_bytes

        lr = decode(kept(record["steps"], make) if kept else make(), record)[slice(*rows), slice(*columns)]
        hr = hr[rows[0] * scale:rows[1] * scale, columns[0] * scale:columns[1] * scale]
        return lr, np.asarray(hr), record
    filtered = any(step["fn"] in FILTERS for step in record["steps"])
    cut = [step for step in record["steps"] if _is_codec(step)]
    block = 1 if filtered else max(codec(step["fn"]).block for step in cut)
    reach = _reach(**cut[0]) if len(cut) == 1 else block
    resized = max([_RESIZE_REACH.get(step["fn"], _FARTHEST) for step in record["steps"]
                   if step["fn"] in resize.RESIZES], default=0)
    inner, read = [], []
    for (start, stop), side in zip((rows, columns), hr.shape[:2], strict=True):
        side //= scale
        whole = start, stop
        if block > 1:
            whole = max((start - reach) // block, 0) * block, min(-(-(stop + reach) // block) * block, side)
        margin = _FILTER_REACH if filtered else resized
        outer = max(whole[0] - margin, 0), min(whole[1] + margin, side)
        inner.append(slice(None) if filtered else slice(whole[0] - outer[0], whole[1] - outer[0]))
        read.append((outer, outer if filtered else whole))
    (outer_y, whole_y), (outer_x, whole_x) = read
    piece = np.asarray(hr[outer_y[0] * scale:outer_y[1] * scale, outer_x[0] * scale:outer_x[1] * scale])
    *_, (lr_bytes, _) = trace(record, piece, keep=(inner[0], inner[1]))
    degraded = _made(record, lr_bytes)
    top, left = rows[0] - whole_y[0], columns[0] - whole_x[0]
    lr = degraded.decode()[top:top + rows[1] - rows[0], left:left + columns[1] - columns[0]]
    top, left = (rows[0] - outer_y[0]) * scale, (columns[0] - outer_x[0]) * scale
    return lr, piece[top:top + lr.shape[0] * scale, left:left + lr.shape[1] * scale], degraded.record


def _reach(*, fn, **parameters):
    """The px around a part of an image that a codec's step needs for it."""
    found = codec(fn)
    return found.reach(**parameters) if found.reach else found.block


def _made(record, lr_bytes):
    rows = protocol(record["protocol"]).steps
    steps = [step | _made_by(step if step["fn"] in FILTERS else {key: step[key] for key in row})
             for step, row in zip(record["steps"], rows, strict=True)]
    return Degraded(lr_bytes, codec(steps[-1]["fn"]).suffix, record | {"steps": steps})


def trace(record: Mapping[str, Any], hr: np.ndarray, *,
          keep: tuple[slice, slice] = (slice(None), slice(None))) -> Iterator[Made]:
    """Replays a record step by step.

    Args:
      record, hr: see `replay`.
      keep: rows and columns of the image that go into the first codec, after resizes; all by default.

    Yields:
      (bytes, image) after each step; no bytes (None) after a resize or a filter, whose float32 is rounded to be shown,
      and no image (None) after the last step.
    """
    image, steps = _checked(record["protocol"], hr), record["steps"]
    rows, video = protocol(record["protocol"]).steps, protocol(record["protocol"]).video
    first_codec = next(step for step in steps if _is_codec(step))
    lr_size = tuple(side // protocol(record["protocol"]).scale for side in image.shape[:2])
    for step, row in zip(steps, rows, strict=True):
        if step["fn"] in FILTERS:
            drawn = {key: value for key, value in step.items() if key not in ("fn", "library", "decoded_by")}
            image = FILTERS[step["fn"]].apply(second_order.as_float(image), lr_size, **drawn)
            yield None, second_order.as_levels(image)
            continue
        parameters = {key: step[key] for key in row if key not in ("fn", "decoder")}
        if _is_codec(step):
            if step is first_codec and not video:
                image = image[keep]
            image = second_order.as_levels(image)
            try:
                data = codec(step["fn"]).encode(image, **parameters)
            except ValueError as e:
                if isinstance(e, UserError):
                    raise
                raise UserError(f"{record['protocol']}: {step['fn']} cannot encode this: {e}") from e
            if step is steps[-1]:
                yield data, None
            else:
                image = _decoded(step, data)
                yield data, image
        else:
            height, width = (image.shape[1] // 3 * 2, image.shape[2]) if video else image.shape[:2]
            size = (height // step["scale"], width // step["scale"])
            image = _video.scale_yuv(image, size) if video else resize.RESIZES[step["fn"]](image, size)
            yield None, image


def decode(lr_bytes: bytes, record: Mapping[str, Any] | None = None, *, name: str | None = None) -> np.ndarray:
    """Decodes an LR file's bytes to uint8 (H, W, 3); a clip's to (T, H * 3 // 2, W).

    Args:
      lr_bytes: the content of the file.
      record: a `Degraded`'s record; without one, the libraries inside Pillow decode.
      name: name for error messages.

    Raises:
      UserError: damaged.
    """
    if record is None:
        return read_rgb(lr_bytes, name=name)
    try:
        return _decoded(record["steps"][-1], lr_bytes)
    except UserError as e:
        raise type(e)(f"{name}: {str(e).partition(': ')[2]}" if name else str(e)) from e


def crop_to_multiple(image: np.ndarray, multiple: int) -> np.ndarray:
    """Cuts rows off the bottom and columns off the right until both sizes are multiples of `multiple`.

    Args:
      image: (H, W, C).
      multiple: px.

    Returns:
      A view of the image.

    Raises:
      ValueError: a side is shorter than `multiple`.
    """
    height, width = (side - side % multiple for side in image.shape[:2])
    if not height or not width:
        raise ValueError(f"{image.shape[0]}x{image.shape[1]} (height x width) is smaller than {multiple} px")
    return image[:height, :width]


def _decoded(step, data):
    return codec(step["fn"]).decode(data, **({"decoder": step["decoder"]} if "decoder" in step else {}))


def _made_by(step):
    """The facts about a step that its parameters do not state: the version of its library, and its other settings."""
    parameters = {key: value for key, value in step.items() if key != "fn"}
    if _is_codec(step):
        made_by = codec(step["fn"]).record(**parameters)
        return {key: value for key, value in made_by.items() if key not in (*step, "codec")}
    if step["fn"] in FILTERS:
        return FILTERS[step["fn"]].library()
    if step["fn"].startswith("swscale"):
        return {"library": _video.library()}
    return _NUMPY if step["fn"].startswith("matlab") else _PILLOW


def _checked(name, hr):
    """HR as an array that the protocol takes."""
    p, hr = protocol(name), np.asarray(hr)
    if p.video:
        _video.checked_yuv(hr)
        height, width = hr.shape[1] // 3 * 2, hr.shape[2]
    elif hr.dtype != np.uint8 or hr.ndim != 3 or hr.shape[2] != 3:
        raise ValueError(f"expected uint8 (H, W, 3), got {hr.dtype} {hr.shape}")
    else:
        height, width = hr.shape[:2]
    if height % p.scale or width % p.scale or not hr.size:
        raise ValueError(f"height {height} and width {width} must be multiples of {p.scale}")
    return hr

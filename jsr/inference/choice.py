"""The plan for a picture: its network, its new size, or a copy where it is better left alone."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from fractions import Fraction
import math
import os
from pathlib import Path
import threading
import time

import numpy as np

from jsr import clips, pictures
from jsr.errors import UserError
from jsr.files import sha256
from jsr.inference.upscaler import Upscaler, middle
from jsr.pictures import quality as jpeg

BOX = {"x2": 2, "x4": 4, "x4-avif": 4, "restore": 1}  # networks that come with jsr, and their scales
GOOD = 88             # JPEG quality from which on `restore` gains nothing
_RATE = Fraction(25)  # of a folder of frames
_NO_WISHES = clips.Wishes()
_SIDE = 512  # of the part of a picture from which its JPEG quality is estimated, px


@dataclasses.dataclass(frozen=True)
class Size:
    """The size that a person asks for: of the fields but `width` and `height`, which may be two, at most one is set.

    Attributes:
      scale: size of the result over that of the picture.
      width, height, longest: px of the result; it keeps its proportions, and with both fits into them.
      megapixels: size of the result, 1e6 px.
    """

    scale: float | None = None
    width: int | None = None
    height: int | None = None
    longest: int | None = None
    megapixels: float | None = None

    def factor(self, height, width):
        """Result's size over the size of a picture of that size, px; None where nothing is asked for."""
        if self.scale:
            return self.scale
        if self.longest:
            return self.longest / max(height, width)
        if self.megapixels:
            return math.sqrt(self.megapixels * 1e6 / (height * width))
        return min((wanted / side for wanted, side in ((self.height, height), (self.width, width)) if wanted),
                   default=None)

    def __str__(self):
        if self.scale:
            return f"x{self.scale:g}"
        if self.megapixels:
            return f"{self.megapixels:g} Mpx"
        if self.longest:
            return f"{self.longest} px at the longer side"
        if self.width and self.height:
            return f"at most {self.width}x{self.height}"
        return f"a width of {self.width} px" if self.width else f"a height of {self.height} px"


@dataclasses.dataclass(frozen=True)
class Plan:
    """The plan for one picture.

    Attributes:
      format: format of the picture, as in jsr.pictures.
      before, after: (height, width) of the picture and of the result, px.
      frames: number of frames of the picture.
      network: name of the network, of a Networks; "" of none.
      scale: scale of the network, 1 of none; the resampler does the rest.
      text: says so to the person.
      tag: part that the result's name has besides the picture's, for example "x2".
      clip: jsr.clips.Clip where the picture is one, else None.
      wishes: jsr.clips.Wishes for it.
    """

    format: str
    before: tuple[int, int]
    after: tuple[int, int]
    frames: int
    network: str
    scale: int
    text: str
    tag: str
    clip: clips.Clip | None = None
    wishes: clips.Wishes = clips.Wishes()

    @property
    def resamples(self):
        """Whether the network's result, or without one the picture, has another size than the result."""
        return tuple(side * self.scale for side in self.before) != self.after

    @property
    def copies(self):
        """Whether the picture stays as it is."""
        return not self.network and not self.resamples


class Networks:
    """The networks that pictures may go through, each loaded when the first picture needs it; for several threads.

    Args:
      files: {name: model files whose outputs are averaged}.
      load: function of model files to an Upscaler.

    Attributes:
      loaded: {name: Upscaler} so far.
      seconds: seconds that loading took so far.
    """

    def __init__(self, files: Mapping[str, Sequence[Path]], load: Callable[..., Upscaler]):
        self.loaded: dict[str, Upscaler] = {}
        self.seconds = 0.0
        self._files, self._load, self._digests, self._lock = files, load, {}, threading.Lock()

    def __getitem__(self, name: str) -> Upscaler:
        with self._lock:
            if name not in self.loaded:
                start = time.monotonic()
                self.loaded[name] = self._load(*self._files[name])
                self.seconds += time.monotonic() - start
            return self.loaded[name]

    def digests(self, name: str) -> list[dict]:
        """The network's files as settings name them: [{file, sha256}]; of "", no network, none."""
        if name not in self._digests:
            self._digests[name] = [{"file": Path(path).name, "sha256": sha256(path)}
                                   for path in self._files.get(name, ())]
        return self._digests[name]


def choose(path, size=Size(), *, named=None, input_quality=None, wishes=_NO_WISHES) -> Plan:
    """Plans what becomes of a picture or clip; reads its header, and what is not said there where it matters.

    Args:
      path: path of the file.
      size: as asked for; nothing is x2, or the scale of the network that a person named.
      named: (name, scale) of that network; None chooses one of BOX.
      input_quality: JPEG quality, 1..100, that a person states; None is the file's own.
      wishes: jsr.clips.Wishes, for clips.

    Raises:
      UserError: the picture or clip cannot be read, or none of BOX is for it.
    """
    if clips.is_clip(path) or os.path.isdir(path):
        clip = clips.inspect(path, wishes.stream) if clips.is_clip(path) else clips.inspect_folder(
            path, wishes.rate or _RATE)
        plan = _planned(size, named, clip, (clips.container_of(path) or "", clip.packets),
                        lambda factor: _chosen_for_clip(path, factor))
        return dataclasses.replace(plan, clip=clip, wishes=wishes)
    with pictures.open_picture(path) as picture:
        return _planned(size, named, picture, (picture.format, picture.frames),
                        lambda factor: _chosen(picture, factor, input_quality))


def _planned(size, named, what, header, chosen):
    """The Plan of a picture or clip.

    Args:
      size, named: see `choose`.
      what: has a height and a width.
      header: (format, frames).
      chosen: function of the factor to (network of BOX or "", its scale, why none).
    """
    before = what.height, what.width
    factor = size.factor(*before) or (named[1] if named else 2)
    after = tuple(max(1, round(side * factor)) for side in before)
    by_px = size != Size() and not size.scale
    if named:
        name, scale, text = *named, ""
    else:
        is_size = after == before and (by_px or factor != 1)
        name, scale, text = ("", 1, "has that size") if is_size else chosen(factor)
    tag = f"{after[1]}x{after[0]}" if by_px else "restored" if factor == 1 else f"x{factor:g}"
    plan = Plan(header[0], before, after, header[1], name, scale, text, tag)
    if name:
        text = f"restored by the network {name}" if scale == 1 else f"x{scale} by the network {name}"
    if plan.resamples:
        text = f"{text}, then to {size} by bicubic" if name else f"to {size} by bicubic: networks do not shrink"
    return dataclasses.replace(plan, text=text)


def _chosen_for_clip(path, factor):
    if factor == 1:
        raise UserError(f"{path}: no network that comes with jsr restores clips at their own size (`restore` was made "
                        "for JPEG); choose --model, or --scale 2")
    name = "x2" if factor <= 2 else "x4"
    return (name, BOX[name], "") if factor > 1 else ("", 1, "")


def told(path, input_quality=None):
    """The JPEG quality of a picture file that a network is told, and its source.

    Returns:
      (1..100, "stated", "tables" of the file or "estimate"); (None, "") of a picture without traces of JPEG.

    Raises:
      UserError: the picture cannot be read.
    """
    if input_quality is not None:
        return input_quality, "stated"
    with pictures.open_picture(path) as picture:
        if picture.jpeg_quality is not None:
            return picture.jpeg_quality, "tables"
        if picture.dtype != np.uint8:
            return None, ""
        (top, bottom), (left, right) = (middle(side, _SIDE) for side in (picture.height, picture.width))
        colours = picture.rows(top, bottom)[:, left:right, :1 if picture.channels < 3 else 3]
        found = jpeg.of_pixels(colours)
        return (None, "") if found is None else (found, "estimate")


def _chosen(picture, factor, input_quality):
    """(network of BOX or "", its scale, why none)."""
    if factor > 1:
        name = "x2" if factor <= 2 else "x4-avif" if picture.format == "avif" else "x4"
        return name, BOX[name], ""
    if factor < 1:
        return "", 1, ""
    found, _ = told(picture.path, input_quality)
    if found is None:
        return "", 1, "no traces of JPEG to remove"
    if found >= GOOD:
        return "", 1, f"JPEG of quality {GOOD} or more needs no restoring"
    return "restore", 1, ""

"""Frames as pictures in a folder: read as a clip, and written in place of one."""

from fractions import Fraction
import hashlib
import json
from pathlib import Path
import re

import numpy as np

from jsr import libvips, pictures, results
from jsr.clips import colour
from jsr.clips.read import Clip, Shown
from jsr.errors import UserError
from jsr.files import atomic_write, sha256, writing
from jsr.native import pyav

_COMMAND = "jsr upscale"
_FORMATS = {(3, 8): "rgb24", (4, 8): "rgba", (1, 16): "gray16le", (3, 16): "rgb48le",
            (4, 16): "rgba64le"}  # by channels and bits


def frames_in(folder):
    """The pictures of a folder, not of those below it, in the order of the numbers in their names."""
    found = [path for path in Path(folder).iterdir()
             if path.suffix.lower() in pictures.READABLE and not path.name.startswith(".")]
    return sorted(found, key=lambda path: [int(part) if part.isdecimal() else part
                                           for part in re.split(r"(\d+)", path.name)])


def inspect_folder(folder, rate=Fraction(25)):
    """The Clip of a folder of frames, as YUV, BT.709 or by size BT.601, of limited range.

    Args:
      folder: path.
      rate: frames a second, Fraction.

    Raises:
      UserError: no pictures, or the first cannot be read.
    """
    paths = frames_in(folder)
    if not paths:
        below = [path for path in sorted(Path(folder).iterdir()) if path.is_dir() and frames_in(path)]
        hint = f"; {below[0]} has some" if below else ""
        raise UserError(f"{folder}: no pictures in this folder, which are to be frames of a clip{hint}")
    frame = read_frame(paths[0])
    kind = colour.layout(frame.format.name)
    with pictures.open_picture(paths[0]) as picture:
        bits = 8 if picture.bit_depth == 8 else 10
    suffix = "" if bits == 8 else "10le"
    pix_fmt = f"gray{suffix}" if kind.grey else f"yuva444p{suffix}" if kind.alpha else f"yuv420p{suffix}"
    tagged = pyav("a clip").VideoFrame(frame.width, frame.height, "yuv420p")
    colours = colour.colours_of(tagged, "", str(folder))
    return Clip(str(folder), 0, (), "", pix_fmt, frame.height, frame.width, colours, bits, kind.alpha, 1 / rate, rate,
                0, len(paths), 0, float(len(paths) / rate), None, None, False, "", "",
                (f"{float(rate):g} frames a second",))


def read_frame(path):
    """A picture file as an av.VideoFrame, of grey in limited range; of animations and pages the first."""
    with pictures.open_picture(path) as picture:
        pixels = picture.rows(0, picture.height)
    if pixels.shape[2] == 2:  # no format of FFmpeg's has grey and alpha of 16 bits
        pixels = pixels[..., [0, 0, 0, 1]]
    if pixels.shape[2] == 1:
        unit = pixels / np.iinfo(pixels.dtype).max
        pixels = np.rint((16 + 219 * unit) * 256).astype(np.uint16)
    name = _FORMATS[pixels.shape[2], 8 * pixels.itemsize]
    return pyav("a clip").VideoFrame.from_ndarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else
                                                                       pixels), name)


def digest(folder):
    """A digest of the frames in a folder, as SHA-256 is of a file."""
    return hashlib.sha256(json.dumps([[path.name, sha256(path)] for path in frames_in(folder)]).encode()).hexdigest()


class FolderFrames:
    """The frames of a folder, with the interface of jsr.clips.read.Frames."""

    def __init__(self, clip, *, start=None, end=None):
        self.clip, self._start, self._end, self.notes, self.count = clip, start, end, [], 0

    def __iter__(self):
        clip, self.count = self.clip, 0
        for number, path in enumerate(frames_in(clip.path)):
            time = number * clip.time_base
            if self._start is not None and time < self._start or self._end is not None and time >= self._end:
                continue
            frame = read_frame(path)
            if (frame.height, frame.width) != (clip.height, clip.width):
                self.notes.append(f"{path.name} was resized from {frame.width}x{frame.height} to "
                                  f"{clip.width}x{clip.height}, the first frame's size (bicubic)")
                frame = colour.moved(frame, frame.format.name, (clip.height, clip.width))
            yield Shown(self.count, frame, number, 1)
            self.count += 1


class FrameWriter:
    """Writes frames as pictures into a folder, 000001.png and so on; a context manager.

    `upscaled.json` there says what each was made of, and when it is shown. Those that the same settings have made are
    finished, and others that are in the way stay.

    Args:
      folder: path, made where missing.
      ending: ending of the pictures, as ".png".
      quality: quality of lossy formats, 1..100, None is the format's default.
      source_sha256, settings: hashes of what they are made of and how.
      clip: jsr.clips.read.Clip.
      overwrite: whether pictures that are in the way may go.

    Raises:
      UserError: the folder cannot be written; its manifest is of something else.
    """

    def __init__(self, folder, ending, quality, source_sha256, settings, clip, *, overwrite=False):
        self.folder, self._clip, self._overwrite = Path(folder), clip, overwrite
        self._ending, self._form = ending, pictures.WRITABLE[pictures.format_of(f"a{ending}")]
        self._quality = quality or self._form.quality
        self._made = {"source": clip.path, "source_sha256": source_sha256, "settings": settings}
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._manifest = results.Manifest(self.folder / results.MANIFESTS[_COMMAND], _COMMAND, {}, overwrite=overwrite)
        self._manifest.save()
        self.resumed = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._manifest.save()

    def wanted(self, shown):
        """Whether a frame is still to be made; UserError where something else is in its way."""
        path = self._path(shown)
        known = self._manifest.find("files", path.name)
        may = results.verdict(path, known, self._made["source_sha256"],
                              finished=known.get("settings") == self._made["settings"], overwrite=self._overwrite)
        self.resumed += may == results.PASS_OVER
        return may != results.PASS_OVER

    def write(self, shown, image):
        """Writes the result of one frame, float32 (H, W, C) in [0, 1]."""
        path, deep = self._path(shown), self._clip.bits > 8 and self._form.bits > 8
        if image.shape[2] in (2, 4) and not self._form.alpha:
            raise UserError(f"{path}: {self._ending} holds no transparency, which {self._clip.path} has; choose "
                            "--format png")
        dtype = np.uint16 if deep else np.uint8
        codes = np.rint(image * np.float32(np.iinfo(dtype).max)).astype(dtype)
        made = libvips.vips().Image.new_from_array(np.ascontiguousarray(codes))
        grey = image.shape[2] < 3
        made = made.copy(interpretation=("grey16" if grey else "rgb16") if deep else "b-w" if grey else "srgb")
        options = {"Q": self._quality} if self._quality else {}
        data = made.write_to_buffer(self._ending, **options)

        def before(temporary):
            entry = self._made | {"sha256": sha256(temporary), "seconds": float(shown.time * self._clip.time_base)}
            self._manifest.add("files", path.name, results.replacing(path, entry))

        with atomic_write(path, before=before) as file:
            file.write(data)

    def _path(self, shown):
        return self.folder / f"{shown.index + 1:06d}{self._ending}"

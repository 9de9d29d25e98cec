"""Reading a picture from top to bottom, with all that belongs to it."""

import functools
import os
from pathlib import Path

import numpy as np

from jsr import stills
from jsr.errors import UserError
from jsr.files import open_file
from jsr.libvips import check_jpeg, tidied_jpeg, vips
from jsr.pictures import _jpeg, _xmp, quality
from jsr.pictures._load import field, load, reading

_TAIL = 1 << 16  # bytes at the end of a file in which formats without a place for XMP have it
_FETCH_BYTES = 1 << 20  # libvips's caches hold several times what is asked for at once


def open_picture(path, *, drop_opaque=False, most_pixels=None):
    """Opens a picture file and reads its header. The content decides what it is, not the extension.

    Args:
      path: place of the file.
      drop_opaque: leaves out an alpha channel that is opaque everywhere; to know that, a file with one is read whole.
      most_pixels: of one frame; more are refused by the header, before any is decoded. None has no such bound.

    Returns:
      A `Picture`; use it in a `with` block, or close it.

    Raises:
      UserError: missing, a folder, no permission, empty, damaged, not a picture; or something would be lost: CMYK
        without a profile, float or 32-bit samples, more than 8 bits where the reader gives only 8, pages of different
        sizes, animated PNG or AVIF, wide or HDR colours without a profile, camera raw; or it has more pixels than that.
    """
    return Picture(path, drop_opaque=drop_opaque, most_pixels=most_pixels)


def made_by(path):
    """The {name: text} that `create` was given as `made` of a picture file; None where there is none, or no picture."""
    try:
        with open_picture(path) as picture, open_file(path) as file:
            if picture.metadata.xmp:
                return _xmp.made(picture.metadata.xmp)
            if picture.format not in ("gif", "bmp"):
                return None
            file.seek(max(os.fstat(file.fileno()).st_size - _TAIL, 0))
            return _xmp.made(file.read())
    except (UserError, OSError):
        return None


class Picture:
    """An open picture file.

    Attributes:
      path: place of the file.
      format: "png", "jpeg", "webp", "avif", "tiff", "gif", "heif", "jpegxl", or a format of Pillow in small letters, as
        "bmp".
      height, width: size of one frame, px, after its EXIF orientation was applied.
      channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
      bit_depth: bits a channel, from the header: 8 to 16.
      dtype: uint8 for 8 bits, else uint16, always over its full range 0..65535.
      frames: number of frames of an animation, or of pages; else 1.
      animated: whether the frames have times.
      turned: EXIF orientation, 1..8, by which the stored pixels were turned upright.
      metadata: the file's other data.
      notes: phrases of what reading changed.
    """

    def __init__(self, path, *, drop_opaque=False, most_pixels=None):
        self.path = Path(path)
        with reading(self.path), open_file(self.path) as file:
            self.format, self._image, self.metadata, notes = load(self.path, file, most_pixels)
        if drop_opaque and self._image.bands in (2, 4) and self._is_opaque():
            self._image = self._image.extract_band(0, n=self._image.bands - 1)
            notes.append("alpha, opaque everywhere, dropped")
        self._turn = field(self._image, "orientation", 1)
        self.turned = max(self._turn, self.metadata.turned)
        page_height = field(self._image, "page-height", self._image.height)
        self.frames = self._image.height // page_height
        self.animated = self.frames > 1 and self.metadata.delays is not None
        size = page_height, self._image.width
        self.height, self.width = size[::-1] if self._turn > 4 else size
        self.channels = self._image.bands
        self.dtype = np.dtype(np.uint16 if self._image.format == "ushort" else np.uint8)
        self.bit_depth = (field(self._image, "bits-per-sample") if self.format in ("avif", *stills.KINDS) else
                          8 * self.dtype.itemsize)
        if self.turned > 1:
            notes.append(f"turned upright ({self.metadata.oriented_by} orientation {self.turned})")
        self.notes = tuple(notes)
        self._page = None  # opened when its first rows are asked for
        self._frame, self._first, self._band = 0, 0, np.empty((0, self.width, self.channels), self.dtype)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        return (f"<Picture {self.path}: {self.format}, {self.height} x {self.width} x {self.channels}, "
                f"{self.bit_depth} bits, frames: {self.frames}>")

    def close(self):
        """Lets go of the file and of the rows held."""
        self._image = self._page = None
        self._band = self._band[:0].copy()

    def rows(self, start, stop, frame=0):
        """Decodes the rows start..stop of a frame.

        Calls go from top to bottom, frame after frame: `start` may not lie above the last call's, but may lie
        above its `stop`; rows from the latest `start` on are held.

        Returns:
          Read-only array (stop - start, width, channels) of `dtype`; alpha is straight.

        Raises:
          UserError: the file is damaged or truncated.
          ValueError: no such rows, rows above the last call's, or closed.
        """
        if self._image is None:
            raise ValueError(f"{self!r} is closed")
        if not (0 <= frame < self.frames and 0 <= start < stop <= self.height):
            raise ValueError(f"no rows {start}..{stop} of frame {frame} in {self!r}")
        if (frame, start) < (self._frame, self._first):
            raise ValueError(f"rows go from top to bottom: {start} of frame {frame} after {self._first} of frame "
                             f"{self._frame}")
        if frame != self._frame:
            self._frame, self._page, self._band = frame, None, self._band[:0]
        self._band = self._band[start - self._first:] if self._page else self._band
        self._first = start
        have = start + len(self._band)
        if have < stop:
            with reading(self.path):
                self._page = self._page or self._open_frame(frame)
                fresh = self._decode(have, stop)
            self._band = np.concatenate([self._band, fresh]) if len(self._band) else fresh
            self._band.flags.writeable = False
        return self._band[:stop - start]

    @functools.cached_property
    def jpeg_quality(self):
        """The quality of a JPEG file, an int of 1..100, by its tables (jsr.pictures.quality); None of other files."""
        if self.format != "jpeg":
            return None
        with reading(self.path), open_file(self.path) as file:
            table = _jpeg.luma_table(file)
        return quality.of_table(table) if table and min(table) else None

    def preview(self, longest, ending=".png"):
        """The first frame as a file for a screen: 8 bits, sRGB, upright; the picture cannot be read after it.

        Args:
          longest: side of it at most, px; smaller pictures keep their size.
          ending: ending of the format, with libvips's options, as ".webp[Q=80]".

        Returns:
          bytes of the file.

        Raises:
          UserError: the file is damaged or truncated.
        """
        with reading(self.path):
            frame = self._image.crop(0, 0, self._image.width, self._image.height // self.frames)
            if self.frames > 1:
                frame = frame.copy()
                frame.remove("page-height")
            small = frame.thumbnail_image(longest, height=longest, size="down", export_profile="srgb")
            small = small.colourspace("srgb" if self.channels > 2 else "b-w")
            if small.format != "uchar":
                small = small.cast("uchar")
            return small.write_to_buffer(ending, keep="none")

    def _is_opaque(self):
        """Whether no pixel is transparent; reads the file once more, since rows are read forwards only."""
        with reading(self.path), open_file(self.path) as file:
            _, image, _, _ = load(self.path, file)
            return image.extract_band(image.bands - 1).min() == np.iinfo(
                np.uint16 if image.format == "ushort" else np.uint8).max

    def _open_frame(self, frame):
        """A vips region to fetch rows of one frame from, upright.

        A region, as evaluating crops one by one would end libvips's sequential reading after each.
        """
        if self.format == "jpeg":  # before there is a half-made result
            data = self.path.read_bytes()
            check_jpeg(tidied_jpeg(data) or data, self.path)
        height = self._image.height // self.frames
        page = self._image.crop(0, frame * height, self._image.width, height)
        if self._turn > 1:
            page = page.copy()
            if self.frames > 1:
                page.remove("page-height")  # with it libvips would turn all frames as one
            page = page.autorot()
        return vips().Region.new(page)

    def _decode(self, start, stop):
        rows = np.empty((stop - start, self.width, self.channels), self.dtype)
        step = max(1, _FETCH_BYTES // rows[0].nbytes)
        for top in range(start, stop, step):
            height = min(step, stop - top)
            part = np.frombuffer(self._page.fetch(0, top, self.width, height), self.dtype)
            rows[top - start:top - start + height] = part.reshape(height, self.width, self.channels)
        # libvips puts 10 and 12 bits in the high ones: the low ones are filled, so that white is 65535.
        return rows | rows >> self.bit_depth if self.format == "avif" and self.bit_depth in (10, 12) else rows

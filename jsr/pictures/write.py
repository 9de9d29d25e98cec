"""Writing a picture from top to bottom, with all of the source's data that its format can hold."""

import contextlib
import io
from pathlib import Path
import struct
import tempfile
import zlib

import numpy as np
from PIL import Image

from jsr.errors import UserError
from jsr.files import atomic_write
from jsr.libvips import first_line, vips
from jsr.pictures import _exif, _icc, _xmp
from jsr.pictures._load import BANDS, interpretation, open_vips
from jsr.pictures.formats import WRITABLE, format_of

SPOOL_BYTES = 256 << 20  # rows wait for the encoder in memory up to here, above it in a file beside the output

_NO_RESOLUTION = 72 / 25.4  # px/mm written where the source says none, as other programs do

_KEEP = {"xmp": 2, "iptc": 4, "icc": 8, "other": 16}  # libvips's flags; EXIF (1) only where libvips writes it

_GIF_XMP = b"\x21\xff\x0bXMP DataXMP"  # then the packet, and a tail that leads out of it from wherever it was entered

_JPEG_SEGMENT = 65_000  # bytes of EXIF or XMP that one JPEG segment holds

_NAMES = {"icc": "colour profile", "exif": "EXIF", "xmp": "XMP", "iptc": "IPTC", "photoshop": "Photoshop resources",
          "resolution": "resolution", "text": "PNG text"}
_SRGB = {b"gAMA": (45455,), b"cHRM": (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)}  # its own, of 100,000
_NEAR = 100  # values that differ by no more are the same


@contextlib.contextmanager
def create(path, picture, height, width, *, format=None, quality=None, made=None, before=lambda temporary: None):
    """Writes a picture of `height` x `width` pixels with the metadata of another one.

    When the block ends well the file is encoded beside `path` and renamed onto it; after an exception nothing is left.
    Everything that can be refused is refused before the block.

    Args:
      path: place of the output.
      picture: the open `Picture` that it is made of: channels, depth, frames and metadata are taken from it.
      height, width: size of one frame, px.
      format: a key of WRITABLE; by default the one of `path`'s extension.
      quality: 1..100 for lossy formats; default in WRITABLE, lossless for WebP where the source is. Lossless formats
        ignore it and note so.
      made: {name: text} of what made the picture, which is put into it and `jsr.pictures.made_by` reads; None puts
        nothing.
      before: see `jsr.files.atomic_write`.

    Yields:
      A `Sink`.

    Raises:
      UserError: the format cannot hold the alpha, the frames or this many pixels; the place is not writable; disk full.
      ValueError: unknown format, quality outside 1..100, or at the end fewer rows than promised.
    """
    path = Path(path)
    name = format or format_of(path)
    if name not in WRITABLE:
        raise ValueError(f"format {name!r} is none of {', '.join(WRITABLE)}")
    if quality is not None and not 1 <= quality <= 100:
        raise ValueError(f"quality {quality} is not between 1 and 100")
    _refuse(path, name, picture, height, width)
    with atomic_write(path, "w+b", before=before) as file, _spool(path, picture, height, width) as rows:
        sink = Sink(path, name, picture, height, width, quality, made, rows)
        yield sink
        sink._encode(file)


def _refuse(path, name, picture, height, width):
    def holds_frames(form):
        return picture.frames == 1 or form.frames == ("animation" if picture.animated else "pages")

    def holds_alpha(form):
        return picture.channels in (1, 3) or form.alpha

    def holds_size(form):
        return max(height, width) <= form.limit

    others = [other for other, form in WRITABLE.items()
              if holds_frames(form) and holds_alpha(form) and holds_size(form)]
    advice = f"write {' or '.join(others)}" if others else "make it smaller"
    form = WRITABLE[name]
    if not holds_size(form):
        raise UserError(f"{path}: {height} x {width} pixels are more than the {form.limit} a side that {name} holds; "
                        f"{advice}")
    if not holds_alpha(form):
        raise UserError(f"{path}: {name} holds no transparency, which {picture.path.name} has; {advice}")
    if not holds_frames(form):
        raise UserError(f"{path}: {name} does not hold the {picture.frames} frames or pages of {picture.path.name}; "
                        f"{advice}")


@contextlib.contextmanager
def _spool(path, picture, height, width):
    """The place where rows wait for the encoder; the file has no name, so that even a kill leaves nothing of it."""
    size = picture.frames * height * width * picture.channels * picture.dtype.itemsize
    if size <= SPOOL_BYTES:
        yield io.BytesIO()  # not closed: an image that looks into it may still be alive
    else:
        with tempfile.TemporaryFile(dir=path.parent) as file:
            _exif.begin_tiff(file)
            yield file


class Sink:
    """Takes the rows of a picture that is being written; made by `create`.

    Attributes:
      format: format of the output, a key of WRITABLE.
      quality: quality of a lossy output, else None.
      notes: phrases, one for each thing that the output format cannot keep.
    """

    def __init__(self, path, name, picture, height, width, quality, made, rows):
        self.format, self._form = name, WRITABLE[name]
        self._path, self._picture, self._height, self._width, self._rows = path, picture, height, width, rows
        self._metadata, self._missing = picture.metadata, picture.frames * height
        self._bits = min(self._form.bits, picture.bit_depth)
        if self._form.bits == 16 and self._bits > 8:  # no format but AVIF holds less in a way that programs know
            self._bits = 16
        notes = []
        if self._bits < picture.bit_depth:
            notes.append(f"{picture.bit_depth} bits rounded to {self._bits}")
        if name == "gif":
            notes.append("256 colours a frame" + (", transparency on or off" if picture.channels in (2, 4) else ""))
        lossless = self._form.quality is None or name == "webp" and self._metadata.lossless and quality is None
        self.quality = None if lossless else quality or self._form.quality
        if quality and lossless:
            notes.append(f"{name} is lossless: quality {quality} does not apply")
        self._made = made
        self._exif, self._xmp = self._upright(notes)
        self._icc = self._fitting_profile(notes)
        has = {_NAMES[key]: not self._holds(key) and getattr(self._metadata, key) for key in _NAMES}
        if colours := self._lost_colours():
            has[f"PNG colours ({', '.join(colours)})"] = True
        if dropped := [what for what, is_dropped in has.items() if is_dropped]:
            notes.append(f"{name} does not hold: {', '.join(dropped)}")
        self.notes = tuple(notes)

    def _holds(self, key):
        # libvips has IPTC as the bytes around it in each format, so it moves only within one.
        return key in self._form.holds and (key not in ("iptc", "photoshop") or self.format == self._picture.format)

    def _upright(self, notes):
        """EXIF and XMP for the new size, None where there is none or none is kept."""
        exif = self._metadata.exif if self._holds("exif") else None
        xmp = self._metadata.xmp if self._holds("xmp") else None
        picture, after = self._picture, (self._height, self._width)
        before = picture.height, picture.width
        if exif and (exif := _exif.upright(exif, *after, before, picture.turned)) is None:
            notes.append("damaged EXIF dropped")
        if xmp:
            xmp, went = _xmp.fitted(xmp, before, after, turned=picture.turned > 1)
            if xmp is None:
                notes.append("damaged XMP dropped")
            elif went:
                notes.append(f"XMP about what is no longer there dropped: {', '.join(went)}")
        if self.format == "jpeg" and len(exif or b"") > _JPEG_SEGMENT:
            exif = notes.append("EXIF too long for jpeg dropped")
        if self.format == "jpeg" and len(xmp or b"") > _JPEG_SEGMENT:
            xmp = notes.append("XMP too long for jpeg dropped")
        if self._made:
            own = _xmp.marked(xmp, self._made)
            if own is None or self.format == "jpeg" and len(own) > _JPEG_SEGMENT:
                notes.append("XMP dropped, which has no room for what made the picture")
                own = _xmp.marked(None, self._made)
            xmp = own
        return exif, xmp

    def _fitting_profile(self, notes):
        """The colour profile, or None where there is none that fits the samples as they are stored."""
        if not self._holds("icc"):
            return None
        is_grey = self._picture.channels < 3 and self.format not in ("webp", "avif")
        profile, note = _icc.fitted(self._metadata.icc, is_grey)
        if note:
            notes.append(note)
        return profile

    def _lost_colours(self):
        """Names of the PNG chunks that the output loses, without sRGB's own and those that a profile replaces."""
        if self._holds("colours"):
            return []
        chunks = dict(self._metadata.colours)
        if self._metadata.icc or b"sRGB" in chunks:
            chunks = {kind: data for kind, data in chunks.items() if kind not in (b"gAMA", b"cHRM")}

        def is_srgbs(kind, data):
            own = _SRGB.get(kind, ())
            if kind == b"sRGB" or not own or len(data) != 4 * len(own):
                return kind == b"sRGB"
            found = struct.unpack(f">{len(own)}I", data)
            return all(abs(value - wanted) <= _NEAR for value, wanted in zip(found, own, strict=True))

        return [kind.decode() for kind, data in chunks.items() if not is_srgbs(kind, data)]

    def write(self, rows):
        """Takes the next rows, from top to bottom, frame after frame.

        Args:
          rows: (n, width, channels) of the picture's dtype, alpha straight.

        Raises:
          ValueError: another shape or dtype, or more rows than the picture has.
        """
        picture = self._picture
        rows = np.asarray(rows)
        if rows.ndim != 3 or rows.shape[1:] != (self._width, picture.channels) or rows.dtype != picture.dtype:
            raise ValueError(f"rows of {rows.dtype} {rows.shape} are not {picture.dtype} (n, {self._width}, "
                             f"{picture.channels})")
        if len(rows) > self._missing:
            raise ValueError(f"{len(rows)} rows where {self._missing} are missing")
        self._missing -= len(rows)
        self._rows.write(np.ascontiguousarray(_rounded(rows, self._bits)).data)

    def _encode(self, file):
        if self._missing:
            raise ValueError(f"{self._path}: {self._missing} rows were not written")
        target, failures = _target(file, *self._insertion())
        try:
            image = self._described(self._spooled())
            if self.format == "bmp":  # which libvips does not write
                self._write_bmp(file, image.numpy())
                if self._xmp:
                    file.seek(0, io.SEEK_END)
                    file.write(self._xmp)  # behind the pixels, where no program looks
                return
            getattr(image, f"{'heif' if self.format == 'avif' else self.format}save_target")(target, **self._options())
        except vips().Error as e:
            if failures:
                raise failures[0] from e
            raise UserError(f"{self._path}: cannot be written as {self.format}: {first_line(e)}") from e
        if self.format == "tiff" and self._exif:
            file.flush()
            _exif.into_tiff(file, self._exif)
        if self.format == "gif" and self._xmp:
            file.seek(-1, io.SEEK_END)  # before the trailer
            file.write(_GIF_XMP + self._xmp + bytes([1, *range(255, -1, -1), 0]) + b";")

    def _write_bmp(self, file, pixels):
        resolution = self._metadata.resolution or (_NO_RESOLUTION, _NO_RESOLUTION)
        Image.fromarray(pixels.reshape(pixels.shape[:2]) if self._picture.channels == 1 else pixels).save(
            file, "BMP", dpi=tuple(per_mm * 25.4 for per_mm in resolution))

    def _spooled(self):
        """The written rows as a lazy vips image, frames below each other."""
        channels, dtype = self._picture.channels, np.dtype(np.uint8 if self._bits == 8 else np.uint16)
        height, width = self._picture.frames * self._height, self._width
        if isinstance(self._rows, io.BytesIO):
            image = vips().Image.new_from_memory(self._rows.getbuffer(), width, height, channels, BANDS[dtype.itemsize])
        else:  # libvips would map a raw file into memory as a whole, a TIFF it reads from top to bottom
            _exif.end_tiff(self._rows, height, width, channels, 8 * dtype.itemsize)
            self._rows.flush()
            image = open_vips(self._rows, "tiff", "sequential", {})
        return image.copy(interpretation=interpretation(channels, dtype))

    def _described(self, image):
        """The image with its metadata set."""
        data, blob = self._metadata, vips().GValue.blob_type
        across, down = data.resolution or (_NO_RESOLUTION, _NO_RESOLUTION)
        image = image.copy(xres=across, yres=down)
        image.set_type(vips().GValue.gstr_type, "resolution-unit", data.unit)
        blobs = {"icc-profile-data": self._icc, "xmp-data": self._xmp,
                 "iptc-data": data.iptc if self._holds("iptc") else None,
                 "photoshop-data": data.photoshop if self._holds("photoshop") else None,
                 "exif-data": b"Exif\0\0" + self._exif if self._exif and self.format in ("webp", "avif") else None}
        for name, value in blobs.items():
            if value:
                image.set_type(blob, name, value)
        if self._picture.frames > 1:
            image.set_type(vips().GValue.gint_type, "page-height", self._height)
        if self._picture.animated:
            image.set_type(vips().GValue.array_int_type, "delay", data.delays)
            image.set_type(vips().GValue.gint_type, "loop", data.loop)
        return image

    def _jfif(self):
        """The data of the JFIF segment: the resolution, which libvips leaves to the EXIF that it would make up."""
        unit, per_mm = (2, 10) if self._metadata.unit == "cm" else (1, 25.4)
        resolution = self._metadata.resolution
        density = [min(max(round(value * per_mm), 1), 65535) for value in resolution] if resolution else (1, 1)
        return struct.pack(">5sHBHHBB", b"JFIF\0", 0x0101, unit if resolution else 0, *density, 0, 0)

    def _options(self):
        """Arguments of libvips's saver."""
        lossless = self.quality is None
        raw_bytes = self._picture.frames * self._height * self._width * self._picture.channels * (1 + (self._bits > 8))
        own = {
            "png": dict(compression=6, filter="all"),
            "jpeg": dict(Q=self.quality, subsample_mode="off"),
            "webp": dict(lossless=True, exact=True) if lossless else dict(Q=self.quality, smart_subsample=True),
            "avif": dict(Q=self.quality, subsample_mode="off", compression="av1", bitdepth=self._bits, effort=2),
            "tiff": dict(compression="deflate", predictor="horizontal", bigtiff=raw_bytes > 4_000_000_000),
            "gif": dict(keep_duplicate_frames=True),
        }[self.format]
        # Where libvips writes EXIF (rewritten by libexif, or made up to hold the resolution) only if there is any.
        exif = self.format in ("webp", "avif") and (self._exif or self._metadata.resolution)
        return {**own, "keep": sum(_KEEP.values()) + bool(exif)}

    def _insertion(self):
        """(bytes, position) that are put into the encoder's output: EXIF as it is, which libvips would rewrite."""
        exif = self._exif or b""
        if self.format == "jpeg":  # behind the start marker
            return _segment(0xE0, self._jfif()) + (_segment(0xE1, b"Exif\0\0" + exif) if exif else b""), 2
        if self.format == "png":  # behind the header chunk
            chunks = [*self._metadata.colours, *self._metadata.text, *([(b"eXIf", exif)] if exif else [])]
            return b"".join(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
                            for kind, data in chunks), 33
        return b"", 0


def _segment(marker, data):
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def _rounded(rows, bits):
    """Samples of full range rounded to `bits` bits: uint8 for 8, else uint16 with them in the high ones."""
    if bits == 8 * rows.dtype.itemsize:
        return rows
    if bits == 8:
        return ((rows.astype(np.uint32) + 128) // 257).astype(np.uint8)
    top = (1 << bits) - 1
    return ((rows.astype(np.uint32) * top + 32767) // 65535 << 16 - bits).astype(np.uint16)


def _target(file, insertion, position):
    """A libvips target that writes to `file` with bytes put in at a position, and the list of what went wrong there."""
    target, failures, written = vips().TargetCustom(), [], 0

    def write(data):
        nonlocal written
        before = position - written
        try:
            file.write(data[:before] + insertion + data[before:] if insertion and 0 <= before < len(data) else data)
        except OSError as e:  # libvips would say only that it could not write
            failures.append(e)
            return -1
        written += len(data)
        return len(data)

    target.on_write(write)
    target.on_read(file.read)  # reading and seeking are for TIFF
    target.on_seek(file.seek)
    return target, failures

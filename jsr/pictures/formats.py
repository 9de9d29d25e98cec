"""The formats that pictures are read from and written to."""

import dataclasses
from pathlib import Path

from jsr.errors import UserError
from jsr.images import EXTENSIONS


@dataclasses.dataclass(frozen=True)
class Format:
    """The abilities of an output format.

    Attributes:
      extensions: file name endings; the first is the usual one.
      limit: largest height and width in pixels that its encoder takes.
      bits: most bits a channel.
      quality: default quality 1..100 of a lossy format, None for a lossless one.
      alpha: whether it holds transparency.
      frames: "animation", "pages", or "" where it holds one picture.
      holds: the metadata that it keeps.
    """

    extensions: tuple[str, ...]
    limit: int
    bits: int
    quality: int | None = None
    alpha: bool = True
    frames: str = ""
    holds: frozenset[str] = frozenset({"icc", "exif", "xmp", "resolution"})

# The encoders' limits, found by trying: libjpeg stops at 65500, not at the 65535 of the file format.
WRITABLE = {
    "png": Format((".png",), 10_000_000, 16, holds=Format.holds | {"text", "colours"}),
    "jpeg": Format((".jpg", ".jpeg", ".jpe", ".jfif"), 65_500, 8, quality=95, alpha=False,
                   holds=Format.holds | {"iptc"}),
    "webp": Format((".webp",), 16_383, 8, quality=95, frames="animation"),
    "avif": Format((".avif",), 16_384, 12, quality=90),
    "tiff": Format((".tif", ".tiff"), 10_000_000, 16, frames="pages", holds=Format.holds | {"iptc", "photoshop"}),
    "gif": Format((".gif",), 65_535, 8, frames="animation", holds=frozenset()),
    "bmp": Format((".bmp", ".dib"), 30_000, 8, alpha=False, holds=frozenset({"resolution"})),  # through Pillow
}

READABLE = EXTENSIONS


def output_format(source):
    """The format in which a picture of format `source` is written by default, and why if that is another one.

    Returns:
      (format name, None), or ("png", reason).
    """
    return (source, None) if source in WRITABLE else ("png", f"{source} cannot be written; PNG keeps all of it")


def format_of(path):
    """The output format that the extension of `path` names; raises UserError where it names none."""
    suffix = Path(path).suffix.lower()
    for name, form in WRITABLE.items():
        if suffix in form.extensions:
            return name
    known = ", ".join(extension for form in WRITABLE.values() for extension in form.extensions)
    raise UserError(f"{path}: the extension {suffix!r} is of no format that can be written; use one of {known}")

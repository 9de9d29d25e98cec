"""The results of this room's readers."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Header:
    """The facts in a picture's header.

    Attributes:
      height, width: size of the upright picture, px.
      channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
      bits: bits a channel, 8 to 16.
    """

    height: int
    width: int
    channels: int
    bits: int


@dataclasses.dataclass(frozen=True)
class Still:
    """A decoded picture, upright, with its metadata.

    Attributes:
      pixels: (H, W) or (H, W, C); uint8, or uint16 over its full range 0..65535. Alpha is straight.
      bits: bits a channel in the file, 8 to 16.
      icc, exif, xmp: bytes, None where there is none; EXIF from the byte order on.
      cicp: (colour primaries, transfer characteristics) of ITU-T H.273 where there is no profile, else None.
      turned: EXIF orientation, 1..8, of the pixels as the sensor gave them.
      notes: phrases of what was left out or changed.
    """

    pixels: np.ndarray
    bits: int
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    cicp: tuple[int, int] | None = None
    turned: int = 1
    notes: tuple[str, ...] = ()


STRAIGHT = "premultiplied alpha became straight"


def straight(pixels):
    """Colours divided by alpha, of their dtype."""
    most = np.iinfo(pixels.dtype).max
    colours, alpha = pixels[..., :-1].astype(np.float32), pixels[..., -1:].astype(np.float32)
    divided = np.rint(colours * most / np.maximum(alpha, 1)).clip(0, most).astype(pixels.dtype)
    return np.concatenate([divided, pixels[..., -1:]], -1)


def boxes(data):
    """(type, start, end) of the boxes of ISO base media in a file, one after the other; the data alone, no head."""
    at = 0
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at:at + 4], "big"), bytes(data[at + 4:at + 8])
        start = at + 8
        if size == 1:
            size, start = int.from_bytes(data[at + 8:at + 16], "big"), at + 16
        end = len(data) if size == 0 else at + size
        if end <= at or end > len(data) or start > end:
            return
        yield kind, start, end
        at = end

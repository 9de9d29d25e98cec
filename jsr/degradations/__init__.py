"""Degradations: HR image to the bytes of the LR file, by the codecs and resizers that the challenges used.

A protocol is a row of `PROTOCOLS`; everything that made an LR file is recorded beside it.
"""

import dataclasses

import numpy as np
import PIL

from jsr.config import nearest
from jsr.degradations import jpeg, resize
from jsr.errors import UserError
from jsr.images import read_rgb

CODECS = {"jpeg": jpeg}
RESIZES = {"pillow_bicubic": resize.pillow_bicubic}


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How a challenge made its LR images.

    Attributes:
      scale: HR size over LR size.
      resize: key of `RESIZES`.
      codec: key of `CODECS`.
      options: the codec's settings.
    """

    scale: int
    resize: str
    codec: str
    options: dict


PROTOCOLS = {
    # AIM 2022 compressed SR, Track 1: Pillow resize to (W/4, H/4), JPEG saved with quality 10 and no other argument.
    # The organisers' Pillow 7.2.0 carried libjpeg 9, whose chroma scaling differs from libjpeg-turbo's.
    "aim22_t1": Protocol(scale=4, resize="pillow_bicubic", codec="jpeg",
                         options={"quality": 10, "subsampling": "4:2:0"}),
}


@dataclasses.dataclass(frozen=True)
class Degraded:
    """A degraded image: the bytes of its file, the file's suffix and the parameters that made it."""

    lr_bytes: bytes
    suffix: str
    record: dict


def protocol(name):
    """The Protocol called `name`; raises UserError naming the nearest where there is none."""
    if name not in PROTOCOLS:
        raise UserError(f"degradation protocol {name!r} is unknown; {nearest(name, PROTOCOLS)}")
    return PROTOCOLS[name]


def parameters(name):
    """What a protocol records with every image: its row of `PROTOCOLS` and the versions of the libraries here."""
    p = protocol(name)
    return {"scale": p.scale, "resize": p.resize, "codec": p.codec, "library": CODECS[p.codec].library(),
            "pillow": PIL.__version__, **p.options}


def degrade(name, hr):
    """Degrades an image as the challenge's organisers did.

    Args:
      name: key of `PROTOCOLS`.
      hr: uint8 (H, W, 3), H and W multiples of the protocol's scale (`crop_to_multiple`).

    Returns:
      Degraded.

    Raises:
      UserError: unknown protocol.
      ValueError: wrong type or size.
    """
    p = protocol(name)
    hr = np.asarray(hr)
    if hr.dtype != np.uint8 or hr.ndim != 3 or hr.shape[2] != 3:
        raise ValueError(f"expected uint8 (H, W, 3), got {hr.dtype} {hr.shape}")
    height, width = hr.shape[:2]
    if height % p.scale or width % p.scale or not hr.size:
        raise ValueError(f"height {height} and width {width} must be multiples of {p.scale}")
    lr = RESIZES[p.resize](hr, (height // p.scale, width // p.scale))
    codec = CODECS[p.codec]
    return Degraded(codec.encode(lr, **p.options), codec.SUFFIX, parameters(name))


def decode(lr_bytes):
    """An LR file's bytes as uint8 (H, W, 3), by the libraries inside Pillow; raises UserError where damaged."""
    return read_rgb(lr_bytes)


def crop_to_multiple(image, multiple):
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

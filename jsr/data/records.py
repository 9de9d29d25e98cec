"""Source images to the records of a dataset, one at a time and resumable; runs in worker processes, so imports little.

A record is a dict: name, hr (PNG bytes), height, width (px, of hr), source_height, source_width (px, before a crop to
the scale), and for a degraded dataset lr (the bytes of the LR file) and degradation (what made it, the record of
`jsr.degradations.Degraded` as JSON).
"""

import base64
import dataclasses
import hashlib
import io
import json
from pathlib import Path
import zipfile

from PIL import Image

from jsr import degradations, images
from jsr.errors import UserError
from jsr.files import atomic_write

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclasses.dataclass(frozen=True)
class Source:
    """A source image: the record's name and the file that holds it, or the archive and the member in it."""

    name: str
    path: str
    member: str = ""

    def __str__(self):
        return f"{self.path}:{self.member}" if self.member else self.path

    def read(self):
        """The file's bytes; raises UserError where it is missing, damaged or unreadable."""
        try:
            if not self.member:
                return Path(self.path).read_bytes()
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(self.member)
        except (FileNotFoundError, KeyError):
            raise UserError(f"{self}: is missing") from None
        except OSError as e:
            raise UserError(f"{self}: cannot be read: {e.strerror or e}") from e
        except Exception as e:  # zipfile and zlib have several for a damaged archive
            raise UserError(f"{self}: damaged archive ({e}); fetch it again") from e

    def record_bytes(self):
        """A guess at the bytes of its record; 0 where the file is missing."""
        try:
            if self.member:
                with zipfile.ZipFile(self.path) as archive:
                    size = archive.getinfo(self.member).file_size
            else:
                size = Path(self.path).stat().st_size
        except (OSError, KeyError):
            return 0
        # PNG files are stored as they are, next to a small LR file; others become PNG, lossless and larger.
        return int(size * 1.1) if str(self).lower().endswith(".png") else size * 10


def make(source, data, protocol):
    """The record of a source image.

    Args:
      source: a Source.
      data: its bytes.
      protocol: key of `jsr.degradations.PROTOCOLS`, or "" for a record without LR image. HR sizes that are no
        multiples of its scale are cropped at the bottom and right.

    Raises:
      UserError: damaged, or smaller than the scale.
    """
    image = images.read_rgb(data, name=source)
    hr = image
    if protocol:
        try:
            hr = degradations.crop_to_multiple(image, degradations.protocol(protocol).scale)
        except ValueError as e:
            raise UserError(f"{source}: {e}, the scale of {protocol}") from e
    as_it_is = hr.shape == image.shape and data.startswith(_PNG) and Image.open(io.BytesIO(data)).mode == "RGB"
    record = {
        "name": source.name, "hr": data if as_it_is else images.png_bytes(hr),
        "height": hr.shape[0], "width": hr.shape[1],
        "source_height": image.shape[0], "source_width": image.shape[1],
    }
    if protocol:
        degraded = degradations.degrade(protocol, hr, seed=source.name)
        record |= {"lr": degraded.lr_bytes, "degradation": json.dumps(degraded.record)}
    return record


def lr_image(record):
    """The stored LR image of a record, decoded by what its degradation names: uint8 (H, W, 3).

    Raises:
      UserError: damaged.
    """
    made = record.get("degradation")
    return degradations.decode(record["lr"], json.loads(made) if made else None, name=f"{record['name']} (lr)")


def prepare(source, *, protocol, folder):
    """Makes the part of a source image, a file in `folder` from which `load` gives its record.

    Its name carries the SHA-256 of the source and of what its degradation draws: a part that is there is the right
    one. HR bytes that equal the source's are not repeated in it.

    Returns:
      The part's path.

    Raises:
      UserError: the image is missing, damaged or too small, or the part cannot be written.
    """
    data = source.read()
    drawn = degradations.draw(protocol, source.name) if protocol else {}
    key = hashlib.sha256(data + json.dumps(drawn).encode()).hexdigest()[:32]
    part = Path(folder) / f"{source.name}-{key}.json"
    if not part.exists():
        record = make(source, data, protocol)
        if record["hr"] == data:
            del record["hr"]
        with atomic_write(part, "w") as file:
            json.dump(record, file, default=lambda value: {"base64": base64.b64encode(value).decode()})
    return part


def load(source, part):
    """The record of a source image from its part."""
    fields = json.loads(Path(part).read_text(encoding="utf-8"))
    record = {k: base64.b64decode(v["base64"]) if isinstance(v, dict) else v for k, v in fields.items()}
    return record if "hr" in record else {**record, "hr": source.read()}

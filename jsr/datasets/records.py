"""Original images to the records of a dataset, one at a time and resumable; worker processes import it.

A record is a dict: name, hr (a TIFF of `jsr.datasets.tiled`, lossless), height, width (px, of hr), source_height,
source_width (px, of the image or its tile, before a crop to the scale), and for a degraded dataset lr (the bytes of the
LR file) and degradation (what made it, the record of `jsr.degradations.Degraded` as JSON).
"""

import dataclasses
import hashlib
import json
import mmap
import os
from pathlib import Path
import zipfile

from jsr import degradations, images
from jsr.datasets import cut, tiled
from jsr.errors import UserError
from jsr.files import atomic_write, open_file

_LARGEST_MEMBER = 1 << 31  # bytes of a file in an archive


class ShardPrepared(Exception):
    """A shard of `count` images of a dataset is prepared, and the dataset is not to be made yet."""

    def __init__(self, count):
        super().__init__(count)
        self.count = count


@dataclasses.dataclass(frozen=True)
class Original:
    """An original image or clip: the record's name, and its file, or the archive and the member in it."""

    name: str
    path: str
    member: str = ""

    def __str__(self):
        return f"{self.path}:{self.member}" if self.member else self.path

    def read(self):
        """The file's bytes; raises UserError where it is missing, damaged or unreadable."""
        try:
            if not self.member:
                with open_file(self.path) as file:
                    return file.read()
            with zipfile.ZipFile(self.path) as archive:
                refuse_large(self, archive.getinfo(self.member).file_size)
                return archive.read(self.member)
        except UserError:
            raise
        except MemoryError:
            raise UserError(f"{self}: takes more memory than there is") from None
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
        except Exception:  # zipfile has several for a damaged archive; reading it says which
            return 0
        return self._record_bytes(size)

    def _record_bytes(self, size):
        # The HR is about as large as a PNG file, next to a small LR file; other files are smaller, where they lose.
        return int(size * 1.2) if str(self).lower().endswith(".png") else size * 10


def make(source, data, protocol, form=cut.WHOLE, each=""):
    """The records of a source image, which is turned upright: one, or one a tile.

    Args:
      source: an Original.
      data: its bytes.
      protocol: key of `jsr.degradations.PROTOCOLS`, or "" for records without LR image. HR sizes that are no
        multiples of its scale are cropped at the bottom and right.
      form: jsr.datasets.cut.Cut, applied to the image first.
      each: a parameter that the protocol draws: there is a record for each of its values instead, named after it.

    Raises:
      UserError: damaged, or smaller than the scale, or its name is not in UTF-8.
    """
    if source.name.encode(errors="ignore").decode() != source.name:  # a record holds UTF-8
        raise UserError(f"{source}: its name is not in UTF-8; rename it")
    image = images.read_rgb(data, name=source)
    return [_record(source, name, tile, protocol, fixed) for label, tile in cut.tiles(image, source.name, form)
            for name, fixed in _variants(label, protocol, each)]


def _variants(name, protocol, each):
    """(name, parameters to set) of the records of an HR image."""
    if not each:
        return [(name, {})]
    return [(f"{name}__{each}{value}", {each: value}) for value in degradations.choices(protocol, each)]


def _record(source, name, image, protocol, fixed):
    hr = image
    if protocol:
        try:
            hr = degradations.crop_to_multiple(image, degradations.protocol(protocol).scale)
        except ValueError as e:
            raise UserError(f"{source}: {e}, the scale of {protocol}") from e
    record = {
        "name": name, "hr": tiled.encode(hr),
        "height": hr.shape[0], "width": hr.shape[1],
        "source_height": image.shape[0], "source_width": image.shape[1],
    }
    if protocol:
        degraded = degradations.degrade(protocol, hr, seed=name, **fixed)
        record |= {"lr": degraded.lr_bytes, "degradation": json.dumps(degraded.record)}
    return record


def refuse_large(source, size):
    """Raises UserError for a member of an archive that says it has more bytes than are read at once."""
    if size > _LARGEST_MEMBER:
        raise UserError(f"{source}: has {size:,} bytes, too many to be read at once; unpack it")


def lr_image(record):
    """The stored LR image of a record, decoded by what its degradation names: uint8 (H, W, 3).

    Raises:
      UserError: damaged.
    """
    made = record.get("degradation")
    return degradations.decode(record["lr"], json.loads(made) if made else None, name=f"{record['name']} (lr)")


def prepare(source, *, protocol, folder, form=cut.WHOLE, each=""):
    """Makes the part of a source image, the file `part_path` from which `load` gives its records, see `make`.

    Returns:
      The part's path.

    Raises:
      UserError: the image is missing, damaged or too small, or the part cannot be written.
    """
    data = source.read()
    variants = _variants("", protocol, each) if protocol else []
    drawn = [degradations.draw(protocol, source.name, **fixed) for _, fixed in variants]
    part = part_path(folder, source.name, data, json.dumps([drawn, dataclasses.astuple(form)]))
    if not part.exists():
        save(part, make(source, data, protocol, form, each))
    return part


def part_path(folder, name, hr, made_of):
    """The path of a source's part. Its name carries hashes of its inputs, so that a part that exists is the right one.

    Args:
      folder: folder of the parts.
      name: the original's name.
      hr: the bytes of the HR source.
      made_of: what else decides of the records, as text.
    """
    digests = (hashlib.sha256(made).hexdigest()[:16] for made in (hr, made_of.encode()))
    return Path(folder) / f"{name}-{''.join(digests)}.record"


def content(part):
    """The same for two parts if their HR sources are the same bytes, whatever else makes them."""
    return part.stem[-32:-16]


def save(part, records):
    """Writes the records of a source as a part: a line of JSON with their names and bytes; behind it record by record.

    A record is a line of JSON; behind it the images, in the order of their fields.
    """
    found = [b"".join(_pieces(record)) for record in records]
    with atomic_write(part) as file:
        file.write(_line([[record["name"], len(data)] for record, data in zip(records, found, strict=True)]))
        file.writelines(found)


def _pieces(record):
    yield _line({key: {"bytes": len(value)} if isinstance(value, bytes) else value for key, value in record.items()})
    yield from (value for value in record.values() if isinstance(value, bytes))


def _line(value):
    return json.dumps(value).encode() + b"\n"


def names(part):
    """The names of the records in a part."""
    with open(part, "rb") as file:
        return [name for name, _ in json.loads(file.readline())]


def load(part, number=0):
    """A record in a part, by its number there."""
    return {key: bytes(value) if isinstance(value, memoryview) else value
            for key, value in mapped(part, number).items()}


def mapped(part, number=0):
    """A record as `load` gives it, its images as memoryviews of the file: only the parts that are used are read.

    Raises:
      IndexError: the part has no such record.
    """
    with open(part, "rb") as file:
        sizes = [size for _, size in json.loads(file.readline())]
        if number >= len(sizes):
            raise IndexError(number)
        file.seek(sum(sizes[:number]), os.SEEK_CUR)
        fields = json.loads(file.readline())
        at, data = file.tell(), memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    for key, value in fields.items():
        if isinstance(value, dict):
            fields[key], at = data[at:at + value["bytes"]], at + value["bytes"]
    return fields

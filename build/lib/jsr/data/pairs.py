"""Pairs of images that were taken apart, HR and LR, to the records of a dataset; runs in worker processes."""

import dataclasses
import hashlib

from jsr import images
from jsr.data import records, tiled
from jsr.data.records import Source
from jsr.errors import UserError


@dataclasses.dataclass(frozen=True)
class Pair:
    """A pair of source images: the record's name, the sources, and HR size over LR size."""

    name: str
    hr: Source
    lr: Source
    scale: int

    def record_bytes(self):
        """A guess at the bytes of its record."""
        return self.hr.record_bytes() + self.lr.record_bytes()


def prepare(pair, *, folder):
    """Makes the part of a pair as `jsr.data.records.prepare` does: `lr` is the LR file as it is, `degradation` empty.

    HR rows and columns that are too few for one more of the LR image are cut off at the bottom and right.

    Raises:
      UserError: an image is missing or damaged, the sizes do not belong together, or the part cannot be written.
    """
    data, lr_data = pair.hr.read(), pair.lr.read()
    part = records.part_path(folder, pair.name, data, hashlib.sha256(lr_data).hexdigest())
    if not part.exists():
        image, lr = images.read_rgb(data, name=pair.hr), images.read_rgb(lr_data, name=pair.lr)
        (height, width), (lr_height, lr_width), scale = image.shape[:2], lr.shape[:2], pair.scale
        if (height // scale, width // scale) != (lr_height, lr_width):
            raise UserError(f"{pair.hr}: {height}x{width} (height x width) is not {scale} times the {lr_height}x{lr_width} "
                            f"of {pair.lr}; replace or remove the pair")
        hr = image[:lr_height * scale, :lr_width * scale]
        records.save(part, [{"name": pair.name, "hr": tiled.encode(hr), "height": hr.shape[0], "width": hr.shape[1],
                             "source_height": height, "source_width": width, "lr": lr_data, "degradation": ""}])
    return part

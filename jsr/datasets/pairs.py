"""Pairs of images that were taken apart, HR and LR, to the records of a dataset; runs in worker processes."""

import dataclasses
import hashlib

from jsr import images, metrics
from jsr.datasets import records, tiled
from jsr.datasets.records import Original
from jsr.degradations.enlarge import enlarge
from jsr.errors import UserError


@dataclasses.dataclass(frozen=True)
class OriginalPair:
    """An HR and an LR original of one scene.

    Attributes:
      name: name of the record.
      hr, lr: their originals.
      scale: HR size over LR size.
      least_psnr: dB of RGB between HR and the bicubically enlarged LR, with less of which the pair is left out; 0 keeps
        all.
    """

    name: str
    hr: Original
    lr: Original
    scale: int
    least_psnr: float = 0.0

    def record_bytes(self):
        """A guess at the bytes of its record."""
        return self.hr.record_bytes() + self.lr.record_bytes()


def prepare(pair, *, folder):
    """Makes a pair's part as `jsr.datasets.records.prepare` does: `lr` is the LR file as it is, `degradation` empty.

    HR rows and columns that are too few for one more of the LR image are cut off at the bottom and right. The part of
    a pair that is left out has no record.

    Raises:
      UserError: an image is missing or damaged, the sizes do not belong together, or the part cannot be written.
    """
    data, lr_data = pair.hr.read(), pair.lr.read()
    made_of = hashlib.sha256(lr_data).hexdigest() + (f" psnr >= {pair.least_psnr}" if pair.least_psnr else "")
    part = records.part_path(folder, pair.name, data, made_of)
    if not part.exists():
        image, lr = images.read_rgb(data, name=pair.hr), images.read_rgb(lr_data, name=pair.lr)
        (height, width), (lr_height, lr_width), scale = image.shape[:2], lr.shape[:2], pair.scale
        if (height // scale, width // scale) != (lr_height, lr_width):
            raise UserError(f"{pair.hr}: {height}x{width} (height x width) is not {scale} times "
                            f"the {lr_height}x{lr_width} of {pair.lr}; replace or remove the pair")
        hr = image[:lr_height * scale, :lr_width * scale]
        record = {"name": pair.name, "hr": tiled.encode(hr), "height": hr.shape[0], "width": hr.shape[1],
                  "source_height": height, "source_width": width, "lr": lr_data, "degradation": ""}
        kept = not pair.least_psnr or metrics.psnr(enlarge(lr, scale), hr) >= pair.least_psnr
        records.save(part, [record] if kept else [])
    return part

"""Patches per second that one core loads for AIM 2022 compressed SR, Track 1, beside other loaders.

The peers are written as users of PyTorch write them, without the library: neither collating nor its workers cost much.
"whole PNG files" decodes an image and takes one crop of it. "480 px sub-images" is what BasicSR's preparation does:
images cut beforehand into overlapping PNG files (480 px, step 240), of which one is decoded for a crop. All degrade by
the same calls of Pillow. The peers flip and turn their crops, ours are so on the device. "jsr, left to the device" is
what the host does where the training step degrades (`data.degrade_on`).
"""

import io
from pathlib import Path
import time

import numpy as np
from PIL import Image

from jsr import images
from jsr.data import pipeline
from jsr.datasets import array_records
from jsr.datasets.images_builder import ImagesBuilder, configs
from jsr.datasets.records import Original
from jsr.degradations import degrade_device
from jsr.errors import UserError
from jsr.timing import timing

CROP, SCALE, QUALITY, BATCH = 256, 4, 10, 16
SUB_IMAGE, STEP = 480, 240
MADE_UP_SIZE = 1356, 2040  # the most frequent one of DIV2K
RECORDS = 800  # as many images as DIV2K has seem to be there, for the shuffle and for the caches


class PngCrops:
    """Random crops of PNG files, degraded: "lr" uint8 (64, 64, 3) and "hr" (256, 256, 3).

    Args:
      paths: the files; each crop decodes one of them.
      seed: seed of the crops.
    """

    def __init__(self, paths, seed):
        self._paths, self._rng = list(paths), np.random.default_rng(seed)

    def __getitem__(self, index):
        with Image.open(self._paths[index]) as file:
            hr = np.asarray(file.convert("RGB"))
        top, left = self._rng.integers(hr.shape[0] - CROP + 1), self._rng.integers(hr.shape[1] - CROP + 1)
        hr = hr[top:top + CROP, left:left + CROP]
        if self._rng.integers(2):
            hr = hr[:, ::-1]
        hr = np.ascontiguousarray(np.rot90(hr, self._rng.integers(4)))
        small = Image.fromarray(hr).resize((CROP // SCALE, CROP // SCALE), Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=QUALITY)
        return {"lr": np.asarray(Image.open(buffer)), "hr": hr}

    def batches(self):
        """Yields batches without end: dicts of uint8 (16, H, W, 3)."""
        while True:
            samples = [self[index] for index in self._rng.integers(len(self._paths), size=BATCH)]
            yield {key: np.stack([sample[key] for sample in samples]) for key in samples[0]}


class Photographs(ImagesBuilder):
    """The dataset of the photographs to measure on, which `paths` names."""

    BUILDER_CONFIGS = configs("aim22_t1")
    paths = ()

    def _sources(self, dl_manager):
        del dl_manager
        return {"train": [Original(f"{index:04d}", str(path)) for index, path in enumerate(self.paths)]}


class Repeated:
    """Records as if they were `RECORDS` different ones."""

    def __init__(self, records):
        self._records = records

    def __len__(self):
        return RECORDS

    def unread(self, index):
        return {**self._records.unread(index % len(self._records)), "name": str(index)}


def made_up(seed, size=MADE_UP_SIZE):
    """A picture that compresses as photographs do, of noise in all sizes: uint8 (height, width, 3)."""
    rng, (height, width) = np.random.default_rng(seed), size
    image = np.full((height, width, 3), 128, np.float32)
    for octave in range(9):
        grid = (-(-height >> octave) + 1, -(-width >> octave) + 1)
        grey, colour = rng.normal(size=grid), rng.normal(size=(*grid, 3))
        for channel in range(3):
            noise = Image.fromarray((grey + 0.3 * colour[..., channel]).astype(np.float32))
            image[..., channel] += 3 * 1.5**octave * np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC))
    return np.clip(image, 0, 255).astype(np.uint8)


def prepare(photographs, folder):
    """Writes photographs in each of the forms.

    Args:
      photographs: {name: uint8 (H, W, 3)}.
      folder: an empty one.

    Returns:
      {name: (iterator of batches, bytes of the files)}.

    Raises:
      UserError: a photograph smaller than a sub-image.
    """
    whole, cut = Path(folder) / "whole", Path(folder) / "cut"
    for index, (name, image) in enumerate(photographs.items()):
        if min(image.shape[:2]) < SUB_IMAGE:
            raise UserError(f"{name}: {image.shape[1]}x{image.shape[0]} is smaller than the sub-images "
                            f"of {SUB_IMAGE} px; leave it out")
        images.write_png(whole / f"{index:04d}.png", image)
        for top in _starts(image.shape[0]):
            for left in _starts(image.shape[1]):
                part = image[top:top + SUB_IMAGE, left:left + SUB_IMAGE]
                images.write_png(cut / f"{index:04d}_{top}_{left}.png", part)
    builder = Photographs(data_dir=folder, config="aim22_t1")
    builder.paths, builder.num_workers, builder.announce = sorted(whole.iterdir()), 0, lambda line: None
    builder.download_and_prepare()
    records = Repeated(array_records.Records(builder, "train"))
    return {
        "jsr, LR on the fly": (_batches(records, "aim22_t1"), _bytes(builder.data_path)),
        "jsr, left to the device": (_batches(records, "aim22_t1", left=True), _bytes(builder.data_path)),
        "jsr, stored LR": (_batches(records, ""), _bytes(builder.data_path)),
        "whole PNG files": (PngCrops(sorted(whole.iterdir()), 0).batches(), _bytes(whole)),
        f"{SUB_IMAGE} px sub-images": (PngCrops(sorted(cut.iterdir()), 0).batches(), _bytes(cut)),
    }


def measure(photographs, folder, *, rounds):
    """Times the loaders in turn, one thread each, by the CPU time that they take.

    Args:
      photographs, folder: see `prepare`.
      rounds: batches timed of each.

    Returns:
      [{name, patches_per_s, best_patches_per_s, bytes, bytes_ratio, ratio}]: medians, and the best; `bytes_ratio` is
      over the bytes of the whole PNG files, `ratio` how many times as many patches "jsr, LR on the fly" gives, the
      median of the rounds.

    Raises:
      UserError: a photograph that is too small.
    """
    loaders = prepare(photographs, folder)
    pipeline.keep_memory()  # for all
    calls = {name: lambda batches=batches: next(batches) for name, (batches, _) in loaders.items()}
    seconds = timing.interleaved(calls, rounds, time.process_time)
    ours, png = next(iter(seconds.values())), loaders["whole PNG files"][1]
    return [{"name": name, "patches_per_s": float(BATCH / np.median(its)),
             "best_patches_per_s": float(BATCH / its.min()), "bytes": loaders[name][1],
             "bytes_ratio": loaders[name][1] / png, "ratio": float(np.median(its / ours))}
            for name, its in seconds.items()]


def _batches(records, degrade, left=False):
    """Ours, as `pipeline.train_batches` takes them, but one at a time in this thread; `left` degrades nothing."""
    fixed = {"encoder": "pillow"} if degrade else {}  # as the peers have it
    form = degrade_device.form(degrade, (CROP // SCALE,) * 2, **fixed) if left else None
    crops = pipeline.PairedCrops(crop=CROP, scale=SCALE, degrade=degrade, fixed=fixed, form=form)
    dataset = pipeline.sample_dataset(records, crops, seed=0).batch(BATCH, drop_remainder=True)
    return (dataset[step] for step in range(len(dataset)))


def _starts(side):
    """The first pixels of sub-images; the last one ends with the image."""
    return sorted({*range(0, side - SUB_IMAGE + 1, STEP), side - SUB_IMAGE})


def _bytes(folder):
    return sum(path.stat().st_size for path in Path(folder).iterdir())

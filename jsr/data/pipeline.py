"""The input pipeline: records to batches of paired crops, as a pure function of (seed, stage, step).

`MapDataset.source().seed().shuffle().repeat().random_map()` of every row of a mix, `jsr.data.order.Order` over the rows
and `.batch()` run before anything is iterated, so that sample number i of a stage is the same whatever the number of
worker processes, devices or hosts, and resuming at a step is slicing there. Grain's own iterator state is not stored:
loaded into another worker count it gives other data silently.
"""

import collections
from collections.abc import Callable, Sequence
import contextlib
import dataclasses
from fractions import Fraction
import json
import os
import signal
import threading
from typing import Any

from absl import flags
import grain
import numpy as np

from jsr import degradations, guests, images, losses
from jsr.chain import takes_quality
from jsr.data.kept import kept
from jsr.data.order import Order
from jsr.datasets import array_records, records, tiled
from jsr.degradations import degrade_device
from jsr.degradations.resize import pillow_bicubic
from jsr.errors import FileError, UserError, nearest
from jsr.parallel import init_worker, named_semaphores

CACHE_BYTES = 256 << 20  # of decoded images, in each worker: stored LR images, and the files of a folder
# Batches are made whole by one thread each. A worker needs one; without workers they go on while the devices compute.
# (Grain's own 16 threads cost a third more CPU time a patch, and its 500 batches are gigabytes a worker.)
_THREADS = {True: grain.ReadOptions(num_threads=1, prefetch_buffer_size=2),
            False: grain.ReadOptions(num_threads=4, prefetch_buffer_size=8)}
_DEAD_WORKER = "terminated unexpectedly"  # what Grain says of one
_GRACE_S = 120  # that a worker stays after SIGTERM, unless its parent ends it
_LARGE_BLOCK = 31 << 20
_SHOWN = 20  # lines of one message
_LOOKED_AT = 20  # images, of which one must be as large as the crop
_REACH = 4  # LR px beyond which no resize looks
LEFT_OUT = "left_out"  # key of a sample's lines on records that could not give it


@dataclasses.dataclass(frozen=True)
class Crop:
    """A rectangle of an image, and how its LR image was made.

    Attributes:
      image: the whole HR image, uint8 (H, W, 3), or what can be sliced as such.
      scale: HR size over LR size.
      y, x: its first row and column, LR px.
      size: height and width, LR px.
      made: the record of the degradation, see `jsr.degradations.Degraded`.
    """

    image: Any
    scale: int
    y: int
    x: int
    size: tuple[int, int]
    made: dict[str, Any]

    def resized(self, factor):
        """The crop of the whole image at `factor` times the size of its LR image: Pillow's bicubic, uint8."""
        spans = [(max(start - _REACH, 0), min(start + size + _REACH, side // self.scale))
                 for start, size, side in zip((self.y, self.x), self.size, self.image.shape[:2], strict=True)]
        (top, bottom), (left, right) = spans
        piece = np.asarray(self.image[top * self.scale:bottom * self.scale, left * self.scale:right * self.scale])
        small = pillow_bicubic(piece, (factor * (bottom - top), factor * (right - left)))
        rows, columns = (slice(factor * (start - first), factor * (start - first + size))
                         for start, first, size in zip((self.y, self.x), (top, left), self.size, strict=True))
        return small[rows, columns]


def lr_clean(crop):
    """The LR image before its compression: Pillow's bicubic of the HR image, uint8."""
    return crop.resized(1)


def hr_x2(crop):
    """The HR image at twice the size of the LR image: Pillow's bicubic of it, uint8."""
    return crop.resized(2)


def hr_centre(crop):
    """The middle one of the HR crop's 3x3 patches, uint8: for networks that see an LR patch and those around it."""
    if any(size % 3 for size in crop.size):
        raise UserError(f"a loss compares with 'hr_centre', but the crop of "
                        f"{images.sides_text([size * crop.scale for size in crop.size])} is no 3x3 patches; take a "
                        f"multiple of {3 * crop.scale} (--config.stages[0].crop=...)")
    height, width = (size // 3 * crop.scale for size in crop.size)
    y, x = crop.y * crop.scale + height, crop.x * crop.scale + width
    return np.asarray(crop.image[y:y + height, x:x + width])


def quality(crop):
    """The JPEG quality of the LR image, float32 in 1..100: of the last JPEG among the steps that made it."""
    found = degradations.jpeg_quality(crop.made)
    if found is None:
        raise UserError("a loss compares with 'quality', but no JPEG made the LR image; take a degradation that "
                        "has one (--config.data.train[0].degrade=ntire24)")
    return np.float32(found)


def lr_quality(crop):
    """As `quality`, and 100 for LR images that no JPEG made: for networks that must be told it."""
    found = degradations.jpeg_quality(crop.made)
    return np.float32(100 if found is None else found)


# What a batch holds besides lr and hr, where a loss or a network asks for it: of a Crop.
DERIVED = {"lr_clean": lr_clean, "hr_x2": hr_x2, "hr_centre": hr_centre, "quality": quality, "lr_quality": lr_quality}


def derived_keys(stage, networks=None):
    """The keys that a stage's batches need besides lr and hr, for its losses and for {name: module}, sorted."""
    named = losses.keys([row for player in stage.players for row in player.losses])
    return sorted(set(named) & set(DERIVED) | ({"lr_quality"} if takes_quality(networks or {}) else set()))


class PairedCrops:
    """Record and random generator to sample: {"lr": uint8 (h, w, 3), "hr": uint8 (h * scale, w * scale, 3)}.

    An image that is smaller than the crop is mirrored at its right and lower border, HR and stored LR alike.

    Args:
      crop: side of the square HR crop, or its (height, width), px; multiples of `scale`.
      scale: HR size over LR size.
      degrade: "" crops the record's stored `lr` alongside; a protocol's name makes it, as
        `jsr.degradations.degrade_part` does: the crop is that of the whole image's LR image, anywhere on its grid.
      fixed: parameters of `degrade` to set, {name: value}, see `jsr.degradations.draw`.
      flip_rotate: turns the HR image before it is degraded: flipped or not, by a multiple of 90 degrees, each of the
        eight ways as likely.
      keep: folder of the LR files of whole images, where `degrade` makes these (jsr.data.kept); None keeps none.
      derive: keys of `DERIVED` that each sample gets too.
      form: jsr.degradations.degrade_device.Form of `degrade` for crops of this size, where the device degrades: samples
        then have, instead of "lr" and "hr", what its `part` gives.
      cache_bytes: decoded images that each worker keeps.
    """

    def __init__(self, *, crop, scale, degrade="", fixed=None, flip_rotate=False, keep=None, derive=(),
                 form=None, cache_bytes=CACHE_BYTES):
        self._sides = tuple(crop) if isinstance(crop, (list, tuple)) else (crop, crop)
        if len(self._sides) != 2 or not all(isinstance(side, (int, np.integer)) and side > 0 for side in self._sides):
            raise UserError(f"crop {crop!r}: give a side, px, or [height, width] (--config.stages[0].crop=...)")
        if any(side % scale for side in self._sides):
            raise UserError(f"crop {images.sides_text(self._sides)} is not a multiple of the scale {scale} "
                            "(--config.stages[0].crop=...)")
        for key in derive:
            if key not in DERIVED:
                raise UserError(f"a loss compares with {key!r}, which no batch has; "
                                f"{nearest(key, ['lr', 'hr', *DERIVED])}")
        if degrade:
            protocol = degradations.protocol(degrade)
            if protocol.video or protocol.scale != scale:
                raise UserError(f"{degrade}: is a protocol of {'videos' if protocol.video else 'images'} at "
                                f"x{protocol.scale}, not of images at x{scale} (--config.data.train[0].degrade=...)")
            degradations.draw(degrade, **(fixed or {}))  # mistakes in it
        self._scale, self._derive = scale, tuple(derive)
        self._degrade, self._fixed, self._guests = degrade, dict(fixed or {}), guests.Brought()
        self._flip_rotate, self._keep, self._decode = flip_rotate, keep, _DecodeCache(cache_bytes)
        self._form = form

    def __call__(self, record, rng):
        pair, crop = self._pair(record, rng)
        try:
            derived = {key: DERIVED[key](crop) for key in self._derive}
        except UserError as e:
            raise UserError(f"{record['name']}: {e}") from e
        return pair | derived

    def check(self, source):
        """Raises UserError where the first images of some records are all smaller than the crop."""
        small = []
        for index in range(min(len(source), _LOOKED_AT)):
            with contextlib.suppress(FileError):  # of damaged images the run says more
                record = source[index]
                height, width = self._hr(record).shape[:2]
                if height >= self._sides[0] and width >= self._sides[1]:
                    return
                small.append(f"{record['name']}: {width}x{height}")
        if small:
            raise UserError(f"{small[0]} is smaller than the crop of {images.sides_text(self._sides)}, like all images "
                            "that were tried; use a smaller crop (--config.stages[0].crop=...)")

    def _pair(self, record, rng):
        """({"lr", "hr"} of a sample, or what the device makes them of; the Crop)."""
        name, scale = record["name"], self._scale
        rows, columns = size = tuple(side // scale for side in self._sides)
        if "frames" in record:
            raise UserError(f"{name}: is a clip, not an image; say how many frames a sample has "
                            "(--config.stages[0].frames=7)")
        hr, way = self._hr(record), int(rng.integers(8)) if self._flip_rotate else 0
        hr = _Turned(hr, way) if way else hr
        # The LR grid: HR rows and columns beyond a multiple of the scale have no LR pixel.
        height, width = hr.shape[0] // scale, hr.shape[1] // scale
        if not min(height, width):
            raise FileError(f"{name}: {hr.shape[1]}x{hr.shape[0]} is smaller than one LR pixel; remove the image")
        small = height < rows or width < columns
        if small:
            hr = _mirrored(hr[:height * scale, :width * scale], self._sides)
        y, x = int(rng.integers(max(height - rows, 0) + 1)), int(rng.integers(max(width - columns, 0) + 1))
        if self._form:
            record = degradations.draw(self._degrade, int(rng.integers(1 << 62)), **self._fixed)
            return degrade_device.part(self._form, hr, (y, x), record), Crop(hr, scale, y, x, size, record)
        if self._degrade:
            whole = [way, self._sides if small else 0]  # what the image is made of, beside its file
            lr, part, made = degradations.degrade_part(
                self._degrade, hr, (y, y + rows), (x, x + columns), seed=int(rng.integers(1 << 62)), **self._fixed,
                kept=lambda steps, make: kept(self._keep, tiled.identity(record["hr"]), [steps, *whole], make))
            return {"lr": lr, "hr": part}, Crop(hr, scale, y, x, size, made)
        part = hr[y * scale:(y + rows) * scale, x * scale:(x + columns) * scale]
        if "lr" not in record:
            raise UserError(f"{name}: the dataset stores no LR images; name the degradation that makes them "
                            "(--config.data.train[0].degrade=aim22_t1)")
        lr = self._decode(record, "lr")
        if lr.shape[:2] != (height, width):
            raise UserError(f"{name}: LR is {lr.shape[1]}x{lr.shape[0]}, and HR is not {scale} times as large; "
                            "take networks of another scale, or another dataset")
        lr = (_mirrored(lr, size) if small else lr)[y:y + rows, x:x + columns]
        made = json.loads(record.get("degradation") or "{}") if self._derive else {}
        return {"lr": lr, "hr": part}, Crop(hr, scale, y, x, size, made)

    def _hr(self, record):
        """The HR image in a form that crops can be cut from: decoded by region, or whole and kept."""
        hr = record["hr"]
        if tiled.is_tiled(hr):
            where = f", in {hr}" if isinstance(hr, array_records.Span) else ""
            return tiled.Tiled(hr, f"{record['name']} (hr{where})")
        return self._decode(record, "hr")


def _mirrored(image, sides):
    """An image of (height, width) `sides` at least: it is mirrored at its right and lower border, if need be often.

    The pixels at the border are repeated, as numpy's "symmetric" has it, so that HR and LR images stay in place.
    """
    short = [(0, max(least - side, 0)) for least, side in zip(sides, image.shape[:2], strict=True)]
    return np.pad(np.asarray(image), [*short, (0, 0)], "symmetric")


class _Turned:
    """A flipped and turned image that parts can be cut from.

    Args:
      image: (H, W, 3), or what can be sliced as such.
      way: 0 to 7; bits 0 and 1 flip rows and columns, bit 2 then exchanges the two.
    """

    def __init__(self, image, way):
        self._image, self._steps = image, (-1 if way & 1 else 1, -1 if way & 2 else 1)
        self._exchanged = bool(way & 4)
        self.shape = (*(image.shape[1::-1] if self._exchanged else image.shape[:2]), 3)

    def __getitem__(self, slices):
        parts = [range(side)[part] for part, side in zip(slices, self.shape, strict=False)]
        parts = parts[::-1] if self._exchanged else parts
        cut = [slice(part.start, part.stop) if step > 0 else slice(side - part.stop, side - part.start)
               for part, step, side in zip(parts, self._steps, self._image.shape, strict=False)]
        found = self._image[cut[0], cut[1]][::self._steps[0], ::self._steps[1]]
        return np.ascontiguousarray(found.swapaxes(0, 1) if self._exchanged else found)


def _hr_image(record):
    return images.read_rgb(record["hr"], name=f"{record['name']} (hr)")


class _DecodeCache:
    """Decodes a record's image, keeping the latest up to a number of bytes. Grain's threads share it."""

    def __init__(self, limit):
        self._limit, self._held, self._images = limit, 0, collections.OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, record, key):
        name = record["name"], key
        with self._lock:
            if name in self._images:
                self._images.move_to_end(name)
                return self._images[name]
        image = records.lr_image(record) if key == "lr" else _hr_image(record)
        with self._lock:
            if name not in self._images:  # another thread may have been faster
                self._images[name] = image
                self._held += image.nbytes
            while self._held > self._limit:
                self._held -= self._images.popitem(last=False)[1].nbytes
        return image

    def __reduce__(self):
        return _DecodeCache, (self._limit,)  # empty, in a worker


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a mix: where samples come from, and how many.

    Attributes:
      source: random-access records (jsr.data.sources).
      transform: a PairedCrops, or a `jsr.data.clips.ClipWindows`.
      weight: its share of the samples is this over that of all rows that take part.
      steps: the (first, last) step of the stage in which it takes part, without the last; None is always.
    """

    source: Sequence
    transform: Callable
    weight: float | Fraction = 1
    steps: tuple[int, int] | None = None


def sample_dataset(source, transform, *, seed, max_damaged=0):
    """The endless sequence of samples of a source: a Grain MapDataset, shuffled anew each pass over `source`.

    Args:
      source, transform, max_damaged: see `Sampler`.
      seed: seed of order and samples.
    """
    sampler = Sampler(source, transform, max_damaged)
    return grain.MapDataset.source(range(len(source))).seed(seed).shuffle().repeat(None).random_map(sampler)


class Sampler:
    """Number of a record and random generator to sample; the next record stands in for one that cannot be used.

    So the sample is a function of both and of the files alone, whoever computes it. It also has `LEFT_OUT`: text, a
    line for each record that should have given it and could not.

    Args:
      source: random-access records; `unread(number)` gives them where it has that, else `[number]`.
      transform: function of a record and a generator that gives a sample.
      max_damaged: number of records that may be tried for a sample in vain.
    """

    def __init__(self, source, transform, max_damaged):
        self._source, self._transform, self._most = source, transform, max_damaged
        self._record = source.unread if hasattr(source, "unread") else source.__getitem__

    def __call__(self, number, rng):
        lines = []
        for tried in range(len(self._source)):
            try:
                sample = self._transform(self._record((number + tried) % len(self._source)), rng)
                return sample | {LEFT_OUT: np.array("\n".join(lines))}
            except FileError as e:
                lines.append(" ".join(str(e).splitlines()))
                if len(lines) > self._most:
                    break
        raise UserError("\n".join(lines[-_SHOWN:]))


def _mixed(rows, seed, batch, max_damaged):
    """The endless sequence of samples of a stage."""
    seeds = [seed, *(int(np.random.SeedSequence([seed, row]).generate_state(1)[0]) for row in range(1, len(rows)))]
    datasets = [sample_dataset(row.source, row.transform, seed=own, max_damaged=max_damaged)
                for row, own in zip(rows, seeds, strict=True)]
    order = Order([row.weight for row in rows], [row.steps for row in rows], batch)
    return grain.MapDataset.select_from_datasets(datasets, order)


def train_batches(rows, *, seed, batch, start, num_workers, process=(0, 1), max_damaged=0, leave_out=None):
    """Iterates over this process's slices of the batches from step `start` on.

    Args:
      rows: [Row].
      seed: seed of the stage.
      batch: samples per step over all processes.
      start: the stage's step to begin at.
      num_workers: worker processes; 0 loads in this one.
      process: (index, count) of this process; it gets the index-th of count parts of each batch.
      max_damaged: number of records that may be left out for one sample.
      leave_out: called with a line for each record that another stands in for, before its batch is given.

    Yields:
      dicts of uint8 arrays (batch / count, H, W, C), of clips (batch / count, T, H, W, C), and of numbers: float32
      (batch / count,) where `DERIVED` gives some, int32 that the device degrades by.

    Raises:
      UserError: more than `max_damaged` images that are damaged; what `leave_out` raises.
    """
    index, count = process
    dataset = _mixed(rows, seed, batch, max_damaged).batch(batch // count, drop_remainder=True)[index::count][start:]
    if num_workers:
        dataset = dataset.map(_to_bytes)
    dataset = dataset.to_iter_dataset(_THREADS[bool(num_workers)])
    keep_memory()
    if num_workers:
        if not flags.FLAGS.is_parsed():  # Grain's workers read absl's flags, which only absl's own app.run parses
            flags.FLAGS.mark_as_parsed()
        named_semaphores()
        options = grain.MultiprocessingOptions(num_workers=num_workers, per_worker_buffer_size=4)
        dataset = dataset.mp_prefetch(options, worker_init_fn=_init_worker)
    iterator = iter(dataset)
    try:
        for samples in iterator:
            if num_workers:
                samples = {key: _to_array(value) for key, value in samples.items()}
            for line in dict.fromkeys("\n".join(samples.pop(LEFT_OUT).tolist()).split("\n")):
                if line and leave_out:
                    leave_out(line)
            yield samples
    except Exception as e:
        mistake = _within(e, UserError)
        if mistake is not None:
            raise mistake from None
        if num_workers and (refused := _within(e, OSError)):
            raise UserError(f"the {num_workers} processes that make samples cannot be started: {refused.strerror} "
                            "(locks lie in /dev/shm); mend it, or use none (--config.data.num_workers=0)") from e
        if num_workers and _DEAD_WORKER in str(e):
            raise UserError(f"one of the {num_workers} processes that make samples was killed, perhaps for lack of "
                            "memory; the same command goes on, perhaps with fewer (--config.data.num_workers=1)"
                            ) from None
        raise
    finally:
        if num_workers:
            iterator.close()


def _init_worker(*_):
    init_worker()
    # A scheduler sends SIGTERM to the whole process group, but the parent still takes a step and saves: it then ends
    # its workers itself, and would wait for ever for a batch of one that is gone.
    signal.signal(signal.SIGTERM, lambda *_: threading.Timer(_GRACE_S, os._exit, [128 + signal.SIGTERM]).start())
    keep_memory()


def keep_memory():
    """Has the C library keep freed memory for the next record instead of giving it back to the system.

    Otherwise every record of a few MB costs page faults: on a virtual machine a crop of a 2K photograph took 16 ms, and
    takes 5 so. glibc raises its bounds to the largest block it has seen freed, of 32 MB at most; others do not mind.
    """
    np.empty(_LARGE_BLOCK, np.uint8)


def _to_bytes(samples):
    """A batch as it comes from a worker, through a pipe.

    Grain would send arrays through shared memory, which outlives a run that ends at the wrong moment, and of which
    containers have little.
    """
    return {key: (value.shape, value.dtype.str, value.tobytes()) for key, value in samples.items()}


def _to_array(value):
    shape, dtype, data = value
    return np.frombuffer(bytearray(data), dtype).reshape(shape)  # writable, as any other array


def _within(error, kind):
    """The exception of a kind that a worker raised, found inside Grain's exception."""
    while error is not None:
        if isinstance(error, kind):
            return error
        error = error.__cause__ or error.__context__
    return None


def prefetch_to_device(batches, put, depth=2):
    """Keeps `depth` batches in flight to the devices, so that a step never waits for a transfer."""
    queue = collections.deque()
    for batch in batches:
        queue.append(put(batch))
        if len(queue) > depth:
            yield queue.popleft()
    yield from queue


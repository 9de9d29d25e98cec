"""Videos to a database."""

import hashlib
import os
from pathlib import Path
import time

import numpy as np

from jsr import images
from jsr.clips import read
from jsr.degradations import _video
from jsr.degradations.degrade_folder import VIDEOS
from jsr.errors import FileError, UserError
from jsr.files import remove_rests
from jsr.native import pyav
from jsr.retrieval import database, engine
from jsr.retrieval.database import Video

EVERY = 25  # frames from one that is stored to the next
SHARD_BYTES, SHARD_SECONDS = 64 << 20, 60  # of a shard, after which it is written; seconds where a video ends
_BATCH = 4  # frames that pass the networks at once
_EDGE = 64 << 10  # bytes at either end of a file that tell it from another of its name and size
_LEAST = 64  # px, of an image's sides


def build(videos, out, *, engine_path=None, every=EVERY, passed=None, say=None, progress=None):
    """Adds the new videos of a folder to a database; goes on where an earlier call was stopped.

    Videos that are in the database already, by name and content, are left alone; those of it that are no longer in the
    folder stay.

    Args:
      videos: folder; those at any depth are taken.
      out: folder of the database.
      engine_path: see `jsr.retrieval.engine.load`; None takes the engine that the database has.
      every: frames from one that is stored to the next.
      passed: jsr.listing.PassedOver that takes what is left alone.
      say: called with a line of text.
      progress: called with (what is done, units done, units in all).

    Returns:
      (Database, number of videos that were added, errors: a UserError for each video that could not be read).

    Raises:
      UserError: no videos, no engine or another than the database's, or the place cannot be written.
    """
    if every < 1:
        raise UserError(f"--every {every}; give 1 or more frames")
    out = Path(out)
    paths = images.list_images(videos, VIDEOS, passed=passed, out=out)
    own = out / database.ENGINE
    if engine_path is None and not own.exists():
        raise UserError(f"{out}: has no engine yet; train one on such videos by `jsr train aim22_t2:noah_engine` and "
                        "name its run (--engine runs/aim22_t2/noah_engine)")
    its = engine.load(Path(engine_path or own))
    made = database.Database.create(out, its)
    remove_rests(out / "shards" / f"{made.next_shard:06d}.safetensors")
    writer, errors, added = _Writer(made, its), [], 0
    for done, path in enumerate(paths):
        if progress:
            progress("videos", done, len(paths))
        name = path.relative_to(videos).as_posix()
        try:
            video = Video(name, digest(path), made.next_shard)
            known = made.videos.get(name)
            if known and known.digest == video.digest:
                continue
            count = writer.add(video, sampled(path, every, its.multiple))
        except FileError as e:
            writer.drop(name)
            errors.append(e)
            continue
        added += 1
        if say:
            say(f"{name}: {count} frame{'s' * (count != 1)}")
    writer.flush()
    made.refresh(lambda done, total: progress and progress("index", done, total))
    return made, added, errors


def digest(path):
    """A digest that tells a file from others of its name: a sum of its size, its first bytes and its last."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            found = hashlib.sha256(str(size).encode() + file.read(_EDGE))
            file.seek(max(size - _EDGE, 0))
            found.update(file.read())
    except OSError as e:
        raise FileError(f"{path}: cannot be read: {e.strerror or e}") from e
    return found.hexdigest()


def sampled(path, every, multiple):
    """Yields (number, uint8 (H, W, 3)) of every n-th frame of a video, cut to multiples of a number of px.

    Raises:
      FileError: damaged, without a video stream, or smaller than 64 px a side.
    """
    av, count = pyav("video"), 0
    try:
        with av.open(read.address(path), options=read.ALONE) as container:
            streams = [stream for stream in container.streams.video
                       if not stream.disposition & av.stream.Disposition.attached_pic]
            if not streams:
                raise FileError(f"{path}: holds no video; remove it")
            streams[0].thread_type = "AUTO"
            for frame in container.decode(streams[0]):
                if count % every == 0:
                    image = _video.to_rgb(frame)
                    height, width = (side - side % multiple for side in image.shape[:2])
                    if min(height, width) < _LEAST:
                        raise FileError(f"{path}: is {frame.width}x{frame.height}, less than {_LEAST} px a side; "
                                        "remove it")
                    yield count, image[:height, :width]
                count += 1
    except (av.error.FFmpegError, OSError) as e:
        raise FileError(f"{path}: damaged or no video ({e.strerror or e}); replace or remove it") from e
    if not count:
        raise FileError(f"{path}: holds no pictures; replace or remove it")


class _Writer:
    """Frames through the networks into shards."""

    def __init__(self, made, its):
        self._made, self._engine = made, its
        self._clear()

    def add(self, video, frames):
        """Adds the frames of a video; returns how many they are."""
        count, batch = 0, []
        self._videos.append(video)
        for number, image in frames:
            if batch and batch[0][1].shape != image.shape:
                self._pass(video, batch)
                batch = []
            if self._bytes > SHARD_BYTES:  # here, where a further frame is sure to come
                self.flush()
                self._videos.append(video)
            batch.append((number, image))
            count += 1
            if len(batch) == _BATCH:
                self._pass(video, batch)
                batch = []
        self._pass(video, batch)
        self._finished.add(video.name)
        if self._bytes > SHARD_BYTES or time.monotonic() - self._since > SHARD_SECONDS:
            self.flush()
        return count

    def drop(self, name):
        """Forgets the unwritten frames of a video that could not be read to its end."""
        kept = [index for index, (video, _) in enumerate(self._numbers) if video.name != name]
        self._features, self._latents, self._numbers = (
            [rows[index] for index in kept] for rows in (self._features, self._latents, self._numbers))
        self._videos = [video for video in self._videos if video.name != name]

    def flush(self):
        """Writes what there is as a shard."""
        if self._videos:
            self._made.write(self._features, self._latents, self._numbers, self._videos, self._finished)
        self._clear()

    def _clear(self):
        self._features, self._latents, self._numbers, self._videos = [], [], [], []
        self._finished, self._bytes, self._since = set(), 0, time.monotonic()

    def _pass(self, video, batch):
        """A batch through the networks, filled up so that their programs are of one size."""
        if not batch:
            return
        hr = np.stack([image for _, image in batch] + [batch[-1][1]] * (_BATCH - len(batch)))
        features, latents = self._engine.features(engine.smaller(hr)), self._engine.encode(hr)
        for (number, _), its_features, its_latents in zip(batch, features, latents, strict=False):
            self._features.append(its_features)
            self._latents.append(its_latents)
            self._numbers.append((video, number))
            self._bytes += its_features.nbytes + its_latents.nbytes

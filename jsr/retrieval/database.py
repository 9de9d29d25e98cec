"""A database of frames on disk: shards of features and latents, and an HNSW index over the features.

  database.json              {format, engine: fingerprint of its Engine, multiple: of the images' sides}
  engine.safetensors         the Engine, a model file
  shards/000000.safetensors  of some frames, in order: `features` float32 (n, D) of length one, `latents` uint8, one
                             behind the other, `shapes` int32 (n, 3) of those, `videos` int32 (n,), rows of the list in
                             the metadata, `numbers` int32 (n,) of the frames in their videos; the metadata `jsr` is
                             JSON, {format, videos: [{name, digest, begin, finished}]}
  index.usearch              of the features, by keys: number of the shard << 32 | row

A shard is written once and whole. A video may go on from one shard to the next, `begin` is the first of them; its
frames count from the shard on that says `finished`, so that what a killed build left of a video is as good as not
there. Of two of one name the later one counts. The index holds nothing that the shards do not, and is mended from them.
"""

import functools
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors
import safetensors.numpy

from jsr import trees
from jsr.errors import FileError, MissingLibrary, UserError, install
from jsr.files import atomic_write, from_json

FORMAT = 1
ENGINE = "engine.safetensors"
_INDEX, _ABOUT = "index.usearch", "database.json"
# HNSW: neighbours of a node; candidates looked at when one is added, and when one is sought
CONNECTIVITY, EXPANSION = 16, 200
_SAVE_EVERY = 100_000  # frames that are added to an index between two writes of it
_TABLE = {"format": int, "engine": str, "multiple": lambda value: type(value) is int and value > 0}
_LIST = {"videos": [{"name": str, "digest": str, "begin": int, "finished": bool}]}
_AXES = {"features": 2, "latents": 1, "shapes": 2, "videos": 1, "numbers": 1}


class Video(NamedTuple):
    """A video as a shard names it: its name, the digest of its bytes, the shard that it begins in."""

    name: str
    digest: str
    begin: int


class Hit(NamedTuple):
    """A frame that was found.

    Attributes:
      key: key of the frame, as the index has it.
      alike: cosine of the features.
      video: name of the video.
      number: number of the frame in it.
    """

    key: int
    alike: float
    video: str
    number: int


class Database:
    """The content of a folder's database, at the time of opening.

    Attributes:
      folder: path.
      videos: {name: Video} of those that are whole.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        if not (self.folder / _ABOUT).exists():
            raise UserError(f"{folder}: is no database; make one by jsr index VIDEOS --out {folder}")
        with from_json(self.folder / _ABOUT, "make the database anew by jsr index") as self.about:
            if found := trees.wrong(self.about, _TABLE):
                raise ValueError(found)
        if self.about["format"] != FORMAT:
            raise UserError(f"{folder}: is of format {self.about['format']}, this jsr reads {FORMAT}; make it anew")
        self._files, self._tables = {}, {}
        self._shards = {int(path.stem): path for path in sorted((self.folder / "shards").glob("*.safetensors"))
                        if path.stem.isdecimal()}
        self._rows = {number: self._listed(number) for number in self._shards}
        self.videos = {}
        for number in sorted(self._rows):
            for row in self._rows[number]:
                if row["finished"]:
                    self.videos[row["name"]] = Video(row["name"], row["digest"], row["begin"])

    @staticmethod
    def create(folder, engine):
        """An empty database; UserError where there is one of another engine."""
        folder = Path(folder)
        if (folder / _ABOUT).exists():
            database = Database(folder)
            if database.about["engine"] != engine.fingerprint:
                raise UserError(f"{folder}: was made by another engine, whose features cannot be compared; leave "
                                "--engine out to use the database's own, or give another --out")
            return database
        if folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir()):
            raise UserError(f"{folder}: holds other files and no database; give another --out")
        engine.save(folder / ENGINE)
        with atomic_write(folder / _ABOUT, "w") as file:
            json.dump({"format": FORMAT, "engine": engine.fingerprint, "multiple": engine.multiple}, file)
        return Database(folder)

    @property
    def next_shard(self):
        """The number of the shard that is written next."""
        return max(self._shards, default=-1) + 1

    def write(self, features, latents, numbers, videos, finished):
        """Writes the next shard.

        Args:
          features: [float32 (D,)] of the frames.
          latents: [uint8 (h, w, C)] of them.
          numbers: [(Video, number of the frame)].
          videos: [Video], each once.
          finished: names of those that end here.
        """
        places = {video: place for place, video in enumerate(videos)}
        tensors = {"features": np.asarray(features, np.float32).reshape(len(features), -1),
                   "latents": np.concatenate([np.ravel(part) for part in latents] or [np.zeros(0, np.uint8)]),
                   "shapes": np.array([part.shape for part in latents], np.int32).reshape(-1, 3),
                   "videos": np.array([places[video] for video, _ in numbers], np.int32),
                   "numbers": np.array([number for _, number in numbers], np.int32)}
        rows = [{**video._asdict(), "finished": video.name in finished} for video in videos]
        number = self.next_shard
        path = self.folder / "shards" / f"{number:06d}.safetensors"
        with atomic_write(path) as file:
            file.write(safetensors.numpy.save(tensors, {"jsr": json.dumps({"format": FORMAT, "videos": rows})}))
        self._shards[number], self._rows[number] = path, rows
        for video in videos:
            if video.name in finished:
                self.videos[video.name] = video

    def __len__(self):
        return sum(len(rows) for rows in map(self._counting, self._shards))

    @property
    def nbytes(self):
        """Bytes of the shards and of the index."""
        return sum(path.stat().st_size for path in (*self._shards.values(), self.folder / _INDEX) if path.exists())

    def refresh(self, say=lambda done, total: None):
        """Adds new frames of the shards to the index, and writes it.

        Frames are added one after the other, so that the same frames give the same index.

        Args:
          say: called with how many frames are in it and how many will be.
        """
        if not self._shards:
            return
        index, path = self._index, self.folder / _INDEX
        wanted = {number: number << 32 | self._counting(number).astype(np.uint64) for number in self._shards}
        total = sum(map(len, wanted.values()))
        every = np.concatenate([np.zeros(0, np.uint64), *wanted.values()])
        there = np.array(index.keys[:], np.uint64) if len(index) else np.zeros(0, np.uint64)
        gone, changed = np.setdiff1d(there, every), 0
        if len(gone):
            index.remove(gone)
            changed += len(gone)
        for number, keys in wanted.items():
            new = keys[~np.isin(keys, there)]
            if len(new):
                features = self._opened(number).get_tensor("features")
                index.add(new, features[(new & 0xffffffff).astype(int)], threads=1)
                changed += len(new)
                say(len(index), total)
            if changed >= _SAVE_EVERY:
                self._save(index, path)
                changed = 0
        if changed or not path.exists():
            self._save(index, path)

    def search(self, features, count, *, leave_out=(), exact=False):
        """The frames most like some features, [Hit], best first, at most `count`.

        Args:
          features: float32 (D,), of length one.
          count: number of frames.
          leave_out: names of videos.
          exact: compares with all frames, without the graph.
        """
        index, asked = self._index, count
        while True:
            found = index.search(np.asarray(features, np.float32), min(asked, len(index)), threads=1, exact=exact) if (
                len(index)) else None
            hits = [] if found is None else [
                Hit(int(key), 1 - float(distance), *self._place(int(key)))
                for key, distance in zip(found.keys, found.distances, strict=True)]
            kept = [hit for hit in hits if hit.video not in leave_out]
            if len(kept) >= count or asked >= len(index):
                return kept[:count]
            asked *= 2

    def latents(self, key):
        """The latents of a frame, uint8 (h, w, C); they alone are read."""
        number, row = key >> 32, key & 0xffffffff
        sizes = self._table(number, "shapes").astype(np.int64).prod(1)
        start = int(sizes[:row].sum())
        part = self._opened(number).get_slice("latents")[start:start + int(sizes[row])]
        return part.reshape(self._table(number, "shapes")[row])

    def features(self, key):
        """The features of a frame, float32 (D,)."""
        return self._opened(key >> 32).get_slice("features")[key & 0xffffffff]

    def keys(self):
        """The keys of all frames, uint64, in the order of the shards."""
        return np.concatenate([np.zeros(0, np.uint64), *(
            number << 32 | self._counting(number).astype(np.uint64) for number in self._shards)])

    def _place(self, key):
        """(name of the video, number of the frame) of a key."""
        number, row = key >> 32, key & 0xffffffff
        return (self._rows[number][self._table(number, "videos")[row]]["name"],
                int(self._table(number, "numbers")[row]))

    def _counting(self, number):
        """The rows of a shard whose videos are whole and not replaced."""
        counts = [self.videos.get(row["name"]) == Video(row["name"], row["digest"], row["begin"])
                  for row in self._rows[number]]
        return np.flatnonzero(np.array(counts, bool)[self._table(number, "videos")] if counts else [])

    def _listed(self, number):
        """The videos of a shard, as its metadata have them; FileError where it is not as written."""
        file = self._opened(number)
        try:
            about = json.loads((file.metadata() or {}).get("jsr", "null"))
            shapes = {name: file.get_slice(name).get_shape() for name in _AXES}
            counts = {shape[0] for name, shape in shapes.items() if name != "latents"}
            found = trees.wrong(about, _LIST)
            if not found and (len(counts) > 1 or {name: len(shape) for name, shape in shapes.items()} != _AXES):
                found = "its tensors do not belong together"
            places = self._table(number, "videos")
            if not found and len(places) and not 0 <= places.min() <= places.max() < len(about["videos"]):
                found = "frames of videos that it does not list"
            if found:
                raise ValueError(found)
        except (ValueError, RecursionError, safetensors.SafetensorError) as e:
            raise FileError(f"{self._shards[number]}: is no shard of a database ({e}); remove it and run jsr index "
                            "again") from e
        return about["videos"]

    def _opened(self, number):
        if number not in self._files:
            try:
                self._files[number] = safetensors.safe_open(self._shards[number], "numpy")
            except (OSError, safetensors.SafetensorError) as e:
                raise FileError(f"{self._shards[number]}: damaged ({e}); remove it and run jsr index again") from e
        return self._files[number]

    def _table(self, number, name):
        """A small tensor of a shard, read once."""
        if (number, name) not in self._tables:
            self._tables[number, name] = self._opened(number).get_tensor(name)
        return self._tables[number, name]

    @functools.cached_property
    def _index(self):
        """The index as it is on disk; an empty one where there is none, or one that cannot be read."""
        path = self.folder / _INDEX
        if path.exists():
            try:
                return _library().restore(str(path), expansion_add=EXPANSION, expansion_search=EXPANSION)
            except (RuntimeError, ValueError):
                path.unlink()
        number = next(iter(self._shards), None)
        dim = self._table(number, "features").shape[1] if number is not None else 1
        return _library()(ndim=dim, metric="ip", dtype="f32", connectivity=CONNECTIVITY, expansion_add=EXPANSION,
                          expansion_search=EXPANSION)

    def _save(self, index, path):
        with atomic_write(path) as file:
            file.write(index.save())


def _library():
    try:
        from usearch.index import Index
    except ImportError:
        raise MissingLibrary(f"databases of frames are searched by USearch, which is not installed: "
                             f"{install('retrieval')}") from None
    return Index

"""A folder of photographs that are decoded once and kept on disk, lossless, in a form that makes crops cheap.

To decode a JPEG of 12 million pixels takes 200 ms, which is too much for every crop of 96 px; and forty of them,
decoded, are more than a data worker holds. So the first crop of a photograph writes its part, as
`jsr.datasets.records.save` does for `jsr build`, and the others read the tiles of it that they touch. Workers may do so
at the same time, runs may share the parts, and one that is removed is made anew.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
from pathlib import Path
import shutil
import time

from rich.filesize import decimal

from jsr import parallel
from jsr.datasets import cut, records
from jsr.errors import FileError, UserError
from jsr.files import writing

FOLDER = ".decoded"  # in the folder of the datasets
LIMIT = 64 << 30  # bytes of all parts there
_FORM = 2  # of the parts: those of another one are left alone
_PX_BYTES = 3  # of a part a pixel, at most about
_LINE_EVERY_S = 15


class Decoded:
    """The records of a folder's images after `form`: as `jsr.datasets.records` says, without LR; `hr` is a memoryview.

    Where tiles are left out for want of detail, all images are decoded when this is opened, in several processes; what
    was decoded once is not again. Parts of other folders that were not used for the longest time go where all are more
    than LIMIT.

    Args:
      source: jsr.data.sources.FolderSource.
      form: jsr.datasets.cut.Cut.
      data_dir: folder of the datasets, in which FOLDER keeps the parts.
      announce: called with lines for the user.

    Attributes:
      names, identity: see `jsr.data.sources.open_source`.
      sizes: [(height, width)], px, of the records' images.

    Raises:
      UserError: no place for the parts, a damaged image, or no tile with enough detail.
    """

    def __init__(self, source, form, data_dir, announce):
        self._form, self._folder = form, Path(data_dir) / FOLDER
        self._paths = [path.absolute() for path in source.paths]
        pixels = sum(height * width for height, width in source.sizes) / form.shrink**2
        _make_room(self._folder, {_part(path, form, self._folder) for path in self._paths}, int(pixels * _PX_BYTES))
        folder = os.path.commonpath([path.parent for path in source.paths])
        announce(f"{folder}: its {len(self._paths):,} images, {pixels / 1e6:,.0f} megapixels after shrinking, "
                 f"are decoded once and kept in {self._folder}, about {decimal(int(pixels * _PX_BYTES))}")
        tiles = [cut.sizes(path.name, *size, form) for path, size in zip(self._paths, source.sizes, strict=True)]
        if form.detail:
            tiles = [{name: known[name] for name in kept}
                     for known, kept in zip(tiles, self._measured(folder, announce), strict=True)]
        self._entries = [(path, number) for path, found in enumerate(tiles) for number in range(len(found))]
        self.names = [str(path.parent / name)
                      for path, found in zip(source.paths, tiles, strict=True) for name in found]
        self.sizes = [size for found in tiles for size in found.values()]
        whole = form == cut.WHOLE
        self.identity = source.identity if whole else [source.identity, dataclasses.astuple(form), len(self)]

    def __len__(self):
        return len(self._entries)

    def __getitem__(self, index):
        path, number = self._entries[index]
        try:
            record = records.mapped(_made(self._paths[path], form=self._form, folder=self._folder), number)
        except IndexError:
            raise FileError(f"{self._paths[path]}: has changed since the run began; "
                            "run the same command again") from None
        return record | {"name": self.names[index]}

    def _measured(self, folder, announce):
        """The names of the tiles of each image, those with enough detail."""
        work = functools.partial(_made, form=self._form, folder=self._folder)
        missing = [path for path in self._paths if not _part(path, self._form, self._folder).exists()]
        errors, said = [], time.monotonic()
        for number, (_, outcome) in enumerate(parallel.map_unordered(work, missing), 1):
            if isinstance(outcome, UserError):
                errors.append(str(outcome))
            if time.monotonic() - said > _LINE_EVERY_S:
                said = time.monotonic()
                announce(f"{folder}: {number:,} of {len(missing):,} images are decoded and their detail is measured")
        if errors:
            raise UserError("\n".join(sorted(errors)))
        kept = [records.names(work(path)) for path in self._paths]
        if not any(kept):
            raise UserError(f"{folder}: no tile of its images has a detail of {self._form.detail:g}; "
                            "choose a smaller one")
        announce(f"{folder}: {sum(map(len, kept)):,} tiles have detail, or are the flat ones that are kept")
        return kept


def _part(path, form, folder):
    """The path of an image file's part; another one for other pixels."""
    try:
        stat = path.stat()
    except OSError as e:
        raise FileError(f"{path}: cannot be read: {e.strerror}") from e
    made_of = json.dumps([_FORM, str(path), stat.st_size, stat.st_mtime_ns, dataclasses.astuple(form)])
    return folder / f"{path.stem}-{hashlib.sha256(made_of.encode()).hexdigest()[:32]}.record"


def _made(path, *, form, folder):
    """The part of an image file, which is made where it is missing."""
    part = _part(path, form, folder)
    if not part.exists():
        source = records.Original(path.name, str(path))
        records.save(part, records.make(source, source.read(), "", form))
    return part


def _make_room(folder, own, need):
    """Removes the parts of other folders that were not used for the longest time, as far as it must be.

    Args:
      folder: folder of all parts; is made where it is missing.
      own: the paths of the parts that are wanted, and stay.
      need: bytes of these, those that are there already among them.

    Raises:
      UserError: there is not enough room, or the folder cannot be made.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        found = {part: part.stat() for part in folder.glob("*.record")}
        free = shutil.disk_usage(folder).free
        for part in own & found.keys():
            with contextlib.suppress(OSError):  # of another user
                os.utime(part)  # of its last use
    others = sorted(found.keys() - own, key=lambda part: found[part].st_mtime)
    missing = need - sum(found[part].st_size for part in own & found.keys())
    surplus = max(missing - free, need + sum(found[part].st_size for part in others) - LIMIT)
    if need > LIMIT or surplus > sum(found[part].st_size for part in others):
        raise UserError(f"{folder}: decoded images need about {decimal(need)}, but only {decimal(min(free, LIMIT))} "
                        "may be used; choose a larger disk (--config.data.data_dir=...) or a larger shrink")
    for part in others:
        if surplus <= 0:
            break
        part.unlink(missing_ok=True)
        surplus -= found[part].st_size

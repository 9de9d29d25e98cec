"""Arrays on disk, in a file without a name: features that a scene of any length keeps for later."""

import shutil
import tempfile
from typing import Any

import numpy as np

from jsr.errors import UserError
from jsr.files import writing


class Store:
    """Arrays by key, in a file beside a result that goes with the process, however that ends; a context manager.

    Args:
      target: path of the result, whose folder is there.

    Attributes:
      most: bytes that the file had at its largest.

    Raises:
      UserError: the folder cannot be written, or the disk is full; so does keeping an array.
    """

    def __init__(self, target):
        self._target, self._places, self._end, self.most = target, {}, 0, 0
        with writing(target):  # without a buffer, so that a full disk is told at once
            self._file: Any = tempfile.TemporaryFile(dir=target.parent, prefix=".", buffering=0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def __contains__(self, key):
        return key in self._places

    def __getitem__(self, key):
        place, shape, dtype = self._places[key]
        found = np.empty(shape, dtype)
        self._file.seek(place)
        rest = _bytes(found)
        while rest and (count := self._file.readinto(rest)):
            rest = rest[count:]
        return found

    def __setitem__(self, key, array):
        array = np.ascontiguousarray(array)
        with writing(self._target):
            self._file.seek(self._end)
            rest = _bytes(array)
            while rest:
                rest = rest[self._file.write(rest):]
        self._places[key] = self._end, array.shape, array.dtype
        self._end += array.nbytes
        self.most = max(self.most, self._end)

    def check_room(self, size, advice):
        """Raises UserError, ending in `advice`, where the file has no room to grow to `size` bytes."""
        if size - self._end > (free := shutil.disk_usage(self._target.parent).free):
            raise UserError(f"{self._target}: {size / 1e9:.1f} GB are needed beside it, and {free / 1e9:.1f} are free; "
                            f"{advice}")

    def clear(self):
        """Forgets all."""
        self._places, self._end = {}, 0
        self._file.seek(0)
        self._file.truncate()


def _bytes(array):
    return memoryview(array.reshape(-1).view(np.uint8))  # of bfloat16 it is none that files take

"""Headers of image and video files: sizes, and reasons why a file cannot be used, without decoding.

What took long to read is remembered, by name, size and time of each file, in a small file beside the datasets.
"""

import contextlib
import hashlib
import json
from pathlib import Path
import time

from jsr import images
from jsr.errors import UserError
from jsr.files import atomic_write, from_json

FOLDER = ".headers"  # in the folder of the datasets
_SLOW_S = 2.0  # reading that takes longer is remembered
_LINE_EVERY_S = 15.0
_SHOWN = 100  # lines of one message


def read(folder, paths, data_dir, announce=lambda line: None, look=lambda path: images.image_size(path)):
    """The sizes of image files, or what `look` gives, and a line for each that cannot be used.

    Args:
      folder: what the files are called together.
      paths: [Path] of the files.
      data_dir: folder of the datasets, in which FOLDER remembers what took long.
      announce: called with lines for the user.
      look: function of a path that gives whole numbers, height and width first, and raises UserErrors.

    Returns:
      ({path: (height, width)} of the upright images, px; [line]).
    """
    memory = Path(data_dir, FOLDER, f"{hashlib.sha256(str(Path(folder).absolute()).encode()).hexdigest()[:32]}.json")
    known, sizes, problems = _remembered(memory), {}, []
    began = said = time.monotonic()
    for number, path in enumerate(paths):
        stamp = _stamp(path)
        entry = known.get(str(path.absolute()))
        try:
            sizes[path] = tuple(entry[1]) if entry and entry[0] == stamp else look(path)
        except UserError as e:
            problems.append(str(e))
        else:
            known[str(path.absolute())] = stamp, sizes[path]
        if time.monotonic() - said > _LINE_EVERY_S:
            said = time.monotonic()
            announce(f"{folder}: the headers of {number + 1:,} of {len(paths):,} files are read")
    if time.monotonic() - began > _SLOW_S:
        _remember(memory, known)
    return sizes, problems


def raise_all(problems):
    """Raises a UserError of many lines, if there are any."""
    if problems:
        more = [f"and {len(problems) - _SHOWN:,} more"] if len(problems) > _SHOWN else []
        raise UserError("\n".join([*problems[:_SHOWN], *more]))


def _stamp(path):
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]


def _remembered(memory):
    with contextlib.suppress(UserError), from_json(memory) as found:
        return {path: (stamp, tuple(map(int, numbers))) for path, (stamp, numbers) in found.items()}
    return {}  # none, or another's


def _remember(memory, known):
    try:
        with atomic_write(memory, "w") as file:
            json.dump(known, file)
    except UserError:  # they are read again next time
        pass

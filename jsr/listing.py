"""The files below a folder: those that a command takes, and a count of those that it passes over."""

import collections
import dataclasses
import os
from pathlib import Path

from jsr import results
from jsr.errors import UserError
from jsr.files import is_stream

UNREADABLE, LINKS, PIPES, RESULTS, RUNS = (
    "folder that could not be read", "link to a folder that is taken anyway", "pipe or device", "earlier result",
    "folder of a run")
_PLURALS = {UNREADABLE: "folders that could not be read", LINKS: "links to folders that are taken anyway",
            PIPES: "pipes or devices", RESULTS: "earlier results", RUNS: "folders of runs"}
_OF_A_RUN = "fingerprint.json"  # what training leaves in its folder, beside pictures of its own
_NO_ENDING = "without an ending"
# Written by systems
_OF_NO_PERSON = {"thumbs.db", "desktop.ini", "icon\r"}


@dataclasses.dataclass
class PassedOver:
    """The files and folders that a command passes over in the folders that it was given.

    Attributes:
      kinds: {".cr2", or another kind: number}.
      folders: [(path of a folder that could not be read, why)].
    """

    kinds: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    folders: list = dataclasses.field(default_factory=list)

    def __str__(self):
        """"passed over: 3 .cr2, 1 .xcf, 2 folders that could not be read"; "" of nothing."""
        endings = sorted(((kind, count) for kind, count in self.kinds.items() if kind not in _PLURALS),
                         key=lambda row: (-row[1], row[0]))
        others = [(kind, self.kinds[kind]) for kind in _PLURALS if self.kinds[kind]]
        shown = [f"{count:,} {kind if count == 1 else _PLURALS.get(kind, kind)}" for kind, count in endings + others]
        return f"passed over: {', '.join(shown)}" if shown else ""

    @property
    def errors(self):
        """A UserError for each folder that could not be read."""
        return [UserError(f"{path}: cannot be read: {why}; its files were passed over")
                for path, why in self.folders]

    def __iadd__(self, other):
        self.kinds += other.kinds
        self.folders += other.folders
        return self

    def add(self, path):
        """Counts a file."""
        name = path.name.lower()
        if not name.startswith(".") and name not in _OF_NO_PERSON and not results.is_manifest(name):
            self.kinds[path.suffix.lower() or _NO_ENDING] += 1

    def add_folder(self, path, error):
        """Counts a folder with the OSError that kept it from being read."""
        self.kinds[UNREADABLE] += 1
        self.folders.append((path, (error.strerror or str(error)).lower()))


def files_below(folder, passed, *, enter=lambda folder: True):
    """The files at any depth below a folder but for hidden ones: those of each folder, sorted, before those below it.

    Links to folders are followed, unless what they lead to is below the folder anyway, or the folder below it. Folders
    of training runs are left out.

    Args:
      folder: path; nothing is below one that cannot be read.
      passed: PassedOver, to which folders that cannot be read, pipes, and links that are not followed are added.
      enter: function of a folder below that says whether to go there.

    Returns:
      [Path].
    """
    root, seen, found, waiting = os.path.realpath(folder), set(), [], [Path(folder)]
    while waiting:
        place = waiting.pop()
        real = os.path.realpath(place)
        if real in seen or place.is_symlink() and real != root and os.path.commonpath((root, real)) in (root, real):
            passed.kinds[LINKS] += 1
            continue
        seen.add(real)
        if real != root and os.path.isfile(place / _OF_A_RUN):
            passed.kinds[RUNS] += 1
            continue
        try:
            paths = sorted(path for path in place.iterdir() if not path.name.startswith("."))
        except OSError as e:
            passed.add_folder(place, e)
            continue
        folders = [path for path in paths if os.path.isdir(path)]
        pipes = [path for path in paths if is_stream(path)]
        passed.kinds.update([PIPES] * len(pipes))
        others = {*folders, *pipes}
        found += [path for path in paths if path not in others]
        waiting += [path for path in reversed(folders) if enter(path)]
    return found


def taken(folder, endings, passed, *, out=None):
    """The files at any depth below a folder with one of some endings; all others are counted.

    Args:
      folder: path.
      endings: in small letters, as ".png".
      passed: jsr.listing.PassedOver, to which all that is not taken is added.
      out: where results go that are made of the files. That folder is not entered, and results of earlier runs are not
        taken; of a folder of results that is named itself they are, unless they would go there again.

    Returns:
      [Path], sorted.
    """
    made, out = set(), out and os.path.realpath(out)

    def enter(place):
        if out and os.path.realpath(place) == out:
            return False
        made.update(results.made_in(place) if out else ())
        return True

    if out == os.path.realpath(folder):
        made |= results.made_in(folder)
    found = []
    for path in files_below(folder, passed, enter=enter):
        if path.suffix.lower() in endings:
            found.append(path)
        else:
            passed.add(path)
    passed.kinds.update([RESULTS] * len(made.intersection(found)))
    return sorted(path for path in found if path not in made)

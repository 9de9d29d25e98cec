"""Keeps results of commands apart from people's files: manifests of results and their sources, verdicts, locks."""

import contextlib
import itertools
import json
import logging
import os
from pathlib import Path
import re
import socket
import threading

from jsr.errors import UserError
from jsr.files import atomic_write, from_json, hidden_name, remove_rests, sha256, writing

MANIFESTS = {"jsr upscale": "upscaled.json", "jsr degrade": "manifest.json"}  # their names, by command
WRITE, REPLACE, PASS_OVER = "write", "replace", "pass over"

_OWN_NAMES = {"upscaled.json"}  # that no other program writes
_SHARD = re.compile(r"\.\d+-of-\d+(?=\.json$)")  # in the name of a shard's manifest
_POLL_S = 0.02
_HEAD = 200  # characters of a manifest that have its command


def verdict(path, entry, source_sha256, *, finished=False, overwrite=False):
    """The verdict on a result's place: write, replace or pass over.

    Args:
      path: the place.
      entry: a manifest's entry of the file there; {} without one.
      source_sha256: SHA-256 of the new file's source; None if that cannot be read.
      finished: whether the entry's file, as it was made, is what would be made now.
      overwrite: whether everything may be replaced, the finished file too.

    Returns:
      WRITE where nothing is there, REPLACE of a file that was made of this very source or may go, or PASS_OVER of one
      that is finished.

    Raises:
      UserError: the file that is there was not made of this source, or was changed since.
    """
    if not os.path.lexists(path):
        return WRITE
    if overwrite:
        return REPLACE
    if "source_sha256" not in entry:
        raise UserError(f"{path}: exists and was not made by this command; choose another --out, or --overwrite")
    if source_sha256 is None or entry["source_sha256"] != source_sha256:
        raise UserError(f"{path}: was made from another file, or from an earlier {Path(entry.get('source', 'it')).name}"
                        "; choose another --out, or --overwrite")
    now = sha256(path)
    # A kill between the entry and the renaming leaves the file before.
    if now is None or now not in (entry.get("sha256"), entry.get("replaces")):
        raise UserError(f"{path}: was changed since it was made; choose another --out, or --overwrite")
    return PASS_OVER if finished and now == entry.get("sha256") else REPLACE


def replacing(path, entry):
    """The entry to add before a file gets its name, with the `replaces` that a kill may leave there."""
    before = sha256(path)
    return {**entry, "replaces": before} if before else entry


class Manifest:
    """A JSON file that lists the results in its folder and their sources; several processes may add to it at once.

    Shards (jsr.shards) have a file each beside it, `upscaled.3-of-8.json`, so that they never wait for each other, and
    a file system without locks will do. They are read together, and the next `save` of who works without shards, or
    with another number of them, works the files of earlier shards into the manifest.

    It is {command, the head, tables}; a table is {name: entry}. An entry of a file has the `source_sha256` of what it
    was made of and its own `sha256`. Entries go to a journal beside the manifest, those of files before the file gets
    its name, so that even a kill leaves no file of which it is not known who made it. `save` works the journal into
    the manifest. One that is damaged counts as empty, and is set aside by the first `save`.

    Args:
      path: path of the JSON file.
      command: command that makes the files, for example "jsr upscale".
      head: {key: value} that all its files share.
      overwrite: takes a file that is no such manifest, or has another head, for an empty one.
      shard: jsr.shards.Shard of this process, None of one that does all files.

    Raises:
      UserError: such a file is there and `overwrite` is not given; shards of another number are at work.
    """

    def __init__(self, path, command, head, *, overwrite=False, shard=None):
        self.path, self._shard, self._beside = Path(path), shard, []
        self._head = {"command": command, **head}
        if shard:
            self._beside = [Manifest(path, command, head, overwrite=overwrite)]
            self.path = of_shard(self.path, shard)
        elif self.path.name in MANIFESTS.values():
            self._beside = [Manifest(each, command, head, overwrite=overwrite) for each in _shards_of(self.path)]
        self._journal = self.path.with_name(hidden_name(self.path, ".journal"))
        self._overwrite, self._tables, self._stamp, self._read, self._damage = overwrite, {}, None, 0, ""
        self._mutex = threading.RLock()  # of this process's threads; the lock on disk is for other processes
        self._refresh()

    def find(self, table, name):
        """The newest entry of a name in a table, whichever process added it; {} where there is none."""
        return self._newest(lambda one: one._own(table).get(name)) or {}

    def table(self, name):
        """All entries of a table, {name: entry}."""
        own, beside = dict(self._own(name)), [one.table(name) for one in self._beside]
        for each in beside:
            own = each | own if self._shard else own | each
        return own

    def _own(self, table):
        with self._mutex:
            self._refresh()
            return self._tables.get(table, {})

    def _newest(self, of):
        """The finding of a function: a shard's own entries are newer than the manifest's, whoever reads them."""
        beside = (one._newest(of) for one in self._beside)
        places = itertools.chain([of(self)], beside) if self._shard else itertools.chain(beside, [of(self)])
        return next(filter(None, places), None)

    def add(self, table, name, entry):
        """Sets an entry."""
        # A line of its own, whatever a killed process left of one before.
        line = f"\n{json.dumps([table, name, entry])}\n"
        with self._locked(), writing(self.path), open(self._journal, "a", encoding="utf-8") as file:
            file.write(line)

    def save(self, tidy=lambda tables: tables):
        """Writes the manifest, with all entries of all processes but other shards', and returns its content.

        Args:
          tidy: function of the tables that returns those to keep.

        Raises:
          UserError: it cannot be written; shards of another number, or of any where this is none, are at work.
        """
        if self._shard:
            self._beside[0]._take_in(self._shard.count)
        else:
            self._take_in()
        with self._locked(), self._mutex:
            self._refresh()
            tables = {table: dict(sorted(rows.items())) for table, rows in sorted(tidy(self._tables).items())}
            content = {**self._head, **tables}
            self._set_aside()
            with atomic_write(self.path, "w") as file:
                json.dump(content, file, indent=1)
            self._journal.unlink(missing_ok=True)
        return content

    def _take_in(self, count=None):
        """Takes the files of earlier shards, except those of `count`, into this manifest."""
        earlier = [one for one in self._beside if not one.path.stem.endswith(f"-of-{count}")]
        if not earlier:
            return
        with self._locked():
            for one in earlier:
                if one.path.exists():  # else another process has done it
                    self._take(one)
                self._beside.remove(one)

    def _take(self, one):
        """Works the file of a shard into this manifest, which is locked."""
        work = one.path.with_name(hidden_name(one.path, ".work"))
        with locked(work, busy=lambda: f"{one.path}: is being written by a process with --shard; wait for its end, or "
                    "give the same number of shards"), one._locked():
            one._refresh()
            with writing(self.path), open(self._journal, "a", encoding="utf-8") as file:
                file.writelines(f"\n{json.dumps([table, name, entry])}\n"
                                for table, rows in one._tables.items() for name, entry in rows.items())
            for path in (one.path, one._journal):
                path.unlink(missing_ok=True)

    def _set_aside(self):
        if self._damage and os.path.lexists(self.path):
            aside, number = self.path.with_name(f"{self.path.name}.damaged"), 1
            while os.path.lexists(aside):
                aside, number = self.path.with_name(f"{self.path.name}.damaged-{number}"), number + 1
            with writing(aside):
                self.path.rename(aside)
            logging.getLogger("jsr").warning("%s: is damaged %s; set aside as %s, and begun anew: files that are "
                                             "there stay, unless --overwrite", self.path, self._damage, aside.name)
        self._damage = ""

    def _locked(self):
        return locked(self.path.with_name(hidden_name(self.path, ".lock")))

    def _refresh(self):
        """Reads new entries; again where another process has worked the journal in meanwhile."""
        while True:
            stamp = _stamp(self.path)
            if stamp != self._stamp:
                self._tables, self._stamp, self._read = self._content(), stamp, 0
            with contextlib.suppress(FileNotFoundError, NotADirectoryError), open(self._journal, "rb") as file:
                file.seek(self._read)
                for line in file:
                    if not line.endswith(b"\n"):  # is being written
                        break
                    self._read += len(line)
                    with contextlib.suppress(ValueError, TypeError, RecursionError):  # empty, or cut off by a kill
                        table, name, entry = json.loads(line)
                        if table == "settings" or _is_entry(entry):
                            self._tables.setdefault(table, {})[name] = entry
            if _stamp(self.path) == stamp:
                return

    def _content(self):
        """The tables in the JSON file, {} where it is damaged."""
        if not os.path.lexists(self.path):
            return {}
        command, self._damage = self._head["command"], ""
        try:
            with from_json(self.path) as content:
                is_own = isinstance(content, dict) and content.get("command") == command
        except UserError as e:
            is_own = self.path.is_file() and (_SHARD.sub("", self.path.name) in _OWN_NAMES
                                              or f'"{command}"' in _begin(self.path))
            content, self._damage = {}, str(e).partition(": ")[2].removeprefix("a damaged file ") if is_own else ""
        if self._damage:
            return {}
        if not is_own:
            problem = f"exists and is no manifest of `{command}`"
        elif other := [key for key, value in self._head.items() if content.get(key) != value]:
            problem = f"is of the {other[0]} {content.get(other[0])}, not {self._head[other[0]]}"
        else:
            # What is text is of a head that who only reads does not know
            tables = {key: rows for key, rows in content.items() if key not in self._head and not isinstance(rows, str)}
            if all(isinstance(rows, dict) for rows in tables.values()) and all(
                    map(_is_entry, tables.get("files", {}).values())):
                return tables
            self._damage = "(its tables are none)"
            return {}
        if self._overwrite:
            return {}
        raise UserError(f"{self.path}: {problem}; choose another --out, or --overwrite")


def _is_entry(entry):
    """Whether a manifest's entry of a file has the form that the commands write."""
    texts = ("settings", "source", "file", "sha256", "source_sha256", "replaces")
    return isinstance(entry, dict) and all(entry[key] is None or isinstance(entry[key], str)
                                           for key in texts if key in entry)


def _begin(path):
    """The first characters of a file, "" if it cannot be read."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return file.read(_HEAD).decode(errors="replace")
    return ""


def made_in(folder):
    """The paths of all files that the manifests in a folder, of whichever of MANIFESTS, list as made."""
    made = set()
    for command, name in MANIFESTS.items():
        for path in in_folder(folder, name):
            with contextlib.suppress(UserError):
                files = Manifest(path, command, {}).table("files")
                made |= {Path(folder, entry.get("file", target)) for target, entry in files.items()}
    return made


def in_folder(folder, name):
    """The paths of a manifest of this name in a folder and of its shards', those that there are."""
    path = Path(folder, name)
    return [*([path] if os.path.isfile(path) else []), *_shards_of(path)]  # False too where the folder may not be read


def is_manifest(name):
    """Whether a file name in small letters is of a manifest, or of a shard's."""
    return _SHARD.sub("", name) in MANIFESTS.values()


def of_shard(path, shard):
    """The path of a shard's own manifest, beside that of all; `shard` None is the whole."""
    if shard is None:
        return path
    return path.with_name(f"{path.stem}.{shard.number}-of-{shard.count}{path.suffix}")


def _shards_of(path):
    """The files of shards beside a manifest, sorted."""
    with contextlib.suppress(OSError):
        return sorted(file for file in path.parent.iterdir() if file.name != path.name
                      and _SHARD.sub("", file.name) == path.name)
    return []


@contextlib.contextmanager
def only_shard(path, shard):
    """Holds a shard's part of a manifest for this process while the block runs; does nothing where `shard` is None.

    Args:
      path: path of the manifest, without the shard.
      shard: jsr.shards.Shard.

    Raises:
      UserError: another process is at work as this shard.
    """
    if shard is None:
        yield
        return
    path = of_shard(Path(path), shard)
    with locked(path.with_name(hidden_name(path, ".work")), busy=lambda: (
            f"--shard {shard}: another process is at work as this shard in {path.parent}; give each its own number")):
        yield


@contextlib.contextmanager
def making(path, *, waiting=lambda: None):
    """Holds the place of one file while it is made, so that no other process makes it at the same time.

    Args:
      path: the place.
      waiting: see `locked`.
    """
    path = Path(path)
    with locked(path.with_name(hidden_name(path, ".lock")), waiting=waiting):
        remove_rests(path)
        yield


@contextlib.contextmanager
def only_one(folder, what):
    """Holds a folder, which is made, for this process while the block runs; a process that dies lets go of it.

    Args:
      folder: as a run's.
      what: names the work in messages, as in "training".

    Raises:
      UserError: another process holds it, who is named; or its file system has no locks.
    """
    path = Path(folder) / ".lock"

    def busy():
        with contextlib.suppress(OSError):
            if holder := path.read_text(encoding="utf-8").strip():
                return f" ({holder})"
        return ""

    with locked(path, needed=True, busy=lambda: f"{folder}: another {what} is at work there{busy()}; "
                "wait for its end, or choose another --workdir"):
        with contextlib.suppress(OSError):
            path.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield


@contextlib.contextmanager
def locked(path, *, busy=None, needed=False, waiting=lambda: None):
    """Holds a lock, a file that is there meanwhile, as long as the block runs and the process lives.

    Args:
      path: path of the lock; missing parent folders are made.
      busy: function that gives the message of the UserError where another holds it; None waits.
      needed: whether a file system without locks is an error; else it is said once, and the block runs.
      waiting: called now and then while it waits; what it raises ends that.

    Raises:
      UserError: held by another, no locks, or the place cannot be written.
    """
    import filelock  # reading pictures does without

    lock = filelock.FileLock(path, fallback_to_soft=False, poll_interval=_POLL_S)
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT))  # where none can be made, the library would try for ever
        try:
            lock.acquire(blocking=busy is None, cancel_check=waiting)
        except filelock.Timeout:
            raise UserError(busy()) from None
        except (OSError, NotImplementedError):  # file systems say by many errors that they have no locks
            os.close(os.open(path, os.O_RDWR | os.O_CREAT))  # raises where it is the file that cannot be made
            _have_no_locks(path.parent, needed)
            lock = None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()  # while it is held: who waits for it sees that this file is gone, and makes a new one
        if lock is not None:
            lock.release()


_warned = set()


def _have_no_locks(folder, needed):
    if needed:
        raise UserError(f"{folder}: its file system has no locks, so that two processes could spoil each other's work; "
                        "choose a folder on another file system")
    if folder not in _warned:
        _warned.add(folder)
        logging.getLogger("jsr").warning("%s: its file system has no locks; let one command at a time write there",
                                         folder)


def _stamp(path):
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size

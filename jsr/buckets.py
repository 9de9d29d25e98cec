"""Files and folders on cloud storage, gs:// and s3://, used through copies on this machine.

Such storage has no locks, renames and memory maps. So a model file and a dataset are used from a copy in the user's
cache folder, and a run trains in such a copy, whose finished files are sent as it goes.
"""

import contextlib
import hashlib
import json
import logging
import os
from pathlib import Path
import secrets
import shutil
import signal
import threading

from jsr import places, results
from jsr.errors import UserError
from jsr.files import atomic_write

log = logging.getLogger("jsr")

_LIST = "jsr-mirror.json"  # names the files of a run on the storage; other files there are not the run's
_PERIOD_S = 60.0  # between two sendings
_PACKAGES = {"gs": "gcsfs", "gcs": "gcsfs", "s3": "s3fs"}
_AT_WORK = (".part", ".lock")  # endings of what another call is writing


def file(url):
    """The Path of the local copy of a model file, which lies in a folder called by the hash of its content.

    Args:
      url: as "gs://bucket/model.safetensors".

    Raises:
      UserError: there is no such file, it cannot be read, or the library for such storage is not installed.
    """
    with _said(url):
        path = _path(url)
        if path.is_dir():
            raise UserError(f"{url}: is a folder; name the model file in it, as {url.rstrip('/')}/best.safetensors")
        data = path.read_bytes()  # each time: not every storage tells when a file was changed
        copy = _cache() / hashlib.sha256(data).hexdigest()[:16] / path.name
        if not copy.exists():
            with atomic_write(copy) as out:
                out.write(data)
    return copy


def datasets(url, names, *, announce=lambda line: None):
    """The Path of a local folder with copies of the datasets that lie in a folder on cloud storage.

    What was copied before and is still of the same size stays. A dataset that is not there is left out.

    Args:
      url: as "gs://bucket/data", with folders as `jsr build` makes them.
      names: of the datasets, as "div2k/aim22_t1"; paths on this machine are left out.
      announce: called with a line for each dataset that is copied.

    Raises:
      UserError: the storage cannot be read, or the library for it is not installed.
    """
    here = _cache() / _digest(url)
    with _said(url):
        for name in names:
            if name.startswith(("/", ".", "~")):
                continue
            place = _path(url) / name
            missing = [(path, here / name / relative) for relative, path, size in _below(place)
                       if not _has_size(here / name / relative, size)] if place.is_dir() else []
            if missing:
                announce(f"copying {len(missing)} files of {url.rstrip('/')}/{name} to {here}")
            for path, copy in missing:
                with atomic_write(copy) as out, path.open("rb") as source:
                    shutil.copyfileobj(source, out, 1 << 22)
    return here


@contextlib.contextmanager
def mirrored(url, *, period=_PERIOD_S):
    """Yields the Path of a local folder that is kept up on cloud storage while the block runs, and at its end.

    A folder that is there is fetched first, unless this machine's copy is the one that was sent last. Finished files
    are sent every `period` seconds: those of checkpoints first, then the others, then the list of all, so that the
    storage holds a whole run at any time. A sending that fails is said and tried again. Where another process has taken
    the folder over, this one is sent SIGTERM.

    Args:
      url: as "gs://bucket/run".
      period: seconds between two sendings.

    Raises:
      UserError: the folder is not a run's, or the storage cannot be read or, at the end, be written.
    """
    mirror = _Mirror(url, places.cache("runs") / _digest(url))
    with results.locked(mirror.here.with_suffix(".lock"), needed=True, busy=lambda: (
            f"{url}: another training is at work there; wait for its end, or choose another --workdir")):
        with _said(url):
            mirror.fetch()
        ended = threading.Event()
        thread = threading.Thread(target=mirror.keep, args=(ended, period), name="mirror", daemon=True)
        thread.start()
        try:
            yield mirror.here
        finally:
            ended.set()
            thread.join()
            if not mirror.lost:
                with _said(url, f"cannot be written; the run is in {mirror.here}, and the same command sends it again"):
                    mirror.send()


class _Mirror:
    """A folder on cloud storage and its copy `here`; `lost` once another process has taken it over."""

    def __init__(self, url, here):
        self.url, self.here, self.lost = url, here, False
        self._token, self._sent = secrets.token_hex(8), {}

    def fetch(self):
        """Fetches the run from the storage, unless the copy is as new, and takes the folder over."""
        there, mine = self._list(), self.here / f".{_LIST}"
        if there is None and _path(self.url).is_dir() and any(_below(_path(self.url))):
            raise UserError(f"{self.url}: holds files, but no run that jsr sent there; name an empty folder")
        if there and (not mine.exists() or mine.read_text(encoding="utf-8") != there["owner"]):
            log.info("fetching the run in %s to %s", self.url, self.here)
            shutil.rmtree(self.here, ignore_errors=True)
            for name in there["files"]:
                with atomic_write(self.here / name) as out:
                    out.write((_path(self.url) / name).read_bytes())
                self._sent[name] = _stamp(self.here / name)
        self._write_list(sorted(there["files"] if there else []))

    def keep(self, ended, period):
        """Sends until `ended` is set."""
        failed = False
        while not ended.wait(period) and not self.lost:
            try:
                self.send()
                failed = False
            except Exception as e:  # no network, no rights any more
                if not failed:
                    log.warning("%s: could not be written (%s); it is tried again every %.0f s", self.url,
                                (str(e).splitlines() or [type(e).__name__])[0], period)
                failed = True

    def send(self):
        """Sends the finished files that were not sent, lists them, and removes those that are gone here."""
        there = self._list()
        if there is None or there["owner"] != self._token:
            self.lost = True
            log.warning("%s: another process has taken this run over, so that this one ends", self.url)
            signal.raise_signal(signal.SIGTERM)
            return
        names = sorted(self._finished(), key=lambda name: ("checkpoints" not in Path(name).parts, name))
        kept = []
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # an old checkpoint goes at any time
                stamp = _stamp(self.here / name)
                if self._sent.get(name) != stamp:
                    data = (self.here / name).read_bytes()
                    (_path(self.url) / name).parent.mkdir(parents=True, exist_ok=True)
                    (_path(self.url) / name).write_bytes(data)
                    self._sent[name] = stamp
                kept.append(name)
        if set(kept) != set(there["files"]):
            self._write_list(kept)
        for name in set(there["files"]) - set(kept):
            self._sent.pop(name, None)
            with contextlib.suppress(FileNotFoundError):
                (_path(self.url) / name).unlink()

    def _finished(self):
        """The files here but those that are being written, by their names below the folder."""
        for folder, inner, names in os.walk(self.here):
            inner[:] = [name for name in inner if ".orbax-checkpoint-tmp" not in name]
            for name in names:
                if not name.endswith(_AT_WORK) and name != f".{_LIST}":
                    yield Path(folder, name).relative_to(self.here).as_posix()

    def _list(self):
        """What the list on the storage says, {"owner": token, "files": names}; None where there is none."""
        try:
            return json.loads((_path(self.url) / _LIST).read_bytes())
        except FileNotFoundError:
            return None

    def _write_list(self, names):
        _path(self.url).mkdir(parents=True, exist_ok=True)
        (_path(self.url) / _LIST).write_bytes(json.dumps({"owner": self._token, "files": names}).encode())
        with atomic_write(self.here / f".{_LIST}", "w") as out:
            out.write(self._token)


def _path(url):
    from etils import epath

    return epath.Path(url)


def _below(place):
    """Yields (name below a folder, path, bytes) of its files."""
    for path in sorted(place.iterdir()):
        if path.is_dir():
            yield from ((f"{path.name}/{name}", inner, size) for name, inner, size in _below(path))
        else:
            yield path.name, path, path.stat().length


def _cache():
    return places.cache("remote")


def _digest(url):
    return hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]


def _has_size(path, size):
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _stamp(path):
    found = path.stat()
    return found.st_mtime_ns, found.st_size


@contextlib.contextmanager
def _said(url, trouble="cannot be read"):
    """Turns what the libraries of a cloud raise in the block into a UserError."""
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{url}: no such file") from None
    except ImportError as e:  # fsspec's words name the package
        package = _PACKAGES.get(str(url).partition(":")[0])
        hint = f" (pip install {package})" if package else ""
        raise UserError(f"{url}: {str(e).partition(chr(10))[0]}{hint}") from e
    except Exception as e:  # no permission, no network, no bucket
        words = (str(e).strip().splitlines() or [""])[0]
        raise UserError(f"{url}: {trouble} ({type(e).__name__}: {words})") from e

"""Writes files beside their place and renames them into it, so that nobody reads an unfinished file."""

import contextlib
import errno
import filecmp
import functools
import hashlib
import json
import operator
import os
from pathlib import Path
import re
import stat
import tempfile

from jsr.errors import FileError, UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# Brands of pictures in the container that MP4 and MOV are, too
_STILLS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"mif2", b"crx ")
_REMOTE = re.compile(r"(gs|gcs|s3|az|abfs|abfss|hdfs):/")
_PART = ".part"  # ending of what is being written


@contextlib.contextmanager
def atomic_write(path, mode="wb", *, replace=True, before=lambda temporary: None):
    """Opens a temporary file beside `path` and renames it to `path` when the block ends well.

    A device or a pipe is written to as it is: nothing can be renamed into its place.

    Args:
      path: place of the finished file; missing parent folders are made.
      mode: "wb", "w+b" or "w" (UTF-8).
      replace: whether a file that is there may go; else it stays, which is an error unless it has the same bytes.
      before: called with the path of the temporary file when that is whole, before it is renamed.

    Yields:
      The open file.

    Raises:
      UserError: the place cannot be written (permission, full disk), or is taken; nothing is left behind.
    """
    refuse_remote(path)
    path = Path(path)
    if is_stream(path):
        with writing(path), open(path, mode.replace("+", ""), encoding=None if "b" in mode else "utf-8") as file:
            yield file
        return
    temporary = held = None
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = _temporary(path)
            held = fcntl and os.dup(handle)  # and with it the lock, until the file has its name
            if hasattr(os, "fchmod"):
                os.fchmod(handle, 0o666 & ~_umask())
            with open(handle, mode, encoding=None if "b" in mode else "utf-8") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            before(temporary)
            if replace:
                os.replace(temporary, path)
                temporary = None
            else:
                _put(temporary, path)
    finally:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        if held is not None:
            os.close(held)


def remove_rests(path):
    """Removes what killed processes left half-written beside `path`; those still at work on it must not be."""
    path = Path(path)
    for rest in (path.with_name(hidden_name(path, _PART)), *path.parent.glob(f"{_prefix(path)}*{_PART}")):
        rest.unlink(missing_ok=True)


def _temporary(path):
    """(descriptor, path) of a file beside `path` to write to, with private permissions.

    It is the same one every time, locked while it is written, so that what a killed process left is used up by the
    next; where another process is at work on `path`, or there are no locks, it has a name of its own.
    """
    place = path.with_name(hidden_name(path, _PART))
    with contextlib.suppress(OSError):
        if not fcntl:
            raise OSError("no locks")
        handle = os.open(place, os.O_RDWR | os.O_CREAT | _flags("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK"), 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            here = os.fstat(handle)
            # Another process may have given it its name meanwhile, or was killed as it did
            if os.path.samestat(here, os.stat(place, follow_symlinks=False)) and stat.S_ISREG(here.st_mode):
                if here.st_nlink == 1:
                    os.ftruncate(handle, 0)
                    return handle, str(place)
                os.unlink(place)
        except OSError:
            pass
        os.close(handle)
    return tempfile.mkstemp(prefix=_prefix(path), suffix=_PART, dir=path.parent)


def _flags(*names):
    """Those flags of os.open that the system has, as one number."""
    return functools.reduce(operator.or_, (getattr(os, name, 0) for name in names))


def refuse_existing(path):
    """Raises UserError where `path` is taken, by whatever."""
    if os.path.lexists(path) and not is_stream(path):
        raise UserError(f"{path}: exists and stays as it is; name another file, or add --overwrite to replace it")


def is_stream(path):
    """Whether a path names a device, a pipe or a socket."""
    try:
        kind = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


def no_folder(path):
    """The reason why a path is no folder, in words."""
    if os.path.isfile(path):
        return "is a file, and a folder is wanted here; name the one that it lies in, or put it into one"
    return "no such folder"


def is_remote(word):
    """Whether a word names a place on cloud storage, "gs://bucket/run"; of a Path of one, too, which has one slash."""
    return bool(_REMOTE.match(os.fspath(word)))


def refuse_remote(word):
    """Raises UserError where a word names a place on cloud storage."""
    if is_remote(word):
        raise UserError(f"{word}: is on cloud storage, which has no locks, renames and memory maps; only model files, "
                        "the --workdir of a training and its data_dir may lie there. Use a local folder and copy it, "
                        "for example by gcloud storage cp -r, or mount the bucket, for example by gcsfuse")


def starts_as_clip(head):
    """Whether a file that starts with these bytes, 16 or more, is a clip: by the marks of the common containers."""
    return (head[4:8] == b"ftyp" and head[8:12] not in _STILLS and not head[8:11] == b"jxl"
            or head.startswith((b"\x1aE\xdf\xa3", b"FLV\x01", b"OggS", b"\x00\x00\x01\xba", b"0&\xb2u\x8ef\xcf\x11"))
            or head[:4] == b"RIFF" and head[8:12] == b"AVI ")


_UNREAD = (  # how files begin that have a picture's ending, or are pictures, and that nothing here reads
    *((start, f"is {what}, which cannot be read; convert it to PNG") for start, what in (
        (b"%PDF", "a PDF document"), (b"<svg", "an SVG drawing"), (b"<?xml", "an XML document"),
        (b"v/1\x01", "an OpenEXR picture"), (b"#?RADIANCE", "a Radiance HDR picture"),
        (b"#?RGBE", "a Radiance HDR picture"), (b"PF\n", "a picture of floats (PFM)"),
        (b"Pf\n", "a picture of floats (PFM)"), (b"P7\n", "a PAM picture"), (b"DDS ", "a texture (DDS)"),
        (b"II\xbc", "a JPEG XR picture"), (b"gimp xcf", "a drawing of GIMP"), (b"SIMPLE  =", "a FITS picture"),
        (b"FUJIFILMCCD-RAW", "a camera's raw file"), (b"\0\0\0\x18ftypcrx", "a camera's raw file"))),
    (b"version https://git-lfs", "is a note of Git LFS in the place of a file; `git lfs pull` brings that"),
    (b"PK\3\4", "is a ZIP archive; unpack it"),
    *((start, "is a page of the web in the place of a file; get that by its download link")
      for start in (b"<!DOCTYPE", b"<!doctype", b"<html", b"<HTML")))
_A_CLIP = "is a clip, not a picture; where clips are taken, too, its ending must be one's, as .mp4 or .mkv"


def no_picture(head):
    """What a file is that is no picture for here, by its first 64 bytes, and what to do; "" where they do not tell."""
    if starts_as_clip(head):
        return _A_CLIP
    return next((said for start, said in _UNREAD if head.lstrip().startswith(start)), "")


@contextlib.contextmanager
def writing(path):
    """Turns an OSError of the block into a UserError that says why `path` cannot be written."""
    try:
        yield
    except OSError as e:
        raise UserError(f"{path}: cannot be written: {_reason(e)}") from e


def open_file(path):
    """Opens a file for reading in binary, and never waits: a pipe or a device is none.

    Raises:
      FileError: it is a pipe, a device or a socket.
      OSError: see `open`.
    """
    if is_stream(path):  # not even opened, which some devices take for an order
        raise FileError(f"{path}: is a pipe or device, not a file; copy it into a file first")
    handle = os.open(path, os.O_RDONLY | _flags("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))  # one may have come since
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return open(handle, "rb")


@contextlib.contextmanager
def from_json(path, advice=""):
    """Gives a block the value in a JSON file that jsr has written.

    Args:
      path: path of the file.
      advice: advice on a missing or damaged file; ends the message.

    Yields:
      The value. What the block raises of a value that is not as it was written (KeyError, TypeError...) is damage too.

    Raises:
      UserError: no such file, it cannot be read, or it is damaged.
    """
    end = f"; {advice}" if advice else ""
    try:
        with open_file(path) as file:
            found = json.load(file)
        yield found
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path}: no such file{end}") from None
    except OSError as e:
        raise UserError(f"{path}: cannot be read: {e.strerror or e}") from e
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as e:
        what = f"has no {e}" if isinstance(e, KeyError) else e
        raise UserError(f"{path}: a damaged file ({what}){end}") from e


def json_rows(path):
    """The objects in a file of JSON lines, [dict], and how many of its whole lines are damaged; [] of no such file."""
    rows, damaged = [], 0
    try:
        with open_file(path) as file:
            for line in file:
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError):
                    row = None
                if isinstance(row, dict):
                    rows.append(row)
                else:
                    damaged += line.endswith(b"\n")  # else a kill cut it off
    except FileNotFoundError:
        pass
    return rows, damaged


def sha256(path):
    """The SHA-256 sum of a file, in hexadecimal; None where it cannot be read, or is none."""
    try:
        with open_file(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, UserError):
        return None


def hidden_name(path, ending):
    """The name of a hidden file that belongs to `path`: short, for names may have no room for more."""
    return f".{hashlib.sha256(os.fsencode(Path(path).name)).hexdigest()[:16]}{ending}"


def _prefix(path):
    return hidden_name(path, ".")


def _put(temporary, path):
    """Gives a whole file its name, unless that is taken by one with other bytes."""
    try:
        os.link(temporary, path)  # fails where the name is taken, which a rename does not
    except FileExistsError:
        if not path.is_file() or not filecmp.cmp(temporary, path, shallow=False):
            refuse_existing(path)
    except OSError:  # a file system without hard links
        refuse_existing(path)
        os.rename(temporary, path)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _reason(e):
    if e.errno == errno.ENOSPC:
        return "the disk is full; free some space and run the command again"
    if e.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "no permission; choose another folder or change its permissions"
    return os.strerror(e.errno) if e.errno else str(e)

"""Files are written beside their place and renamed into it, so that nobody ever meets half of one."""

import contextlib
import errno
import hashlib
import os
from pathlib import Path
import tempfile

from jsr.errors import UserError


@contextlib.contextmanager
def atomic_write(path, mode="wb"):
    """Opens a temporary file beside `path` and renames it to `path` when the block ends well.

    Args:
      path: where the finished file goes; missing parent folders are made.
      mode: "wb" or "w" (UTF-8).

    Yields:
      The open file.

    Raises:
      UserError: the place cannot be written (permission, full disk); nothing is left behind.
    """
    path = Path(path)
    temporary = None
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
            # mkstemp makes private files; the finished one gets the permissions that open() would have given.
            os.fchmod(handle, 0o666 & ~_umask())
            with open(handle, mode, encoding=None if "b" in mode else "utf-8") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            temporary = None
    finally:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


@contextlib.contextmanager
def writing(path):
    """Turns an OSError of the block into a UserError that says why `path` cannot be written."""
    try:
        yield
    except OSError as e:
        raise UserError(f"{path}: cannot be written: {_reason(e)}") from e


def sha256(path):
    """The SHA-256 sum of a file, in hexadecimal; None where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


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

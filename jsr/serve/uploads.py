"""Files that a person has dropped into the page, in a temporary folder of this process, each under an id."""

import contextlib
import dataclasses
import os
from pathlib import Path
import secrets
import shutil
import tempfile
import threading
import time

import filelock

from jsr import clips, pictures
from jsr.errors import UserError
from jsr.serve import views

MOST_BYTES = 8 << 30  # of one file
MOST_PIXELS = 400_000_000  # of all frames of a picture, of one frame of a clip
MOST_FILES = 5000
_PREFIX, _LOCK = "jsr-serve-", ".lock"
_YOUNG = 60  # s, in which a folder may have no lock yet
_NAME_BYTES = 180  # of a file name: results' are longer


@dataclasses.dataclass(frozen=True)
class Source:
    """One picture or clip.

    Attributes:
      id: id by which the page names it.
      name: name of the file, as the person has it.
      within: folders it was dropped with, "" of none, as "holiday/beach".
      path: path of the file here.
      format: "png", "jpeg"... or, of clips, the codec.
      height, width: px, upright.
      frames: number of frames of the picture or clip.
      bits: bits per channel.
      bytes: size of the file.
      clip: whether it is one.
    """

    id: str
    name: str
    within: str
    path: Path
    format: str
    height: int
    width: int
    frames: int
    bits: int
    bytes: int
    clip: bool


class Shelf:
    """Sources in a temporary folder, which goes with the process; folders that killed ones left go too.

    Attributes:
      folder: folder for all files of this process; others on this machine may not look into it.
      sources: {id: Source}, in the order in which they came.
    """

    def __init__(self):
        remove_leftovers()
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = filelock.FileLock(self.folder / _LOCK, thread_local=False)  # it is let go by another
        self._lock.acquire()
        self.sources: dict[str, Source] = {}
        self._coming, self._mutex = 0, threading.Lock()

    def close(self):
        """Removes the folder, once."""
        if self._lock.is_locked:
            self._lock.release()
            shutil.rmtree(self.folder, ignore_errors=True)

    def new_folder(self):
        """(id, path) of a new empty folder."""
        name = secrets.token_hex(8)
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        return name, folder

    async def take(self, name, within, length, parts):
        """Takes one file in.

        Args:
          name: name of the file, as a browser gives it; what is no part of a plain file name goes.
          within: folders, likewise.
          length: bytes that are promised, None where nothing is.
          parts: asynchronous iterable of bytes.

        Returns:
          The Source.

        Raises:
          UserError: too many bytes, pixels or files; no picture or clip that can be read; the disk is full.
        """
        name = plain(name) or "picture"
        with self._mutex:
            if len(self.sources) + self._coming >= MOST_FILES:
                raise UserError(f"{name}: the page holds {MOST_FILES:,} files already; remove some, or use "
                                "`jsr upscale`")
            self._coming += 1
        identity, folder = self.new_folder()
        path, kept = folder / name, False
        try:
            await self._write(path, name, length, parts)
            source = await _in_thread(_inspected, identity, path, "/".join(filter(None, map(plain, within.split("/")))))
            self.sources[identity] = source
            kept = True
            return source
        except UserError as e:
            raise UserError(told(e, folder)) from e
        finally:
            with self._mutex:
                self._coming -= 1
            if not kept:
                shutil.rmtree(folder, ignore_errors=True)

    async def _write(self, path, name, length, parts):
        room = min(MOST_BYTES, shutil.disk_usage(self.folder).free // 2)
        bound = f"{room / 1e9:,.1f} GB" if room >= 1e9 else f"{room / 1e6:,.1f} MB"
        why = "" if room == MOST_BYTES else ", half of what the disk of temporary files has free"
        too_much = UserError(f"{name}: has more than the {bound} that the page takes{why}; use `jsr upscale`")
        if length is not None and length > room:
            raise too_much
        taken = 0
        with open(path, "xb") as file:
            async for part in parts:
                taken += len(part)
                if taken > room:
                    raise too_much
                try:
                    file.write(part)
                except OSError as e:
                    raise UserError(f"{name}: cannot be kept: {e.strerror}; free some space") from e
        if length is not None and taken != length:
            raise UserError(f"{name}: only {taken:,} of {length:,} bytes came; drop it again")

    def remove(self, identity):
        """Removes a source and its file, which may be gone already."""
        if source := self.sources.pop(identity, None):
            shutil.rmtree(source.path.parent, ignore_errors=True)


async def _in_thread(function, *args):
    from starlette.concurrency import run_in_threadpool

    return await run_in_threadpool(function, *args)


def _inspected(identity, path, within):
    """The Source of a file, by its header."""
    size = path.stat().st_size
    if clips.is_clip(path):
        clip = clips.inspect(path, most_pixels=MOST_PIXELS)
        return Source(identity, path.name, within, path, clip.codec, clip.height, clip.width, clip.packets, clip.bits,
                      size, True)
    with pictures.open_picture(path, most_pixels=MOST_PIXELS) as picture:
        if picture.height * picture.width * picture.frames > MOST_PIXELS:
            raise UserError(f"{path}: has {picture.frames:,} frames of {picture.width:,} x {picture.height:,} pixels, "
                            f"more than the {MOST_PIXELS / 1e6:,.0f} million in all that the page takes")
        source = Source(identity, path.name, within, path, picture.format, picture.height, picture.width,
                        picture.frames, picture.bit_depth, size, False)
    views.thumbnail(path, path.parent / views.THUMBNAIL)  # what is damaged is refused now
    return source


def plain(name):
    """A text from elsewhere as the name of a file or folder: no path, not hidden, printable; "" of nothing."""
    name = name.replace("\\", "/").rpartition("/")[2]
    name = "".join(letter if letter.isprintable() else "_" for letter in name).strip().lstrip(".")
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending) > 10:
        stem, dot, ending = name, "", ""
    room = _NAME_BYTES - len((dot + ending).encode())
    return stem.encode("utf-8", "replace")[:room].decode("utf-8", "ignore") + dot + ending


def told(error, *folders):
    """The text of an error, or note, without the folders of this process."""
    text = str(error)
    for folder in folders:
        text = text.replace(f"{folder}{os.sep}", "")
    return text


def remove_leftovers():
    """Removes what killed servers of this user left; folders of those that live are locked."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            here = folder.lstat()
            own = here.st_uid == os.getuid() if hasattr(os, "getuid") else True
            if not own or folder.is_symlink() or not folder.is_dir():
                continue
            if not (folder / _LOCK).exists():
                if time.time() - here.st_mtime > _YOUNG:
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            with contextlib.suppress(filelock.Timeout), filelock.FileLock(folder / _LOCK, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)

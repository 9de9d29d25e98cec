"""The finished part of a clip: closed segments of whole groups of pictures, and a journal of their sources."""

import contextlib
from pathlib import Path
import shutil

from jsr import results
from jsr.clips import colour, read, spec
from jsr.errors import UserError
from jsr.files import hidden_name, sha256, writing
from jsr.native import pyav

JOURNAL = "segments.json"
_COMMAND = "jsr upscale"


def folder_of(target):
    """The hidden folder beside a result where its segments lie until it is whole."""
    target = Path(target)
    return target.with_name(hidden_name(target, ".segments"))


class Segments:
    """The finished segments of one result, which a killed run leaves and the next one goes on from.

    Args:
      target: path of the result.
      source_sha256, settings: hashes of what it is made of and how.
      overwrite: whether segments of another source, or with other settings, may go.

    Raises:
      UserError: there are such segments; the folder cannot be written.
    """

    def __init__(self, target, source_sha256, settings, *, overwrite=False):
        self.folder = folder_of(target)
        head = {"source_sha256": source_sha256, "settings": settings}
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._journal = results.Manifest(self.folder / JOURNAL, _COMMAND, head)
        except UserError:
            if not overwrite:
                raise UserError(f"{target}: was begun of another file, or with other options, and its finished parts "
                                f"are in {self.folder}; run that command to its end, remove that folder, or "
                                "--overwrite") from None
            shutil.rmtree(self.folder)
            self.folder.mkdir()
            self._journal = results.Manifest(self.folder / JOURNAL, _COMMAND, head)
        self._journal.save()
        self.finished = {int(name): entry for name, entry in self._journal.table("segments").items()
                         if entry["sha256"] == sha256(self.path(int(name)))}

    def path(self, number):
        """The file of a segment."""
        return self.folder / f"{number:06d}.mkv"

    def add(self, number, times, duration):
        """Enters a segment whose file is whole.

        Args:
          number: number of the segment, from 0.
          times: times of its frames, ticks of the source.
          duration: duration of its last frame, ticks; 0 is not known.
        """
        entry = {"times": times, "duration": duration, "sha256": sha256(self.path(number))}
        self._journal.add("segments", str(number), entry)
        self.finished[number] = entry

    def remove(self):
        """Removes all, once the result is whole."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Writer:
    """Encodes frames into the segments of a result, in order; a context manager.

    Args:
      segments: Segments.
      clip: jsr.clips.read.Clip.
      how: jsr.clips.spec.Spec.
    """

    def __init__(self, segments, clip, how):
        self._segments, self._clip, self._how = segments, clip, how
        self._number = self._output = None

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self._close()
        elif self._output is not None:
            with contextlib.suppress(Exception):  # the one that ends this block says more
                self._output.close()
            self._partial.unlink(missing_ok=True)
        if kind is not None and not self._segments.finished:
            self._segments.remove()

    def write(self, shown, image):
        """Encodes the result of one frame.

        Args:
          shown: jsr.clips.read.Shown; all of one segment come one after the other.
          image: float32 (H, W, C) in [0, 1].
        """
        number, place = divmod(shown.index, spec.SEGMENT)
        if number != self._number:
            self._close()
            self._open(number)
        how = self._how
        image = _padded(image, how.height, how.width)
        with self._told():
            carrier = colour.moved(shown.frame, how.pix_fmt, (how.height, how.width), flags="neighbor")
            frame = colour.from_rgb(image, how.pix_fmt, self._clip.colours, carrier)
            frame.pts, frame.time_base = place, self._video.codec_context.time_base
            frame.pict_type = 0
            self._output.mux(self._video.encode(frame))
        self._times.append(shown.time)
        self._duration = shown.duration

    def _open(self, number):
        self._number, self._times, self._duration = number, [], 0
        self._partial = self._segments.path(number).with_suffix(".part")
        with self._told():
            self._output = pyav("a clip").open(read.address(self._partial), "w", format="matroska")
            self._video = spec.add_video(self._output, self._clip, self._how)
            spec.start(self._output)

    def _close(self):
        if self._output is None:
            return
        from jsr.degradations import _video  # with which all degradations come

        with self._told():
            self._output.mux(_video.drained(self._video, len(self._times)))
            self._output.close()
            self._output = None
            self._partial.replace(self._segments.path(self._number))
        self._segments.add(self._number, self._times, self._duration)

    @contextlib.contextmanager
    def _told(self):
        """Turns what FFmpeg says into a UserError."""
        error = pyav("a clip").error
        with writing(self._partial):
            try:
                yield
            except error.FFmpegError as e:
                if isinstance(e, OSError):
                    raise
                raise UserError(f"{self._clip.path}: {self._how.encoder} failed: {e.strerror or e}; choose another "
                                "--codec") from e


def _padded(image, height, width):
    """An image with its last row and column repeated up to a size."""
    import numpy as np

    below, right = height - image.shape[0], width - image.shape[1]
    return np.pad(image, ((0, below), (0, right), (0, 0)), mode="edge") if below or right else image

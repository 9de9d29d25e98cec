"""Clips held against clips: video files, or folders with an image for every frame; and the scores of one pair."""

from collections.abc import Iterator
import itertools
from pathlib import Path
import re

import numpy as np

from jsr import degradations, images, listing, metrics
from jsr.degradations import _video
from jsr.degradations.degrade_folder import VIDEOS, record_of
from jsr.degradations.enlarge import enlarge
from jsr.errors import FileError, UserError
from jsr.files import no_folder

_UNSPECIFIED = 2  # FFmpeg's number of a colour space that a stream does not tell
FPS = 25  # of folders of images, which tell none
_LEAST = {"x265": 2, "hm": 8}  # what sides of LR clips are multiples of, px


def list_clips(place, passed):
    """The clips of a place: video files at any depth, and folders that hold images themselves.

    Args:
      place: a folder, or one video file.
      passed: jsr.listing.PassedOver, to which all that is no clip is added.

    Returns:
      [Path], sorted; the place alone where it is a clip itself.

    Raises:
      UserError: there is no such file or folder, or no clip in it; images beside the folders of others.
    """
    place = Path(place)
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise UserError(f"{place}: {no_folder(place)}")
    found = listing.taken(place, (*VIDEOS, *images.EXTENSIONS), passed)
    clips = sorted({path if path.suffix.lower() in VIDEOS else path.parent for path in found})
    if not clips:
        raise UserError(f"{place}: no clips in it" + (f" ({passed})" if passed.kinds else ""))
    if place in clips and len(clips) > 1:
        raise UserError(f"{place}: holds images beside clips; put the frames of each clip into a folder of its own")
    return clips


class Frames:
    """The frames of a clip one after the other, uint8 (H, W, 3); decoded anew each time that it is iterated.

    A video becomes RGB as `ffmpeg -i FILE %3d.png` makes it (jsr.degradations._video.to_rgb), which is how AIM 2022
    judged. The images of a folder come in the order of the numbers in their names.

    Args:
      path: path of the video file or the folder.
      like: Frames whose colours are those of a video that tells none; None takes the converter's, BT.601.

    Attributes:
      colours: (colour space, range) of the frame that was given last, FFmpeg's numbers; None of images.
    """

    def __init__(self, path, like=None):
        self._path, self._like, self.colours = Path(path), like, None

    def __iter__(self) -> Iterator[np.ndarray]:
        if self._path.is_dir():
            yield from map(images.read_rgb, frame_files(self._path))
            return
        for frame in _video.decode(_bytes_of(self._path), None, self._path):
            if any(component.bits != 8 for component in frame.format.components):
                raise FileError(f"{self._path}: is {frame.format.name}, but only clips of 8 bit are scored; convert "
                                "it, or make a folder of PNG images of it")
            if frame.colorspace == _UNSPECIFIED and self._like and self._like.colours:
                frame.colorspace, frame.color_range = self._like.colours
            self.colours = int(frame.colorspace), int(frame.color_range)
            yield _video.to_rgb(frame)

    def yuv(self, multiple):
        """(the clip in YUV 4:2:0, cropped to multiples, frames a second), see `jsr.degradations._video`."""
        if self._path.is_dir():
            yuv, fps = np.concatenate([_video.rgb_to_yuv(_cropped(frame, 2)[None]) for frame in self]), FPS
        else:
            yuv, fps = _video.read_clip(_bytes_of(self._path), self._path)
        return _video.crop_to_multiple(yuv, multiple), max(1, round(fps))


def named_frames(name, path):
    """Yields ("<name>/001", ...) of every frame of a clip: the Path of an image, of a video uint8 (H, W, 3)."""
    frames = frame_files(path) if path.is_dir() else Frames(path)
    yield from ((f"{name}/{number:03d}", frame) for number, frame in enumerate(frames, start=1))


def amiss(sr, lr, scale):
    """Mistakes of a clip made of an LR clip, lines, by its first frame and, for files, the number of frames."""
    counts = [len(frame_files(path)) for path in (sr, lr) if path.is_dir()]
    try:
        first = [next(iter(Frames(path)), None) for path in (sr, lr)]
    except UserError as e:
        return [str(e)]
    if first[0] is None or first[1] is None:
        return [f"{sr if first[0] is None else lr}: holds no frames; replace or remove it"]
    (height, width, _), (lr_height, lr_width, _) = first[0].shape, first[1].shape
    if (height, width) != (lr_height * scale, lr_width * scale):
        return [f"{sr}: is {height}x{width}, its LR {lr.name} {lr_height}x{lr_width} (height x width), not x{scale}"]
    if len(set(counts)) > 1:
        return [f"{sr}: holds {counts[0]} frames, its LR {lr.name} {counts[1]}"]
    return []


def frame_files(folder):
    """[Path] of the images in a folder, in the order of the numbers in their names."""
    def order(path):  # numbers as such: 2 comes before 10
        return [int(part) if index % 2 else part for index, part in enumerate(re.split(r"(\d+)", path.name))]

    return sorted((path for path in folder.iterdir() if path.suffix.lower() in images.EXTENSIONS), key=order)


def _bytes_of(path):
    try:
        return path.read_bytes()
    except OSError as e:
        raise FileError(f"{path}: cannot be read: {e.strerror}") from e


def score_clip(pair, *, keys, crop_border=0, scale=None, degradation="", fixed=None, baseline="bicubic",
               kernel="pillow_bicubic"):
    """Scores one clip frame by frame, and a plain upscaling beside it where there is an LR or something to make one.

    Args:
      pair: jsr.evaluation.score_folders.Pair of clips.
      keys, crop_border, degradation, fixed, baseline, kernel: see `jsr.evaluation.score_folders.score_pair`.
      scale: HR size over LR size; HR rows and columns beyond a multiple of twice it are cropped, bottom and right.

    Returns:
      What `score_pair` does, scores being means over the frames, and frames: {who: [{key: value}]}, of each frame.

    Raises:
      UserError: a clip that cannot be read, or of another number of frames; sizes that do not fit, too small for a
        metric.
    """
    hr, multiple = Frames(pair.hr), 2 * (scale or 1)
    lr, made = _lr(pair, hr, multiple, degradation, fixed or {})
    names, clips = (pair.sr, pair.hr), [Frames(pair.sr), hr]
    if lr is not None:
        names, clips = (*names, pair.lr or f"LR of {pair.hr}"), [*clips, lr]
    frames, before = {"ours": []} | ({baseline: []} if lr is not None else {}), {}
    whole = reference = None
    for count, given in enumerate(itertools.zip_longest(*clips)):
        sr, whole, *small = given
        if any(frame is None for frame in given):
            short, *_ = (name for name, frame in zip(names, given, strict=True) if frame is None)
            longer, *_ = (name for name, frame in zip(names, given, strict=True) if frame is not None)
            raise UserError(f"{short}: holds {count} frames, {longer} holds more; they must agree")
        reference = _cropped(whole, multiple if scale else 1, pair.hr)
        if sr.shape != reference.shape:
            raise UserError(f"{pair.sr}: is {_size(sr)}, its HR {pair.hr.name} {_size(reference)} (height x width); "
                            "they must agree")
        shown = {"ours": sr} | ({baseline: _enlarged(pair, small[0], reference, scale, kernel)} if small else {})
        try:
            for who, picture in shown.items():
                frames[who].append(metrics.frame_score(picture, reference, keys, crop_border, before=before.get(who)))
        except ValueError as e:
            raise UserError(f"{pair.sr}: {e}") from e
        before = {who: (picture, reference) for who, picture in shown.items()}
    if whole is None or reference is None:
        raise UserError(f"{pair.hr}: holds no frames; replace or remove it")
    return {"name": pair.name or pair.hr.stem, "sr": str(pair.sr), "hr": str(pair.hr),
            "cropped": _size(whole) if whole.shape != reference.shape else "", **made,
            **{who: metrics.clip_scores(rows, keys) for who, rows in frames.items()}, "frames": frames}


def _lr(pair, hr, multiple, degradation, fixed):
    """(the LR frames, iterable, None without; {"made": what made them})."""
    if pair.lr:
        made = {} if pair.lr.is_dir() else record_of(pair.lr, _bytes_of(pair.lr))
        return Frames(pair.lr, like=hr), {"made": made}
    if not degradation:
        return None, {}
    try:
        least = _LEAST[degradations.draw(degradation, **fixed)["steps"][-1].get("encoder", "x265")]
        yuv, fps = hr.yuv(multiple // 2 * least)
        degraded = degradations.degrade(degradation, yuv, seed=pair.hr.stem, **{"fps": fps, **fixed})
    except ValueError as e:
        raise UserError(f"{pair.hr}: {e}") from e
    return _shown(degraded.decode(), hr), {"made": degraded.record}


def _shown(yuv, like):
    """The frames of an LR clip in YUV in RGB, in the colours of its HR clip."""
    for frame in map(_video.from_yuv, yuv):
        if like.colours:
            frame.colorspace, frame.color_range = like.colours
        yield _video.to_rgb(frame)


def _cropped(image, multiple, name=""):
    try:
        return degradations.crop_to_multiple(image, multiple)
    except ValueError as e:
        raise UserError(f"{name}: {e}, twice the scale") from e


def _enlarged(pair, lr, hr, scale, kernel):
    scale = scale or max(hr.shape[0] // lr.shape[0], 1)
    if (lr.shape[0] * scale, lr.shape[1] * scale) != hr.shape[:2]:
        raise UserError(f"{pair.lr or 'LR'}: is {_size(lr)}, its HR {pair.hr.name} {_size(hr)} (height x width), "
                        f"not {scale} times as large")
    return enlarge(lr, scale, kernel)


def _size(image):
    return f"{image.shape[0]}x{image.shape[1]}"

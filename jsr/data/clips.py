"""Records of clips to aligned windows of frames, decoded no further than needed.

A record is a dict: name, hr (the bytes of the source's file, as they are, or of
`jsr.datasets.videos.with_key_frames`), height, width (px, of the part of its frames that is used: the rest of its
source_height, source_width is cut off at the bottom and right), frames, fps, and for a degraded dataset lr (bytes of
the LR stream) and degradation (what made it, the record of `jsr.degradations.Degraded` as JSON). The frames of videos
are 8-bit YUV 4:2:0 in even sizes, and become RGB by `jsr.degradations._video.to_rgb`, as the organisers' ffmpeg command
does it. Of a folder of images, one a frame, hr and lr are lists of their paths, and the clip is RGB from the first. So
a clip is uint8 here, in YUV (T, H * 3 // 2, W) or in RGB (T, H, W, 3).

A window begins to be decoded at the last key frame before it. What was decoded is kept, up to a number of bytes. The LR
streams of AIM 2022 have one key frame, the first; they are small. Lossless HEVC takes 10 ms a frame of 960x544 px on
one core, so that the distance of the key frames decides: at x265's 250 a window waits for a hundred frames, at 8 for
three. To RGB go the crops alone, all 7 frames of a window of 256 px in 1 ms: nothing that the device should do instead.
"""

import collections
import contextlib
import itertools
import threading

import numpy as np

from jsr import degradations, guests, images
from jsr.datasets.videos import colours_of, packed, planes_of
from jsr.degradations import _video
from jsr.errors import FileError, UserError
from jsr.native import pyav

CACHE_BYTES = 512 << 20  # of decoded frames, in each worker
SEGMENT_BYTES = CACHE_BYTES // 8  # of them, frames that follow each other in one clip
_OF_RGB = 2, 0  # colours that swscale gives what it makes of RGB: none that are told

_TALLEST = 8192  # height of a frame made of several, px


def decode(data, start, stop, *, frames, name):
    """Decodes frames `start` to `stop` of a video, with the frames that they need.

    Args:
      data: the bytes of the file.
      start, stop: frame numbers, as in a slice.
      frames: number of frames of the whole video.
      name: name for error messages.

    Yields:
      (number, av.VideoFrame), from the last key frame at or before `start` on; from the first frame where the file, as
      a bare stream, has no times.

    Raises:
      UserError: damaged, or it has fewer frames.
    """
    with _video.opened(data, name) as (container, stream):
        packets = [packet for packet in container.demux(stream) if packet.size]
        order = sorted(p.pts for p in packets) if all(p.pts is not None for p in packets) else []
        entry = 0
        if len(order) == frames:
            entry = max((i for i, p in enumerate(packets) if p.is_keyframe and p.pts <= order[start]), default=0)
        later = _from_key(stream, packets, entry) if entry else None
        number = order.index(packets[entry].pts) if later else 0
        for frame in later or _shown(stream, packets):
            yield number, frame
            number += 1
            if number == stop:
                return
    raise FileError(f"{name}: holds {number} frames, not {frames}; it is cut off or another clip, replace or remove it")


def _from_key(stream, packets, entry):
    """The frames from a key frame on; None where decoding cannot begin there, as at x264's gradual refreshes."""
    key = packets[entry].pts
    # What is shown before it but coded after it needs what came before; nothing later needs it.
    frames = _shown(stream, [packet for packet in packets[entry:] if packet.pts >= key])
    with contextlib.suppress(pyav("video").FFmpegError):
        frame = next(frames, None)
        if frame is not None and frame.pts == key:
            return itertools.chain([frame], frames)
    stream.codec_context.flush_buffers()
    return None


def _shown(stream, packets):
    for packet in [*packets, None]:
        yield from stream.codec_context.decode(packet)


class _DecodeCache:
    """Decodes windows of the clips of records, keeping the latest frames up to a number of bytes. Threads share it."""

    def __init__(self, limit):
        self._limit, self._held, self._segments = limit, 0, collections.OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, record, key, start, stop):
        """Frames `start` to `stop` of record[key], a clip, and their (colour space, range)."""
        with self._lock:
            for where, (yuv, colours) in self._segments.items():
                if where[:2] == (record["name"], key) and where[2] <= start and stop <= where[2] + len(yuv):
                    self._segments.move_to_end(where)
                    return yuv[start - where[2]:stop - where[2]], colours
        first, yuv, colours = _segment(record, key, start, stop)
        with self._lock:
            where = record["name"], key, first
            old = self._segments.pop(where, None)
            self._held += yuv.nbytes - (old[0].nbytes if old else 0)
            self._segments[where] = yuv, colours
            while self._held > self._limit:
                self._held -= self._segments.popitem(last=False)[1][0].nbytes
        return yuv[start - first:stop - first], colours

    def __reduce__(self):
        return _DecodeCache, (self._limit,)  # empty, in a worker


def _segment(record, key, start, stop):
    """(number of its first frame, the frames, their colours): the window and, as far as they fit, those before it."""
    if isinstance(record[key], list):
        return start, _pictures(record, key, start, stop), _OF_RGB
    kept, colours, name = collections.deque(), None, f"{record['name']} ({key})"
    for _, frame in decode(record[key], start, stop, frames=record["frames"], name=name):
        _video.check_420(frame, name)
        # An LR frame is used whole; its size is compared with the HR's where both are at hand
        height, width = (record["height"], record["width"]) if key == "hr" else (frame.height, frame.width)
        if height > frame.height or width > frame.width or kept and kept[0].shape != (height * 3 // 2, width):
            raise FileError(f"{name}: has a frame of {frame.width}x{frame.height} among frames of another size; split "
                            "the clip or remove it")
        kept.append(packed(planes_of(frame), height, width))
        colours = colours_of(frame)
        if len(kept) > max(stop - start, SEGMENT_BYTES // (height * width * 3 // 2)):
            kept.popleft()
    return stop - len(kept), np.stack(kept), colours


def _pictures(record, key, start, stop):
    """Frames `start` to `stop` of a folder of images as an RGB clip."""
    paths = record[key][start:stop]
    read = [images.read_rgb(path) for path in paths]
    for path, image in zip(paths, read, strict=True):
        if image.shape != read[0].shape:
            raise FileError(f"{path}: is of another size than {paths[0]}, and one clip has one; replace or remove it")
    height, width = (record["height"], record["width"]) if key == "hr" else read[0].shape[:2]
    if read[0].shape[0] < height or read[0].shape[1] < width:
        raise FileError(f"{paths[0]}: is smaller than the first frame of its clip; replace or remove it")
    return np.stack(read)[:, :height, :width]


def size_of(clip):
    """(height, width) of a clip, px."""
    return clip.shape[1:3] if clip.ndim == 4 else (clip.shape[1] // 3 * 2, clip.shape[2])


def as_yuv(clip):
    """A clip in YUV 4:2:0, (T, H * 3 // 2, W), as codecs of video take it."""
    return _video.rgb_to_yuv(clip) if clip.ndim == 4 else clip


def crop_to_multiple(clip, multiple):
    """A clip without what is beyond multiples of an even number; raises as `jsr.degradations._video` does."""
    if clip.ndim != 4:
        return _video.crop_to_multiple(clip, multiple)
    height, width = (side - side % multiple for side in size_of(clip))
    if not height or not width:
        raise ValueError("{}x{} (height x width) is smaller than {} px".format(*size_of(clip), multiple))
    return clip[:, :height, :width]


def _crop(yuv, top, left, height, width):
    """Part of a clip; of one in YUV all must be even."""
    if yuv.ndim == 4:
        return yuv[:, top:top + height, left:left + width]
    frames, rows, columns = yuv.shape
    full = rows // 3 * 2
    chroma = yuv[:, full:].reshape(frames, 2, full // 2, columns // 2)
    chroma = chroma[:, :, top // 2:(top + height) // 2, left // 2:(left + width) // 2]
    luma = yuv[:, top:top + height, left:left + width]
    return np.concatenate([luma, chroma.reshape(frames, height // 2, width)], axis=1)


def _rgb(yuv, colours, top, left, height, width):
    """Part of a clip as uint8 (T, height, width, 3): of one in YUV `_video.to_rgb` of the whole frames, cut."""
    if yuv.ndim == 4:
        return _crop(yuv, top, left, height, width)
    top_rest, left_rest = top % 2, left % 2
    rows, columns = height + top_rest, width + left_rest
    part = _crop(yuv, top - top_rest, left - left_rest, rows + rows % 2, columns + columns % 2)
    at_once = max(1, _TALLEST // part.shape[1])
    rgb = [_rgb_at_once(part[i:i + at_once], colours) for i in range(0, len(part), at_once)]
    return np.concatenate(rgb)[:, top_rest:rows, left_rest:columns]


def _rgb_at_once(yuv, colours):
    """A YUV clip as RGB by way of one tall frame: no pixel of the conversion depends on another block of 2x2."""
    count, height, width = len(yuv), yuv.shape[1] // 3 * 2, yuv.shape[2]
    chroma = yuv[:, height:].reshape(count, 2, -1).swapaxes(0, 1).reshape(count * height // 2, width)
    frame = _video.from_yuv(np.concatenate([yuv[:, :height].reshape(count * height, width), chroma]))
    frame.colorspace, frame.color_range = colours
    return _video.to_rgb(frame).reshape(count, height, width, 3)


def read(record, frames=0):
    """A clip in RGB, for evaluation: {"hr": uint8 (T, H, W, 3)} and, where the record has one, its "lr".

    Args:
      record: record of a clip.
      frames: number of frames to read, from the first; 0 reads all, as a number beyond the clip's does.

    Raises:
      UserError: damaged, or of changing size.
    """
    found, colours = decoded(record, frames)
    return {key: to_rgb(clip, colours) for key, clip in found.items()}


def decoded(record, frames=0):
    """({"hr": clip, and where there is one its "lr"}, the HR's colours); the rest as in `read`."""
    stop = min(frames or record["frames"], record["frames"])
    found = {key: _segment(record, key, 0, stop) for key in ("hr", "lr") if key in record}
    return {key: clip for key, (_, clip, _) in found.items()}, found["hr"][2]


def to_rgb(yuv, colours):
    """A clip of these colours (`jsr.datasets.videos.colours_of`) as uint8 (T, H, W, 3)."""
    return _rgb(yuv, colours, 0, 0, *size_of(yuv))


def check_sizes(name, lr, size_hw, scale):
    """Raises UserError where a clip is not the HR's (height, width), made smaller by `scale`."""
    height, width = size_of(lr)
    if (height * scale, width * scale) != size_hw:
        raise UserError(f"{name}: LR is {width}x{height} and HR {size_hw[1]}x{size_hw[0]}, not {scale} times as large; "
                        "take networks of another scale, or another dataset")


class ClipWindows:
    """Record and random generator to sample: {"lr": uint8 (T, h, w, 3), "hr": uint8 (T, h * scale, w * scale, 3)}.

    It stands where `jsr.data.pipeline.PairedCrops` does. The place is the same for all frames of a window.

    Args:
      frames: T.
      middle: HR is the frame in the middle alone, (h * scale, w * scale, 3), for networks that give no other.
      crop: side of the square HR crop, or its (height, width), px; multiples of twice `scale`.
      scale: HR size over LR size.
      degrade: "" takes the record's stored `lr` alongside; a video protocol's name degrades the window of the HR crop
        instead, by x265. Its stream begins with the window, that of a stored LR with the clip.
      fixed: parameters of `degrade` to set, {name: value}, see `jsr.degradations.draw`.
      cache_bytes: decoded frames that each worker keeps.
    """

    def __init__(self, *, frames, crop, scale, middle=False, degrade="", fixed=None, cache_bytes=CACHE_BYTES):
        if frames < 1:
            raise UserError(f"a window has {frames} frames; use at least 1")
        self._sides = tuple(np.broadcast_to(crop, 2).tolist())
        if any(side % (2 * scale) for side in self._sides):
            raise UserError(f"crop {images.sides_text(self._sides)} is not a multiple of twice the scale {scale} "
                            "(--config.stages[0].crop=...)")
        if degrade:
            protocol = degradations.protocol(degrade)
            if not protocol.video or protocol.scale != scale:
                raise UserError(f"{degrade}: is a protocol of {'videos' if protocol.video else 'images'} at "
                                f"x{protocol.scale}, not of videos at x{scale} (--config.data.train[0].degrade=...)")
            if (fixed or {}).get("encoder") == "hm":
                raise UserError("HM takes minutes for a clip: use a dataset with stored streams, such as ldv3 "
                                "(--config.data.train[0].degrade=), or x265 "
                                "(--config.data.train[0].set.encoder=x265)")
            degradations.draw(degrade, **(fixed or {}))  # mistakes in it
        self._frames, self._scale, self._middle = frames, scale, middle
        self._degrade, self._fixed, self._guests = degrade, dict(fixed or {}), guests.Brought()
        self._decode = _DecodeCache(cache_bytes)

    def __call__(self, record, rng):
        if "frames" not in record:
            raise UserError(f"{record['name']}: is an image, not a clip; choose a dataset of videos, or a folder "
                            "with one folder of frames for each clip")
        name, scale = record["name"], self._scale
        rows, columns = (side // scale for side in self._sides)
        height, width = record["height"] // scale, record["width"] // scale
        if record["frames"] < self._frames or height < rows or width < columns:
            raise FileError(f"{name}: {record['frames']} frames of {record['width']}x{record['height']} are fewer or "
                            f"smaller than the window of {self._frames} frames of {images.sides_text(self._sides)}; "
                            "use a smaller one (--config.stages[0].crop=...) or remove the clip")
        if not self._degrade and "lr" not in record:
            raise UserError(f"{name}: the dataset stores no LR clips; name the degradation that makes them "
                            "(--config.data.train[0].degrade=aim22_t2)")
        start = int(rng.integers(record["frames"] - self._frames + 1))
        y, x = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
        window = slice(start, start + self._frames)
        hr, colours = self._decode(record, "hr", window.start, window.stop)
        if self._degrade:
            lr = self._degraded(record, _crop(hr, y * scale, x * scale, *self._sides), rng)
            lr = _rgb(lr, colours, 0, 0, rows, columns)
        else:  # the LR stream does not tell its colours, they are the HR's
            lr, _ = self._decode(record, "lr", window.start, window.stop)
            check_sizes(name, lr, (record["height"], record["width"]), scale)
            lr = _rgb(lr, colours, y, x, rows, columns)
        hr = _rgb(hr[self._frames // 2, None] if self._middle else hr, colours, y * scale, x * scale, *self._sides)
        return {"lr": lr, "hr": hr[0] if self._middle else hr}

    def _degraded(self, record, hr, rng):
        fps = max(1, round(float(record["fps"])))
        seed = int(rng.integers(1 << 62))
        return degradations.degrade(self._degrade, as_yuv(hr), seed=seed, **{"fps": fps, **self._fixed}).decode()

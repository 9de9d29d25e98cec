"""Videos to the records of a dataset; jsr.data.clips says what a record holds, and reads it."""

import dataclasses
from fractions import Fraction
import hashlib
import json
from pathlib import Path

import numpy as np

from jsr import degradations
from jsr.datasets import records
from jsr.degradations import _video, hevc
from jsr.errors import FileError, UserError

_UNSPECIFIED, _LIMITED = 2, 1  # FFmpeg's numbers: a colour space that a file does not tell, the range that is meant


@dataclasses.dataclass(frozen=True)
class Clip(records.Original):
    """A source video, and where there is one its LR stream.

    Attributes:
      lr: the LR stream's Original; None where the protocol is to make it.
      lr_step: what to record of the codec that made `lr`, {key: value}, as pairs.
    """

    lr: records.Original | None = None
    lr_step: tuple = ()

    def _record_bytes(self, size):
        return size  # the file itself; an LR stream is small


def prepare(source, *, protocol, folder, multiple, keyint=0):
    """Makes the part of a source video, as `jsr.datasets.records.prepare` does of an image; the rest as in `make`."""
    data, lr = source.read(), source.lr.read() if source.lr and protocol else None
    drawn = degradations.draw(protocol, source.name) if protocol else {}
    made_of = json.dumps([drawn, source.lr_step, multiple, keyint, hashlib.sha256(lr or b"").hexdigest()])
    part = records.part_path(folder, source.name, data, made_of)
    if not part.exists():
        records.save(part, [make(source, data, lr, protocol, multiple, keyint)])
    return part


def make(source, data, lr, protocol, multiple, keyint=0):
    """The record of a source video.

    Args:
      source: a Clip.
      data: its bytes.
      lr: the bytes of its LR stream; None where the protocol is to make it.
      protocol: key of `jsr.degradations.PROTOCOLS`, of videos; "" for a record without LR.
      multiple: divisor of the HR height and width, px, even.
      keyint: 0 keeps the HR file; else it is encoded anew by `with_key_frames`.

    Raises:
      UserError: damaged, cut off, not 8-bit YUV 4:2:0, of changing size or frame rate, smaller than `multiple`; an LR
        stream of another size or number of frames.
    """
    shown, colours = [], None

    def keep(frame):
        nonlocal colours
        colours = colours_of(frame)
        if protocol and lr is None or keyint:
            shown.append(packed(planes_of(frame), *_cropped((frame.height, frame.width), multiple)))

    frames, fps, source_size = _inspect(data, source, keep)
    height, width = _cropped(source_size, multiple)
    if not height or not width:
        raise UserError(f"{source}: {source_size[1]}x{source_size[0]} is smaller than {multiple} px")
    if keyint:
        data = with_key_frames(np.stack(shown), keyint, fps, colours, source)
    record = {"name": source.name, "hr": data, "height": height, "width": width, "source_height": source_size[0],
              "source_width": source_size[1], "frames": frames, "fps": fps}
    if protocol:
        drawn = degradations.draw(protocol, source.name, fps=max(1, round(fps)))
        if lr is not None:
            _check_lr(source, lr, record, degradations.protocol(protocol).scale)
            # the protocol's parameters; not how its own encoder would have been called
            codec = {key: drawn["steps"][-1][key] for key in (*degradations.protocol(protocol).steps[-1], "decoded_by")}
            drawn["steps"][-1] = codec | dict(source.lr_step)
        else:
            try:
                degraded = degradations.replay(drawn, np.stack(shown))
            except UserError as e:  # for example an encoder that takes no clips this small
                raise UserError(f"{source}: {e}") from e
            lr, drawn = degraded.lr_bytes, degraded.record
        record |= {"lr": lr, "degradation": json.dumps(drawn)}
    return record


def with_key_frames(yuv, keyint, fps, colours, name):
    """A clip as the bytes of an MP4 file of lossless HEVC with a key frame every `keyint` frames.

    Args:
      yuv: uint8 (T, H * 3 // 2, W).
      keyint: frames.
      fps: frames a second.
      colours: numbers of its colour space and range, as FFmpeg has them.
      name: name for error messages.

    Raises:
      UserError: x265 takes no clips this small, or its stream decodes to another clip.
    """
    if min(yuv.shape[1] // 3 * 2, yuv.shape[2]) < 16:
        raise UserError(f"{name}: is smaller than the 16 px that x265 takes; leave out --keyint")
    space, span = colours[0], colours[1] or _LIMITED
    params = {**hevc.X265_LOSSLESS, **hevc.X265_SINGLE_THREAD, **hevc.X265_SILENT, "keyint": keyint, "min-keyint": 1,
              "range": span - 1, **({"colormatrix": space} if space != _UNSPECIFIED else {})}
    data = _video.encode(
        map(_video.from_yuv, yuv), (yuv.shape[1] // 3 * 2, yuv.shape[2]), container="mp4", codec="libx265",
        options={"preset": "ultrafast", "x265-params": ":".join(f"{key}={value}" for key, value in params.items())},
        rate=Fraction(fps).limit_denominator(1001))
    again = list(_video.decode(data, "hevc", name))
    if len(again) != len(yuv) or any(colours_of(frame) != (space, span) or (frame.to_ndarray() != one).any()
                                     for frame, one in zip(again, yuv, strict=True)):
        raise UserError(f"{name}: x265 did not encode it without loss; leave out --keyint")
    return data


def colours_of(frame):
    """The (colour space, range) of a frame, FFmpeg's numbers."""
    return int(frame.colorspace), int(frame.color_range)


def _cropped(size, multiple):
    return tuple(side - side % multiple for side in size)


def _check_lr(source, lr, record, scale):
    frames, _, size = _inspect(lr, source.lr, lambda _: None)
    if frames != record["frames"]:
        raise UserError(f"{source.lr}: holds {frames} frames, its HR clip {source} holds {record['frames']}; one is "
                        "cut off, or they are different clips")
    if size != (record["height"] // scale, record["width"] // scale):
        raise UserError(f"{source.lr}: is {size[1]}x{size[0]}, its HR clip {source} {record['width']}x"
                        f"{record['height']}; it must be {scale} times smaller")


def _inspect(data, name, visit):
    """(frames, frames a second, (height, width)) of a whole video; `visit` is called with each frame."""
    times, durations, size = [], [], None
    for frame in _video.decode(data, None, name):
        _video.check_420(frame, name)
        if size not in (None, (frame.height, frame.width)):
            raise UserError(f"{name}: changes its size from {size[1]}x{size[0]} to {frame.width}x{frame.height}; "
                            "split it")
        size = frame.height, frame.width
        times.append(frame.pts)
        durations.append((frame.duration or 0) * float(frame.time_base or 0))
        visit(frame)
    if not times:
        raise UserError(f"{name}: holds no pictures; replace or remove it")
    fps = _frame_rate(times, durations[0], float(frame.time_base or 0), name)
    promised = _promised_seconds(data, name)
    if promised and len(times) / fps < promised - max(2 / fps, 0.01 * promised):
        raise UserError(f"{name}: holds {len(times) / fps:.2f} of {promised:.2f} seconds; it is cut off, "
                        "fetch it again")
    return len(times), fps, size


def _frame_rate(times, duration, tick, name):
    """Frames a second, by the frames' times in ticks (s); of a bare stream without times by a frame's duration (s)."""
    if None in times or len(times) < 2:
        return round(1 / duration, 3) if duration else 25.0
    steps = np.diff(times)
    if steps.min() <= 0 or np.ptp(steps) > max(1, 0.05 * steps.mean()):  # Matroska rounds to milliseconds
        low, high = (f"{1 / (step * tick):.4g}" if step > 0 else "no" for step in (steps.max(), steps.min()))
        raise UserError(f"{name}: has a variable frame rate, {low} to {high} frames a second; make it constant with "
                        "ffmpeg -i FILE -vf fps=25 -c:v libx265 -x265-params lossless=1 OUT.mkv")
    return round(1 / (float(steps.mean()) * tick), 3)


def _promised_seconds(data, name):
    """The duration that the file states for its video; 0 where it does not say."""
    with _video.opened(data, name) as (container, stream):
        if stream.duration:
            return float(stream.duration * stream.time_base)
        # Matroska knows one length for all its streams, and a sound track may be the longest.
        return (container.duration or 0) / 1e6 if len(container.streams) == 1 else 0.0


def header(path):
    """(height, width, frames, frames a second) of a video file, whole numbers, without decoding a frame.

    Raises:
      FileError: it cannot be read, holds no video, or one that is not 8-bit YUV 4:2:0.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as e:
        raise FileError(f"{path}: cannot be read: {e.strerror}") from e
    with _video.opened(data, path) as (container, stream):
        frames = sum(1 for packet in container.demux(stream) if packet.size)
        if not frames:
            raise FileError(f"{path}: holds no pictures; replace or remove it")
        _video.check_420(stream, path)
        rate = stream.average_rate or stream.base_rate or 25
        return stream.height, stream.width, frames, max(round(rate), 1)


def planes_of(frame):
    """Views of the three planes of a YUV 4:2:0 frame."""
    return [np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:plane.height, :plane.width]
            for plane in frame.planes]


def packed(planes, height, width):
    """The upper left part of a frame, even, as `jsr.degradations._video` has frames: (height * 3 // 2, width)."""
    luma, *chroma = planes
    chroma = [plane[:height // 2, :width // 2] for plane in chroma]
    return np.concatenate([luma[:height, :width], np.concatenate(chroma).reshape(height // 2, width)])

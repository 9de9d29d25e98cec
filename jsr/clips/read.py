"""A person's clip: the streams of the file, and its frames one after the other, as far as they can be read."""

import contextlib
import dataclasses
from fractions import Fraction
import itertools
import json
import os

from jsr.clips import colour
from jsr.clips.clock import Clock, plural
from jsr.clips.formats import CONTAINERS, container_of
from jsr.errors import FileError, UserError
from jsr.native import pyav

MARK = "jsr "  # before the JSON of what made a clip
_RATE = Fraction(25)  # frames a second where a bare stream says nothing
_EARLY_S = 12         # before the first frame wanted, where decoding begins
_FIRST_PACKETS = 500  # in which a frame must be
# FFmpeg's options of a reader that opens no connection, whatever addresses a playlist names
ALONE = {"protocol_whitelist": "file"}
_MASTERING, _LIGHT, _MATRIX = "MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL", "DISPLAYMATRIX"
_LOST_SIDE_DATA = {"DYNAMIC_HDR_PLUS": "HDR10+", "DOVI_METADATA": "Dolby Vision", "DOVI_RPU_BUFFER": "Dolby Vision",
                   "DYNAMIC_HDR_VIVID": "HDR Vivid", "SPHERICAL": "the tag of 360 degrees",
                   "STEREO3D": "the tag of 3D", "FILM_GRAIN_PARAMS": "film grain"}


@dataclasses.dataclass(frozen=True)
class Clip:
    """The content of a file with a clip.

    Attributes:
      path: path of the file, str.
      stream: index of the video stream that is taken.
      others: indices of the streams that are copied.
      codec, pix_fmt: FFmpeg's names.
      height, width: size of the frames as they are stored, px.
      colours: jsr.clips.colour.Colours.
      bits: bits per channel.
      alpha: whether it has alpha.
      time_base: seconds a tick, Fraction.
      rate: frames a second in the mean, Fraction.
      first: time of the first frame, ticks.
      packets: number of packets of the video stream, as counted; those that an edit list hides are none.
      promised: frames that the container says there are, 0 where it does not.
      seconds: from the first to the end of the last frame, about.
      aspect: aspect ratio of a pixel, Fraction, None of square ones.
      matrix: the display matrix, nine ints, None of upright frames.
      interlaced: whether its first frame says so.
      display, light: mastering display and light levels as text for encoders, "" of none.
      notes: notes of what cannot be kept, or is said, in words.
    """

    path: str
    stream: int
    others: tuple[int, ...]
    codec: str
    pix_fmt: str
    height: int
    width: int
    colours: colour.Colours
    bits: int
    alpha: bool
    time_base: Fraction
    rate: Fraction
    first: int
    packets: int
    promised: int
    seconds: float
    aspect: Fraction | None
    matrix: tuple[int, ...] | None
    interlaced: bool
    display: str
    light: str
    notes: tuple[str, ...]

    @property
    def is_folder(self):
        """Whether the source is a folder of frames (jsr.clips.folders)."""
        return os.path.isdir(self.path)


def inspect(path, stream=None, *, most_pixels=None):
    """The Clip in a file; it is read through, and its first frame decoded.

    Args:
      path: path of the file.
      stream: index of the video stream; None takes the one that players would.
      most_pixels: of a frame; more are refused by the header, before any is decoded. None has no such bound.

    Raises:
      UserError: no clip: unreadable, no video stream or none of that index, a cover picture alone, encrypted, no
        frames, colours that are not converted; more pixels than that; PyAV is not installed.
    """
    path = str(path)
    with opened(path) as container:
        video = _choose(container, path, stream)
        height, width = video.codec_context.height, video.codec_context.width
        if most_pixels is not None and height * width > most_pixels:
            raise UserError(f"{path}: has frames of {width:,} x {height:,} pixels, more than the "
                            f"{most_pixels / 1e6:,.0f} million allowed here; make it smaller")
        decoder = decoder_of(video)
        frame, count, hidden, first, last = None, 0, 0, None, None
        for packet in _packets(container, video):
            if packet.has_sidedata("encryption_info") or packet.has_sidedata("encryption_init_info"):
                raise FileError(f"{path}: is encrypted; a copy without protection is needed")
            if not packet.size:
                continue
            count += 1
            hidden += packet.is_discard
            if packet.pts is not None:
                first = packet.pts if first is None else min(first, packet.pts)
                last = max(last or 0, packet.pts + (packet.duration or 0))
            if frame is None and count <= _FIRST_PACKETS:
                frame = _first(decoder, packet)
        if frame is None and count:
            frame = _first(decoder, None)
        if video.codec_context.codec_tag in ("encv", "drmi"):
            raise FileError(f"{path}: is encrypted; a copy without protection is needed")
        if frame is None:
            raise FileError(f"{path}: " + (f"none of its {count} frames can be decoded; it is damaged" if count else
                                           "its video stream holds no frames") + ", fetch it again")
        return _clip(path, container, video, frame, count, hidden, first, last)


def _clip(path, container, video, frame, count, hidden, first, last):
    """The Clip of the streams that were found."""
    kind = colour.layout(frame.format.name)
    colours = colour.colours_of(frame, video.codec_context.name, path)
    side = {data.type.name: bytes(data) for data in frame.side_data}
    lost = list(dict.fromkeys(what for name, what in _LOST_SIDE_DATA.items() if name in side))
    if "Dolby Vision" in lost and colours.matrix not in (1, 9):
        raise FileError(f"{path}: its colours are Dolby Vision's alone (profile 5), which are not converted; convert "
                        "it to HDR10 first")
    rate = video.average_rate or video.guessed_rate or video.base_rate or _RATE
    rate = rate if 0 < rate <= 1000 else _RATE
    time_base = video.time_base or 1 / rate
    seconds = float((last - first) * time_base) if None not in (first, last) else float(count / rate)
    matrix = tuple(memoryview(side[_MATRIX]).cast("i")) if _MATRIX in side else None
    aspect = video.sample_aspect_ratio
    notes = [f"{what} cannot be kept" for what in lost]
    others = [stream for stream in container.streams if stream.index != video.index]
    videos = [other.index for other in others if other.type == "video" and not _is_cover(other)]
    if videos:
        notes.append(f"has {len(videos) + 1} video streams: {video.index} was taken, "
                     f"{', '.join(map(str, videos))} copied as it is; --stream takes another")
    return Clip(
        path, video.index, tuple(other.index for other in others), video.codec_context.codec.canonical_name,
        frame.format.name, frame.height, frame.width, colours, kind.bits, kind.alpha, time_base, Fraction(rate),
        first or 0, count - hidden, max(video.frames - hidden, 0), seconds,
        aspect if aspect not in (None, 0, 1) else None, matrix,
        bool(frame.interlaced_frame), colour.master_display(side[_MASTERING]) if _MASTERING in side else "",
        colour.light_level(side[_LIGHT]) if _LIGHT in side else "", tuple(notes))


def made_by(path):
    """A clip's note on how jsr made it, a dict; None where it says nothing or cannot be read."""
    form = CONTAINERS.get(container_of(path) or "")
    with contextlib.suppress(UserError, ValueError), opened(path) as container:
        text = container.metadata.get(form.read_mark, "") if form else ""
        found = json.loads(text.removeprefix(MARK)) if text.startswith(MARK) else None
        return found if isinstance(found, dict) else None
    return None


def address(path):
    """A path as FFmpeg takes it for a file, whatever colons it has: "a:b.mkv" is no protocol's."""
    return f"file:{path}"


@contextlib.contextmanager
def opened(path):
    """The open av container of a file, to read; what FFmpeg says against it is a UserError."""
    av = pyav(path)
    try:
        with av.open(address(path), metadata_errors="replace", options=ALONE) as container:
            yield container
    except av.error.FFmpegError as e:
        raise FileError(f"{path}: cannot be read as a clip: {_reason(e, path)}") from e


def _reason(error, path):
    if isinstance(error, EOFError):
        return "it ends before its first frame; fetch it again"
    with contextlib.suppress(OSError), open(path, "rb") as file:
        if isinstance(error, pyav(path).error.InvalidDataError) and file.read(8)[4:] == b"ftyp":
            return "it is cut off, its index (moov) at the end is missing or damaged; fetch it again"
    return (error.strerror or str(error)).lower()


def decoder_of(video):
    """The decoder of a video stream: its own codec context, or where that would lose alpha another one."""
    if any(key.lower() == "alpha_mode" and value == "1" for key, value in video.metadata.items()):
        own = {"vp9": "libvpx-vp9", "vp8": "libvpx"}.get(video.codec_context.name)
        if own:
            made = pyav("a clip").CodecContext.create(own, "r")
            made.extradata = video.codec_context.extradata
            return made
    video.thread_type = "AUTO"
    return video.codec_context


def _is_cover(stream):
    return bool(stream.disposition & stream.disposition.__class__.attached_pic)


def _choose(container, path, index):
    """The video stream that is taken."""
    films = [stream for stream in container.streams.video if not _is_cover(stream)]
    shown = ", ".join(str(stream.index) for stream in films)
    if not films:
        if container.streams.video and container.streams.audio:
            raise FileError(f"{path}: is sound with a cover picture, and no clip")
        raise FileError(f"{path}: holds no video stream")
    if index is None:
        chosen = next((stream for stream in films if stream.disposition & stream.disposition.__class__.default),
                      films[0])
    else:
        chosen = next((stream for stream in films if stream.index == index), None)
        if chosen is None:
            raise UserError(f"{path}: its stream {index} is no video; choose --stream of {shown}")
    if chosen.codec_context is None:
        raise FileError(f"{path}: its video stream is of a codec that FFmpeg does not know, or its header is cut off")
    return chosen


def _packets(container, video):
    """The packets of a stream, as far as the file can be read."""
    error = pyav("a clip").error.FFmpegError
    packets = container.demux(video)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, error):
            return
        yield packet


def _first(decoder, packet):
    try:
        return next(iter(decoder.decode(packet)), None)
    except pyav("a clip").error.FFmpegError:
        return None


@dataclasses.dataclass(frozen=True)
class Shown:
    """One frame.

    Attributes:
      index: in the order of showing, from 0 at the first that is wanted.
      frame: av.VideoFrame, of the clip's size.
      time, duration: ticks; a duration of 0 is not known.
    """

    index: int
    frame: object
    time: int
    duration: int


def light(shown):
    """The same with a tiny frame in the place of its own, to keep: it has the tags and the side data of that."""
    frame = shown.frame
    return dataclasses.replace(shown, frame=colour.moved(frame, frame.format.name, (16, 16), flags="neighbor"))


class Frames:
    """The frames of a Clip in the order of showing; damage costs the frames it hit, and is counted.

    Args:
      clip: Clip.
      start, end: s from the first frame, Fraction, of the first one wanted and the first no longer wanted; None is the
        first and beyond the last.
      deinterlace: makes whole frames of interlaced ones, as many (FFmpeg's bwdif).

    Attributes:
      notes: after the last frame, what was lost or mended, in words.
    """

    def __init__(self, clip, *, start=None, end=None, deinterlace=False):
        self.clip, self._start, self._end, self._deinterlace = clip, start, end, deinterlace
        self.notes, self.count = [], 0

    def __iter__(self):
        clip, clock = self.clip, Clock(self.clip.time_base, self.clip.rate)
        start, end = (None if wanted is None else clip.first + wanted / clip.time_base
                      for wanted in (self._start, self._end))
        damaged = sizes = interlaced = formats = 0
        self.count, self._failed, self._broken = 0, 0, ""
        frames = self._decoded(start)
        if self._deinterlace:
            frames = _deinterlaced(frames)
        for frame in frames:
            time = clock(frame.dts if frame.pts is None else frame.pts, frame.duration)
            if start is not None and time < start:
                continue
            if end is not None and time >= end:
                break
            damaged += bool(frame.is_corrupt)
            interlaced += bool(frame.interlaced_frame)
            if (frame.height, frame.width) != (clip.height, clip.width):
                if not sizes:
                    self.notes.append(f"changes its size to {frame.width}x{frame.height} at frame {self.count}; such "
                                      f"frames were resized to {clip.width}x{clip.height} (bicubic)")
                sizes += 1
                frame = colour.moved(frame, frame.format.name, (clip.height, clip.width))
            if frame.format.name != clip.pix_fmt and not formats:
                self.notes.append(f"changes its pixel format from {clip.pix_fmt} to {frame.format.name} at frame "
                                  f"{self.count}; all are written alike")
                formats += 1
            yield Shown(self.count, frame, time, frame.duration or 0)
            self.count += 1
        whole = self._end is None and self._start is None
        if interlaced and not self._deinterlace:
            self.notes.append(f"{plural(interlaced, 'frame')} interlaced, and went through as stored; --deinterlace "
                              "makes whole frames first")
        if damaged:
            self.notes.append(f"{plural(damaged, 'frame')} damaged, and shown as the decoder mended it")
        if self._failed:
            self.notes.append(f"{plural(self._failed, 'packet')} could not be decoded: what it held is lost, and the "
                              "frame before is shown longer")
        if self._broken:
            self.notes.append(f"it is cut off or damaged after frame {self.count}: {self._broken}")
        if whole and clip.promised and clip.promised != self.count:
            self.notes.append(f"the container says {clip.promised} frames, there are {self.count}")
        self.notes += clock.notes

    def _decoded(self, start):
        """The frames of the file from before `start`, ticks."""
        clip, error = self.clip, pyav("a clip").error.FFmpegError
        with opened(clip.path) as container:
            video = container.streams[clip.stream]
            decoder = decoder_of(video)
            last = clip.first + clip.seconds / clip.time_base  # behind which a time may be more than FFmpeg counts
            early = 0 if start is None else int(min(start, last) - _EARLY_S / clip.time_base)
            if early > clip.first:
                with contextlib.suppress(error):  # of files without an index
                    container.seek(early, stream=video)
            packets = container.demux(video)
            while True:
                try:
                    packet = next(packets)
                except StopIteration:
                    break
                except error as e:
                    self._broken = _reason(e, clip.path)
                    packet = None
                try:
                    for frame in decoder.decode(packet if packet is not None and packet.size else None):
                        if frame.time_base and frame.time_base != clip.time_base and frame.pts is not None:
                            frame.pts = round(frame.pts * frame.time_base / clip.time_base)
                        yield frame
                except pyav("a clip").error.EOFError:
                    break
                except error:
                    self._failed += packet is not None
                if packet is None:
                    break


def _deinterlaced(frames):
    """As many frames, each whole; those that are not interlaced stay."""
    av = pyav("a clip")
    frames = iter(frames)
    for first in frames:
        graph = av.filter.Graph()
        source = graph.add("buffer", video_size=f"{first.width}x{first.height}", pix_fmt=first.format.name,
                           time_base=str(first.time_base or Fraction(1, 1000)), colorspace=str(int(first.colorspace)),
                           range=str(int(first.color_range)))
        graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"),
                         graph.add("buffersink")).configure()
        kind, waiting = (first.width, first.height, first.format.name), []
        for frame in itertools.chain([first], frames):
            if (frame.width, frame.height, frame.format.name) != kind:
                frames = itertools.chain([frame], frames)
                break
            waiting.append((frame.pts, frame.duration))
            graph.vpush(frame)
            yield from _pulled(graph, waiting)
        graph.vpush(None)
        yield from _pulled(graph, waiting)


def _pulled(graph, waiting):
    av = pyav("a clip")
    while True:
        try:
            frame = graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        if waiting:
            frame.pts, duration = waiting.pop(0)
            frame.duration = duration or 0
        yield frame

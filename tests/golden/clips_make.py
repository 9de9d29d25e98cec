"""Makes odd clips of a few frames by PyAV: the table ODD names each with what is odd about it."""

import dataclasses
from fractions import Fraction
import io
import random

import av
import numpy as np

from jsr.degradations import _video

HEIGHT, WIDTH, FRAMES = 48, 64, 12
RATE = Fraction(30000, 1001)
_X265 = "log-level=none:pools=none:frame-threads=1"  # alike on any number of cores
_HDR10 = ("master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,500):max-cll=1000,400:"
          f"hdr10=1:{_X265}")
_ASS = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,16

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.05,0:00:00.20,Default,,0,0,0,,Hello
Dialogue: 0,0:00:00.25,0:00:00.35,Default,,0,0,0,,you
"""


def picture(index, height=HEIGHT, width=WIDTH):
    """Frame `index` of all clips: smooth colours that move; uint8 (height, width, 3)."""
    y, x = np.mgrid[:height, :width] / 48
    waves = [0.5 + 0.35 * np.sin(4 * x + 3 * channel + index / 4) * np.cos(3 * y - channel) for channel in range(3)]
    return np.rint(255 * np.stack(waves, -1)).astype(np.uint8)


def frame(index, pix_fmt, height=HEIGHT, width=WIDTH, *, matrix="bt601", full=False):
    """The same as an av.VideoFrame."""
    rgb = picture(index, height, width)
    if av.VideoFormat(pix_fmt, 16, 16).components[-1].is_alpha:
        alpha = np.full((height, width, 1), 255, np.uint8)
        alpha[:height // 2, :width // 2] = 40
        rgb = np.concatenate([rgb, alpha], -1)
    made = av.VideoFrame.from_ndarray(rgb, "rgba" if rgb.shape[2] == 4 else "rgb24")
    if made.format.name == pix_fmt:
        return made
    space = {"bt601": "ITU601", "bt709": "ITU709", "bt2020": "BT2020"}[matrix]
    return made.reformat(format=pix_fmt, dst_colorspace=space, dst_color_range="JPEG" if full else "MPEG")


def write(path, codec="libx264", pix_fmt="yuv420p", *, times=None, tick=None, size=(HEIGHT, WIDTH), options=None,
          aspect=None, rotation=None, tags=None, sound=("aac",), chapters=(), font=False, cover=False,
          videos=1, matrix="bt601", metadata=None, container=None, language="nld", muxer=None, full=False):
    """Writes a clip; returns its path.

    Args:
      path: of the file.
      codec, pix_fmt, options: of the encoder.
      times: of the frames, ticks; steps of 1001 by default, of `tick` 1/30000 s.
      sound: codecs of audio streams; the rest says itself.
    """
    times = [index * 1001 for index in range(FRAMES)] if times is None else times
    tick = tick or Fraction(1, 30000)
    with av.open(str(path), "w", format=container, container_options=muxer or {}) as output:
        output.metadata.update(metadata or {"title": "odd"})
        films = []
        for _ in range(videos):
            film = output.add_stream(codec, rate=RATE, options={"x265-params": _X265} | (options or {}))
            film.height, film.width, film.pix_fmt = *size, pix_fmt
            film.codec_context.time_base = film.time_base = tick
            if aspect:
                film.codec_context.sample_aspect_ratio = aspect
            if rotation:
                film.set_display_rotation(rotation)
            for name, value in (tags or {}).items():
                setattr(film.codec_context, name, value)
            films.append(film)
        tracks = []
        for number, name in enumerate(sound):
            track = output.add_stream(name, rate=48000)
            track.layout, track.format = "mono", track.codec_context.codec.audio_formats[0]
            track.metadata.update({"language": language, "title": f"sound {number}"})
            tracks.append(track)
        if font:
            output.add_attachment("odd.ttf", "application/x-truetype-font", bytes(range(200)))
        art = None
        if cover:
            art = output.add_stream("mjpeg", rate=1)
            art.height, art.width, art.pix_fmt = 16, 16, "yuvj420p"
            art.disposition = av.stream.Disposition.attached_pic
        if chapters:
            output.set_chapters([{"id": number, "start": start, "end": end, "time_base": Fraction(1, 1000),
                                  "metadata": {"title": f"part {number}"}}
                                 for number, (start, end) in enumerate(chapters)])
        if art is not None:
            output.mux(art.encode(frame(0, "yuvj420p", 16, 16)))
        for film in films:
            for index, time in enumerate(times):
                shown = frame(index, pix_fmt, *size, matrix=matrix, full=full)
                shown.pts, shown.time_base = time, tick
                if options and options.get("flags") == "+ilme+ildct":
                    shown = _interlaced(shown)
                output.mux(film.encode(shown))
            output.mux(_video.drained(film, len(times)))
        for track in tracks:
            noise = np.random.default_rng(0)
            length = track.codec_context.frame_size or 1024
            for index in range(5):
                planar = track.codec_context.format.name
                dtype = {"s1": np.int16, "s3": np.int32, "fl": np.float32, "u8": np.uint8}[planar[:2]]
                values = (noise.normal(0, 0.1, (1, length)) * (1 if dtype == np.float32 else 8000)).astype(dtype)
                heard = av.AudioFrame.from_ndarray(values, planar, layout="mono")
                heard.rate, heard.pts, heard.time_base = 48000, index * length, Fraction(1, 48000)
                output.mux(track.encode(heard))
            output.mux(track.encode(None))
    return path


def _interlaced(shown):
    graph = av.filter.Graph()
    source = graph.add("buffer", video_size=f"{shown.width}x{shown.height}", pix_fmt=shown.format.name,
                       time_base="1/30000")
    graph.link_nodes(source, graph.add("setfield", "tff"), graph.add("buffersink")).configure()
    graph.vpush(shown)
    made = graph.vpull()
    made.pts, made.time_base = shown.pts, shown.time_base
    return made


def with_subtitles(path, source, text, kind, container=None):
    """Copies a clip and adds subtitles that FFmpeg reads of `text`, bytes in the format `kind`."""
    with av.open(str(source)) as film, av.open(io.BytesIO(text), format=kind) as titles, \
            av.open(str(path), "w", format=container) as output:
        output.set_chapters(film.chapters())
        copies = {}
        for stream in film.streams:
            if stream.type == "attachment":
                output.add_attachment(stream.name, stream.mimetype, stream.data)
            else:
                copies[stream.index] = output.add_stream_from_template(stream, opaque=True)
                copies[stream.index].metadata.update(stream.metadata)
        added = output.add_stream_from_template(titles.streams[0])
        added.metadata["language"] = "deu"
        for packet in [packet for packet in titles.demux() if packet.size]:
            packet.stream = added
            output.mux(packet)
        last = {}
        for packet in film.demux():
            if packet.size and packet.stream_index in copies:
                if packet.dts is None:  # Matroska's first frames
                    packet.dts = last.get(packet.stream_index, -100)
                last[packet.stream_index] = packet.dts + 1
                packet.stream = copies[packet.stream_index]
                output.mux(packet)
    return path


def damaged(path, source, share=0.5, length=40):
    """Copies a file with some bytes of its middle changed."""
    data = bytearray(source.read_bytes())
    start = int(len(data) * share)
    data[start:start + length] = random.Random(0).randbytes(length)
    path.write_bytes(data)
    return path


def cut_off(path, source, share=0.7):
    """Copies the beginning of a file."""
    data = source.read_bytes()
    path.write_bytes(data[:int(len(data) * share)])
    return path


def edited(path, source):
    """Copies an MP4 file to one whose edit list begins with its fourth frame."""
    data = bytearray(source.read_bytes())
    place = data.index(b"elst")
    duration, _ = np.frombuffer(data[place + 12:place + 20], ">i4")
    start = 3 * 1001 + int(np.frombuffer(data[place + 16:place + 20], ">i4")[0])
    data[place + 12:place + 16] = np.array(duration - 100, ">i4").tobytes()
    data[place + 16:place + 20] = np.array(start, ">i4").tobytes()
    path.write_bytes(data)
    return path


def promising(path, source, frames):
    """An AVI file whose header says another number of frames; returns its path."""
    data = bytearray(source.read_bytes())
    place = data.index(b"vids") + 32  # of dwLength
    data[place:place + 4] = frames.to_bytes(4, "little")
    path.write_bytes(data)
    return path


def joined_bare(path, *parts):
    """Writes bare H.264 streams of several (height, width, pixel format) one after the other."""
    data = b""
    for height, width, pix_fmt in parts:
        buffer = io.BytesIO()
        with av.open(buffer, "w", format="h264") as output:
            film = output.add_stream("libx264", rate=25, options={"bf": "0", "x264-params": "keyint=4"})
            film.height, film.width, film.pix_fmt = height, width, pix_fmt
            for index in range(6):
                shown = frame(index, pix_fmt, height, width)
                shown.pts = index
                output.mux(film.encode(shown))
            output.mux(film.encode(None))
        data += buffer.getvalue()
    path.write_bytes(data)
    return path


def muddled(path, times):
    """Writes Matroska frames of FFV1, each a key frame, at such times (ms), which may repeat or run backwards."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as output:
        film = output.add_stream("ffv1", rate=25)
        film.height, film.width, film.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for index in range(len(times)):
            shown = frame(index, "yuv420p")
            shown.pts = index
            output.mux(film.encode(shown))
        output.mux(film.encode(None))
    data = bytearray(buffer.getvalue())
    with av.open(io.BytesIO(bytes(data))) as source:
        packets = [packet for packet in source.demux(video=0) if packet.size]
    for packet, time in zip(packets, times, strict=True):
        place = data.index(bytes(packet)) - 3  # a block's time, relative to its cluster, stands before its flags
        data[place:place + 2] = int(time).to_bytes(2, "big", signed=True)
    path.write_bytes(data)
    return path


@dataclasses.dataclass(frozen=True)
class Odd:
    """One clip.

    Attributes:
      name: of the file.
      make: function of its path and the folder.
      says: what the command must say of it.
      frames: of the result; None is as many as the decoder gives.
      suffix: ending of the result.
      exact: whether the times of the result are those of the source.
    """

    name: str
    make: object
    says: str = ""
    frames: int | None = None
    suffix: str = ""
    exact: bool = True


def _simple(name, says="", *, suffix="", exact=True, frames=None, **settings):
    return Odd(name, lambda path, folder: write(path, **settings), says, frames, suffix, exact)


_VARIED = [0, 1001, 1501, 5005, 6006, 6066, 9009, 12012, 12512, 20020, 21021, 30030]
_PQ = {"color_primaries": 9, "color_trc": 16, "colorspace": 9, "color_range": 1}
_HLG = _PQ | {"color_trc": 18}
ODD = [
    _simple("plain.mp4"),
    _simple("plain.mov", sound=("pcm_s16le",)),
    _simple("vfr.mp4", times=_VARIED),
    _simple("vfr.mkv", times=[time // 30 for time in _VARIED], tick=Fraction(1, 1000)),
    _simple("late.mp4", times=[9000 + 1001 * index for index in range(FRAMES)]),
    _simple("hevc10.mkv", codec="libx265", pix_fmt="yuv420p10le"),
    _simple("hevc422.mp4", codec="libx265", pix_fmt="yuv422p10le"),
    _simple("hevc12.mkv", codec="libx265", pix_fmt="yuv420p12le", sound=()),
    _simple("411.mkv", codec="ffv1", pix_fmt="yuv411p", sound=(), says="yuv411p is written as yuv444p"),
    _simple("h264_10.mp4", pix_fmt="yuv420p10le", says="libx265"),
    _simple("full444.mkv", pix_fmt="yuv444p", tags={"color_range": 2}, full=True, says="full range"),
    _simple("bt709.mkv", tags={"colorspace": 1, "color_primaries": 1, "color_trc": 1, "color_range": 1}, matrix="bt709",
            says="BT.709, limited range; "),
    _simple("prores.mov", codec="prores_ks", pix_fmt="yuv422p10le", sound=("pcm_s24le",), says="prores_ks"),
    _simple("prores4444.mov", codec="prores_ks", pix_fmt="yuva444p10le", sound=()),
    _simple("rotated.mp4", rotation=90),
    _simple("rotated.mkv", rotation=180, tick=Fraction(1, 1000), times=[40 * index for index in range(FRAMES)]),
    _simple("anamorphic.mp4", aspect=Fraction(4, 3)),
    _simple("anamorphic.mkv", codec="ffv1", aspect=Fraction(16, 11), says="ffv1"),
    _simple("silent.webm", codec="libvpx-vp9", options={"b": "0", "crf": "20"}, sound=(), says="libvpx-vp9"),
    _simple("av1.mkv", codec="libsvtav1", options={"preset": "10"}, size=(64, 80), says="libsvtav1"),
    _simple("five.mkv", sound=("aac", "libopus", "flac", "libmp3lame", "pcm_s16le")),
    Odd("titles.mkv", lambda path, folder: with_subtitles(
        path, write(folder / ".titles.mkv", font=True, chapters=[(0, 200), (200, 400)]), _ASS, "ass")),
    Odd("titles.mp4", lambda path, folder: _with_mov_text(path, folder)),
    _simple("one.mkv", times=[0]),
    _simple("odd.mkv", codec="ffv1", size=(49, 65), sound=(), says="ffv1"),
    _simple("motion.avi", codec="mjpeg", pix_fmt="yuvj420p", size=(49, 65), sound=("pcm_s16le",), suffix=".mkv",
            tick=1 / RATE, times=list(range(FRAMES)), exact=False, full=True, says="full range"),
    _simple("old.avi", codec="mpeg4", sound=("libmp3lame",), suffix=".mkv", tick=1 / RATE, times=list(range(FRAMES)),
            exact=False),
    _simple("broadcast.ts", codec="mpeg2video", sound=("mp2",), suffix=".mkv", exact=False,
            tick=1 / RATE, times=list(range(FRAMES))),
    _simple("interlaced.mkv", codec="mpeg2video", options={"flags": "+ilme+ildct"}, says="--deinterlace",
            tick=1 / RATE, times=list(range(FRAMES))),
    _simple("hdr10.mkv", codec="libx265", pix_fmt="yuv420p10le", options={"x265-params": _HDR10}, tags=_PQ,
            matrix="bt2020", says="HDR (PQ)"),
    _simple("hdr10.mp4", codec="libx265", pix_fmt="yuv420p10le", options={"x265-params": _HDR10}, tags=_PQ,
            matrix="bt2020", says="HDR (PQ)"),
    _simple("hlg.mp4", codec="libx265", pix_fmt="yuv420p10le", tags=_HLG, matrix="bt2020", says="HDR (HLG)"),
    _simple("alpha.webm", codec="libvpx-vp9", pix_fmt="yuva420p", sound=("libopus",),
            options={"b": "0", "crf": "10", "auto-alt-ref": "0"}, says="yuva420p"),
    _simple("alpha.mkv", codec="ffv1", pix_fmt="bgra", says="ffv1"),
    _simple("rgb.mkv", codec="ffv1", pix_fmt="bgr0", says="RGB, full range"),
    _simple("grey.mkv", pix_fmt="gray"),
    Odd("edited.mp4", lambda path, folder: edited(path, write(folder / ".edited.mp4", sound=()))),
    Odd("damaged.mkv", lambda path, folder: damaged(path, write(
        folder / ".damaged.mkv", sound=(), options={"crf": "5"})), "damaged"),
    Odd("cut.mkv", lambda path, folder: cut_off(path, write(folder / ".cut.mkv")), ""),
    Odd("grows.h264", lambda path, folder: joined_bare(path, (48, 64, "yuv420p"), (32, 64, "yuv420p")),
        "changes its size to 64x32 at frame 6", 12, ".mkv", False),
    Odd("changes.h264", lambda path, folder: joined_bare(path, (48, 64, "yuv420p"), (48, 64, "yuv444p")),
        "changes its pixel format from yuv420p to yuv444p at frame 6", 12, ".mkv", False),
    Odd("promises.avi", lambda path, folder: promising(path, write(
        folder / ".promises.avi", codec="mpeg4", sound=(), tick=1 / RATE, times=list(range(FRAMES))), 20),
        "the container says 20 frames, there are 12", FRAMES, ".mkv", False),
    _simple("two.mkv", videos=2, says="2 video streams"),
    _simple("cover.mp4", cover=True),
    Odd("repeats.mkv", lambda path, folder: muddled(path, [0, 40, 40, 80, 70, 120]),
        "2 times repeated or ran backwards", 6, exact=False),
    _simple("wide.mkv", size=(16, 9000), sound=(), times=[0, 1001], codec="ffv1"),
]


def _with_mov_text(path, folder):
    text = b"1\n00:00:00,050 --> 00:00:00,200\nHello\n\n2\n00:00:00,250 --> 00:00:00,350\nyou\n"
    film = write(folder / ".titles.mp4", chapters=[(0, 200), (200, 400)])
    with av.open(str(film)) as source, av.open(str(path), "w") as output:
        output.set_chapters(source.chapters())
        copies = {stream.index: output.add_stream_from_template(stream, opaque=True) for stream in source.streams
                  if stream.type in ("video", "audio")}
        titles = output.add_mux_stream("mov_text", time_base=Fraction(1, 1000))
        with av.open(io.BytesIO(text), format="srt") as read:
            encoded = []
            for packet in read.demux():
                if packet.size:
                    body = bytes(packet)
                    made = av.Packet(len(body).to_bytes(2, "big") + body)
                    made.pts = made.dts = packet.pts
                    made.duration, made.time_base, made.stream = packet.duration, packet.time_base, titles
                    encoded.append(made)
        for packet in encoded:
            output.mux(packet)
        for packet in source.demux():
            if packet.size and packet.stream_index in copies:
                packet.stream = copies[packet.stream_index]
                output.mux(packet)
    return path


def make(folder):
    """Makes all clips of ODD in a folder."""
    for odd in ODD:
        odd.make(folder / odd.name, folder)
    for hidden in folder.glob(".*"):
        hidden.unlink()

"""A folder of odd clips through the whole command; results and sources compared as PyAV reads them."""

import contextlib
import dataclasses
from fractions import Fraction
import importlib.util
import io
from pathlib import Path

import av
import numpy as np
import pytest

from jsr import cli, clips

_SPEC = importlib.util.spec_from_file_location("odd_clips", Path(__file__).parents[1] / "golden" / "clips_make.py")
_MAKER = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MAKER)
ODD = _MAKER.ODD
_TICK = Fraction(1, 1000)  # Matroska's
_STATIC = ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL", "DISPLAYMATRIX")


@dataclasses.dataclass
class Read:
    """What PyAV reads of a file."""

    video: dict
    frames: list
    times: list
    side: dict
    streams: list
    chapters: list
    attachments: list
    title: str


def read(path):
    with av.open(str(path), metadata_errors="replace") as container:
        film = next(stream for stream in container.streams.video if not stream.disposition & 1024)
        decoder, found, side = clips.read.decoder_of(film), [], {}
        packets = {}
        for packet in container.demux():
            if packet.stream.index != film.index:
                if packet.size:
                    base = packet.time_base
                    packets.setdefault(packet.stream.index, []).append(
                        (bytes(packet), None if packet.pts is None else packet.pts * base))
                continue
            try:
                frames = decoder.decode(packet if packet.size else None)
            except av.error.FFmpegError:
                continue
            for frame in frames:
                side = side or {data.type.name: bytes(data) for data in frame.side_data if data.type.name in _STATIC}
                time = frame.pts if frame.pts is not None else frame.dts
                found.append((None if time is None else time * film.time_base, frame))
        context = film.codec_context
        return Read(
            {"codec": context.codec.canonical_name, "size": (found[0][1].height, found[0][1].width), "tags": (
                context.color_primaries, context.color_trc), "matrix": context.colorspace, "range": context.color_range,
             "aspect": film.sample_aspect_ratio or 1, "pix_fmt": found[0][1].format.name,
             "language": film.metadata.get("language", "und"), "disposition": film.disposition},
            [frame for _, frame in found], [time for time, _ in found], side,
            [(stream.type, stream.codec_context.codec.canonical_name, stream.metadata.get("language", "und"),
              packets.get(stream.index, [])) for stream in container.streams
             if stream.index != film.index and stream.type in ("audio", "subtitle", "video")],
            [(chapter["start"] * chapter["time_base"], chapter["end"] * chapter["time_base"],
              chapter["metadata"].get("title")) for chapter in container.chapters()],
            [(stream.name, stream.mimetype, stream.data) for stream in container.streams
             if stream.type == "attachment"], container.metadata.get("title"))


@pytest.fixture(scope="module")
def done(tmp_path_factory, bicubic, compile_cache):
    """(folder of the sources, folder of the results, all that the command said)."""
    source, out = tmp_path_factory.mktemp("odd"), tmp_path_factory.mktemp("out")
    _MAKER.make(source)
    said = io.StringIO()
    with compile_cache(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        for odd in ODD:  # one by one, for what is said is of each
            said.write(f"\n# {odd.name}\n")
            status = cli.main(["upscale", str(source / odd.name), "--out", str(out), "--model", str(bicubic),
                               "--runtime", "jax"])
            said.write(f"status {status}")
    return source, out, said.getvalue()


def said_of(name, text):
    return text.partition(f"\n# {name}\n")[2].partition("\n# ")[0]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name)
def test_an_odd_clip(odd, done):
    source, out, said = done
    said = said_of(odd.name, said)
    assert "status 0" in said and odd.says in said, said
    result = (out / odd.name).with_suffix(odd.suffix) if odd.suffix else out / odd.name
    before, after = read(source / odd.name), read(result)

    assert after.video["size"] == tuple(2 * side for side in before.video["size"])
    assert len(after.frames) == (odd.frames or len(before.frames))
    clip = clips.inspect(source / odd.name)
    if odd.exact:
        assert after.times == _moved(before.times, after.times[0] - before.times[0], odd, before)
    assert np.all(np.diff([float(time) for time in after.times]) > 0)

    tags = ("tags", "aspect", "language", "disposition")
    assert {key: after.video[key] for key in tags} == {key: before.video[key] for key in tags}
    assert (after.video["matrix"], after.video["range"]) in (
        (clip.colours.matrix, clip.colours.range), (5, clip.colours.range)), "5 and 6 are the same matrix"
    assert clips.colour.layout(after.video["pix_fmt"]).planar.replace("10", "12") == clips.colour.layout(
        before.video["pix_fmt"]).planar.replace("10", "12") or odd.name == "changes.h264"
    assert {key: value for key, value in after.side.items()} == before.side

    assert [stream[:3] for stream in after.streams] == [stream[:3] for stream in before.streams]
    for ours, theirs in zip(after.streams, before.streams, strict=True):
        assert [data for data, _ in ours[3]] == [data for data, _ in theirs[3]], "copied bit for bit"
        shift = after.times[0] - before.times[0] if before.times[0] is not None else 0
        for (_, new), (_, old) in zip(ours[3], theirs[3], strict=True):
            assert old is None or odd.suffix or abs(new - old - shift) <= _TICK
    assert after.chapters == before.chapters and after.attachments == before.attachments
    assert after.title == before.title

    if odd.frames is None:
        for ours, theirs in list(zip(after.frames, before.frames, strict=True))[::5]:
            _check_colours(ours, theirs, clip.colours)


def _moved(times, shift, odd, before):
    """Times as the result should have them: moved together where a container has none below zero."""
    starts = [packets[0][1] for *_, packets in before.streams if packets and packets[0][1] is not None]
    assert shift == 0 or odd.name.endswith(".mkv") and shift == -min(starts)
    return [time + shift for time in times]


def _check_colours(ours, theirs, colours):
    """Holds a result to its source, as FFmpeg turns both to RGB."""
    def rgb(frame):
        if frame.color_range == 0 or frame.colorspace == 2:
            frame.color_range, frame.colorspace = colours.range, colours.matrix
        return frame.reformat(format="rgb24", dst_color_range="JPEG").to_ndarray().astype(float)

    small = rgb(ours)
    difference = small.reshape(small.shape[0] // 2, 2, small.shape[1] // 2, 2, 3).mean((1, 3)) - rgb(theirs)
    assert abs(difference).mean() < 4 and abs(difference.mean((0, 1))).max() < 2.5  # of which 2 are swscale's

"""What --deinterlace, --stream, --without, --windows and the options of encoders do to clips."""

import av
import numpy as np
import pytest

from jsr import cli


@pytest.fixture
def upscaled(odd_clips, bicubic, tmp_path, capsys):
    """Function of words and what `clips_make.write` takes: (streams, frames of the one of twice the size, said)."""

    def run(words, name="a.mkv", **odd):
        out = tmp_path / "out.mkv"
        status = cli.main(["upscale", str(odd_clips.write(tmp_path / name, **odd)), "--out", str(out), "--model",
                           str(bicubic), "--runtime", "jax", *words.split()])
        said = capsys.readouterr()
        assert status == 0, said.err
        with av.open(str(out)) as container:
            streams = [(stream.type, stream.codec_context.name, getattr(stream, "width", None))
                       for stream in container.streams]
            large = next(stream for stream in container.streams.video if stream.width == 128)
            return streams, list(container.decode(large)), said.out
    return run


def test_deinterlacing_keeps_the_number_of_frames(upscaled, odd_clips):
    """Whole frames of interlaced ones, as many, at their times; without the flag they go through as they are."""
    odd = dict(codec="mpeg2video", options={"flags": "+ilme+ildct"}, sound=(), tick=1 / odd_clips.RATE,
               times=list(range(odd_clips.FRAMES)))
    _, stored, said = upscaled("", **odd)
    assert "12 frames interlaced, and went through as stored" in said
    _, whole, said = upscaled("--deinterlace --overwrite", **odd)
    assert "interlaced" not in said and [frame.pts for frame in whole] == [frame.pts for frame in stored]
    assert not any(frame.interlaced_frame for frame in whole)
    assert any((frame.to_ndarray() != other.to_ndarray()).any() for frame, other in zip(whole, stored, strict=True))


def test_another_stream_is_taken(upscaled):
    """The one of --stream is enlarged, the other copied, in their places."""
    streams, frames, said = upscaled("--stream 1", videos=2, sound=("aac",))
    assert [width for kind, _, width in streams if kind == "video"] == [64, 128] and len(frames) == 12
    assert "2 video streams: 1 was taken, 0 copied" in said


def test_streams_are_left_out(upscaled):
    streams, frames, _ = upscaled("--without 1 3", sound=("aac", "libopus", "flac"))
    assert [name for _, name, _ in streams] == ["h264", "opus"] and len(frames) == 12


@pytest.mark.parametrize("words, codec", [("--codec ffv1", "ffv1"), ("--codec hevc --preset ultrafast", "hevc"),
                                          ("--crf 40 --preset ultrafast", "h264")])
def test_options_of_encoders(words, codec, upscaled):
    streams, frames, _ = upscaled(words, sound=())
    assert [name for _, name, _ in streams] == [codec] and len(frames) == 12


def test_a_time_code(odd_clips, bicubic, tmp_path):
    """Its track is made anew; that of a part, which is another, is left out."""
    source, found = odd_clips.write(tmp_path / "a.mov", sound=(), metadata={"timecode": "01:00:00:00"}), []
    for words in [], ["--start", "0.1"]:
        out = tmp_path / f"out{len(words)}.mov"
        assert cli.main(["upscale", str(source), "--out", str(out), "--model", str(bicubic), "--runtime", "jax",
                         *words]) == 0
        with av.open(str(out)) as container:
            found.append([(stream.type, stream.metadata.get("timecode")) for stream in container.streams])
    assert found == [[("video", "01:00:00:00"), ("data", "01:00:00:00")], [("video", None)]]


@pytest.mark.slow
def test_a_recurrent_network(odd_clips, recurrent, tmp_path, capsys):
    """Whole scenes leave nothing beside the result; windows of a scene shorter than one see the same of it."""
    source, found = odd_clips.write(tmp_path / "a.mkv", size=(16, 24), sound=()), []
    for words, says in ([], "1 scene, each seen as a whole, its features on the disk meanwhile"), (
            ["--windows"], "1 scene, seen in windows of 30 frames that overlap by 10"):
        out = tmp_path / f"out{len(words)}.mkv"
        assert cli.main(["upscale", str(source), "--out", str(out), "--model", str(recurrent),
                         "--codec", "ffv1", *words]) == 0
        assert says in capsys.readouterr().out
        with av.open(str(out)) as container:
            found.append(np.stack([frame.to_ndarray() for frame in container.decode(video=0)]))
    assert {path.name for path in tmp_path.iterdir()} == {"a.mkv", "out0.mkv", "out1.mkv"}
    assert found[0].shape == found[1].shape and np.abs(found[0].astype(int) - found[1]).max() <= 1

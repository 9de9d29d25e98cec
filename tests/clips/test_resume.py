"""What a killed or failed run leaves, and how the next one goes on."""

from pathlib import Path
import signal
import subprocess
import sys
import time

import av
import numpy as np
import pytest

from jsr import cli, clips

_FRAMES = 3 * clips.SEGMENT + 20


@pytest.fixture(scope="module")
def long(tmp_path_factory, odd_clips):
    """A clip of several segments."""
    return odd_clips.write(tmp_path_factory.mktemp("long") / "long.mkv", times=[40 * index for index in range(_FRAMES)],
                           tick=odd_clips.Fraction(1, 1000), options={"preset": "ultrafast"}, size=(32, 48))


def command(source, out, model, *more):
    return ["upscale", str(source), "--out", str(out), "--model", str(model), "--runtime", "jax", *more]


def frames(path):
    with av.open(str(path)) as container:
        return [(frame.pts, frame.to_ndarray()) for frame in container.decode(video=0)]


def packets(path):
    with av.open(str(path)) as container:
        return [(packet.stream_index, packet.pts, bytes(packet)) for packet in container.demux() if packet.size]


def run(words, before=""):
    """A process of the command, in which some Python runs before it."""
    code = f"{before}\nfrom jsr.__main__ import main; sys.exit(main())"
    return subprocess.Popen([sys.executable, "-c", f"import resource, signal, sys; {code}", *words],
                            cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(path, process):
    while not path.exists() and process.poll() is None:
        time.sleep(0.005)


def test_a_killed_run_goes_on(long, bicubic, tmp_path, capsys):
    whole, killed = tmp_path / "whole.mkv", tmp_path / "killed.mkv"
    assert cli.main(command(long, whole, bicubic)) == 0
    folder = clips.folder_of(killed)
    process = run(command(long, killed, bicubic))
    wait_for(folder / "000001.mkv", process)
    process.kill()
    assert process.communicate() and process.returncode == -signal.SIGKILL
    assert not killed.exists() and (folder / clips.segments.JOURNAL).exists()
    left = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.mkv")}
    assert 2 <= len(left) < 4

    capsys.readouterr()
    assert cli.main(command(long, killed, bicubic, "--crf", "30")) == 1
    assert "was begun of another file, or with other options" in capsys.readouterr().err
    other = tmp_path / "other" / long.name
    other.parent.mkdir()
    other.write_bytes(long.read_bytes() + b"x")
    assert cli.main(command(other, killed, bicubic)) == 1
    assert "was begun of another file, or with other options" in capsys.readouterr().err
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("*.mkv")}.items() >= left.items()

    assert cli.main(command(long, killed, bicubic)) == 0
    assert "finished before" in capsys.readouterr().out and not folder.exists()
    assert packets(killed) == packets(whole)
    assert len(frames(killed)) == _FRAMES
    for (time_ours, ours), (time_theirs, theirs) in zip(frames(killed), frames(whole), strict=True):
        assert time_ours == time_theirs
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_segments_are_closed(long, bicubic, tmp_path):
    """A segment begins with a key frame, and no frame before one needs what follows."""
    out = tmp_path / "out.mkv"
    assert cli.main(command(long, out, bicubic)) == 0
    with av.open(str(out)) as container:
        keys = {packet.pts for packet in container.demux(video=0) if packet.is_keyframe}
    starts = [time for time, _ in frames(out)][::clips.SEGMENT]
    assert set(starts) <= keys


@pytest.mark.slow
def test_a_full_disk(long, bicubic, tmp_path):
    """A file that may not grow stands for a disk that is full: one line, and what is finished stays."""
    out = tmp_path / "out.mkv"

    limit = "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (90_000,) * 2)"
    process = run(command(long, out, bicubic, "--codec", "ffv1"), limit)
    said, _ = process.communicate()
    assert process.returncode == 1 and "cannot be written" in said and "Traceback" not in said
    assert not out.exists()
    assert cli.main(command(long, out, bicubic, "--codec", "ffv1")) == 0 and len(frames(out)) == _FRAMES


@pytest.mark.slow
def test_an_interrupted_run_says_where_it_stands(long, bicubic, tmp_path):
    out = tmp_path / "out.mkv"
    process = run(command(long, out, bicubic))
    wait_for(clips.folder_of(out) / "000000.mkv", process)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate()
    assert process.returncode == 130 and said.rstrip().endswith("stopped")
    assert not list(clips.folder_of(out).glob("*.part")) and not out.exists()

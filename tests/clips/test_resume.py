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


def test_a_run_killed_at_its_very_end_leaves_nothing_to_the_next(long, bicubic, tmp_path, monkeypatch):
    words = command(long, tmp_path / "out", bicubic, "--container", "mkv")
    (tmp_path / "out").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(clips.Segments, "remove", lambda self: None)
        assert cli.main(words) == 0
    folder = clips.folder_of(tmp_path / "out" / "long.mkv")
    assert folder.exists() and cli.main(words) == 0 and not folder.exists()


_KILL = '''
import os
from jsr.inference.store import Store
keep, count = Store.__setitem__, []
def kept(*args):
    count.append(0)
    if len(count) == {at}:
        os.kill(os.getpid(), signal.{signal})
    keep(*args)
Store.__setitem__ = kept
'''


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A clip of a scene of 60 frames and one of 40, which its second segment begins in."""
    path, noise = tmp_path_factory.mktemp("scenes") / "scenes.mkv", np.random.default_rng(0)
    with av.open(str(path), "w") as output:
        film = output.add_stream("ffv1", rate=25)
        film.height, film.width, film.pix_fmt = 16, 24, "yuv420p"
        for index in range(100):
            codes = noise.normal(40 if index < 60 else 180, 9, (16, 24, 3)).clip(0, 255).astype(np.uint8)
            shown = av.VideoFrame.from_ndarray(codes, "rgb24").reformat(format="yuv420p")
            shown.pts = index
            output.mux(film.encode(shown))
        output.mux(film.encode(None))
    return path


@pytest.mark.slow
def test_a_killed_run_of_a_recurrent_network_goes_on(scenes, recurrent, tmp_path):
    """Killed in a pass through the first scene, in one through the second, and behind a finished segment."""
    whole, out = tmp_path / "whole.mkv", tmp_path / "out.mkv"
    words = command(scenes, out, recurrent, "--codec", "ffv1")
    for at in 100, 500:
        process = run(words, _KILL.format(at=at, signal="SIGKILL"))
        assert process.communicate() and process.returncode == -signal.SIGKILL
        names = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
        assert names <= {".json", ".part", ".lock"}, "of the features nothing is left"
    process = run(words)
    wait_for(clips.folder_of(out) / "000000.mkv", process)
    process.kill()
    process.communicate()
    assert not out.exists()
    assert cli.main([*words, "--windows"]) == 1, "another setting"
    assert cli.main(words) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"out.mkv"}
    assert cli.main(command(scenes, whole, recurrent, "--codec", "ffv1")) == 0
    assert packets(out) == packets(whole) and len(frames(out)) == 100


@pytest.mark.slow
def test_a_full_disk_while_features_are_kept(scenes, recurrent, tmp_path):
    """One line, and nothing is left where no segment was finished."""
    limit = "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (300_000,) * 2)"
    process = run(command(scenes, tmp_path / "out.mkv", recurrent), limit)
    said, _ = process.communicate()
    assert process.returncode == 1 and "out.mkv: cannot be written" in said and "Traceback" not in said
    assert not list(tmp_path.iterdir())


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
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_where_it_stands(signum, long, bicubic, tmp_path):
    out = tmp_path / "out.mkv"
    process = run(command(long, out, bicubic))
    wait_for(clips.folder_of(out) / "000000.mkv", process)
    process.send_signal(signum)
    said, _ = process.communicate()
    assert process.returncode == 128 + signum and said.rstrip().endswith("stopped")
    assert not list(clips.folder_of(out).glob("*.part")) and not out.exists()

"""Clips that are refused: one line before the first frame, and nothing left behind; parts, pipes and previews."""

from fractions import Fraction
import os
from pathlib import Path
import subprocess
import sys

import av
import numpy as np
from PIL import Image
import pytest

from jsr import cli


@pytest.fixture(scope="module")
def bad(tmp_path_factory, odd_clips):
    """A folder of files that are no clips, or cannot be written as is asked for."""
    folder = tmp_path_factory.mktemp("bad")
    write = odd_clips.write
    plain = write(folder / "plain.mp4", chapters=[(0, 200), (200, 400)])
    for name, cover in (("cover.mp4", True), ("sound.mkv", False)):
        with av.open(str(folder / name), "w") as output:
            track = output.add_stream("aac", rate=48000)
            if cover:
                art = output.add_stream("mjpeg", rate=1)
                art.height, art.width, art.pix_fmt, art.disposition = 16, 16, "yuvj420p", 1024
                output.mux(art.encode(odd_clips.frame(0, "yuvj420p", 16, 16)))
            for index in range(3):
                heard = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", layout="stereo")
                heard.rate, heard.pts = 48000, 1024 * index
                output.mux(track.encode(heard))
            output.mux(track.encode(None))
    write(folder / "encrypted.mp4", sound=(), muxer={
        "encryption_scheme": "cenc-aes-ctr", "encryption_key": "0" * 32, "encryption_kid": "1" * 32})
    with av.open(str(folder / "none.mkv"), "w") as output:
        film = output.add_stream("libx264", rate=25)
        film.height, film.width = 48, 64
        output.start_encoding()
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mkv").write_text("words " * 300)
    odd_clips.cut_off(folder / "cut.mp4", plain, 0.3)
    odd_clips.with_subtitles(folder / "ass.mkv", write(folder / "p.mkv", sound=()), odd_clips._ASS, "ass")
    write(folder / "pcm.mkv", sound=("pcm_s16le",))
    write(folder / "ten.mkv", codec="libx265", pix_fmt="yuv420p10le", sound=())
    write(folder / "hdr.mkv", codec="libx265", pix_fmt="yuv420p10le", sound=(), tags=odd_clips._PQ, options={
        "x265-params": odd_clips._HDR10})
    (folder / "playlist.mp4").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n")
    (folder / "list.mkv").write_text("ffconcat version 1.0\nfile 'http://127.0.0.1:9/a.ts'\n")
    Image.fromarray(odd_clips.picture(0)).save(folder / "a.gif")
    write(folder / "alpha.webm", codec="libvpx-vp9", pix_fmt="yuva420p", sound=(), options={"auto-alt-ref": "0"})
    with av.open(str(folder / "xyz.nut"), "w") as output:
        film = output.add_stream("rawvideo", rate=25)
        film.height, film.width, film.pix_fmt = 48, 64, "xyz12le"
        output.mux(film.encode(odd_clips.frame(0, "rgb24").reformat(format="xyz12le")))
    return folder


@pytest.mark.parametrize("words, says", [
    ("cover.mp4", "is sound with a cover picture, and no clip"),
    ("sound.mkv", "holds no video stream"),
    ("encrypted.mp4", "is encrypted"),
    ("none.mkv", "ends before its first frame"),
    ("empty.mp4", "cannot be read as a clip"),
    ("text.mkv", "cannot be read as a clip"),
    ("playlist.mp4", "cannot be read as a clip"),
    ("list.mkv", "cannot be read as a clip"),
    ("cut.mp4", "it is cut off, its index (moov)"),
    ("ass.mkv --container mp4", "mp4 cannot hold its stream 1 (subtitle ssa); choose --container mkv"),
    ("pcm.mkv --container webm", "webm cannot hold its stream 1 (audio pcm_s16le); choose --container mkv"),
    ("ten.mkv --codec vp9", "libvpx-vp9 does not take yuv420p10le, 10 bits; choose --codec libx265"),
    ("ten.mkv --codec prores --container webm", "writes prores, which webm cannot hold; choose --codec libsvtav1"),
    ("hdr.mkv --codec ffv1", "ffv1 does not write the data of the mastering display; choose --codec libx265"),
    ("hdr.mkv --sdr", "is HDR (PQ), and --sdr wants none"),
    ("plain.mp4 --crf 99", "--crf 99: must be from 0 (best) to 51 for libx264"),
    ("plain.mp4 --codec ffv1 --crf 9 --container mkv", "ffv1 has no such factor"),
    ("plain.mp4 --preset quick", "is none of libx264; choose one of placebo"),
    ("plain.mp4 --codec h263", "is none that clips are written by"),
    ("plain.mp4 --container avi", "choose one of mkv, mp4, mov, webm"),
    ("plain.mp4 --start 100", "no frame lies between --start and --end; it is 0.40 s long"),
    ("plain.mp4 --start 0.3 --end 0.1 --preview", "no frame lies between --start and --end"),
    ("plain.mp4 --start 5 --frames", "no frame lies between --start and --end"),
    ("plain.mp4 --start 99999999999999999999999", "no frame lies between --start and --end"),
    ("alpha.webm --codec vp9 --container mp4",
     "libvpx-vp9 writes alpha beside the frames, which mp4 cannot hold; choose --codec ffv1"),
    ("xyz.nut", "its colours are XYZ"),
    ("plain.mp4 --start 0:x", "is no time such as 90"),
    ("plain.mp4 --stream 1", "its stream 1 is no video; choose --stream of 0"),
    ("plain.mp4 --without 7", "there is no such stream beside the one that is taken"),
    ("plain.mp4 --out new/b.gif", "is a clip, but "),
    ("plain.mp4 --out new/b.avi", "did you mean "),
    ("plain.mp4 --out new/b.mp4 --container mkv", "but --container is mkv; leave one of them out"),
    ("plain.mp4 --out - --container mp4", "cannot be written into a pipe"),
    ("a.gif --out new/b.mp4", "is a picture and stays one, even if animated"),
    ("plain.mp4 --scale 1", "no network that comes with jsr restores clips"),
])
def test_a_refusal(bad, bicubic, tmp_path, capsys, monkeypatch, words, says):
    monkeypatch.chdir(bad)
    name, *more = words.split()
    before = sorted(os.listdir(bad))
    model = [] if "--scale" in more else ["--model", str(bicubic), "--runtime", "jax"]
    try:
        status = cli.main(["upscale", name, *more, *model])
    except SystemExit as e:
        status = e.code
    said = capsys.readouterr().err
    assert status in (1, 2) and says in said
    assert sum(line.startswith("jsr upscale: ") for line in said.splitlines()) <= 2 and "Traceback" not in said
    assert sorted(os.listdir(bad)) == before, "nothing is left behind"


def test_a_part(bad, bicubic, tmp_path, capsys):
    """--start and --end: frames and what is copied of that part, from time 0; the preview is a frame of it."""
    out = tmp_path / "part.mp4"
    assert cli.main(["upscale", str(bad / "plain.mp4"), "--out", str(out), "--start", "0.1", "--end", "0.31",
                     "--preview", "--model", str(bicubic), "--runtime", "jax"]) == 0
    assert f"preview: {out}.preview.png" in capsys.readouterr().out
    with Image.open(f"{out}.preview.png") as image:
        assert image.size == (128, 96)
        image.save(f"{out}.preview.png")  # which drops what tells a preview
    again = ["upscale", str(bad / "plain.mp4"), "--out", str(out), "--overwrite", "--preview", "--model", str(bicubic),
             "--runtime", "jax", "--start", "0.1", "--end", "0.31"]
    assert cli.main(again) == 1 and "exists and is no preview made by jsr" in capsys.readouterr().err
    os.remove(f"{out}.preview.png")
    assert [cli.main(again), cli.main(again)] == [0, 0], "one's own is replaced"
    with av.open(str(out)) as container:
        times = [frame.pts * frame.time_base for frame in container.decode(video=0)]
        assert [(chapter["start"], chapter["end"]) for chapter in container.chapters()] == [(0, 100), (100, 210)]
    assert times == [Fraction(1001 * index, 30000) for index in range(7)], "of 12, those from 0.1 to 0.31 s"


def test_a_colon_is_part_of_a_name(bad, bicubic, tmp_path, monkeypatch, capsys):
    """What stands before it is no protocol, of the clip, its result, and the segments between; none is connected to."""
    monkeypatch.chdir(tmp_path)
    name = "http:a.mp4"
    (tmp_path / name).write_bytes((bad / "plain.mp4").read_bytes())
    assert cli.main(["upscale", name, "--out", "tcp:b.mkv", "--model", str(bicubic), "--runtime", "jax"]) == 0
    assert sorted(os.listdir(tmp_path)) == [name, "tcp:b.mkv"]


@pytest.mark.slow
def test_pipes(bad, bicubic, tmp_path):
    """A clip from standard input to standard output is a Matroska file, and nothing else is printed there."""
    with open(bad / "plain.mp4", "rb") as source, open(tmp_path / "b.mkv", "wb") as sink:
        done = subprocess.run([sys.executable, "-m", "jsr", "upscale", "-", "--out", "-", "--model", str(bicubic),
                               "--runtime", "jax"], stdin=source, stdout=sink, stderr=subprocess.PIPE,
                              cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    with av.open(str(tmp_path / "b.mkv")) as container:
        assert container.format.name == "matroska,webm" and sum(1 for _ in container.decode(video=0)) == 12


def test_beside(bad, bicubic, tmp_path, capsys):
    """Without --out the result lies beside the clip; the command again leaves it alone, and takes it for no clip."""
    clip = tmp_path / "mine.mp4"
    clip.write_bytes((bad / "plain.mp4").read_bytes())
    command = ["upscale", str(tmp_path), "--model", str(bicubic), "--runtime", "jax"]
    assert cli.main(command) == 0 and sorted(os.listdir(tmp_path)) == ["mine.mp4", "mine_x2.mp4"]
    made = (tmp_path / "mine_x2.mp4").stat().st_mtime_ns
    capsys.readouterr()
    assert cli.main(command) == 0 and "1 were finished before" in capsys.readouterr().out
    assert (tmp_path / "mine_x2.mp4").stat().st_mtime_ns == made
    assert cli.main([*command, "--crf", "30"]) == 1 and "in another way" in capsys.readouterr().err

"""Clips held against clips: files and folders of frames, and what does not fit."""

import json
import zipfile

import numpy as np
import pytest

from jsr import cli, degradations, listing, metrics
from jsr.degradations import _video, hevc
from jsr.degradations.enlarge import enlarge
from jsr.errors import UserError
from jsr.evaluation import score_clips
from jsr.evaluation.score_folders import Pair
from jsr.images import write_png

KEYS = ["psnr[rgb]", "tcc[rgb]"]


@pytest.fixture
def clips(tmp_path, photograph):
    """tmp_path with hr/a.hevc of 3 frames, 64x80; its LR lr/a.hevc; and sr/a, a folder of noisy frames; b alike."""
    for name, seed in (("a", 0), ("b", 1)):
        rgb = np.stack([photograph(64, 96, seed)[:, 2 * t:2 * t + 80] for t in range(3)])
        yuv = _video.rgb_to_yuv(rgb)
        files = {"hr": hevc.encode_lossless(yuv), "lr": degradations.degrade("aim22_t2", yuv).lr_bytes}
        for folder, data in files.items():
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"{name}.hevc").write_bytes(data)
        for number, frame in enumerate(hevc.decode_rgb(files["hr"])):
            noise = np.random.default_rng(number).integers(-6, 7, frame.shape)
            write_png(tmp_path / "sr" / name / f"f{9 + number}.png", np.clip(frame + noise, 0, 255).astype(np.uint8))
    return tmp_path


def frames(path):
    return np.stack(list(score_clips.Frames(path)))


def test_clips_are_files_and_folders_of_frames(clips):
    passed = listing.PassedOver()
    (clips / "sr" / "notes.txt").write_text("")
    assert score_clips.list_clips(clips / "sr", passed) == [clips / "sr" / "a", clips / "sr" / "b"] and passed.kinds
    assert score_clips.list_clips(clips / "hr", passed) == [clips / "hr" / "a.hevc", clips / "hr" / "b.hevc"]
    for alone in (clips / "sr" / "a", clips / "hr" / "a.hevc"):
        assert score_clips.list_clips(alone, passed) == [alone]
    np.testing.assert_array_equal(frames(clips / "hr" / "a.hevc"),
                                  hevc.decode_rgb((clips / "hr" / "a.hevc").read_bytes()))
    (clips / "sr" / "a" / "f009.png").write_bytes(b"")
    ten = [path.name for path in score_clips._files(clips / "sr" / "a")]
    assert ten[-2:] == ["f10.png", "f11.png"] and {*ten[:2]} == {"f009.png", "f9.png"}  # by number, not by letter


@pytest.mark.parametrize("stored", [True, False])
def test_scores_are_of_frames_and_their_means(clips, stored):
    pair = Pair(clips / "sr" / "a", clips / "hr" / "a.hevc", clips / "lr" / "a.hevc" if stored else None)
    row = score_clips.score_clip(pair, keys=KEYS, scale=4, degradation="" if stored else "aim22_t2")
    sr, hr, lr = (frames(clips / place) for place in ("sr/a", "hr/a.hevc", "lr/a.hevc"))
    for who, clip in (("ours", sr), ("bicubic", enlarge(lr, 4))):
        assert [its["psnr[rgb]"] for its in row["frames"][who]] == [metrics.psnr(*both) for both in zip(clip, hr,
                                                                                                   strict=True)]
        assert row[who]["psnr[rgb]"] == pytest.approx(np.mean([its["psnr[rgb]"] for its in row["frames"][who]]))
        assert row[who]["tcc[rgb]"] == pytest.approx(metrics.tcc(clip, hr))
    assert row["cropped"] == "" and row["name"] == "a"
    assert degradations.codecs(row["made"]).startswith("x265 ") != stored  # nothing tells what made a stored one


def test_odd_hr_is_cropped_to_whole_lr_pixels_of_chroma(clips):
    for number, frame in enumerate(frames(clips / "hr" / "a.hevc")):
        write_png(clips / "odd" / "a" / f"{number}.png", np.pad(frame, [(0, 7), (0, 3), (0, 0)]))
    row = score_clips.score_clip(Pair(clips / "sr" / "a", clips / "odd" / "a"), keys=KEYS, scale=4,
                                 degradation="aim22_t2")
    assert row["cropped"] == "71x83"
    whole = score_clips.score_clip(Pair(clips / "sr" / "a", clips / "hr" / "a.hevc"), keys=KEYS, scale=4)
    assert row["ours"] == whole["ours"]


@pytest.mark.parametrize("change, message", [
    (lambda at: (at / "sr/a/f11.png").unlink(), r"sr/a: holds 2 frames, .*hr/a.hevc holds more; they must agree"),
    (lambda at: (at / "hr/a.hevc").write_bytes(b"none"), r"hr/a.hevc: damaged or truncated"),
    (lambda at: (at / "sr/a/f9.png").write_bytes(b"none"), r"sr/a/f9.png: not an image"),
    (lambda at: write_png(at / "sr/a/f9.png", np.zeros((60, 80, 3), np.uint8)),
     r"sr/a: is 60x80, its HR a.hevc 64x80 \(height x width\); they must agree"),
    (lambda at: (at / "lr/a.hevc").write_bytes(hevc.encode(np.full((3, 36, 20), 99, np.uint8), 37)),
     r"lr/a.hevc: is 24x20, its HR a.hevc 64x80 \(height x width\), not 4 times as large"),
])
def test_clips_that_do_not_fit_are_one_line(clips, change, message):
    change(clips)
    pair = Pair(clips / "sr" / "a", clips / "hr" / "a.hevc", clips / "lr" / "a.hevc")
    with pytest.raises(UserError, match=message):
        score_clips.score_clip(pair, keys=KEYS, scale=4)


def run(capsys, *arguments):
    status = cli.main(["evaluate", *map(str, arguments), "--overwrite", "--num_workers", "0"])
    return status, *capsys.readouterr()


def test_the_command_scores_clips(clips, capsys):
    given = "--sr", clips / "sr", "--hr", clips / "hr"
    status, out, _ = run(capsys, *given, "--lr", clips / "lr", "--protocol", "aim22_t2", "--json", clips / "s.json",
                         "--csv", clips / "s.csv")
    report = json.loads((clips / "s.json").read_text())
    assert status == 0 and [row["name"] for row in report["images"]] == ["a", "b"]
    for who in ("ours", "bicubic"):
        for key in ("psnr[rgb]", "ssim[rgb]", "psnr[y_601]", "tcc[rgb]"):
            assert report["mean"][who][key] == pytest.approx(np.mean([row[who][key] for row in report["images"]]))
    for words in ("clips scored: 2", "TCC[rgb]", "IVL", "+0.2966", "not comparable: other images", "2 clips scored"):
        assert words in out, words
    lines = (clips / "s.csv").read_text().splitlines()
    assert lines[0].startswith("name,frame,ours psnr[rgb]") and len(lines) == 1 + 2 * 3 and lines[4].startswith("b,1,")
    alone = ("--sr", clips / "sr" / "a", "--hr", clips / "hr" / "a.hevc", "--lr", clips / "lr" / "a.hevc")
    status, out, _ = run(capsys, *alone, "--protocol", "aim22_t2")
    assert status == 0 and "clips scored: 1" in out
    status, out, _ = run(capsys, "--sr", clips / "hr", "--hr", clips / "hr", "--profile", "rgb")
    assert status == 0 and "clips scored: 2" in out and "inf" in out


@pytest.mark.parametrize("more, message", [
    (("--sr", "sr/a", "--hr", "hr"), "sr/a: is one clip, "),
    (("--sr", "none", "--hr", "hr"), "none: no such folder"),
    (("--sr", "sr", "--hr", "empty"), "empty: no clips in it (passed over: 1 .txt)"),
    (("--sr", "mixed", "--hr", "hr"), "mixed: holds images beside clips"),
])
def test_places_that_hold_no_pairs(clips, capsys, monkeypatch, more, message):
    monkeypatch.chdir(clips)
    (clips / "empty").mkdir()
    (clips / "empty" / "notes.txt").write_text("")
    write_png(clips / "mixed" / "0.png", np.zeros((8, 8, 3), np.uint8))
    (clips / "mixed" / "a.hevc").write_bytes(b"")
    status, _, err = run(capsys, *more, "--protocol", "aim22_t2")
    assert status == 1 and message in err and "Traceback" not in err


def test_a_submission_of_clips_holds_their_frames(clips, capsys):
    status, out, _ = run(capsys, "--sr", clips / "sr", "--lr", clips / "lr", "--protocol", "aim22_t2",
                         "--submission", clips / "o.zip", "--runtime", "1")
    assert status == 0 and "o.zip: 2 clips and readme.txt; the challenge's are the 15 test clips of LDV 3.0" in out
    with zipfile.ZipFile(clips / "o.zip") as archive:
        assert archive.namelist() == [f"{name}/{n:03d}.png" for name in "ab" for n in (1, 2, 3)] + ["readme.txt"]
        assert archive.read("readme.txt").startswith(b"runtime per frame [s] : 1\n")
    status, _, err = run(capsys, "--sr", clips / "lr", "--lr", clips / "lr", "--protocol", "aim22_t2",
                         "--submission", clips / "p.zip", "--runtime", "1")
    assert status == 1 and "a.hevc: is 16x20, its LR a.hevc 16x20 (height x width), not x4" in err

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from jsr import degradations
from jsr.errors import UserError
from jsr.evaluation import score_folders
from jsr.evaluation.score_folders import Pair, match, score_pair
from jsr.images import write_png


def paths(folder, *names):
    return [Path(folder) / name for name in names]


@pytest.mark.parametrize("made", ["0801.png", "0801.jpg", "0801x4.png", "0801x4m.png", "0801_SwinIR.png",
                                  "0801-out.png", "0801 (1).png", "0801.x4.png", "801.png", "801x4.png",
                                  "SR_0801.png", "0801_LRx4.png", "sr-801_out.png"])
def test_names_that_belong_together(made):
    assert match(paths("sr", made), paths("hr", "0801.png", "0802.png")) == (
        {Path("hr/0801.png"): Path("sr", made)}, ["hr/0802.png: no SR image has this name"])


@pytest.mark.parametrize("made", ["08011.png", "8010.png", "x0801.png", "0801a.png"])
def test_names_that_do_not(made):
    pairs, problems = match(paths("sr", made), paths("hr", "0801.png"))
    assert not pairs
    assert problems == [f"sr/{made}: no HR image has this name", "hr/0801.png: no SR image has this name"]


def test_exact_names_go_first():
    pairs, problems = match(paths("sr", "a.png", "a_2.png"), paths("hr", "a_2.png", "a.png"))
    assert pairs == {Path("hr/a.png"): Path("sr/a.png"), Path("hr/a_2.png"): Path("sr/a_2.png")} and not problems


@pytest.mark.parametrize("pairs", [
    {"img_001_SRF_4_HR": "img_001_SRF_4_SR", "img_002_SRF_4_HR": "img_002_SRF_4_SR"},
    {"Canon_001_HR": "Canon_001_LR4", "Canon_002_HR": "Canon_002_LR4"}, {"0001": "1", "0010": "10"},
    {"1": "0001", "10": "0010"}, {"img_001": "img_1", "img_010": "img_10"}, {"0801": "SR_0801", "0802": "SR_0802"},
    {"Baby": "baby", "Bird": "BIRD"}, {"Baby": "SR_baby_x4"}, {"img": "img_x4", "img_1": "img_1_x4"},
    {"a": "a", "A": "A"}, {"a_HR": "a_SR", "a": "a"},
])
def test_names_that_are_alike(pairs):
    expected = {Path(f"hr/{name}.png"): Path(f"sr/{made}.png") for name, made in pairs.items()}
    assert match(list(expected.values()), list(expected)) == (expected, [])


def test_ambiguity_names_both():
    pairs, problems = match(paths("sr", "a_x4.png", "a_swinir.png"), paths("hr", "a.png"))
    assert not pairs and problems == [
        "sr/a_x4.png: could belong to a.png, as could a_swinir.png; give the right one that file's name",
        "sr/a_swinir.png: could belong to a.png, as could a_x4.png; give the right one that file's name"]
    pairs, problems = match(paths("sr", "1.png"), paths("hr", "01.png", "001.png"))
    assert not pairs and problems == [
        "sr/1.png: could belong to 01.png or 001.png; give the right one that file's name"]


def test_the_longest_name_counts():
    pairs, problems = match(paths("sr", "a_b_x4.png"), paths("hr", "a.png", "a_b.png"))
    assert pairs == {Path("hr/a_b.png"): Path("sr/a_b_x4.png")} and problems == ["hr/a.png: no SR image has this name"]


def test_same_stem_twice():
    pairs, problems = match(paths("sr", "a.png", "a.jpg", "b.png"), paths("hr", "a.png", "b.png"))
    assert list(pairs) == [Path("hr/b.png")]
    assert problems == ["sr/a.jpg: has the same name as a.png; remove one of them",
                        "hr/a.png: no SR image has this name"]


@pytest.fixture
def files(tmp_path, photograph):
    """Writes photographs: files("sr", 8, 12) gives the path of one with 8 rows and 12 columns."""
    def write(name, height, width, seed=0):
        path = tmp_path / f"{name}.png"
        write_png(path, photograph(height, width, seed))
        return path
    return write


def test_scores_and_baseline_by_degradation(files):
    pair = Pair(files("sr", 32, 40, 1), files("hr", 34, 43))
    row = score_pair(pair, keys=["psnr[rgb]"], scale=4, degradation="aim22_t1")
    assert row["name"] == "hr" and row["cropped"] == "34x43"
    assert set(row) == {"name", "sr", "hr", "cropped", "made", "ours", "bicubic"}
    assert set(row["bicubic"]) == {"psnr[rgb]"} and row["made"] == degradations.draw("aim22_t1", "hr")
    row = score_pair(pair, keys=["psnr[rgb]"], scale=4, degradation="aim22_t1", fixed={"encoder": "pillow"})
    assert row["made"] == degradations.draw("aim22_t1", "hr", encoder="pillow")


def test_baseline_of_a_qp(files):
    pair = Pair(files("sr", 32, 40, 1), files("hr", 32, 40), qp=63)
    score = partial(score_pair, keys=["psnr[rgb]"], scale=4, degradation="ais24", baseline="lanczos")
    row = score(pair, kernel="swscale_lanczos")
    assert list(row) == ["name", "qp", "sr", "hr", "cropped", "made", "ours", "lanczos"] and row["qp"] == 63
    assert row["ours"]["psnr[rgb]"] < row["lanczos"]["psnr[rgb]"] < score(replace(pair, qp=31))["lanczos"]["psnr[rgb]"]
    assert score(pair)["lanczos"] != row["lanczos"]  # another kernel


def test_scale_of_an_lr_image_is_read_off(files):
    hr = files("hr", 32, 40)
    row = score_pair(Pair(hr, hr, files("lr", 16, 20)), keys=["psnr[rgb]"])
    assert row["ours"]["psnr[rgb]"] == float("inf") and 5 < row["bicubic"]["psnr[rgb]"] < 60 and row["cropped"] == ""


@pytest.mark.parametrize("sizes, scale, message", [
    ({"sr": (32, 41), "hr": (32, 40)}, None, r"sr.png: is 32x41, its HR hr.png 32x40 .*; they must agree"),
    ({"sr": (34, 43), "hr": (34, 43)}, 4, "sr.png: is 34x43, its HR hr.png 32x40"),
    ({"sr": (3, 9), "hr": (3, 9)}, 4, r"hr.png: 3x9 \(height x width\) is smaller than 4 px, the scale"),
    ({"sr": (1, 1), "hr": (1, 1)}, None, r"sr.png: ssim\[rgb\]: 1x1 px with crop_border 0 is too small"),
    ({"sr": (32, 40), "hr": (32, 40), "lr": (8, 11)}, 4, "lr.png: is 8x11, its HR hr.png 32x40 .*, not 4 times"),
    ({"sr": (32, 40), "hr": (32, 40), "lr": (33, 41)}, None, "lr.png: is 33x41, its HR hr.png 32x40 .*, not 1 times"),
])
def test_sizes_that_do_not_fit(files, sizes, scale, message):
    pair = Pair(**{name: files(name, *size) for name, size in sizes.items()})
    with pytest.raises(UserError, match=message):
        score_folders.score_pair(pair, keys=["psnr[rgb]", "ssim[rgb]"], scale=scale)

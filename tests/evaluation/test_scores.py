"""Evaluation pairs, good and bad, and the report made of them."""

import json

import numpy as np
from PIL import Image
import pytest

from jsr import challenges, degradations, evaluation, images, metrics, report
from jsr.data import validation
from jsr.degradations.enlarge import KERNELS, enlarge
from jsr.errors import UserError

PROTOCOL = challenges.protocol("aim22_t1")


class Repeat:
    """Stands in the upscaler's place: repeats every pixel."""

    scale = 4

    def told(self, quality):
        return self

    def upscale(self, lr):
        return lr.repeat(4, -3).repeat(4, -2)


def record(hr, lr=None, name="folder/a.png"):
    return {"name": name, "hr": images.png_bytes(hr)} | ({} if lr is None else {"lr": images.png_bytes(lr)})


def test_hr_is_cropped_to_the_lr_grid_and_lr_made_or_taken(photograph):
    hr, lr = photograph(43, 50), photograph(10, 12)
    (name, made, cropped, _), = validation.eval_pairs([record(hr)], scale=4, degrade="aim22_t1")
    assert name == "a.png"
    np.testing.assert_array_equal(cropped, hr[:40, :48])
    np.testing.assert_array_equal(made, degradations.decode(degradations.degrade("aim22_t1", hr[:40, :48]).lr_bytes))
    (_, taken, *_), = validation.eval_pairs([record(hr, lr)], scale=4)
    np.testing.assert_array_equal(taken, lr)


@pytest.mark.parametrize("hr, lr, degrade, message", [
    ((40, 40), (10, 11), "", "folder/a.png: LR is 11x10 and HR 40x40, not 4 times as large"),
    ((40, 40), (80, 80), "", "LR is 80x80 and HR 40x40"),
    ((40, 40), None, "", "--config.data.eval.degrade=aim22_t1"),
    ((1, 1), None, "aim22_t1", "folder/a.png: 1x1 .* is smaller than 4 px"),
    ((40, 40), None, "aim22", r"did you mean 'aim22_t1' or 'aim22_t2'\?"),
    ((40, 40), None, "bicubic", r"did you mean 'bicubic_x2' or 'bicubic_x3' or 'bicubic_x4'\?"),
])
def test_pairs_that_do_not_fit_are_one_line(photograph, hr, lr, degrade, message):
    source = [record(photograph(*hr), lr and photograph(*lr))]
    with pytest.raises(UserError, match=message):
        list(validation.eval_pairs(source, scale=4, degrade=degrade))


def test_image_too_small_for_a_metric_names_itself(photograph):
    with pytest.raises(UserError, match="tiny.png: .* remove it"):
        evaluation.score("tiny.png", photograph(8, 8), photograph(8, 8), PROTOCOL)


def test_bicubic_is_pillows(photograph):
    lr = photograph(7, 9)
    np.testing.assert_array_equal(enlarge(lr, 4), np.asarray(Image.fromarray(lr).resize((36, 28), Image.BICUBIC)))


@pytest.mark.parametrize("scale, expected", [
    (2, [[0, 63, 215, 255, 174, 123], [0, 59, 197, 246, 180, 142], [0, 53, 166, 223, 190, 172],
         [0, 50, 148, 208, 197, 191]]),
    (3, [[0, 0, 89, 193, 255, 251, 190, 136, 122], [0, 0, 87, 187, 255, 247, 191, 141, 128],
         [0, 3, 81, 172, 236, 237, 194, 155, 146], [0, 5, 73, 153, 214, 224, 197, 172, 167],
         [0, 8, 67, 137, 195, 213, 199, 186, 185], [0, 9, 65, 132, 188, 209, 200, 191, 191]]),
])
def test_torch_bicubic_is_torchs(scale, expected):
    """The values of torch 2.13's interpolate, clamped and rounded."""
    lr = np.array([[0, 255, 141], [8, 195, 186]], np.uint8)[..., None].repeat(3, -1)
    sr = enlarge(lr, scale, "torch_bicubic")
    np.testing.assert_array_equal(sr, np.array(expected)[..., None].repeat(3, -1))


def test_restoration_begins_with_the_input(photograph):
    lr = photograph(16, 20)
    assert enlarge(lr, 1, "input") is lr
    with pytest.raises(ValueError, match=r"an image of \(16, 20\) is not of \(32, 40\)"):
        enlarge(lr, 2, "input")


@pytest.mark.parametrize("kernel", [kernel for kernel in KERNELS if kernel != "input"])
def test_kernels_enlarge(photograph, kernel):
    lr = photograph(16, 20)
    sr = enlarge(lr, 3, kernel)
    assert sr.dtype == np.uint8 and sr.shape == (48, 60, 3)
    assert metrics.psnr(sr[1::3, 1::3], lr, profile="rgb") > 30  # centres stay where they are


def test_report_has_the_challenges_own_baseline(photograph, tmp_path):
    protocol, hr = challenges.protocol("ais24"), photograph(48, 64)
    made = degradations.degrade("ais24", hr, qp=31)
    lr = made.decode()
    pairs = [("a", lr, hr, made.record)]
    result, strips = report.make_report(Repeat(), pairs, protocol=protocol, recipe="a:b", steps=3)
    lanczos = evaluation.score("a", enlarge(lr, 4, "swscale_lanczos"), hr, protocol)
    assert result["mean"]["lanczos"] == result["images"][0]["lanczos"] == lanczos
    assert "error of lanczos" in report.write(tmp_path, result, strips, protocol=protocol).read_text()
    assert list(report.table(result, protocol).columns[0].cells) == ["lanczos x4", "ours", "gain"]


def test_report_shows_where_bicubic_is_worst(photograph, tmp_path):
    flat = np.full((400, 400, 3), 90, np.uint8)
    flat[300:340, 40:80] = photograph(40, 40)  # the only place with an error
    pairs = [("flat", flat[::4, ::4], flat, {}), ("small", photograph(5, 6), photograph(20, 24), {})]
    result, strips = report.make_report(Repeat(), pairs, protocol=PROTOCOL, recipe="a:b", steps=3)
    assert [row["name"] for row in result["images"]] == ["flat", "small"]
    assert result["mean"]["ours"]["psnr[rgb]"] == np.mean([row["ours"]["psnr[rgb]"] for row in result["images"]])
    assert strips["flat"].shape == (128, 6 * 128, 3) and strips["small"].shape == (20, 6 * 20, 3)
    hr_shown = strips["flat"][:, 3 * 128:4 * 128]
    assert len(np.unique(hr_shown.reshape(-1, 3), axis=0)) > 100  # the textured square, not the flat rest
    page = report.write(tmp_path, result, strips, protocol=PROTOCOL)
    assert page.read_text().count("<img") == 2 * 6
    assert json.loads((tmp_path / "report.json").read_text()) == result


def test_equal_images_score_inf_and_the_json_stays_legal(tmp_path):
    flat = np.full((40, 40, 3), 90, np.uint8)
    result, strips = report.make_report(Repeat(), [("<flat>", flat[::4, ::4], flat, {})],
                                        protocol=PROTOCOL, recipe="a:b", steps=3)
    page = report.write(tmp_path, result, strips, protocol=PROTOCOL)
    assert json.loads((tmp_path / "report.json").read_text())["mean"]["ours"]["psnr[rgb]"] == "inf"
    assert "&lt;flat&gt;" in page.read_text()
    assert "nan" not in str(report.table(result, PROTOCOL).columns[1]._cells)


def test_report_of_clips_has_scores_and_pictures_over_time(photograph, tmp_path):
    protocol = challenges.protocol("aim22_t2")
    hr = np.stack([photograph(64, 96, 1)[:, t:t + 80] for t in range(5)])
    pairs = [("c", hr[:, ::4, ::4], hr, {}), ("d", hr[:1, ::4, ::4], hr[:1], {})]
    result, strips = report.make_report(Repeat(), pairs, protocol=protocol, recipe="a:b", steps=3)
    first, second = result["images"]
    sr = Repeat().upscale(hr[:, ::4, ::4])
    frames = [metrics.score(*pair, ["psnr[rgb]", "ssim[rgb]"]) for pair in zip(sr, hr, strict=True)]
    assert [row["psnr[rgb]"] for row in first["frames"]["ours"]] == [row["psnr[rgb]"] for row in frames]
    assert first["ours"]["ssim[rgb]"] == pytest.approx(np.mean([row["ssim[rgb]"] for row in frames]))
    assert first["ours"]["tcc[rgb]"] == pytest.approx(metrics.tcc(sr, hr)) and second["ours"]["tcc[rgb]"] == 1.0
    mean = np.mean([row["ours"]["psnr[rgb]"] for row in (first, second)])
    assert result["mean"]["ours"]["psnr[rgb]"] == pytest.approx(mean)  # over clips, however long each is
    bicubic = enlarge(hr[2, ::4, ::4], 4)
    assert first["frames"]["bicubic"][2]["psnr[rgb]"] == metrics.psnr(bicubic, hr[2])
    assert strips["c"].shape == (64 + 5, 6 * 64, 3)  # the frame in the middle, and a row of every frame
    np.testing.assert_array_equal(strips["c"][64:, 3 * 64:4 * 64],
                                  next(hr[:, y + 32, x:x + 64] for y in (0,) for x in range(17)
                                       if (hr[2, y:y + 64, x:x + 64] == strips["c"][:64, 3 * 64:4 * 64]).all()))
    page = report.write(tmp_path, result, strips, protocol=protocol).read_text()
    for words in ("2 held-out clips", "Means over clips, of each over its frames", "PSNR[rgb] of every frame"):
        assert words in page, words
    assert page.count("<svg") == 2 and json.loads((tmp_path / "report.json").read_text()) == result
    assert "mean of 2 clips" in report.table(result, protocol).title

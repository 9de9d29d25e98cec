"""Evaluation pairs, good and bad, and the report made of them."""

import json

import numpy as np
from PIL import Image
import pytest

from jsr import challenges, degradations, evaluation, images, report
from jsr.errors import UserError

PROTOCOL = challenges.protocol("aim22_t1")


class Repeat:
    """Stands in the upscaler's place: repeats every pixel."""

    scale = 4

    def upscale(self, lr):
        return lr.repeat(4, 0).repeat(4, 1)


def record(hr, lr=None, name="folder/a.png"):
    return {"name": name, "hr": images.png_bytes(hr)} | ({} if lr is None else {"lr": images.png_bytes(lr)})


def test_hr_is_cropped_to_the_lr_grid_and_lr_made_or_taken(photograph):
    hr, lr = photograph(43, 50), photograph(10, 12)
    (name, made, cropped), = evaluation.eval_pairs([record(hr)], scale=4, degrade="aim22_t1")
    assert name == "a.png"
    np.testing.assert_array_equal(cropped, hr[:40, :48])
    np.testing.assert_array_equal(made, degradations.decode(degradations.degrade("aim22_t1", hr[:40, :48]).lr_bytes))
    (_, taken, _), = evaluation.eval_pairs([record(hr, lr)], scale=4)
    np.testing.assert_array_equal(taken, lr)


@pytest.mark.parametrize("hr, lr, degrade, message", [
    ((40, 40), (10, 11), "", "folder/a.png: LR is 11x10 and HR 40x40, not 4 times as large"),
    ((40, 40), (80, 80), "", "LR is 80x80 and HR 40x40"),
    ((40, 40), None, "", "--config.data.eval.degrade=aim22_t1"),
    ((1, 1), None, "aim22_t1", "folder/a.png: 1x1 .* is smaller than 4 px"),
    ((40, 40), None, "aim22", "did you mean 'aim22_t2'"),
])
def test_pairs_that_do_not_fit_are_one_line(photograph, hr, lr, degrade, message):
    source = [record(photograph(*hr), lr and photograph(*lr))]
    with pytest.raises(UserError, match=message):
        list(evaluation.eval_pairs(source, scale=4, degrade=degrade))


def test_image_too_small_for_a_metric_names_itself(photograph):
    with pytest.raises(UserError, match="tiny.png: .* remove it"):
        evaluation.score("tiny.png", photograph(8, 8), photograph(8, 8), PROTOCOL)


def test_bicubic_is_pillows(photograph):
    lr = photograph(7, 9)
    np.testing.assert_array_equal(evaluation.bicubic(lr, 4), np.asarray(Image.fromarray(lr).resize((36, 28), Image.BICUBIC)))


def test_report_shows_where_bicubic_is_worst(photograph, tmp_path):
    flat = np.full((400, 400, 3), 90, np.uint8)
    flat[300:340, 40:80] = photograph(40, 40)  # the only place with an error
    pairs = [("flat", flat[::4, ::4], flat), ("small", photograph(5, 6), photograph(20, 24))]
    result, strips = report.make_report(Repeat(), pairs, protocol=PROTOCOL, recipe="a:b", steps=3)
    assert [row["name"] for row in result["images"]] == ["flat", "small"]
    assert result["mean"]["ours"]["psnr[rgb]"] == np.mean([row["ours"]["psnr[rgb]"] for row in result["images"]])
    assert strips["flat"].shape == (128, 6 * 128, 3) and strips["small"].shape == (20, 6 * 20, 3)
    hr_shown = strips["flat"][:, 3 * 128:4 * 128]
    assert len(np.unique(hr_shown.reshape(-1, 3), axis=0)) > 100  # the textured square, not the flat rest
    page = report.write(tmp_path, result, strips, protocol=PROTOCOL)
    assert page.read_text().count("<img") == 2
    assert json.loads((tmp_path / "report.json").read_text()) == result


def test_equal_images_score_inf_and_the_json_stays_legal(tmp_path):
    flat = np.full((40, 40, 3), 90, np.uint8)
    result, strips = report.make_report(Repeat(), [("<flat>", flat[::4, ::4], flat)], protocol=PROTOCOL, recipe="a:b", steps=3)
    page = report.write(tmp_path, result, strips, protocol=PROTOCOL)
    assert json.loads((tmp_path / "report.json").read_text())["mean"]["ours"]["psnr[rgb]"] == "inf"
    assert "&lt;flat&gt;" in page.read_text()
    assert "nan" not in str(report.table(result, PROTOCOL).columns[1]._cells)

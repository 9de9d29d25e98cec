"""The page of a run: what the folder holds is shown."""

import base64
import html
import json
import re

import numpy as np
import pytest

from jsr import challenges, degradations, report
from jsr.errors import UserError
from jsr.images import read_rgb, write_png


class Twice:
    """An upscaler that repeats pixels."""

    scale = 4

    def told(self, quality):
        return self

    def upscale(self, lr):
        return lr.repeat(4, 0).repeat(4, 1)


@pytest.fixture
def result(photograph):
    """(report, strips, protocol) of two images."""
    protocol = challenges.protocol("aim22_t1")
    pairs = [(f"{n}.png", hr[::4, ::4], hr, {}) for n in range(2) for hr in [photograph(64, 80, n)]]
    return *report.make_report(Twice(), pairs, protocol=protocol, recipe="t:r", steps=30), protocol


def test_a_run_s_folder_is_shown(result, tmp_path):
    scores, strips, protocol = result
    rows = [{"step": step, "kind": "train", "loss": 1 / step, "grad_norm": 1.0, "learning_rate": 1e-3,
             "update_ratio/sr": 0.1, "update_ratio/sr/body_0": 0.2, "seconds": 60.0, "time/step": 0.5, "time/data": 0.5,
             "time/start": 0.0, "time/validation": 0.0, "time/picture": 0.0, "time/checkpoint": 0.0}
            for step in (10, 20, 30)]
    rows += [{"step": step, "kind": "eval", "psnr[rgb]": 20.0, "gain": step / 100} for step in (10, 20)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "config.json").write_text(json.dumps({"stages": [{"steps": 10}, {"steps": 20}],
                                                      "entry": "aim22_srmui_swin2sr"}))
    (tmp_path / "fingerprint.json").write_text(json.dumps({"config": "c0ffee", "data": "da7a", "revision": "",
                                                           "seed": 3, "versions": {"jax": "0.10"}}))
    for step in (10, 20):
        write_png(tmp_path / "pictures" / f"0.png_{step:07d}.png", strips["0.png"])
    page = report.write(tmp_path, scores, strips, protocol=protocol).read_text()
    for words in ("gain over bicubic", "norm of the gradient", "learning rate", "stage 1", "0.png over the training",
                  "step 10, +0.10 dB", "step 20, +0.20 dB", "<figcaption>step 30, ",
                  "waiting for data</td><td>0:01:30</td><td>50%",
                  f"<td>psnr[rgb]</td><td>23.4033</td><td>{scores['mean']['ours']['psnr[rgb]']:.4f}</td>",
                  "<td>team</td><td>SRMUI</td><td></td>", "data da7a", "the 100 test images of DIV2K"):
        assert words in page, words
    assert page.count("<svg") == 5 and page.count("data:image/png") == 2 * 6 + 5
    shown = base64.b64decode(re.findall("<div class='crop'><img alt='step 10[^>]*base64,([^']*)'", page)[0])
    np.testing.assert_array_equal(read_rgb(shown), np.split(strips["0.png"], 6, axis=1)[2])
    assert json.loads((tmp_path / "report.json").read_text())["steps"] == 30


def test_a_folder_without_a_run_has_scores_and_crops_alone(result, tmp_path):
    scores, strips, protocol = result
    page = report.write(tmp_path, scores, strips, protocol=protocol).read_text()
    assert page.count("data:image/png") == 2 * 6
    assert not any(words in page for words in ("<svg", "<h3>Time", "Published", "over the training"))


def test_the_members_of_an_ensemble_stand_beside_it(result, tmp_path):
    scores, strips, protocol = result
    rows = [{"name": f"member{n}", "weight": 1.0, "steps": 15, "mean": dict.fromkeys(protocol.keys, 7.0 + n)}
            for n in (1, 2)]
    page = report.write(tmp_path, scores | {"members": rows}, strips, protocol=protocol).read_text()
    assert "<a href='member2/report.html'>member2</a></td><td>9.0000</td>" in page
    table = report.table(scores | {"members": rows}, protocol)
    assert list(table.columns[0].cells) == ["bicubic x4", "member1", "member2", "ours, 2 members", "gain"]
    assert list(report.table(scores, protocol).columns[0].cells) == ["bicubic x4", "ours", "gain"]


def test_codecs_stand_beside_the_scores_which_share_no_table_with_those_of_others(photograph, tmp_path):
    protocol, hr = challenges.protocol("aim22_t1"), photograph(64, 80)
    (tmp_path / "config.json").write_text(json.dumps({"stages": [], "entry": "aim22_srmui_swin2sr"}))

    def reported(*encoders, members=()):
        made = [degradations.degrade("aim22_t1", hr, encoder=encoder) for encoder in encoders]
        pairs = [(f"{n}.png", its.decode(), hr, its.record) for n, its in enumerate(made)]
        return report.make_report(Twice(), pairs, protocol=protocol, recipe="t:r", steps=30, members=members)

    scores, strips = reported("pillow", "pillow")
    assert scores["codecs"] == degradations.codecs(degradations.draw("aim22_t1", encoder="pillow"))
    assert f"LR by {scores['codecs']}" in report.table(scores, protocol).title
    page = report.write(tmp_path, scores, strips, protocol=protocol).read_text()
    assert f"LR by {html.escape(scores['codecs'])}" in page and "<td>psnr[rgb]</td><td>23.4033</td><td></td>" in page
    assert "Ours are not comparable: LR images by libjpeg-turbo" in page and "where aim22_t1 has 9d &gt; pillow" in page
    row = {"name": "member1", "codecs": "libjpeg 9d > libjpeg-turbo 3", "mean": scores["mean"]["ours"]}
    with pytest.raises(UserError, match="member1: was scored on LR images by libjpeg 9d > libjpeg-turbo 3, the ensemb"):
        reported("pillow", members=[row])
    pytest.importorskip("jpeglib", reason="an optional package (extra `codecs`)")
    with pytest.raises(UserError, match=r"several codecs made .*: libjpeg-turbo .* \(2, as 0.png\); libjpeg 9d > "):
        reported("pillow", "pillow", "9d")
    scores, strips = reported("9d")
    assert scores["other_codecs"] == "" and scores["codecs"].startswith("libjpeg 9d > libjpeg-turbo ")
    page = report.write(tmp_path, scores, strips, protocol=protocol).read_text()
    assert "not comparable" not in page and f"23.4033</td><td>{scores['mean']['ours']['psnr[rgb]']:.4f}</td>" in page


def test_a_film_has_few_pictures_the_first_and_the_last(tmp_path):
    for step in range(0, 300, 10):
        write_png(tmp_path / "pictures" / f"a[1]_{step:07d}.png", np.full((4, 24, 3), step % 256, np.uint8))
    frames = report.film(tmp_path, "a[1]")
    assert len(frames) == report.FILM and (frames[0][0], frames[-1][0]) == (0, 290)
    assert all(picture.shape == (4, 4, 3) and picture[0, 0, 0] == step % 256 for step, picture in frames)
    assert report.film(tmp_path, "b") == []


def test_one_stage_has_no_marks_and_several_losses_are_drawn_apart():
    rows = [{"step": step, "kind": "train", "loss": 1.0, "loss/l1_sr": 0.5, "loss/mse_sr": 0.5} for step in (1, 2)]
    (loss,) = report.curves(rows, [2], "bicubic")
    assert "stage" not in loss and "loss/mse_sr" in loss

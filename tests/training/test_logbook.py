"""The log of a run that was cut off goes on as if it had not been."""

import json

import numpy as np

from jsr.images import read_rgb
from jsr.training.logbook import Logbook


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_resuming_drops_what_comes_again_and_the_line_that_was_cut_off(tmp_path):
    first = Logbook(tmp_path, resume_step=0)
    for step in (5, 10, 15):
        first.scalars(step, "train", {"loss": step / 10})
    first.close()
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 20, "ki')
    second = Logbook(tmp_path, resume_step=10)
    second.scalars(15, "train", {"loss": 2.0})
    second.close()
    assert [(row["step"], row["loss"]) for row in rows(tmp_path)] == [(5, 0.5), (10, 1.0), (15, 2.0)]


def test_numbers_that_are_not_finite_are_legal_json(tmp_path):
    log = Logbook(tmp_path, resume_step=0)
    log.scalars(1, "eval", {"psnr[rgb]": float("inf")})
    log.close()
    assert rows(tmp_path) == [{"step": 1, "kind": "eval", "psnr[rgb]": None}]


def test_pictures_and_events_lie_in_the_workdir(tmp_path, photograph):
    log = Logbook(tmp_path, resume_step=0)
    log.picture(7, "a", photograph(4, 6))
    log.close()
    np.testing.assert_array_equal(read_rgb(tmp_path / "pictures" / "a_0000007.png"), photograph(4, 6))
    assert sum(p.stat().st_size for p in (tmp_path / "tensorboard").iterdir()) > 100


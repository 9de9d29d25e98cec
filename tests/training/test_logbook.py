"""The log of a run that was cut off goes on as if it had not been."""

import json
import os
import struct

import numpy as np
import pytest
from tensorboardX.proto import event_pb2

from jsr.errors import UserError
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


def test_damaged_lines_are_dropped_and_said(tmp_path, caplog):
    log = Logbook(tmp_path, resume_step=0)
    for step in (1, 2, 3, 4, 5):
        log.scalars(step, "train", {"loss": step / 3})
    log.close()
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text().replace('{"step": 2', '{"stfp": 2').replace('"step": 4,', '"step" 4,'))
    Logbook(tmp_path, resume_step=5).close()
    assert [(row["step"], row["loss"]) for row in rows(tmp_path)] == [(1, 1 / 3), (3, 1.0), (5, 5 / 3)]
    assert "metrics.jsonl: 2 damaged lines are dropped" in caplog.text


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



def test_tensorboard_reads_the_events_and_what_was_cut_off_is_gone(tmp_path):
    for resume_step, loss in ((0, 1.0), (2, 2.0)):
        log = Logbook(tmp_path, resume_step=resume_step)
        for step in (1, 2, 3):
            if step > resume_step:
                log.scalars(step, "train", {"loss": loss})
        log.close()
    found = []
    for path in sorted((tmp_path / "tensorboard").iterdir()):
        data = path.read_bytes()
        while data:  # a record: length, its checksum, the data, their checksum
            length = struct.unpack("<Q", data[:8])[0]
            event = event_pb2.Event.FromString(data[12:12 + length])
            found += [(event.step, event.session_log.status, [(v.tag, v.simple_value) for v in event.summary.value])]
            data = data[16 + length:]
    assert found == [(0, 0, []), *((step, 0, [("train/loss", 1.0)]) for step in (1, 2, 3)),
                     (0, 0, []), (3, 1, []), (3, 0, [("train/loss", 2.0)])]


def test_a_full_disk_is_one_line(tmp_path):
    """Nothing fits into the files any more: writing says so, and so does closing."""
    log = Logbook(tmp_path, resume_step=0)
    log.scalars(1, "train", {"loss": 1.0})
    for held in (log._file, log._events._file._writer):
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, held.fileno())
        os.close(full)
    for act in (lambda: log.scalars(2, "train", {"loss": 1.0}),
                lambda: log._events.write(2, log._events.summary.scalar("a", 1.0)), log.close):
        with pytest.raises(UserError, match="cannot be written: the disk is full; free some space"):
            act()

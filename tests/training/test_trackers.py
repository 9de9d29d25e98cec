"""Experiment trackers hear what a run writes down, and no training waits for one or ends because of it."""

import os
import struct
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from jsr import guests
from jsr.errors import MissingLibrary, UserError
from jsr.training import trackers
from jsr.training.logbook import Logbook

RECIPE = {"recipe": "track:name", "stages": [{"steps": 3}]}
# A run's begin, ten steps and its end, told by the command line's own means
RUN = """
import pathlib, sys
import numpy as np
from jsr.training import trackers
workdir, step = pathlib.Path(sys.argv[1]), int(sys.argv[2])
told = trackers.Told("wandb")
told.begin({"recipe": "track:name", "stages": [{"steps": 3}]}, workdir, step)
told("scalars", step + 1, "train", {"loss": 0.5})
told("picture", step + 1, "a", np.zeros((4, 6, 3), np.uint8))
told.end("finished")
"""
heard = []


class Listens:
    """A tracker that keeps what it hears."""

    def begin(self, recipe, workdir, step):
        heard.append(("begin", recipe, workdir.name, step))

    def scalars(self, step, kind, values):
        heard.append(("scalars", step, kind, values))

    def picture(self, step, name, image):
        heard.append(("picture", step, name, image.shape))

    def end(self, status):
        heard.append(("end", status))


class Fails(Listens):
    """A tracker whose service is gone after the begin."""

    def scalars(self, step, kind, values):
        raise ConnectionError("no route to host\nand more")


class Hangs(Listens):
    """A tracker whose service answers nothing."""

    go_on = threading.Event()

    def scalars(self, step, kind, values):
        self.go_on.wait(60)


class Mute:
    """No tracker: it cannot hear of pictures."""

    def begin(self, recipe, workdir, step):
        pass


@pytest.fixture
def told(monkeypatch):
    """A function from a class of this module to the Told of it."""
    heard.clear()
    monkeypatch.setitem(sys.modules, "its.trackers", sys.modules[__name__])
    monkeypatch.setattr(guests, "_brought", [])
    return lambda kind: trackers.Told(f"its.trackers:{kind.__name__}")


def test_a_tracker_hears_what_the_logbook_takes(told, tmp_path):
    tells = told(Listens)
    tells("scalars", 0, "train", {"loss": 2.0})  # before the run has begun: nobody is told
    tells.begin(RECIPE, tmp_path, 4)
    log = Logbook(tmp_path, resume_step=4, told=tells)
    log.scalars(5, "train", {"loss": 1.0, "grad_norm": float("nan")})
    log.picture(5, "a", np.zeros((4, 6, 3), np.uint8))
    log.close()
    tells.end("interrupted")
    assert heard == [("begin", RECIPE, tmp_path.name, 4), ("scalars", 5, "train", {"loss": 1.0}),
                     ("picture", 5, "a", (4, 6, 3)), ("end", "interrupted")]


def test_the_error_of_a_tracker_is_one_warning(told, tmp_path, caplog):
    tells = told(Fails)
    tells.begin(RECIPE, tmp_path, 0)
    for step in range(5):
        tells("scalars", step, "train", {"loss": 1.0})
    tells.end("finished")
    record, = caplog.records
    assert "Fails: is told nothing more of this run (ConnectionError: no route to host); the training goes on" in (
        record.getMessage())


@pytest.mark.parametrize("calls, text", [(1, "it did not end within 0.2 s"), (12, "it is 10 calls behind")])
def test_nobody_waits_for_a_tracker_that_hangs(told, tmp_path, caplog, monkeypatch, calls, text):
    monkeypatch.setattr(trackers, "LAST_S", 0.2)
    monkeypatch.setattr(trackers, "WAITING", 10)
    monkeypatch.setattr(Hangs, "go_on", threading.Event())
    tells = told(Hangs)
    tells.begin(RECIPE, tmp_path, 0)
    began = time.monotonic()
    for step in range(calls):
        tells("scalars", step, "train", {"loss": 1.0})
    tells.end("finished")
    assert time.monotonic() - began < 20
    record, = caplog.records
    assert text in record.getMessage()
    Hangs.go_on.set()


@pytest.mark.parametrize("name, error, text", [
    ("wandbb", UserError, "--tell wandbb: no such tracker; did you mean 'wandb'?"),
    ("its.trackers:Mute", UserError, "must be a class with begin, scalars, picture, end"),
    ("its.trackers:Listenz", UserError, "did you mean 'Listens'"),
    ("wandb", MissingLibrary, r"needs the package wandb: pip install .*\[wandb\]"),
])
def test_mistakes(told, monkeypatch, name, error, text):
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(error, match=text):
        trackers.find(name)


def records(path):
    """The records of a .wandb file, which is a log of LevelDB's of one block: the bytes of each."""
    data, at = path.read_bytes(), 7
    while at + 7 <= len(data):
        _, length, kind = struct.unpack_from("<IHB", data, at)
        assert kind == 1  # whole
        yield data[at + 7:at + 7 + length]
        at += 7 + length


def test_weights_and_biases_offline(tmp_path):
    """Its own library writes the run, and goes on with it where it is resumed."""
    pytest.importorskip("wandb", reason="needs the extra wandb")
    given = {**os.environ, "WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false", "HOME": str(tmp_path)}
    for step in (0, 10):
        done = subprocess.run([sys.executable, "-c", RUN, str(tmp_path), str(step)], capture_output=True, text=True,
                              env=given, timeout=200)
        assert done.returncode == 0 and "told nothing more" not in done.stderr, done.stderr
    ident = (tmp_path / "wandb.txt").read_text()
    files = sorted(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    assert [path.name for path in files] == [f"run-{ident}.wandb"] * 2
    for path, step in zip(files, (1, 11), strict=True):
        found = list(records(path))
        assert any(b"track:name" in its and b"stages" in its for its in found)
        assert any(b"train/loss" in its and b"0.5" in its and f"{step}".encode() in its for its in found)
        assert list(path.parent.glob("files/media/images/pictures/a_*.png"))

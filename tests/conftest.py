"""What several tests share: made-up photographs and a recipe small enough to train in seconds."""

import functools
import importlib.util
import os
from pathlib import Path
import signal

import hypothesis
import numpy as np
from PIL import Image
import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime that a test imports itself reports nothing
# How wide and bright tables are printed
for _name in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
    os.environ.pop(_name, None)

hypothesis.settings.register_profile("jsr", database=None)  # the checkout may be read-only
hypothesis.settings.load_profile("jsr")


def photograph(height, width, seed=0):
    """A made-up colour picture with gradients, edges and texture: uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    image = np.stack([127 + 90 * np.sin(x / rng.uniform(4, 20) + c) * np.cos(y / rng.uniform(4, 20))
                      for c in range(3)], -1)
    for _ in range(8):
        top, left = rng.integers(height), rng.integers(width)
        image[top:top + height // 3, left:left + width // 3] = rng.integers(0, 256, 3)
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


@pytest.fixture(name="photograph")
def _photograph():
    return photograph


@pytest.fixture
def photo_folder(tmp_path):
    """A folder with four made-up photographs of 64x80 pixels."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(4):
        Image.fromarray(photograph(64, 80, index)).save(folder / f"{index:04d}.png")
    return folder


@pytest.fixture
def tiny_run(photo_folder, tmp_path):
    """Command-line arguments of jsr.main for a run of 12 steps in tmp_path/run, LR made on the fly; add overrides."""
    folder = str(photo_folder)
    overrides = {
        "networks.sr.fields": "{'num_feat': 4, 'num_block': 1}",
        "data.train[0].dataset": folder, "data.train[0].degrade": "aim22_t1",
        "data.eval.dataset": folder, "data.eval.degrade": "aim22_t1", "data.num_workers": "0",
        "stages[0].steps": "12", "stages[0].batch": "8", "stages[0].crop": "32",
        "stages[0].players[0].schedule.warmup_steps": "3",
        "log_every": "4", "eval_every": "8", "checkpoint_every": "5",
    }

    def arguments(workdir=None, **more):
        given = {**overrides, **{key.replace("__", "."): value for key, value in more.items()}}
        return ["--config=configs/aim22_t1.py", f"--workdir={workdir or tmp_path / 'run'}",
                *(f"--config.{key}={value}" for key, value in given.items())]

    return arguments


@pytest.fixture
def set_sigint():
    """A function that sets this process's handler of SIGINT, for one test.

    Processes started meanwhile heed SIGINT or, of signal.SIG_IGN, ignore it; a background job starts with it ignored,
    and so would all that its tests start.
    """
    before = signal.getsignal(signal.SIGINT)
    yield functools.partial(signal.signal, signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def odd_pictures(tmp_path_factory):
    """(folder, rows): odd picture files of all kinds; rows are tests/golden/pictures_make.py's `Odd`. Read-only."""
    path = Path(__file__).parent / "golden" / "pictures_make.py"
    spec = importlib.util.spec_from_file_location("pictures_make", path)
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    folder = tmp_path_factory.mktemp("odd_pictures")
    return folder, maker.make(folder, photograph)

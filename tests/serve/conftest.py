"""What the tests of the page share: the folder of a run."""

import json
import shutil

import pytest

from jsr import images, weights
from jsr.training import insight


@pytest.fixture
def run(tmp_path, photograph):
    """A run's folder as a training leaves it after its second validation."""
    folder = tmp_path / "elsewhere" / "aim22_t1" / "quick"
    (folder / "pictures").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({
        "recipe": "aim22_t1:quick", "title": "small <b>EDSR</b>", "protocol": "aim22_t1", "stages": [{"steps": 40}]}))
    spent = {"seconds": 2.0, "time/step": 0.7, "time/data": 0.3}
    spent |= dict.fromkeys((f"time/{part}" for part in insight.PARTS if part not in ("step", "data")), 0.0)
    rows = [{"step": step, "kind": "train", "loss": 1 / step, "learning_rate": 1e-3} | spent for step in (5, 10, 15)]
    rows += [{"step": step, "kind": "eval", "gain": step / 100} for step in (8, 16)]
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    for step in (8, 16):
        images.write_png(folder / "pictures" / f"0801_{step:07d}.png", photograph(16, 96, step))
    shutil.copy(weights.SHIPPED / "x2.safetensors", folder / "last.safetensors")
    return folder

"""What docs/packagers.md says may be left out of a distribution: upscaling, exporting and converting do without it."""

import json
from pathlib import Path
import re
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest

from jsr.convert import files
from jsr.errors import install

ROOT = Path(__file__).parent.parent
MODULES = {"dm-tree": "tree", "orbax-checkpoint": "orbax"}  # of other names
GOLDEN = np.load(ROOT / "tests" / "golden" / "edsr.npz")
COMMANDS = [["upscale", "a.png", "-o", "b.png", "-m", "x2"], ["export", "x2", "x2.onnx"],
            ["convert", "official.safetensors", "edsr.safetensors"], ["models"], ["train", "aim22_t1"],
            ["build", "photos"]]
CODE = """
import contextlib, io, json, sys
absent, commands = json.load(sys.stdin)
sys.modules |= dict.fromkeys(absent)  # Python's way to say that an import fails
import jsr
from jsr.cli import main
found = []
for words in commands:
    with contextlib.redirect_stderr(io.StringIO()) as stderr, contextlib.redirect_stdout(io.StringIO()):
        found.append((main(words), stderr.getvalue()))
print(json.dumps(found))
"""


def test_only_training_needs_what_is_left_out(tmp_path, enlarging):
    pytest.importorskip("onnx", reason="an optional package (extra `export`)")
    rows = re.findall(r"^\| .* \| ([\w -]+) \| \d+ \|$", (ROOT / "docs" / "packagers.md").read_text(), re.MULTILINE)
    names = " ".join(rows).split()
    assert {"tensorflow-datasets", "orbax-checkpoint", "pyarrow", "grain"} < set(names)
    absent = [MODULES.get(name, name.replace("-", "_")) for name in names]
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(tmp_path / "a.png")
    prefix = "official_x3/state_dict/"
    weights = {key.removeprefix(prefix): GOLDEN[key] for key in GOLDEN.files if key.startswith(prefix)}
    files.write_state_dict(tmp_path / "official.safetensors", enlarging(weights))
    done = subprocess.run([sys.executable, "-c", CODE], input=json.dumps([absent, COMMANDS]), capture_output=True,
                          text=True, cwd=tmp_path, timeout=300)
    assert not done.returncode, done.stderr
    *works, train, build = json.loads(done.stdout)
    assert [status for status, _ in works] == [0] * 4, works
    for status, said in (train, build):
        assert status == 1 and f"is not installed, which this needs: {install()}" in said, said
        assert len(said.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} >= {"b.png", "x2.onnx", "edsr.safetensors"}

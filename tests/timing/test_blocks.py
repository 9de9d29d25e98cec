"""The benchmark of re-parameterised blocks: what it times is the same gradient."""

import pytest

from jsr.cli import main
from jsr.timing import blocks

SIZES = dict(features=4, depth=2, batch=2, size=(6, 7), rounds=2)


@pytest.mark.parametrize("block", ["ecb", *(pytest.param(name, marks=pytest.mark.slow) for name in ("rrrb", "casr"))])
def test_fused_branches_and_pytorch_have_one_gradient(block):
    pytest.importorskip("torch", reason="PyTorch is the peer")
    row = blocks.measure_blocks(block, **SIZES)
    assert [cells["name"] for cells in row["rows"]] == ["jsr, branches", "jsr, fused", "PyTorch, branches"]
    assert all(cells["error"] < 1e-5 and cells["rounds"] == 2 and cells["median_ms"] > 0 for cells in row["rows"])


@pytest.mark.parametrize("words, message", [
    (["--block", "rrb"], "no block 'rrb'; did you mean 'rrrb'?"),
    (["--block", "repvgg"], "repvgg: cannot be measured here: it has BatchNorm"),
])
def test_mistakes_are_one_line(words, message, capsys):
    assert main(["benchmark", "blocks", *words, "--features=4", "--size=6x6", "--batch=1"]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("jsr benchmark: ") and message in line

"""The same networks in other libraries compute what ours do; where there are none, one is told why."""

import ast
from pathlib import Path

import jax
import numpy as np
import pytest

from jsr import models
from jsr.benchmark import peers

CASES = {  # id: fields; every way that a twin can differ
    "edsr_x2": ("edsr", dict(scale=2, num_feat=8, num_block=2, res_scale=0.1)),
    "edsr_x3": ("edsr", dict(scale=3, num_feat=4, num_block=1, img_range=1.0, mean=(0.1, 0.2, 0.3))),
    "edsr_x4": ("edsr", dict(scale=4, num_feat=4, num_block=3)),
    "rrdbnet_x1": ("rrdbnet", dict(scale=1, num_feat=8, num_block=1, num_grow_ch=4)),
    "rrdbnet_x2": ("rrdbnet", dict(scale=2, num_feat=8, num_block=1, num_grow_ch=4)),
    "rrdbnet_x4": ("rrdbnet", dict(scale=4, num_feat=6, num_block=2, num_grow_ch=4)),
    "rrdbnet_direct_x3": ("rrdbnet/direct", dict(scale=3, num_feat=4, num_block=1, num_grow_ch=2)),
}


def network(case):
    """(module, variables, lr, sr) with weights that give every layer a say."""
    model_id, fields = CASES[case]
    model, rng = models.create(model_id, **fields), np.random.default_rng(3)
    abstract = models.abstract(model_id, **fields)
    variables = jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype(np.float32), abstract)
    lr = rng.random((1, 8, 12, 3), np.float32)
    return model, variables, lr, np.asarray(jax.jit(model.apply)(variables, lr))


def found(peer, case):
    """[(name, largest error of the contender relative to the largest value)]."""
    model, variables, lr, sr = network(case)
    contenders, why_not = peers.contenders(peer, {"sr": model}, {"sr": variables}, lr, threads=1)
    assert why_not == ""
    outputs = [(contender.name, contender.to_numpy(contender.call())) for contender in contenders]
    assert all(output.shape == sr.shape and output.dtype == np.float32 for _, output in outputs)
    return [(name, np.abs(output - sr).max() / np.abs(sr).max()) for name, output in outputs]


@pytest.mark.parametrize("case", CASES)
def test_pytorch_twins_compute_the_same(case):
    pytest.importorskip("torch", reason="PyTorch is an optional extra")
    errors = found("torch", case)
    assert [name for name, _ in errors] == ["PyTorch", "PyTorch channels_last"]
    assert max(error for _, error in errors) < 5e-6


@pytest.mark.parametrize("case", ["edsr_x4", "rrdbnet_x2"])
def test_onnxruntime_computes_the_same(case):
    for name in peers.PEERS["onnxruntime"]:
        pytest.importorskip(name, reason="a peer of `jsr benchmark`, which nothing else needs")
    (name, error), = found("onnxruntime", case)
    assert name == "ONNX Runtime" and error < 5e-6


def test_threads_are_as_many_as_asked_for():
    torch = pytest.importorskip("torch", reason="PyTorch is an optional extra")
    before = torch.get_num_threads()
    try:
        model, variables, lr, _ = network("edsr_x2")
        peers.contenders("torch", {"sr": model}, {"sr": variables}, lr, threads=before + 1)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def why_not(model_ids, peer="torch"):
    networks = {f"net{i}": models.create(model_id, scale=4) for i, model_id in enumerate(model_ids)}
    contenders, reason = peers.contenders(peer, networks, {}, np.zeros((1, 8, 8, 3), np.float32), threads=1)
    assert contenders == []
    return reason


def test_networks_without_a_twin():
    assert why_not(["hat"]) == "no PyTorch twin of hat; there is one of edsr, rrdbnet"
    assert why_not(["edsr", "rrdbnet"]).startswith("no PyTorch twin of edsr > rrdbnet;")


def test_missing_libraries(monkeypatch):
    monkeypatch.setitem(peers.PEERS, "onnxruntime", ("numpy", "surely_not_there", "nor_this"))
    assert why_not(["edsr"], "onnxruntime") == "not installed: pip install surely_not_there nor_this"


def test_other_devices_than_cpus(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert why_not(["edsr"]) == "compared on a CPU only (JAX_PLATFORMS=cpu)"


def test_every_twin_is_of_a_network_and_exists():
    tree = ast.parse((Path(peers.__file__).parent / "torch_twins.py").read_text())  # importing it takes PyTorch
    assert set(peers.TWINS) <= set(models.STEMS)
    assert set(peers.TWINS.values()) <= {node.name for node in tree.body if isinstance(node, ast.ClassDef)}

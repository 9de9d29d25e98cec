"""The same networks in other libraries compute what ours do; where they cannot, one is told why."""

import functools

import jax
import numpy as np
import pytest

from jsr import models
from jsr.onnx_graph.write import chain_to_onnx
from jsr.timing import peers

CASES = {  # id: fields; every kind of node that PyTorch gets
    "edsr": ("edsr", dict(scale=2, num_feat=8, num_block=2, res_scale=0.1)),
    "rrdbnet": ("rrdbnet", dict(scale=2, num_feat=8, num_block=1, num_grow_ch=4)),  # unshuffle, concatenation, nearest
    "oelsr": ("plain/oelsr", dict(scale=2, num_feat=4, num_block=1, deploy=True)),  # PReLU of one slope
    "bicubicpp": ("plain/bicubicpp", dict(scale=3, num_feat=4, num_block=1, deploy=True)),  # strides
    "rt4ksr": ("rt4ksr", dict(scale=2, num_feat=4, deploy=True)),  # layer norm, GELU
    "erlfn": ("rlfn/erlfn", dict(scale=2, num_feat=4, num_block=1, deploy=True)),
}
NAMES = {"torch": ["PyTorch", "PyTorch channels_last"], "onnxruntime": ["ONNX Runtime"], "openvino": ["OpenVINO"],
         "ncnn": ["ncnn"]}


def needs(peer):
    for name in peers.PEERS[peer]:
        pytest.importorskip(name, reason="a peer of `jsr benchmark`, the extra [bench]")


@functools.cache
def network(case):
    """(function to the graph, lr, sr) with weights that give every layer a say."""
    model_id, fields = CASES[case]
    model, rng = models.create(model_id, **fields), np.random.default_rng(3)
    variables = jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype(np.float32),
                             models.abstract(model_id, **fields))
    lr = rng.random((1, 32, 36, 3), np.float32)

    def graph(dtype):
        return chain_to_onnx({"sr": model}, {"sr": variables}, dtype=dtype, nchw=True, size=lr.shape[1:3])

    return graph, lr, np.asarray(jax.jit(model.apply)(variables, lr))


def found(peer, case, **settings):
    """[(name, largest error of the contender relative to the largest value)]."""
    graph, lr, sr = network(case)
    contenders, why_not = peers.contenders(peer, graph, lr, threads=1, **settings)
    assert why_not == ""
    outputs = [(contender.name, contender.to_numpy(contender.call())) for contender in contenders]
    assert all(output.shape == sr.shape and output.dtype == np.float32 for _, output in outputs)
    return [(name, np.abs(output - sr).max() / np.abs(sr).max()) for name, output in outputs]


@pytest.mark.parametrize("case", CASES)
def test_pytorch_computes_the_same(case):
    needs("torch")
    errors = found("torch", case)
    assert [name for name, _ in errors] == NAMES["torch"] and max(error for _, error in errors) < 5e-6


@pytest.mark.parametrize("peer, case", [("onnxruntime", "edsr"), ("openvino", "edsr"), ("ncnn", "rrdbnet")])
def test_other_libraries_compute_the_same(peer, case):
    needs(peer)
    errors = found(peer, case)
    assert [name for name, _ in errors] == NAMES[peer] and errors[0][1] < 5e-6


@pytest.mark.parametrize("peer, dtype, bound", [("torch", "bfloat16", 0.05), ("onnxruntime", "float16", 0.01)])
def test_half_precision(peer, dtype, bound):
    needs(peer)
    assert all(1e-6 < error < bound for _, error in found(peer, "edsr", dtype=dtype))


def test_runtimes_of_ours_compute_the_same():
    needs("onnxruntime")
    graph, lr, sr = network("edsr")
    (contender,), why_not = peers.ours("onnxruntime", lambda size: chain_of("edsr"), lr)
    assert (contender.name, why_not) == ("jsr (onnxruntime)", "")
    assert np.abs(contender.to_numpy(contender.call()) - sr).max() < 5e-6 * np.abs(sr).max()


def chain_of(case):
    """The graph as jsr.inference.chain makes it: of open size, NHWC."""
    model_id, fields = CASES[case]
    rng = np.random.default_rng(3)
    variables = jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype(np.float32),
                             models.abstract(model_id, **fields))
    return chain_to_onnx({"sr": models.create(model_id, **fields)}, {"sr": variables})


def test_threads_are_as_many_as_asked_for():
    needs("torch")
    import torch

    before = torch.get_num_threads()
    try:
        graph, lr, _ = network("edsr")
        peers.contenders("torch", graph, lr, threads=before + 1)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def why_not(peer, **settings):
    contenders, reason = peers.contenders(peer, None, np.zeros((1, 8, 8, 3), np.float32), threads=1, **settings)
    assert contenders == []
    return reason


def test_missing_libraries(monkeypatch):
    monkeypatch.setitem(peers.PEERS, "onnxruntime", ("numpy", "surely_not_there", "nor_this"))
    assert why_not("onnxruntime") == "not installed: pip install surely_not_there nor_this"


def test_a_missing_runtime_of_ours(monkeypatch):
    monkeypatch.setattr(peers.runtimes, "_missing", lambda name: "onnxruntime")
    contenders, reason = peers.ours("onnxruntime", None, None)
    assert contenders == [] and reason.startswith("runtime onnxruntime: needs the package onnxruntime")


def test_other_devices(monkeypatch):
    monkeypatch.setitem(peers.PEERS, "torch", ())
    monkeypatch.setitem(peers.PEERS, "openvino", ())
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    assert why_not("torch") == "does not run on a tpu"
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert why_not("openvino") == "compared on a CPU only (JAX_PLATFORMS=cpu)"


def test_a_library_without_this_device_or_dtype(monkeypatch):
    for peer in ("torch", "onnxruntime"):
        needs(peer)
    assert why_not("onnxruntime", dtype="bfloat16") == "no bfloat16"
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    import onnxruntime
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert why_not("torch") == "this PyTorch sees no GPU"
    assert why_not("onnxruntime") == "this ONNX Runtime has no CUDAExecutionProvider"

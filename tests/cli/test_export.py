"""The command `jsr export`: what it writes, prints and refuses."""

import importlib.util
import json
import sys
import zipfile

import jax
import numpy as np
import pytest

from jsr import cli, model_file, models
from jsr.errors import UserError, install
from jsr.export import check, ncnn
from jsr.inference.chain import Chain
from jsr.inference.upscaler import Upscaler

FIELDS = {"num_feat": 4, "num_block": 1}


def write_model(path, model_id, **meta):
    """A model file; one of a network whose training branches are not fused yet, where it has any."""
    network = models.create(model_id, scale=2, **FIELDS)
    net = {"name": "sr", "model": model_id, "scale": 2, "fields": FIELDS, "deployed": False}
    model_file.save(path, {"sr": models.init(network, jax.random.key(0))}, {"networks": [net], **meta})
    return path


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "m.safetensors", "edsr/baseline", recipe="track:one")


def run(*args):
    return cli.main(["export", *map(str, args)])


def upscaler(model):
    meta, networks, variables, _ = model_file.fused(*model_file.load(model))
    return Upscaler([Chain(networks, variables)])


def test_onnx_of_branches(tmp_path, capsys, photograph):
    onnx = pytest.importorskip("onnx", reason="the extra [export]")
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra [export]")
    model = write_model(tmp_path / "m.safetensors", "plain/team_ov", recipe="track:one", licence="CC0",
                        fingerprint={"seed": 3}, ensemble={"self": True, "tlc": 0})
    out = tmp_path / "new" / "m.onnx"
    assert run(model, out) == 0
    said = capsys.readouterr().out
    assert all(size in said for size in ("48x64", "49x33", "35x57")) and f"wrote {out}, 0.0" in said
    assert "jsr upscale also applies the model file's ensemble, {'self': True}" in said
    assert [p.name for p in out.parent.iterdir()] == ["m.onnx"]
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    lr = photograph(37, 50)
    sr, = session.run(["sr"], {"lr": lr[None]})
    expected = upscaler(model).upscale(lr)
    assert sr.dtype == np.uint8 and abs(sr[0] - expected.astype(int)).max() <= 1 and (sr[0] != expected).mean() < 1e-3
    about = {row.key: row.value for row in onnx.load(out).metadata_props}
    assert about["recipe"] == "track:one" and about["license"] == "CC0" and about["scale"] == "2"
    assert json.loads(about["networks"]) == ["plain/team_ov"] and json.loads(about["fingerprint"]) == {"seed": 3}
    assert about["input"] == "lr: uint8 (1, height, width, 3), RGB" and about["input_channels"] == "3"
    graph = onnx.load(out)
    assert graph.producer_version and graph.doc_string.startswith("plain/team_ov, x2; lr: uint8")


def test_onnx_in_the_form_of_other_programs(model, tmp_path, photograph, capsys):
    onnx = pytest.importorskip("onnx", reason="the extra [export]")
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra [export]")
    out = tmp_path / "m.onnx"
    assert run(model, out, "--float", "--layout", "NCHW", "--fp16", "--batch", "any", "--opset", "17") == 0
    assert "2 of 49x33" in capsys.readouterr().out
    lr = np.stack([photograph(33, 40), photograph(33, 40)[::-1]]) / np.float32(255)
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    sr, = session.run(None, {"lr": lr.transpose(0, 3, 1, 2)})
    assert sr.shape == (2, 3, 66, 80) and sr.dtype == np.float32
    for found, image in zip(sr, lr, strict=True):
        assert np.abs(found.transpose(1, 2, 0) - upscaler(model).upscale(image)).max() <= check.HALF_TOLERANCE / 255
    graph = onnx.load(out)
    assert {row.data_type for row in graph.graph.initializer if len(row.dims) == 4} == {onnx.TensorProto.FLOAT16}
    assert graph.opset_import[0].version == 17
    about = {row.key: row.value for row in graph.metadata_props}
    assert about["layout"] == "NCHW" and about["input"].startswith("lr: float32 (batch, 3, height, width), RGB")


def test_half_precision_has_its_own_bound(model):
    _, networks, variables, _ = model_file.fused(*model_file.load(model))
    chain = Chain(networks, variables)

    def off(lr):
        return np.stack([np.clip(chain(image), 0, 1) for image in lr]) + np.float32(1.5 / 255)

    for half in (True, False):
        rows = list(check.compare(off, chain, [(16, 20)], np.float32, counts=[2], half=half))
        assert [row.right for row in rows] == [half] * 2 and [row.count for row in rows] == [2, 2]


def test_sizes_are_multiples_where_a_network_wants_them(tmp_path, capsys):
    onnx = pytest.importorskip("onnx", reason="the extra [export]")
    pytest.importorskip("onnxruntime", reason="the extra [export]")
    model = write_model(tmp_path / "m.safetensors", "safmn/base")
    assert run(model, tmp_path / "m.onnx") == 0
    assert "it takes pictures whose sides are multiples of 8 px" in capsys.readouterr().out
    about = {row.key: row.value for row in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert about["multiple"] == "8" and about["input"].endswith("sides multiples of 8")


def test_ncnn(model, tmp_path, capsys):
    for package in ("ncnn", "pnnx", "onnx"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}: the extra [ncnn]")
    out = tmp_path / "m.ncnn.param"
    assert run(model, out) == 0
    assert f"wrote {out} and {tmp_path / 'm.ncnn.bin'}, 0.0" in capsys.readouterr().out
    words = out.read_text().split()
    assert words[0] == "7767517" and {"data", "output"} <= set(words) and not {"in0", "out0"} & set(words)
    assert run(model, out) == 1 and "m.ncnn.param: exists" in capsys.readouterr().err


def test_ncnn_repeats_channels():
    """As the shipped x2 does; pnnx by itself takes the first of a list of channels for the list."""
    for package in ("ncnn", "pnnx", "onnx"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}: the extra [ncnn]")
    network = models.create("plain/ecbsr_m4c16", scale=2, num_feat=4, num_block=1, anchor="nearest", deploy=True)
    chain = Chain({"sr": network}, {"sr": models.init(network, jax.random.key(0))})
    run_in_ncnn = ncnn.load(*ncnn.convert(chain.networks, {"sr": models.init(network, jax.random.key(0))}))
    assert all(row.right for row in check.compare(run_in_ncnn, chain, [(48, 64), (35, 57)], np.float32))


def test_ncnn_refuses_kernels_that_a_network_computes():
    for package in ("ncnn", "pnnx", "onnx"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}: the extra [ncnn]")
    network = models.create("asconvsr/base", scale=4)
    with pytest.raises(UserError, match="ncnn lacks layers that this network needs"):
        ncnn.load(*ncnn.convert({"sr": network}, {"sr": models.init(network, jax.random.key(0))}))


def test_stablehlo_of_floats_and_one_size(model, tmp_path, capsys):
    pytest.importorskip("flatbuffers", reason="the extra [export]")
    out = tmp_path / "m.stablehlo"
    assert run(model, out, "--float", "--size", "20x31", "--platforms", "cpu") == 0
    said = capsys.readouterr().out
    assert said.count("20x31") == 2 and "noise" in said and "scene" in said
    about = json.loads(zipfile.ZipFile(out).read("meta.json"))
    assert about["input"] == "lr: float32 (1, 20, 31, 3), RGB in [0, 1]" and about["recipe"] == "track:one"
    assert about["program"]["input"] == {"name": "lr", "dtype": "float32", "shape": [1, 20, 31, 3]}


def test_a_wrong_file_is_not_left(model, tmp_path, capsys, monkeypatch):
    pytest.importorskip("flatbuffers", reason="the extra [export]")
    monkeypatch.setattr(check, "TOLERANCE", -1.0)
    (tmp_path / "m.stablehlo").write_text("older")
    assert run(model, tmp_path / "m.stablehlo", "--size", "8x8", "--overwrite") == 1
    said = capsys.readouterr()
    assert "m.stablehlo: not written; its output differs from jsr's" in said.err and "8x8" in said.out
    assert (tmp_path / "m.stablehlo").read_text() == "older" and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("error, right", [(0.04, True), (0.6, False)])
def test_what_counts_as_rounding(model, error, right):
    """A level too many is right where the value lies in the middle between two, and nowhere else."""
    _, networks, variables, _ = model_file.fused(*model_file.load(model))
    chain = Chain(networks, variables)
    exact = Upscaler([chain])

    def off(lr):
        levels = exact.upscale(lr[0] / np.float32(255)) * np.float32(255)
        return np.rint(np.clip(levels + np.float32(error), 0, 255)).astype(np.uint8)[None]

    rows = list(check.compare(off, chain, [(16, 20)]))
    assert [row.right for row in rows] == [right] * 2 and all(row.largest <= 1 and row.share > 0 for row in rows)
    assert not any(row.right for row in check.compare(lambda lr: lr, chain, [(16, 20)]))
    unit = list(check.compare(lambda lr: exact.upscale(lr[0])[None] + np.float32(error / 255), chain, [(16, 20)],
                              np.float32))
    assert [row.right for row in unit] == [right] * 2


@pytest.mark.parametrize("arguments, message", [
    (["m.safetensors", "m.pt"], "m.pt: an exported network ends in .onnx or .stablehlo or .param"),
    (["none.safetensors", "m.onnx"], "none.safetensors: no such model file"),
    (["m.safetensors", "m.onnx", "--platforms", "cpu"],
     "--platforms: is for .stablehlo, not for m.onnx"),
    (["m.safetensors", "m.param", "--layout", "NCHW"], "--layout: is for .onnx and .stablehlo, not for m.param"),
    (["m.safetensors", "m.stablehlo", "--opset", "17"], "--opset: is for .onnx, not for m.stablehlo"),
    (["m.safetensors", "m.onnx", "--opset", "12"], "--opset 12: must be 13 or more"),
    (["m.safetensors", "m.stablehlo", "--platforms", "gpu"], "--platforms gpu: is no platform; they are cpu, cuda"),
    (["m.safetensors", "m.stablehlo", "--platforms", "tpu"], "--platforms tpu: could not be checked here; add cpu"),
    (["m.safetensors", "file/m.stablehlo"], "file/m.stablehlo: cannot be written"),
])
def test_mistakes_are_one_line(model, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("not a folder")
    assert run(*arguments) == 1
    said = capsys.readouterr()
    assert message in said.err and said.err.count("\n") == 1 and said.out == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "m.safetensors"]


def test_sizes_are_height_by_width(model, capsys):
    with pytest.raises(SystemExit):
        run(model, "m.onnx", "--size", "20")
    assert "'20' is no size such as 256x320, height first" in capsys.readouterr().err


@pytest.mark.parametrize("out, package, extra", [
    ("m.stablehlo", "flatbuffers", "export"), ("m.onnx", "onnx", "export"), ("m.param", "pnnx", "ncnn")])
def test_missing_packages(model, tmp_path, capsys, monkeypatch, out, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    assert run(model, tmp_path / out) == 1
    assert install(extra) in capsys.readouterr().err


def test_opsets_that_a_graph_or_the_packages_cannot_have(tmp_path, capsys):
    pytest.importorskip("onnx", reason="the extra [export]")
    model = write_model(tmp_path / "m.safetensors", "plain/team_ov")
    assert run(model, tmp_path / "m.onnx", "--opset", 99) == 1
    said = capsys.readouterr().err
    assert "opset 99: the package onnx here knows those up to" in said and said.count("\n") == 1


def test_a_network_that_must_know_the_size(tmp_path, capsys):
    """RT4KSR reflects two pixels, which an image may not have."""
    pytest.importorskip("flatbuffers", reason="the extra [export]")
    model = write_model(tmp_path / "s.safetensors", "rt4ksr")
    assert run(model, tmp_path / "s.stablehlo") == 1
    said = capsys.readouterr().err
    assert "this network needs to know the size of its images" in said and said.count("\n") == 1

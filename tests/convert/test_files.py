"""State dicts in files: what is read, by content, and what is said of everything else."""

import os
import pickle
import sys
import warnings

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from jsr.convert import files
from jsr.errors import UserError

TENSORS = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "steps": np.array(3)}


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is an optional extra")


def same(tensors):
    assert tensors.keys() == TENSORS.keys()
    for key, value in TENSORS.items():
        assert tensors[key].dtype == value.dtype and np.array_equal(tensors[key], value), key


@pytest.mark.parametrize("ending", [".safetensors", ".pth", ".pt"])
def test_written_and_read_again(tmp_path, ending, request):
    if ending != ".safetensors":
        request.getfixturevalue("torch")
    path = tmp_path / f"a{ending}"
    files.write_state_dict(path, TENSORS)
    found = files.read_state_dict(path)
    same(found.tensors)
    assert not found.ema and files.other_floats(found.tensors) == []
    assert not files.is_model_file(path)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_floats_are_kept_and_named(tmp_path, dtype):
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors.numpy.save({**TENSORS, "a.weight": TENSORS["a.weight"].astype(jnp.dtype(dtype))}))
    found = files.read_state_dict(path)
    assert files.other_floats(found.tensors) == [dtype] and found.tensors["a.weight"].dtype == dtype
    np.testing.assert_array_equal(found.tensors["a.weight"].astype(np.float32), TENSORS["a.weight"])


def test_pytorchs_half_precision(tmp_path, torch):
    torch.save({"a": torch.ones(2).half(), "b": torch.ones(2).bfloat16(), "c": torch.ones(2)}, tmp_path / "a.pth")
    found = files.read_state_dict(tmp_path / "a.pth")
    assert files.other_floats(found.tensors) == ["bfloat16", "float16"]
    assert all((value == 1).all() for value in found.tensors.values())


def test_averaged_parameters_are_preferred_and_said(tmp_path, torch):
    torch.save({"params": {"a": torch.zeros(2)}, "params_ema": {"a": torch.ones(2)}}, tmp_path / "a.pth")
    found = files.read_state_dict(tmp_path / "a.pth")
    assert found.ema and (found.tensors["a"] == 1).all()


@pytest.mark.parametrize("kind, said", [
    ("float8_e4m3fn", "of type float8_e4m3fn"), ("sparse", "sparse"), ("meta", "without data"),
    ("quantised", "quantised"), ("complex64", "of complex64, which no network here has")])
def test_tensors_that_no_network_has_are_named(tmp_path, torch, kind, said):
    tensor = torch.ones(2, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls some of them old
        made = {"sparse": tensor.to_sparse, "meta": lambda: tensor.to("meta"),
                "quantised": lambda: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8)}.get(
                    kind, lambda: tensor.to(getattr(torch, kind)))()
        torch.save({"a": tensor, "b": made}, tmp_path / "a.pth")
        with pytest.raises(UserError, match=f"a.pth: b is {said}"):
            files.read_state_dict(tmp_path / "a.pth")


def test_endings_of_other_trainings_are_read_by_content(tmp_path, torch):
    for name in ("a.pth.tar", "pytorch_model.bin", "a.ckpt", "weights", "a.safetensors"):
        torch.save({"state_dict": {"a": torch.ones(2)}}, tmp_path / name)
        assert files.read_state_dict(tmp_path / name).tensors.keys() == {"a"}


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", [2, 4])
def test_code_in_a_pickle_does_not_run(tmp_path, torch, protocol):
    bait = tmp_path / "ran"
    (tmp_path / "a.pth").write_bytes(pickle.dumps({"params": Evil(bait)}, protocol))
    torch.save({"params": Evil(bait)}, tmp_path / "b.pth")
    for name in ("a.pth", "b.pth"):
        with pytest.raises(UserError, match="holds more than tensors.*refused, .*could run any code") as error:
            files.read_state_dict(tmp_path / name)
        assert "\n" not in str(error.value) and "weights_only" not in str(error.value)
    assert not bait.exists()
    pickle.loads((tmp_path / "a.pth").read_bytes())
    assert bait.exists()  # it would have


def test_pickled_modules_inside_something_else_are_refused(tmp_path, torch):
    torch.save({"model": torch.nn.Linear(2, 2)}, tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"more than tensors \(torch.nn.modules.linear.Linear\).*only the state_dict"):
        files.read_state_dict(tmp_path / "a.pth")


@pytest.mark.parametrize("keep", [0, 10, 100, -1])
def test_truncated_and_foreign_files(tmp_path, torch, keep):
    torch.save({"a": torch.ones(2)}, tmp_path / "a.pth")
    files.write_state_dict(tmp_path / "a.safetensors", TENSORS)
    for name in ("a.pth", "a.safetensors"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(UserError, match="damaged" if keep else "is empty; get it again") as error:
            files.read_state_dict(path)
        assert "\n" not in str(error.value)
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(UserError, match="text.pth: damaged, or no PyTorch checkpoint"):
        files.read_state_dict(tmp_path / "text.pth")


def test_pytorch_is_asked_for_nothing_but_to_write(tmp_path, monkeypatch, torch):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "whole.pth")
    torch.save({"params": torch.nn.Linear(2, 2).state_dict()}, tmp_path / "old.pth",
               _use_new_zipfile_serialization=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("whole.pth", "old.pth"):
        assert files.read_state_dict(tmp_path / name).tensors.keys() == {"weight", "bias"}
    with pytest.raises(UserError, match=r"a.pth: writing .pth files needs PyTorch.*pip install .*\[torch\]"):
        files.write_state_dict(tmp_path / "a.pth", TENSORS)


@pytest.mark.parametrize("content, said", [
    (b"<!DOCTYPE html>\n<html>", "is a page of the web in the place of a file"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "is a note of Git LFS in the place of a file"),
    (b"\x89HDF\r\n\x1a\n" + bytes(20), "is an HDF5 file"),
    (bytes(257) + b"ustar" + bytes(300), "is a tar archive"),
    (b"", "is empty; get it again"),
    (b"\x08\x08\x12\x07pytorch", "is an ONNX network; get the PyTorch weights"),
    (b"\x1c\0\0\0TFL3" + bytes(20), "is a network of TensorFlow Lite"),
    (b"7767517\n2 2\n", "is a network of ncnn"),
    (b"\xff\xd8\xff\xe0", "is a picture, not weights of a network"),
    (b"\0" * 100, "damaged, or no PyTorch checkpoint; get it again"),
])
def test_what_people_take_for_weights_is_named(tmp_path, content, said):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(UserError, match=f"a.pth: {said}"):
        files.read_state_dict(tmp_path / "a.pth")


def test_other_mistakes(tmp_path):
    with pytest.raises(UserError, match="none.pth: no such file"):
        files.read_state_dict(tmp_path / "none.pth")
    with pytest.raises(UserError, match="a.ckpt: jsr writes no files of this ending; use .pth"):
        files.write_state_dict(tmp_path / "a.ckpt", TENSORS)
    files.write_state_dict(tmp_path / "a.safetensors", {})
    with pytest.raises(UserError, match="a.safetensors: not a state dict"):
        files.read_state_dict(tmp_path / "a.safetensors")
    files.write_state_dict(tmp_path / "a.safetensors", {"w": np.float32([1, np.nan])})
    with pytest.raises(UserError, match="a.safetensors: w has values that are not finite"):
        files.read_state_dict(tmp_path / "a.safetensors")
    path = tmp_path / "a.safetensors"
    header = b'{"w":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0")
    with pytest.raises(UserError, match="a.safetensors: w is of type F8_E4M3; save it as 32-bit floats"):
        files.read_state_dict(path)

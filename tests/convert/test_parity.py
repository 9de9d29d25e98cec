"""The certificate: right numbers, and references that are none."""

import hashlib
import zipfile

import jax
import numpy as np
import pytest
import safetensors.numpy

from jsr import models
from jsr.convert import parity
from jsr.errors import UserError

FIELDS = dict(scale=2, num_feat=4, num_block=1, num_grow_ch=2)


@pytest.fixture(scope="module")
def network():
    model = models.create("rrdbnet", **FIELDS)
    rng = np.random.default_rng(1)
    return model, jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype(np.float32),
                               models.abstract("rrdbnet", **FIELDS))


@pytest.fixture
def pair(network):
    model, variables = network
    lr = np.random.default_rng(0).random((2, 4, 6, 3), np.float32)
    with jax.default_matmul_precision("highest"):
        return {"lr": lr, "sr": np.array(model.apply(variables, lr))}


def save(path, arrays):
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        path.write_bytes(safetensors.numpy.save(arrays))
    return path


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_errors_are_the_largest_and_the_mean(network, pair, tmp_path, ending):
    pair["sr"][1, 3, 2, 1] += 5e-5
    path = save(tmp_path / f"ref{ending}", pair)
    found = parity.certify(*network, path)
    assert found["reference"] == path.name and found["lr_shape"] == [2, 4, 6, 3] and found["about"] == ""
    assert found["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found["max_abs_error"] == pytest.approx(5e-5, abs=2e-6)
    assert found["mean_abs_error"] == pytest.approx(5e-5 / pair["sr"].size, abs=1e-6)


def test_one_image_with_a_word_on_it(network, pair, tmp_path):
    path = save(tmp_path / "ref.npz", {"lr": pair["lr"][0], "sr": pair["sr"][0], "about": np.array("uniform, seed 0")})
    found = parity.certify(*network, path)
    assert found["lr_shape"] == [1, 4, 6, 3] and found["about"] == "uniform, seed 0"


@pytest.mark.parametrize("value", [2e-4, np.nan])
def test_another_output_is_refused(network, pair, tmp_path, value):
    pair["sr"][0, 0, 0, 0] += value * max(1, np.abs(pair["sr"]).max())
    bound = f"{1e-4 * max(1, np.abs(pair['sr']).max()):.2g}"  # of values that are no numbers 0.0001
    said = f"differs from the original: on .*ref.npz its output is off by up to .*, more than {bound}"
    with pytest.raises(UserError, match=said):
        parity.certify(*network, save(tmp_path / "ref.npz", pair))


@pytest.mark.parametrize("change, message", [
    (lambda pair: {"lr": pair["lr"]}, "has no 'sr'; a reference holds lr and sr"),
    (lambda pair: {**pair, "lr": np.uint8(pair["lr"])}, r"lr is uint8 \(2, 4, 6, 3\), expected float"),
    (lambda pair: {**pair, "sr": pair["sr"].transpose(0, 3, 1, 2)}, r"sr is float32 \(2, 3, 8, 12\), expected float"),
    (lambda pair: {**pair, "sr": pair["sr"][:, :-1]}, r"sr is \(2, 7, 12, 3\), for an lr of .* gives \(2, 8, 12, 3\)"),
    (lambda pair: {"lr": pair["lr"][:, 1:], "sr": pair["sr"][:, 2:]},
     r"lr is 3x6 .*, but this network takes multiples of 2"),
])
def test_references_that_do_not_fit(network, pair, tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        parity.certify(*network, save(tmp_path / "ref.npz", change(pair)))


@pytest.mark.parametrize("name", ["ref.npz", "ref.safetensors"])
def test_files_that_are_no_reference(network, tmp_path, name):
    with pytest.raises(UserError, match=f"{name}: no such file"):
        parity.certify(*network, tmp_path / name)
    (tmp_path / name).write_bytes(b"hello, this is text")
    with pytest.raises(UserError, match=f"{name}: cannot be read as a reference"):
        parity.certify(*network, tmp_path / name)


@pytest.mark.parametrize("channels", [1, 4])
def test_grey_networks_and_those_with_alpha_have_references_of_their_channels(tmp_path, channels):
    fields, rng = dict(scale=2, num_feat=4, num_conv=1, channels=channels), np.random.default_rng(0)
    model = models.create("compact", **fields)
    variables = jax.tree.map(lambda leaf: rng.normal(0, 0.3, leaf.shape).astype(np.float32),
                             models.abstract("compact", **fields))
    lr = rng.random((4, 6, channels), np.float32)
    with jax.default_matmul_precision("highest"):
        pair = {"lr": lr, "sr": np.array(model.apply(variables, lr[None]))[0]}
    assert parity.certify(model, variables, save(tmp_path / "ref.npz", pair))["lr_shape"] == [1, 4, 6, channels]
    with pytest.raises(UserError, match=f"lr is float32 \\(4, 6, 3\\), expected float \\(H, W, {channels}\\)"):
        parity.certify(model, variables, save(tmp_path / "rgb.npz", pair | {"lr": np.zeros((4, 6, 3), np.float32)}))


def test_a_reference_that_claims_gigabytes(network, tmp_path):
    with zipfile.ZipFile(tmp_path / "ref.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("lr.npy", "w") as member:
            for _ in range(80):
                member.write(bytes(1 << 20))
    assert (tmp_path / "ref.npz").stat().st_size < 1 << 18
    with pytest.raises(UserError, match="ref.npz: cannot be read as a reference"):
        parity.certify(*network, tmp_path / "ref.npz")

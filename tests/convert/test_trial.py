"""The trial of converted weights: how a photograph comes out tells which network they are of."""

import jax
import numpy as np
import pytest

from jsr import convert, models
from jsr.convert import files, trial
from jsr.convert.conversion import read
from jsr.errors import UserError

FIELDS = dict(scale=4, num_feat=6, mid_feat=8, num_block=4, esa_feat=4)


def written(path, variables, **fields):
    """LightRLFN's state dict in a file, read again."""
    model = models.create("rlfn/light", **FIELDS, **fields)
    files.write_state_dict(path, convert.to_torch(variables, convert.formats(model)["official"]))
    return read(path)


@pytest.fixture
def zeros():
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), models.abstract("rlfn/light", **FIELDS))


@pytest.mark.parametrize("bias, ranges", [(0.0, {1.0, 255.0}), (0.5, {255.0})])
def test_what_no_tensor_tells_is_found(tmp_path, zeros, bias, ranges):
    """An enlarged image is added; a bias is of the range that the values inside have."""
    zeros["params"]["conv_last"]["bias"][:] = bias
    source = written(tmp_path / "light.safetensors", zeros)
    found, certificate = trial.settle(source, source.match)
    assert found.match.model == "rlfn/light" and found.model.anchor == "bilinear" and certificate is None
    assert found.model.img_range in ranges
    assert found.notes[-1].startswith("one of: " if len(ranges) == 2 else "tried on a photograph: -")
    assert not any("assumed: anchor" in note for note in found.notes)


def test_a_reference_decides(tmp_path, zeros):
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.normal(0, 0.3, leaf.shape).astype(np.float32), zeros)
    model, lr = models.create("rlfn/light", **FIELDS), rng.random((1, 17, 18, 3), np.float32)
    with jax.default_matmul_precision("highest"):
        np.savez(tmp_path / "r.npz", lr=lr, sr=model.apply(variables, lr))
    source = written(tmp_path / "light.safetensors", variables)
    with pytest.raises(UserError, match="as rlfn/.* makes a photograph .* dB worse than plain enlargement; with "):
        trial.settle(source, source.match)
    found, certificate = trial.settle(source, source.match, reference=tmp_path / "r.npz")
    assert (found.model.anchor, found.model.img_range) == ("bilinear", 1.0) and certificate["max_abs_error"] < 1e-4
    assert found.notes[-1] == "the reference says: anchor bilinear, img_range 1.0"


@pytest.mark.parametrize("scale", [2, 8])
def test_gain_is_over_plain_enlargement(scale):
    near, far = (trial.gain(models.create(f"enlarge/{kind}", scale=scale), {}) for kind in ("bicubic", "nearest"))
    assert -0.7 < near < 0.2 and -5 < far < near

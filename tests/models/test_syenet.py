"""SCSYENet: its unit against the one of SYENet, its counts, and its deployed form."""

from pathlib import Path

import jax
import numpy as np
import pytest

from jsr import models, reparam
from jsr.analysis import counts
from jsr.models.syenet import Product

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "syenet.npz")


def run(model, variables, lr):
    """The network in exact float32, compiled in little time."""
    with jax.default_matmul_precision("highest"):
        compiled = jax.jit(model.apply, compiler_options={"xla_backend_optimization_level": 0})
        return np.asarray(compiled(variables, lr))


@pytest.fixture
def unit():
    """The module and the variables of the golden's unit."""
    def conv(name):
        return {"conv": {"kernel": GOLDEN[f"state_dict/{name}.weight"].transpose(2, 3, 1, 0),
                         "bias": GOLDEN[f"state_dict/{name}.bias"]}}

    params = {"a_0": conv("block1.0"), "prelu_1": GOLDEN["state_dict/block1.1.weight"], "a_1": conv("block1.2"),
              "b": conv("block2"), "bias": GOLDEN["state_dict/bias"].reshape(-1)}
    return Product(5, depth=2, block="plain"), {"params": params}


def test_a_unit_computes_what_the_original_does(unit):
    model, variables = unit
    np.testing.assert_allclose(run(model, variables, GOLDEN["x"]), GOLDEN["y"], rtol=0, atol=5e-6)


def test_deployed_the_factor_is_in_one_branch_as_in_the_original(unit):
    model, variables = unit
    deployed, fused, report = reparam.fuse(model, variables, input_shape=GOLDEN["x"].shape)
    assert list(report) == ["a_0", "a_1", "b", ""] and max(report.values()) < 1e-13
    np.testing.assert_allclose(fused["params"]["b"]["kernel"], GOLDEN["slim/b"].transpose(2, 3, 1, 0), rtol=1e-6)
    np.testing.assert_allclose(run(deployed, fused, GOLDEN["x"]), GOLDEN["y"], rtol=0, atol=5e-6)


def test_the_network_fused_computes_the_same():
    fields, rng = dict(scale=3, num_feat=4, block="asymmetric"), np.random.default_rng(0)
    model = models.create("syenet", **fields)
    variables = jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype(np.float32),
                             models.abstract("syenet", **fields))
    deployed, fused, report = reparam.fuse(model, variables, input_shape=(1, 8, 9, 3))
    assert list(report)[-3:] == ["head", "body", "tail"] and max(report.values()) < 1e-12
    assert not reparam.find(deployed)
    lr = rng.random((1, 9, 11, 3), np.float32)
    expected, sr = run(model, variables, lr), run(deployed, fused, lr)
    assert np.abs(sr - expected).max() < 2e-5 * np.abs(expected).max()


def test_training_fused_has_the_same_parameters(unit):
    model, variables = unit
    shape = GOLDEN["x"].shape
    exact = reparam.fuse(model, variables, input_shape=shape)[1]
    fused = jax.jit(lambda v: reparam.fuse_params(model, v, input_shape=shape))(variables)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), fused, exact)


@pytest.mark.parametrize("scale, height, width, params, macs", [
    (2, 1080, 1920, 9968, 20_379_340_800), (3, 720, 1280, 12_548, 11_421_388_800)])
def test_counts_are_the_published(scale, height, width, params, macs):
    model = models.create("syenet", scale=scale, deploy=True)
    assert counts.count(model, (1, height, width, 3)) == (params, macs)

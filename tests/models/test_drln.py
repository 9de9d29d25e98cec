"""DRLN: its groups, and the self-calibrated convolutions of SCNet."""

import jax
import numpy as np
import pytest

from jsr import convert, models
from jsr.errors import UserError
from jsr.models.drln import SelfCalibratedUnit


def test_oppos_network_has_no_names_elsewhere():
    with pytest.raises(UserError, match="drln: no public code has OPPO CAMERA's network"):
        convert.formats(models.create("drln/scan", scale=2))
    assert models.card("drln/scan").padding.multiple == 4 and models.card("drln/base").padding.multiple == 1


def test_a_self_calibrated_unit_is_scnets_bottleneck(run):
    """MCG-NKU/SCNet, SCBottleneck, with the identity for batch normalisation."""
    torch = pytest.importorskip("torch", reason="PyTorch is an optional extra")
    x = np.random.default_rng(0).normal(size=(1, 8, 12, 6)).astype(np.float32)
    module = SelfCalibratedUnit()
    variables = jax.jit(module.init)(jax.random.key(0), x)
    functional, relu = torch.nn.functional, torch.relu

    def conv(y, name):
        kernel = torch.tensor(np.asarray(variables["params"][name]["kernel"])).permute(3, 2, 0, 1)
        return functional.conv2d(y, kernel, padding=kernel.shape[-1] // 2)

    identity = torch.tensor(x).permute(0, 3, 1, 2)
    plain, calibrated = relu(conv(identity, "conv1_a")), relu(conv(identity, "conv1_b"))
    around = functional.interpolate(conv(functional.avg_pool2d(calibrated, 4, 4), "k2"), calibrated.shape[2:])
    calibrated = conv(conv(calibrated, "k3") * torch.sigmoid(calibrated + around), "k4")
    expected = relu(identity + conv(torch.cat([relu(conv(plain, "k1")), relu(calibrated)], 1), "conv3"))
    np.testing.assert_allclose(run(module, variables, x), expected.permute(0, 2, 3, 1), rtol=0, atol=1e-5)


def test_the_image_is_enlarged_beside_the_network(run):
    """With all else zero the output is the skip connection's."""
    fields = dict(scale=2, num_feat=4, groups=(1,), squeeze_factor=2)
    model = models.create("drln/scan", **fields)
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), models.abstract("drln/scan", **fields))
    variables["params"]["skip"]["kernel"][2, 2] = np.repeat(np.eye(3), 4, 1)  # repeats each pixel
    lr = np.random.default_rng(0).random((1, 4, 8, 3), np.float32)
    np.testing.assert_allclose(run(model, variables, lr), lr.repeat(2, 1).repeat(2, 2), atol=1e-6)

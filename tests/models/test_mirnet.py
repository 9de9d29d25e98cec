"""MIRNet: what its blocks share."""

import numpy as np

from jsr import convert, models
from jsr.models.mirnet import blurred_half


def test_units_are_shared_by_columns_and_the_slope_by_all():
    fields = dict(n_feat=8, n_rrg=1, n_msrb=2, height=2)
    params = [models.abstract("mirnet", scale=1, width=width, **fields)["params"] for width in (2, 3)]
    assert params[0].keys() == params[1].keys() and params[0]["body_0_0"].keys() == params[1]["body_0_0"].keys()
    copies = convert.formats(models.create("mirnet", scale=1, **fields))["official"].copies
    assert sum(key.endswith("body.1.weight") for key in copies) == 2 * 2 * 2 - 1
    assert copies["body.0.body.1.blocks.1.1.conv1x1.weight"] == "body.0.body.1.blocks.1.0.conv1x1.weight"


def test_halves_are_blurred_and_the_edge_is_reflected():
    x = np.random.default_rng(0).random((1, 6, 4, 2))
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], "reflect")
    weights = np.outer([1, 2, 1], [1, 2, 1]) / 16
    expected = sum(weights[i, j] * padded[:, i:i + 6:2, j:j + 4:2] for i in range(3) for j in range(3))
    np.testing.assert_allclose(blurred_half(x), expected, rtol=1e-5)

"""EDSR: the names of its parameters, and its range and mean."""

import jax
import numpy as np
import pytest

from jsr import convert, models
from jsr.errors import UserError


def test_official_names_are_the_ones_written():
    assert list(convert.formats(models.create("edsr", scale=2))) == ["official", "basicsr"]


def test_weights_of_another_range_are_refused(golden):
    case = golden("edsr", "official_x2")
    state_dict = case.state_dict | {"sub_mean.bias": case.state_dict["sub_mean.bias"] / 255}
    with pytest.raises(UserError, match=r"wrong: sub_mean.bias is \[-0.448.*the network has \[-114.4"):
        convert.to_jax(state_dict, case.rules, case.abstract)


def test_inside_range_and_mean_cancel_where_nothing_is_learned():
    """With all kernels zero the output is the mean plus the last bias, in units of img_range."""
    fields = dict(scale=2, num_feat=4, num_block=1, img_range=10.0, mean=(0.1, 0.2, 0.3))
    model = models.create("edsr", **fields)
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), models.abstract("edsr", **fields))
    variables["params"]["conv_last"]["bias"] += 1
    np.testing.assert_allclose(model.apply(variables, np.ones((1, 3, 3, 3), np.float32))[0, 0, 0], [0.2, 0.3, 0.4],
                               rtol=1e-6)

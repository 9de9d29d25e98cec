"""ESRGAN's critic against the original code's, in use and in training."""

import functools

import jax
import numpy as np
import pytest

from jsr import convert, models
from jsr.convert.identify import identify
from jsr.models import discriminator


def test_converted_weights_give_the_original_logit(golden):
    case = golden("discriminator", "srrescgan")
    variables = convert.to_jax(case.state_dict, case.rules, case.abstract)
    with jax.default_matmul_precision("highest"):
        run = jax.jit(case.model.apply, compiler_options={"xla_backend_optimization_level": 0})
        logit = run(variables, case.lr)
        map_ = run(variables, np.tile(case.lr, (1, 2, 1, 1)))
    assert logit.shape == (1, 1, 1, 1)
    np.testing.assert_allclose(logit, case.outputs["sr"], rtol=1e-4)
    assert map_.shape == (1, 5, 1, 1)  # a window every 32 px


@pytest.mark.parametrize("case", ["srrescgan"])
def test_there_and_back_gives_the_same_state_dict(golden, case):
    case = golden("discriminator", case)
    back = convert.to_torch(convert.to_jax(case.state_dict, case.rules, case.abstract), case.rules)
    assert back.keys() == case.state_dict.keys()
    for key, value in case.state_dict.items():
        assert back[key].dtype == value.dtype and np.array_equal(back[key], value), key


def test_its_state_dict_tells_what_it_is(golden):
    state_dict = golden("discriminator", "srrescgan").state_dict
    found = identify(state_dict)
    assert (found.model, found.scale, found.fields) == ("discriminator/vgg128", 1, {"num_feat": 1})
    assert found.assumed == ("high_pass 0", "img_range 1")
    assert identify(state_dict | {"bn5_0.weight": np.zeros(8)}) is None
    case = models.create("discriminator/srrescgan", scale=1)
    assert (case.high_pass, case.img_range, case.size_multiple) == (9, 255, 128)


def test_flat_images_have_no_detail_to_judge():
    """What the high pass leaves of them is 0.5, away from the borders, whatever their brightness."""
    image = np.full((1, 16, 16, 3), 0.7, np.float32)
    inner = (slice(None), slice(4, -4), slice(4, -4))
    np.testing.assert_allclose(discriminator._without_mean(image, 9)[inner], 0.5, rtol=1e-6)
    np.testing.assert_allclose(discriminator._without_mean(image, 9)[0, 0, 0], 0.5 + 0.35 * (1 - 25 / 81), rtol=1e-6)


def test_statistics_follow_the_images_in_training_alone():
    fields = dict(size=32, num_feat=1, num_hidden=2)
    model = models.create("discriminator", scale=1, **fields)
    variables = jax.tree.map(lambda leaf: np.full(leaf.shape, 0.1, leaf.dtype),
                             models.abstract("discriminator", scale=1, **fields))
    image = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)

    @functools.partial(jax.jit, static_argnums=1, compiler_options={"xla_backend_optimization_level": 0})
    def run(variables, train):
        return model.apply(variables, image, train=train, mutable=["batch_stats"])[1]["batch_stats"]

    assert all((new == 0.1).all() for new in jax.tree.leaves(run(variables, False)))
    assert all((new != 0.1).all() for new in jax.tree.leaves(run(variables, True)))

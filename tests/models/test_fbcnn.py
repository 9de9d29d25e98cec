"""FBCNN against the original code, in use and in training, and steered by a quality of our own."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import convert, models
from jsr.convert.identify import identify
from jsr.layers.padding import crop_to, pad_to_multiple

CASES = ("color", "batch_norm")
GIVEN = 0.25  # as in tests/golden/fbcnn_make.py
quickly = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@pytest.mark.parametrize("name, given", [("color", None), ("batch_norm", None), ("batch_norm", GIVEN)])
def test_converted_weights_give_the_original_outputs(golden, name, given):
    case = golden("fbcnn", name)
    variables = convert.to_jax(case.state_dict, case.rules, case.abstract)
    lr = pad_to_multiple(case.lr, models.card(case.model).padding)
    qf_input = None if given is None else np.full((1, 1), given, np.float32)
    with jax.default_matmul_precision("highest"):
        result = quickly(case.model.apply)(variables, lr, qf_input=qf_input)
    np.testing.assert_allclose(result["qf"], case.outputs["qf"][:, 0, 0], rtol=0, atol=1e-6)
    sr, expected = crop_to(result["sr"], *case.lr.shape[1:3]), case.outputs["sr" if given is None else "sr_given"]
    np.testing.assert_allclose(sr, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert np.abs(case.outputs["sr"] - case.outputs["sr_given"]).max() > 1e-2


@pytest.mark.parametrize("case", CASES)
def test_there_and_back_gives_the_same_state_dict(golden, case):
    case = golden("fbcnn", case)
    back = convert.to_torch(convert.to_jax(case.state_dict, case.rules, case.abstract), case.rules)
    assert back.keys() == case.state_dict.keys()
    for key, value in case.state_dict.items():
        assert back[key].dtype == value.dtype and np.array_equal(back[key], value), key


@pytest.mark.parametrize("name", CASES)
def test_its_state_dict_tells_what_it_is(golden, name):
    case = golden("fbcnn", name)
    found = identify(case.state_dict)
    assert (found.model, found.scale) == (f"fbcnn/{name}", 1)
    assert found.fields == dict(num_feat=case.model.num_feat, num_block=case.model.num_block)
    assert identify({key: value for key, value in case.state_dict.items() if key != "m_head.weight"}) is None


def test_statistics_follow_the_images_in_training():
    model = models.create("fbcnn/batch_norm", scale=1, num_feat=2, num_block=1)
    variables = jax.tree.map(lambda leaf: np.full(leaf.shape, 0.1, leaf.dtype),
                             models.abstract("fbcnn/batch_norm", scale=1, num_feat=2, num_block=1))
    lr = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    trained = quickly(functools.partial(model.apply, train=True, mutable=["batch_stats"]))
    renewed = trained(variables, lr)[1]["batch_stats"]
    assert jax.tree.structure(renewed) == jax.tree.structure(variables["batch_stats"])
    assert all((leaf != 0.1).all() for leaf in jax.tree.leaves(renewed))
    # nine tenths of the first block's statistics are the batch's; all features are alike here
    first = 0.1 + 0.2 * sums(0.1 + 0.1 * sums(lr.sum(-1)))
    norm = renewed["down1_0"]["res"]["norm"]
    np.testing.assert_allclose(norm["mean"], 0.1 * 0.1 + 0.9 * first.mean(), rtol=1e-4)
    np.testing.assert_allclose(norm["var"], 0.1 * 0.1 + 0.9 * first.var(), rtol=1e-4)


def sums(images):
    """Over 3x3 px of (N, H, W), zeros around."""
    padded = np.pad(images, [(0, 0), (1, 1), (1, 1)])
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2)).sum((-2, -1))


def test_the_quality_is_float32_whatever_the_blocks_compute_in():
    model = models.create("fbcnn", scale=1, num_feat=2, num_block=1, dtype=jnp.bfloat16)
    abstract = models.abstract("fbcnn", scale=1, num_feat=2, num_block=1, dtype=jnp.bfloat16)
    result = jax.eval_shape(model.apply, abstract, jax.ShapeDtypeStruct((2, 8, 16, 3), jnp.float32))
    assert result["qf"].shape == (2, 1) and result["qf"].dtype == jnp.float32
    assert result["sr"].shape == (2, 8, 16, 3) and result["sr"].dtype == jnp.float32

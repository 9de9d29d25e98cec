"""FBCNN steered by a quality of our own, and in training."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import models
from jsr.convert.identify import identify
from jsr.layers.padding import crop_to, pad_to_multiple

GIVEN = 0.25  # as in tests/golden/fbcnn_make.py
quickly = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@pytest.mark.parametrize("name", ["color", "batch_norm"])
def test_a_given_quality_takes_the_place_of_the_estimate(golden, run, name):
    case = golden("fbcnn", name)
    lr = pad_to_multiple(case.lr, models.card(case.model).padding)
    result = models.outputs(run(case.model, case.variables, lr, qf_input=np.full((1, 1), GIVEN)))
    assert result.keys() == ({"sr", "qf"} if name == "color" else {"sr"})
    if name == "color":
        np.testing.assert_allclose(result["qf"], case.outputs["qf"][:, 0, 0], rtol=0, atol=1e-6)
    sr, expected = crop_to(result["sr"], *case.lr.shape[1:3]), case.outputs["sr_given"]
    np.testing.assert_allclose(sr, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    assert np.abs(case.outputs["sr"] - expected).max() > 1e-2


def test_other_state_dicts_are_not_recognised(golden):
    state_dict = golden("fbcnn", "color").state_dict
    assert identify({key: value for key, value in state_dict.items() if key != "m_head.weight"}) is None


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


@pytest.mark.slow
def test_it_starts_near_the_identity_beside_differences_between_pixels():
    model = models.create("fbcnn", scale=1, num_feat=8, num_block=1)
    params = quickly(model.init)(jax.random.key(0), np.zeros((1, 8, 8, 3), np.float32))["params"]
    head, tail = params["head"]["kernel"], params["tail"]["kernel"]
    identity = np.zeros((3, 3, 3, 3))
    identity[1, 1] = np.eye(3)
    assert (head[..., :3] == identity).all() and (tail[:, :, :3] == identity).all()
    np.testing.assert_allclose(head[..., 3:].sum((0, 1)), 0, atol=1e-5)
    assert (np.abs(head[..., 3:]).max((0, 1, 2)) > 0.1).all()
    lr = np.linspace(0, 1, 32, dtype=np.float32)[None, :, None, None] * np.array([1, 0.5, 0.2], np.float32)
    lr = np.broadcast_to(lr, (1, 32, 32, 3))
    sr = quickly(model.apply)({"params": params}, lr)["sr"]
    assert np.corrcoef(sr[:, 2:-2, 2:-2].ravel(), lr[:, 2:-2, 2:-2].ravel())[0, 1] > 0.9


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

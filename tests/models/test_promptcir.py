"""PromptCIR: its prompts and sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import models
from jsr.models.promptcir import Prompt


def test_images_get_whole_windows_at_half_their_size():
    padding = models.card("promptcir").padding
    assert (padding.multiple, padding.mode, padding.always) == (32, "flip", True)
    with pytest.raises(ValueError, match="height 24 or width 24 is no multiple of window_size = 16"):
        jax.eval_shape(models.create("promptcir", scale=1).init, jax.random.key(0), jnp.zeros((1, 48, 48, 3)))


def test_a_prompt_is_a_weighted_mean_of_learned_vectors():
    """Where the convolution does nothing, weights that sum to one leave equal vectors as they are."""
    prompt, x = Prompt(num_task=2, num_basis=3, prompt_dim=4), np.random.default_rng(0).random((1, 2, 5, 6))
    params = jax.tree.map(lambda leaf: np.ones(leaf.shape, np.float32),
                          jax.eval_shape(prompt.init, jax.random.key(0), x)["params"])
    params["prompt"] *= np.arange(4)[:, None, None]
    params["conv"]["kernel"] *= 0
    params["conv"]["kernel"][1, 1] = np.eye(4)
    np.testing.assert_allclose(prompt.apply({"params": params}, x), np.tile(np.arange(4.0), (1, 2, 5, 1)), rtol=1e-6)


def test_blocks_that_are_computed_again_have_the_same_parameters():
    fields = dict(scale=1, dim=4, num_blocks=(1, 1), heads=(1, 1), num_refinement_blocks=1, window_size=4,
                  compress_ratio=2, squeeze_factor=2)
    plain, remat = (models.abstract("promptcir", **fields, remat=remat) for remat in (False, True))
    assert jax.tree.structure(remat) == jax.tree.structure(plain)
    traced = jax.make_jaxpr(models.create("promptcir", **fields, remat=True).apply)
    # two hybrid layers, two overlap layers, two blocks
    assert str(traced(remat, jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32))).count("remat") >= 6

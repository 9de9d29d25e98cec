"""GRL: its stripes, anchors and checkpoints."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import convert, models
from jsr.convert.identify import identify
from jsr.models.grl import StripeAttention

BUFFERS = ("table_", "index_", "mask_")


def test_a_checkpoint_of_training_without_buffers(golden):
    """As the repository's trainer keeps it; its windows are those of the variant."""
    case = golden("grl", "direct_x3")
    state_dict = {f"model.{key}": value for key, value in case.state_dict.items() if not key.startswith(BUFFERS)}
    found = identify(state_dict)
    assert (found.model, found.scale) == ("grl/sr_tiny", 3) and "window_size" not in found.fields
    assert found.assumed[0] == "window_size of the variant"
    formats = convert.formats(case.model)
    assert convert.detect(state_dict, formats) == "lightning"
    variables = convert.to_jax(state_dict, formats["lightning"], case.abstract)
    jax.tree.map(np.testing.assert_array_equal, variables, case.variables)


def test_pixels_of_other_regions_have_no_part_in_a_shifted_stripe():
    """A pixel at the image's end is in a stripe with pixels of its beginning, and hears nothing of them."""
    attention = StripeAttention(num_heads=1, stripe_size=(4, 8), shift=True, down_factor=2)
    rng = np.random.default_rng(0)
    qkv, anchors = rng.normal(size=(1, 8, 8, 6)), rng.normal(size=(1, 4, 4, 2))
    shapes = jax.eval_shape(attention.init, jax.random.key(0), jnp.asarray(qkv), jnp.asarray(anchors))
    variables = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype), shapes)
    apply = jax.jit(lambda qkv: attention.apply(variables, qkv, anchors))
    changed = np.array(qkv)
    changed[:, :2, :4] += 1  # the upper left region, shifted into the lower right corner
    moved = abs(apply(jnp.asarray(changed)) - apply(jnp.asarray(qkv))).max(-1)[0]
    assert (moved[:2, :4] > 1e-4).all() and moved[2:].max() < 1e-6 and moved[:, 4:].max() < 1e-6


def test_sizes_must_be_multiples_of_windows_and_stripes():
    model = models.create("grl", scale=1, depths=(1,), num_heads_window=(2,), num_heads_stripe=(2,))
    with pytest.raises(ValueError, match=r"height 36 or width 72 is no multiple of window_size = \(72, 144\)"):
        jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 36, 72, 3)))
    padding = models.card("grl").padding
    assert (padding.multiple, padding.mode, padding.always) == (144, "reflect", False)
    assert models.card("grl/sr_tiny").padding.multiple == 64


def test_layers_that_are_computed_again_have_the_same_parameters():
    fields = dict(scale=1, depths=(1,), num_heads_window=(1,), num_heads_stripe=(1,), embed_dim=4, window_size=4,
                  stripe_size=(4, 8), down_factor=2)
    variables, again = (models.abstract("grl", **fields, remat=remat) for remat in (False, True))
    assert variables == again
    model = models.create("grl", **fields, remat=True)
    assert "remat" in str(jax.make_jaxpr(model.apply)(variables, jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32)))

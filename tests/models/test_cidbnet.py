"""CIDBNet: attention across its branches, their fusion, and its variants."""

import jax
import numpy as np

from jsr import models
from jsr.models.cidbnet import SMALL, AdaptiveFusion, CrossAttention


def drawn(module, *inputs):
    """Random parameters of a module."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)
    return jax.tree.map(lambda leaf: rng.normal(0, 0.3, leaf.shape).astype(np.float32), shapes)


def test_attention_looks_at_the_other_branch_in_the_same_window():
    module, rng = CrossAttention(2, 4), np.random.default_rng(1)
    x, other = rng.normal(size=(2, 1, 4, 8, 4)).astype(np.float32)
    variables, apply = drawn(module, x, other), jax.jit(module.apply)
    changed = other.copy()
    changed[0, 1, 6] += 1
    difference = (apply(variables, x, changed) != apply(variables, x, other)).any(-1)[0]
    assert difference[:, 4:].all() and not difference[:, :4].any()


def test_equal_pixels_of_the_other_branch_are_what_attention_gives():
    """Whatever the query: the mean of values that are all the same."""
    module = CrossAttention(2, 4)
    x, other = np.random.default_rng(1).normal(size=(1, 4, 4, 4)).astype(np.float32), np.ones((1, 4, 4, 4), np.float32)
    variables = drawn(module, x, other)
    kv, proj = variables["params"]["kv"], variables["params"]["proj"]
    value = (other @ kv["kernel"] + kv["bias"])[..., 4:]
    np.testing.assert_allclose(jax.jit(module.apply)(variables, x, other), value @ proj["kernel"] + proj["bias"],
                               rtol=1e-4, atol=1e-5)


def test_fusion_weighs_each_value_of_one_branch_against_the_others():
    module, rng = AdaptiveFusion(2, 4), np.random.default_rng(1)
    near, far = rng.normal(size=(2, 1, 4, 4, 4)).astype(np.float32)
    variables = drawn(module, near, far)
    for name in ("attn1", "attn2"):  # nothing is learnt of each other
        variables["params"][name]["proj"] = jax.tree.map(np.zeros_like, variables["params"][name]["proj"])
    share = (jax.jit(module.apply)(variables, near, far) - far) / (near - far)
    assert -1e-4 < share.min() < 0.4 and 0.6 < share.max() < 1 + 1e-4


def test_variants_without_fusion_have_none_of_its_parameters():
    def group(variant):
        model = models.create(f"cidbnet/{variant}", scale=4, **SMALL)
        lr = jax.ShapeDtypeStruct((1, 4, 4, 3), np.float32)
        return set(jax.eval_shape(model.init, jax.random.key(0), lr)["params"]["layers_0"])

    assert group("base") - group("nf") == {"fusion"} and group("nf") == group("nfe")
    assert len(models.create("cidbnet/nfe", scale=4).depths) == 8

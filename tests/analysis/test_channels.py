"""Which channels belong together, and networks made smaller by leaving some out."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import models
from jsr.analysis import channels
from jsr.layers import rep_blocks
from jsr.layers.conv import Conv
from jsr.layers.rep import RepConv
from jsr.layers.shuffle import pixel_shuffle

SHAPE = (1, 6, 7, 3)


class Meeting(nn.Module):
    """A gate, a concatenation, a depthwise convolution, a norm and a shuffle, between `num_feat` channels."""

    num_feat: int = 4

    @nn.compact
    def __call__(self, x):
        x = Conv(self.num_feat, name="head")(x)
        gate = nn.sigmoid(Conv(self.num_feat, 1, name="gate")(x.mean((1, 2), keepdims=True)))
        y = Conv(self.num_feat, groups=self.num_feat, name="depthwise")(x * gate)
        y = nn.BatchNorm(use_running_average=True, name="norm")(y)
        z = nn.gelu(Conv(8, name="wide")(y))
        y = Conv(self.num_feat, 1, name="merge")(jnp.concatenate([y, z], -1))
        return pixel_shuffle(Conv(12, name="tail")(y), 2)


def made(found):
    return {tuple("/".join(path) for path in group.made): len(group.made[next(iter(group.made))]) for group in found}


def shapes_of(model):
    return jax.eval_shape(model.init, jax.random.key(0), jnp.zeros(SHAPE))


def drawn(shapes):
    """Variables of these shapes; jax.random's kernels would be compiled for each of them."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.normal(0.1, 0.3, leaf.shape).astype(np.float32), shapes)


def run(model, variables, lr):
    return models.outputs(jax.jit(model.apply)(variables, lr))["sr"]


def test_channels_that_meet_are_one_group():
    model = Meeting()
    found = channels.groups(model, shapes_of(model), SHAPE)
    assert made(found) == {("gate", "head"): 1, ("wide",): 1, ("merge",): 1}
    assert len(found) == 4 + 8 + 4
    first = next(group for group in found if ("head",) in group.made)
    assert set(first.passed) == {("depthwise",), ("norm",)}
    assert {"/".join(path) for path in first.used} == {"gate", "wide", "merge"}


def test_what_is_left_computes_what_is_not_left_out():
    large, small = Meeting(4), Meeting(3)
    variables = drawn(shapes_of(large))
    variables["batch_stats"]["norm"]["var"] += 2
    found = channels.groups(large, variables, SHAPE)
    scores = [channels.norms(group, variables) for group in found]
    taken = channels.take(variables, channels.select(found, scores, variables, shapes_of(small)))
    masked = variables
    for family in (("gate", "head"), ("merge",)):
        members = [(score, i) for i, (score, group) in enumerate(zip(scores, found, strict=True))
                   if tuple("/".join(path) for path in group.made) == family]
        masked = channels.without(found[min(members)[1]], masked)
    x = np.random.default_rng(1).random(SHAPE, np.float32)
    np.testing.assert_allclose(run(small, taken, x), run(large, masked, x), atol=1e-5)
    assert np.abs(run(large, variables, x) - run(large, masked, x)).max() > 1e-3


@pytest.mark.parametrize("model_id, large, small", [
    ("edsr", dict(num_feat=6, num_block=1), dict(num_feat=4, num_block=1)),
    ("plain/bicubicpp", dict(num_feat=6, use_bias=True), dict(num_feat=4, use_bias=True)),
    ("rlfn/lfdn_ntubl6", dict(num_feat=6, num_block=2), dict(num_feat=4, num_block=2)),
])
def test_networks_of_the_zoo_lose_the_channels_of_least_norm(model_id, large, small):
    scale = 2
    before, after = (models.create(model_id, scale=scale, **fields) for fields in (large, small))
    variables = drawn(models.abstract(model_id, scale=scale, **large))
    found = channels.groups(before, variables)
    scores = [channels.norms(group, variables) for group in found]
    indices = channels.select(found, scores, variables, models.abstract(model_id, scale=scale, **small))
    masked = variables
    for group in found:
        path, index = next((path, made[0]) for path, made in group.made.items())
        if index not in indices["params", *path, "kernel"][-1]:
            masked = channels.without(group, masked)
    lr = np.random.default_rng(1).random(models.card(before).lr_shape(24, 24), np.float32)
    sr = [run(model, v, lr) for model, v in
          ((after, channels.take(variables, indices)), (before, masked), (before, variables))]
    np.testing.assert_allclose(sr[0], sr[1], atol=1e-5 * float(jnp.abs(sr[1]).max()))
    assert jnp.abs(sr[0] - sr[2]).max() > 1e-3 * jnp.abs(sr[2]).max()


def test_what_cannot_be_had_by_leaving_out_is_refused():
    model = Meeting()
    variables = drawn(shapes_of(model))
    found = channels.groups(model, variables, SHAPE)
    for other, message in ((Meeting(5), "its channels go 1 at a time, which does not lead from 4 to 5"),
                           (Conv(3), "the smaller network has other parameters, first")):
        with pytest.raises(ValueError, match=message):
            channels.select(found, [0.0] * len(found), variables, shapes_of(other))


def test_only_deployed_blocks_and_whole_convolutions():
    class Grouped(nn.Module):
        @nn.compact
        def __call__(self, x):
            return Conv(2, groups=2, name="halves")(Conv(4, name="head")(x))

    class Branches(nn.Module):
        @nn.compact
        def __call__(self, x):
            return RepConv(3, rep_blocks.residual(), name="block")(x)

    for model, message in ((Grouped(), "halves: convolves in 2 groups"),
                           (Branches(), "block is in its training form; fuse the network first")):
        with pytest.raises(ValueError, match=message):
            channels.groups(model, shapes_of(model), SHAPE)

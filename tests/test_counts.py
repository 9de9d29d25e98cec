"""Counts against arithmetic by hand."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jsr import counts, models
from jsr.layers.conv import Conv


class Function(nn.Module):
    """A function of the image as a network without parameters."""

    function: object

    @nn.compact
    def __call__(self, lr):
        return self.function(lr)


def macs(function, shape=(1, 8, 6, 3)):
    return counts.count(Function(function), shape)[1]


def macs_of(module, shape):
    return counts.count(module, shape)[1]


@pytest.mark.parametrize("module, shape, expected", [
    (Conv(5), (1, 8, 6, 3), 8 * 6 * 9 * 3 * 5),
    (Conv(5, use_bias=False), (1, 8, 6, 3), 8 * 6 * 9 * 3 * 5),
    (Conv(5, kernel_size=(1, 3)), (1, 8, 6, 3), 8 * 6 * 3 * 3 * 5),
    (Conv(5, strides=2), (1, 8, 6, 3), 4 * 3 * 9 * 3 * 5),
    (Conv(5, padding=0), (1, 8, 6, 3), 6 * 4 * 9 * 3 * 5),
    (Conv(5, dilation=2), (1, 8, 6, 3), 8 * 6 * 9 * 3 * 5),
    (Conv(8, groups=2), (1, 8, 6, 4), 8 * 6 * 9 * 4 * 8 // 2),
    (Conv(4, groups=4), (2, 8, 6, 4), 2 * 8 * 6 * 9 * 4),
    (nn.ConvTranspose(5, (4, 4), strides=(2, 2)), (1, 8, 6, 3), 8 * 6 * 16 * 3 * 5),
    (nn.Dense(5), (1, 8, 6, 3), 8 * 6 * 3 * 5),
    (nn.MultiHeadDotProductAttention(2, qkv_features=8), (1, 10, 4), 3 * 10 * 4 * 8 + 2 * 10 * 10 * 8 + 10 * 8 * 4),
])
def test_layers(module, shape, expected):
    assert macs_of(module, shape) == expected


def square(x):
    return jnp.einsum("nhwc,nhwd->ncd", x, x)


ONE = 8 * 6 * 3 * 3  # multiply-accumulates of `square`


@jax.custom_jvp
def custom(x):
    return square(x)


custom.defjvp(lambda primals, tangents: (square(*primals), square(*tangents)))


@pytest.mark.parametrize("function, expected", [
    (square, ONE),
    (jax.jit(jax.jit(square)), ONE),
    (jax.checkpoint(square), ONE),
    (custom, ONE),
    (lambda x: jax.lax.scan(lambda c, _: (c + square(x), None), jnp.zeros((1, 3, 3)), length=7), 7 * ONE),
    (lambda x: jax.lax.cond(x.sum() > 0, lambda: 2 * square(x) @ square(x), lambda: square(x)), 2 * ONE + 27),
    (lambda x: jax.lax.fori_loop(0, 5, lambda i, c: c + square(x), jnp.zeros((1, 3, 3))), 5 * ONE),
    (lambda x: jax.lax.while_loop(lambda c: c < x.sum(), lambda c: c + 1, 0.0), 0),
    (lambda x: (square(x), x)[1], ONE),  # thrown away, but computed in the published counts
    (lambda x: jnp.exp(x) * x + 1, 0),
])
def test_control_flow_and_what_holds_other_functions(function, expected):
    assert macs(function) == expected


def test_a_loop_of_unknown_length_is_refused():
    with pytest.raises(ValueError, match=f"{ONE} multiply-accumulates are in a loop"):
        macs(lambda x: jax.lax.while_loop(lambda c: c.sum() < 9, lambda c: c + square(x), jnp.zeros((1, 3, 3))))


def test_edsr_baseline_at_x4():
    block = 2 * 9 * 64 * 64
    per_pixel = (9 * 3 * 64 + 16 * block + 9 * 64 * 64          # at LR
                 + 9 * 64 * 256 + 4 * 9 * 64 * 256              # the two steps of the upsampler
                 + 16 * 9 * 64 * 3)                             # at SR
    model = models.create("edsr/baseline", scale=4)
    assert counts.count(model, (1, 192, 192, 3)) == (1_517_571, 192 * 192 * per_pixel)


def test_only_the_collection_params_is_counted():
    variables = jax.eval_shape(nn.BatchNorm(use_running_average=True).init, jax.random.key(0), jnp.zeros((1, 4, 4, 6)))
    assert counts.count_params(variables) == 12

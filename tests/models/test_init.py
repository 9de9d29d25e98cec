"""models.init outside the zoo, and the cards."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jsr import models
from jsr.layers.conv import Conv
from jsr.layers.padding import Padding
from jsr.models._card import Card


class Mixed(nn.Module):
    """Several initialisers and collections, and a parameter that nothing uses."""

    @nn.compact
    def __call__(self, lr, *, train=False):
        x = Conv(4, name="conv", kernel_init=nn.initializers.orthogonal())(lr)
        x = nn.BatchNorm(use_running_average=not train, name="norm")(x)
        self.param("unused", nn.initializers.truncated_normal(0.02), (7,))
        self.variable("state", "count", lambda: jnp.int32(5))
        return nn.Dense(3, name="dense")(x)


class FromInput(nn.Module):
    @nn.compact
    def __call__(self, lr):
        return lr + self.variable("state", "first", lambda: lr.mean()).value


@pytest.mark.parametrize("model", [
    Mixed(), pytest.param(models.create("edsr", scale=3, num_feat=4, num_block=2), marks=pytest.mark.slow)],
    ids=lambda model: type(model).__name__)
def test_init_draws_the_bits_of_flax(model):
    key, shape = jax.random.key(0), (1, 4, 4, 3)
    ours, flax = models.init(model, key, shape), model.init(key, jnp.zeros(shape))
    assert jax.tree.structure(ours) == jax.tree.structure(flax)
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(ours), jax.tree.leaves(flax), strict=True):
        assert a.dtype == b.dtype and (a == b).all(), jax.tree_util.keystr(path)


def test_init_takes_an_input_shape_from_the_card():
    model = models.create("edsr", scale=2, num_feat=4, num_block=1)
    ours, shapes = models.init(model, jax.random.key(0)), models.abstract("edsr", scale=2, num_feat=4, num_block=1)
    assert jax.tree.all(jax.tree.map(lambda a, s: (a.shape, a.dtype) == (s.shape, s.dtype), ours, shapes))


def test_the_network_itself_is_not_run():
    calls = []

    class Watched(nn.Module):
        @nn.compact
        def __call__(self, lr):
            return jax.pure_callback(lambda y: (calls.append(1), y)[1], lr, Conv(3, name="conv")(lr))

    variables = models.init(Watched(), jax.random.key(0), (1, 4, 4, 3))
    jax.block_until_ready(variables)
    assert not calls


def test_variables_that_depend_on_the_input_are_refused():
    with pytest.raises(ValueError, match="variables of FromInput depend on the values of its input"):
        models.init(FromInput(), jax.random.key(0), (1, 4, 4, 3))


def test_a_module_of_nobodys_file_needs_its_input_shape():
    with pytest.raises(ValueError, match="Dense is no network of the zoo: flax.linen.linear has no CARD"):
        models.init(nn.Dense(3), jax.random.key(0))


def test_card_gives_the_shape_of_images_and_clips():
    facts = dict(title="t", paper="p", code="", scales=(2,))
    for frames, lr_shape, sr_shape in ((None, (1, 8, 9, 3), (1, 16, 18, 3)), (3, (1, 3, 8, 9, 3), (1, 16, 18, 3)),
                                       ("all", (1, 7, 8, 9, 3), (1, 7, 16, 18, 3))):
        card = Card(**facts, frames=frames)
        assert card.video == (frames is not None)
        assert card.lr_shape(8, 9, frames=7) == lr_shape and card.sr_shape(lr_shape, 2) == sr_shape


@pytest.mark.parametrize("wrong, message", [
    (dict(scales=(4, 2)), r"scales = \(4, 2\) are not ascending"),
    (dict(scales=()), r"scales = \(\) name none"),
    (dict(frames=4), "frames = 4 has no frame in the middle"),
    (dict(other_scales=(4, 2)), r"scales = \(4, 2\) are not ascending"),
    (dict(variant_scales={"a": (1,), "b": (3, 2)}), r"scales = \(3, 2\) are not ascending"),
])
def test_card_refuses(wrong, message):
    with pytest.raises(ValueError, match=message):
        Card(**{**dict(title="t", paper="p", code="", scales=(2,), padding=Padding()), **wrong})


@pytest.mark.parametrize("dtype", ["uint8", "int32", "bool", "complex64"])
def test_integers_are_refused(dtype):
    network = models.create("edsr/baseline", scale=2, num_feat=4, num_block=1)
    variables, image = models.init(network, jax.random.key(0)), jnp.ones((1, 8, 8, 3), dtype)
    for give in (lambda: network.apply(variables, image), lambda: jax.jit(network.apply)(variables, image)):
        with pytest.raises(ValueError, match=rf"EDSR: the image is {dtype}, expected floats in \[0, 1\]; divide uint8"):
            give()
    assert network.apply(variables, image.real.astype("bfloat16")).shape == (1, 16, 16, 3)

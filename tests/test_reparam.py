"""Fused blocks against the branches they come from, in float64, to the last pixel at the border."""

from flax import serialization
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import models, reparam
from jsr.analysis import counts
from jsr.layers import rep_blocks
from jsr.layers.conv import Conv
from jsr.layers.rep import RepConv

KEY = jax.random.key(0)
SHAPE = (1, 8, 8, 3)


class Net(nn.Module):
    """A plain convolution and three blocks of one kind."""

    block: str = "ecb"
    features: int = 4
    deploy: bool = False
    dtype: object = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        x = Conv(self.features, dtype=self.dtype, name="head")(lr)
        for index in range(2):
            x = nn.relu(self.rep(f"body_{index}", self.features)(x, train=train))
        return self.rep("tail", 3)(x, train=train)

    def rep(self, name, features):
        return RepConv(features, rep_blocks.block(self.block), deploy=self.deploy, dtype=self.dtype, name=name)


def abstract(model, shape=SHAPE):
    return jax.eval_shape(model.init, KEY, jax.ShapeDtypeStruct(shape, jnp.float32))


def init(model, shape=SHAPE):
    """Variables with every value random; variances are positive."""
    rng = np.random.default_rng(0)
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: np.float32(rng.uniform(0.3, 3, leaf.shape) if path[-1].key == "var"
                                      else 0.5 * rng.normal(size=leaf.shape)), abstract(model, shape))


def quick(function):
    """Jitted; compiled in little time."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def apply_exactly(model, variables, x):
    """In float64."""
    with jax.enable_x64(True):
        return np.asarray(quick(model.apply)(as_float64(variables), as_float64(x)))


def as_float64(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


@pytest.mark.parametrize("name, fields, channels", [
    *((name, dict(groups=4 if name == "repvit" else 1), 4) for name in rep_blocks.BLOCKS),
    *((name, dict(strides=2), 4) for name in ("residual", "nrb", "reprfn", "casr", "repvgg", "conv_norm_conv")),
    ("ecb", dict(features=6), 3),
    ("casr", dict(features=6, use_bias=False), 3),
    ("reprb", dict(features=6, strides=(1, 2)), 4),
    ("rrrb", dict(groups=2), 4),
    ("conv3xc", dict(groups=2, features=6), 4),
    ("asymmetric", dict(groups=4, features=8), 4),
    ("ecb", dict(groups=4, strides=2), 4),
    ("repvgg", dict(groups=2, kernel_size=5), 4),
    ("ecb", dict(padding=0), 4),
    ("decouple", dict(kernel_size=4, padding=1, strides=2), 3),
])
def test_fused_is_the_block(name, fields, channels):
    options = {"kernel_size": 4} if fields.get("kernel_size") == 4 else {}
    block = RepConv(branches=rep_blocks.block(name, **options), **dict(features=4) | fields)
    # Float32 values that float64 arithmetic fuses: what comes back in float64 is not rounded in between.
    shape = (2, 9, 7, channels)
    variables = as_float64(init(block, shape))
    deployed, fused, report = reparam.fuse(block, variables, input_shape=shape)
    assert deployed == block.clone(deploy=True) and report[""] < 1e-13
    x = np.random.default_rng(1).normal(size=shape)
    expected, got = apply_exactly(block, variables, x), apply_exactly(deployed, fused, x)
    assert np.abs(got - expected).max() < 1e-12 * np.abs(expected).max()
    assert not fused.get("batch_stats") and set(fused["params"]) == {"kernel", *(["bias"] if block.use_bias else [])}


def test_the_kernel_is_that_of_the_algebra():
    block = RepConv(4, rep_blocks.rrrb())
    variables = init(block, (1, 6, 6, 4))
    _, fused, _ = reparam.fuse(block, variables, input_shape=(1, 6, 6, 4))
    expand, inner, reduce = (as_float64(variables["params"][name]) for name in ("conv_0_0", "conv_0_1_0", "conv_0_2"))
    inner["kernel"][1, 1] += np.eye(8)
    kernel = expand["kernel"][0, 0] @ inner["kernel"] @ reduce["kernel"][0, 0]
    kernel[1, 1] += np.eye(4)
    np.testing.assert_allclose(fused["params"]["kernel"], kernel, atol=1e-5)
    bias = (expand["bias"] @ inner["kernel"].sum((0, 1)) + inner["bias"]) @ reduce["kernel"][0, 0] + reduce["bias"]
    np.testing.assert_allclose(fused["params"]["bias"], bias, atol=1e-5)


def kinds(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)


@pytest.mark.parametrize("block", ["ecb", "repvgg"])
def test_a_network(block):
    model = Net(block)
    variables = init(model)
    deployed, fused, report = reparam.fuse(model, variables, input_shape=SHAPE)
    assert deployed == Net(block, deploy=True) and list(report) == ["body_0", "body_1", "tail"]
    assert max(report.values()) < 1e-13
    # The variables are those of the deployed network: names, shapes, types; the rest is untouched.
    assert kinds(fused) == kinds(abstract(deployed))
    assert fused["params"]["head"]["kernel"] is variables["params"]["head"]["kernel"]
    x = np.random.default_rng(1).random((2, 7, 9, 3))
    y = apply_exactly(model, variables, x)
    assert np.abs(apply_exactly(deployed, fused, x) - y).max() < 3e-6 * np.abs(y).max()  # float32 parameters
    assert list(reparam.find(model, SHAPE)) == [("body_0",), ("body_1",), ("tail",)]  # however often it was traced
    restored = serialization.from_bytes(fused, serialization.to_bytes(fused))
    jax.tree.map(np.testing.assert_array_equal, restored, fused)
    assert counts.count(deployed, SHAPE) == (counts.count_params(fused), 64 * 9 * (3 * 4 + 2 * 16 + 4 * 3))


def test_fused_once_more_it_stays():
    model = Net(deploy=True)
    variables = init(model)
    assert reparam.fuse(model, variables, input_shape=SHAPE) == (model, variables, {})
    assert reparam.find(model, SHAPE) == {}
    same = reparam.fuse_params(model, variables, input_shape=SHAPE)
    jax.tree.map(np.testing.assert_array_equal, same, variables)


def test_networks_of_the_zoo_need_no_shape_and_without_blocks_stay():
    model = models.create("edsr", scale=2, num_feat=4, num_block=1)
    variables = {"params": {}}
    assert reparam.fuse(model, variables) == (model, variables, {})


def test_inside_bfloat16_is_fused_as_exactly():
    model = Net(dtype=jnp.bfloat16)
    variables = init(model)
    deployed, fused, report = reparam.fuse(model, variables, input_shape=SHAPE)
    assert deployed.dtype == jnp.bfloat16 and max(report.values()) < 1e-13
    jax.tree.map(np.testing.assert_array_equal, fused, reparam.fuse(Net(), variables, input_shape=SHAPE)[1])


class Nonlinear(RepConv):
    """A ReLU behind the branches."""

    def __call__(self, x, *, train=False, pad=True):
        return nn.relu(super().__call__(x, train=train, pad=pad))


class Leaky(RepConv):
    """Almost linear."""

    def __call__(self, x, *, train=False, pad=True):
        return nn.leaky_relu(super().__call__(x, train=train, pad=pad), 1 - 1e-6)


class PaddedInside(RepConv):
    """Zeros between a 1x1 with a bias and a 3x3, where the deployed one has them around the input."""

    @nn.compact
    def __call__(self, x, *, train=False, pad=True):
        if not self.deploy:
            x = Conv(self.features, 1, name="conv_0")(x)
        inner = Conv(self.features, 3, padding=None if pad else 0, name=None if self.deploy else "conv_1")
        if self.deploy:
            nn.share_scope(self, inner)
        return inner(x)


class Planted(nn.Module):
    """A network with a block of a given class behind one that can be fused."""

    block: type
    deploy: bool = False

    @nn.compact
    def __call__(self, x, *, train=False):
        x = RepConv(3, rep_blocks.ecb(), deploy=self.deploy, name="good")(x)
        return self.block(3, rep_blocks.ecb(), deploy=self.deploy, name="bad")(x)


@pytest.mark.parametrize("block", [Nonlinear, Leaky])
def test_a_block_that_is_not_linear_is_refused(block):
    model = Planted(block)
    variables = init(model)
    with pytest.raises(ValueError, match=f"bad: fused, it is off by .* this {block.__name__} is not linear"):
        reparam.fuse(model, variables, input_shape=SHAPE)
    if block is Leaky:
        assert 1e-9 < reparam.fuse(model, variables, input_shape=SHAPE, bound=1e-3)[2]["bad"] < 1e-5


def test_a_block_that_pads_inside_is_refused():
    model = Planted(PaddedInside)
    with pytest.raises(ValueError, match="bad: fused, it is off by .* pads inside"):
        reparam.fuse(model, init(model), input_shape=SHAPE)


def test_a_block_that_gives_nothing_fuses_to_nothing():
    model = Net()
    variables = jax.tree.map(np.zeros_like, init(model))
    _, fused, report = reparam.fuse(model, variables, input_shape=SHAPE)
    assert set(report.values()) == {0.0} and not any(np.any(leaf) for leaf in jax.tree.leaves(fused))


def test_what_is_not_finite_is_refused():
    model = Net()
    variables = init(model)
    variables["params"]["tail"]["conv_0"]["kernel"][0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="tail: fused, it is off by nan"):
        reparam.fuse(model, variables, input_shape=SHAPE)


class WithoutField(nn.Module):
    """Cannot be told to deploy."""

    @nn.compact
    def __call__(self, x):
        return RepConv(3, rep_blocks.ecb(), name="body")(x)


class NotHandedOn(nn.Module):
    """Is told, and does not tell its block."""

    deploy: bool = False

    @nn.compact
    def __call__(self, x):
        return RepConv(3, rep_blocks.ecb(), name="body")(x)


@pytest.mark.parametrize("model, message", [
    (WithoutField(), "WithoutField has RepConvs, but no field `deploy` to hand to them"),
    (NotHandedOn(), "NotHandedOn does not hand its field `deploy` on to body"),
])
def test_networks_that_cannot_be_deployed_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        reparam.fuse(model, init(model), input_shape=SHAPE)


class Halved(nn.Module):
    """Half the product of a block and another Halved, or of a block and 1; deployed, the half is in the block."""

    depth: int = 1
    half: float = 0.5
    deploy: bool = False
    dtype: object = None

    @nn.compact
    def __call__(self, x):
        y = RepConv(3, rep_blocks.ecb(), deploy=self.deploy, dtype=self.dtype, name="block")(x)
        if self.depth:
            y = y * self.clone(depth=self.depth - 1, parent=self, name="inner")(x)
        return y if self.deploy else 0.5 * y

    @nn.nowrap
    def fused(self, params):
        return {**params, "block": jax.tree.map(lambda leaf: self.half * leaf, params["block"])}


def test_modules_rewrite_themselves_the_inner_first():
    model = Halved()
    variables = init(model)
    deployed, fused, report = reparam.fuse(model, variables, input_shape=SHAPE)
    assert list(report) == ["inner/block", "block", "inner", ""] and max(report.values()) < 1e-13
    assert deployed == Halved(deploy=True) and kinds(fused) == kinds(abstract(deployed))
    assert reparam.fuse(deployed, fused, input_shape=SHAPE) == (deployed, fused, {})
    x = np.random.default_rng(1).random((2, 7, 9, 3))
    y = apply_exactly(model, variables, x)
    assert np.abs(apply_exactly(deployed, fused, x) - y).max() < 3e-6 * np.abs(y).max()
    trained = quick(lambda v: reparam.fuse_params(model, v, input_shape=SHAPE))(variables)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), trained, fused)


def test_a_rewrite_that_is_not_exact_is_refused():
    model = Halved(depth=0, half=0.5 + 1e-7)
    with pytest.raises(ValueError, match=": fused, it is off by 2.0e-07 .* this Halved rewrites itself inexactly"):
        reparam.fuse(model, init(model), input_shape=SHAPE)


@pytest.mark.parametrize("block, at_once", [("ecb", False), ("conv3xc", False), ("ecb", True)])
def test_training_fused_has_the_gradients_of_the_branches(block, at_once):
    model = Net(block)
    variables = init(model)
    rng = np.random.default_rng(1)
    lr, hr = rng.random((2, 2, 9, 8, 3), np.float32)

    def branches(variables):
        return ((model.apply(variables, lr) - hr)**2).mean()

    def fused(variables):
        deployed = reparam.fuse_params(model, variables, input_shape=SHAPE, at_once=at_once)
        return ((model.clone(deploy=True).apply(deployed, lr) - hr)**2).mean()

    expected, got = (quick(jax.value_and_grad(loss))(variables) for loss in (branches, fused))
    np.testing.assert_allclose(got[0], expected[0], rtol=1e-5)
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(expected[1]))
    pairs = zip(jax.tree_util.tree_leaves_with_path(expected[1]), jax.tree.leaves(got[1]), strict=True)
    for (path, one), other in pairs:
        assert np.abs(one - other).max() < 3e-6 * largest, jax.tree_util.keystr(path)


@pytest.mark.parametrize("fields", [dict(groups=2, strides=2), dict(kernel_size=5, padding=0)])
def test_accelerators_fuse_blocks_at_once_to_the_same_parameters(fields):
    block = RepConv(4, rep_blocks.block("repvgg"), **{"kernel_size": 3} | fields)
    blocks = {(name,): (block, SHAPE[:3] + (4,)) for name in ("a", "b")}
    own = [block.init(jax.random.key(seed), jnp.zeros((1, 6, 6, 4))) for seed in range(2)]
    variables = {kind: {"a": own[0][kind], "b": own[1][kind]} for kind in own[0]}
    expected, got = (quick(lambda v, way=way: way(blocks, v))(variables)["params"]
                     for way in (reparam._fused_in_turn, reparam._fused_at_once))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), got, expected)
    assert np.abs(got["a"]["kernel"] - got["b"]["kernel"]).max() > 0.01


def test_training_fused_leaves_batch_statistics_alone():
    model = Net("repvgg")
    variables = init(model)
    fused = quick(lambda v: reparam.fuse_params(model, v, input_shape=SHAPE))(variables)
    exact = reparam.fuse(model, variables, input_shape=SHAPE)[1]
    assert set(fused) == {"params"}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), fused, exact)

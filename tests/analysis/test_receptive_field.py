"""Receptive fields against brute force: one pixel is changed, and the outputs that change with it are looked at."""

import functools
import importlib

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import models
from jsr.analysis.receptive_field import ReceptiveField, of_model, receptive_field
from jsr.layers.conv import convolve
from jsr.layers.resize import bicubic_upsample
from jsr.layers.shuffle import pixel_shuffle, pixel_unshuffle
from jsr.layers.window import window_merge, window_partition

SIDE = 96  # of probed images, px; a multiple of all periods here


@pytest.fixture(autouse=True)
def no_neighbours(monkeypatch):
    """On the CPU neighbours that are computed together see pixels of each other, times zero, which is NaN of a NaN."""
    monkeypatch.setattr("jsr.layers.conv._LEAST_MACS_OF_ONE", np.inf)


def probed(run, *, period=1, side=SIDE, value=np.nan):
    """The field by brute force: NaN spreads to all that depends on it, whatever the weights; None where to the border.

    Pixels of one period along the diagonal are changed, each in an image of its own.
    """
    plain = np.random.default_rng(0).random((1, side, side, 3), np.float32)
    places = np.arange(period) + side // 2 // period * period
    changed = np.repeat(plain, period, axis=0)
    changed[np.arange(period), places, places] += value
    sr = np.asarray(run(np.concatenate([plain, changed])))
    scale = sr.shape[1] // side
    differs = (sr[1:] != sr[:1]).any(-1)
    radii = []
    for axis in (1, 2):
        image, at = np.nonzero(differs.any(3 - axis))
        radii.append(int(np.abs(at // scale - places[image]).max()))
        if at.min() < scale or at.max() >= (side - 1) * scale:
            return None
    return ReceptiveField(*radii)


def conv(x, size=(3, 3), features=4, padding=None, **options):
    """A convolution with random weights; zero padding that keeps the size by default."""
    height, width = size
    padding = [(height // 2, height // 2), (width // 2, width // 2)] if padding is None else padding
    channels = x.shape[-1] // options.get("feature_group_count", 1)
    kernel = np.random.default_rng(0).normal(size=(*size, channels, features)).astype(np.float32)
    return lax.conv_general_dilated(x, kernel, options.pop("window_strides", (1, 1)), padding,
                                    dimension_numbers=("NHWC", "HWIO", "NHWC"), **options)


def dilated(x, size, rate, **options):
    padding = [((k - 1) * rate // 2,) * 2 for k in size]
    return conv(x, size, padding=padding, rhs_dilation=(rate, rate), **options)


def pool(x, size, stride, fill=-np.inf, operation=lax.max):
    return lax.reduce_window(x, fill, operation, (1, size, size, 1), (1, stride, stride, 1), "VALID")


def dense_block(x):
    x = conv(x)
    for _ in range(4):
        x = jnp.concatenate([x, jax.nn.leaky_relu(conv(x))], axis=-1)
    return conv(x) + 0.2 * x[..., :4]


def gated(x):
    weights = jax.nn.sigmoid(conv(pool(x, 4, 4, 0.0, lax.add)))
    return conv(x) * weights.repeat(4, axis=1).repeat(4, axis=2)


def padded(x, mode, rows, columns):
    return jnp.pad(x, [(0, 0), rows, columns, (0, 0)], mode=mode)


def shifted_groups(x):
    """Groups of features moved by two pixels in four directions, zeros coming in."""
    up, down, left, right = jnp.split(conv(x, features=8), 4, axis=-1)
    zero = jnp.zeros_like(up)
    return conv(jnp.concatenate([
        zero.at[:, :-2].set(up[:, 2:]), zero.at[:, 2:].set(down[:, :-2]),
        lax.dynamic_update_slice(zero, left[:, :, 2:], (0, 0, 0, 0)),
        padded(right, "constant", (0, 0), (2, 0))[:, :, :-2],
    ], axis=-1), (1, 1))


def in_windows(x, size=8, shift=3):
    windows = window_partition(jnp.roll(conv(x), (-shift, -shift), (1, 2)), size)
    weights = jax.nn.softmax(windows @ windows.swapaxes(-1, -2))
    return jnp.roll(window_merge(weights @ windows, *x.shape[1:3]), (shift, shift), (1, 2))


def along_rows(x):
    """Attention of every row's pixels to each other in strips of 8 columns."""
    n, height, width, channels = x.shape
    y = x.reshape(n, height, width // 8, 8, channels)
    weights = jax.nn.softmax(jnp.einsum("nhwpc,nhwqc->nhwpq", y, y))
    return conv(jnp.einsum("nhwpq,nhwqc->nhwpc", weights, y).reshape(x.shape), (5, 1))


def scanned(x):
    """The same block three times, and what the rounds gave side by side."""
    y, all_rounds = lax.scan(lambda c, w: (conv(c) * w, c[..., :1]), conv(x), jnp.arange(1.0, 4.0), reverse=True)
    return y + all_rounds.sum(0) + jnp.moveaxis(all_rounds, 0, -1)[..., 0, :1]


@jax.custom_vjp
def custom(x):
    return conv(x)


custom.defvjp(lambda x: (conv(x), None), lambda _, g: (g,))


def branching(x):
    return lax.cond(x.shape[1] > 3, lambda: conv(x), lambda: conv(x, (7, 1))) + lax.cond(
        jnp.arange(3.0).sum() > 2, lambda: conv(x, (5, 1)), lambda: conv(x, (1, 5)))


def moved_about(x):
    """Movements of data that undo each other, in the end by two rows and one column."""
    y = jnp.stack([x, 2 * x], axis=3).reshape(*x.shape[:2], -1, 3)[:, :, 1::2][:, ::-1, :, ::-1]
    y = jnp.concatenate(jnp.split(y, 3, axis=-1)[::-1], axis=-1)[:, ::-1]
    y = jnp.stack([jnp.squeeze(part, 0) for part in jnp.split(jnp.moveaxis(y, 1, 0), len(y[0]))], axis=1)
    y = lax.dynamic_slice(jnp.tile(y, (1, 1, 2, 1)), (0, 0, 1, 0), x.shape)
    rows = np.minimum(np.arange(x.shape[1]) + 2, x.shape[1] - 1)
    return jnp.take(y, rows, axis=1) + jnp.unstack(y, axis=3)[0][..., None]


def tall_pieces(x):
    """Pieces at known places, cut by gathers of several indices and of windows."""
    height, width = x.shape[1:3]
    at = np.stack(np.meshgrid(np.arange(height // 2) * 2, np.arange(width // 2) * 2, indexing="ij"), -1)
    windows = jax.vmap(jax.vmap(lambda p: lax.dynamic_slice(x, (0, p[0], p[1], 0), (len(x), 2, 2, 3))))(jnp.array(at))
    return windows.sum((3, 4)).transpose(2, 0, 1, 3).repeat(2, axis=1).repeat(2, axis=2)


NETWORKS = {  # name: (function, period)
    "identity": (lambda x: x, 1),
    "5x5": (lambda x: conv(x, (5, 5)), 1),
    "1x7 and 3x1": (lambda x: conv(conv(x, (1, 7)), (3, 1)), 1),
    "one-sided": (lambda x: conv(conv(x, (4, 2), padding=[(3, 0), (0, 1)]), (1, 3), padding=[(0, 0), (2, 0)]), 1),
    "even kernel, pixel shuffle": (lambda x: pixel_shuffle(conv(x, (2, 2), 12, padding=[(0, 1), (1, 0)]), 2), 1),
    "strided": (lambda x: pixel_shuffle(conv(x, (5, 5), 16, window_strides=(4, 4)), 4)[:, :x.shape[1], :x.shape[2]], 4),
    "unshuffled": (lambda x: pixel_shuffle(conv(conv(pixel_unshuffle(x, 2)), features=48), 4), 2),
    "dilated": (lambda x: dilated(dilated(x, (3, 3), 4), (3, 1), 3), 1),
    "even kernel, dilated": (lambda x: conv(x, (2, 2), padding=[(5, 5), (5, 5)], rhs_dilation=(10, 10)), 1),
    "depthwise": (lambda x: conv(dilated(x, (3, 3), 2, features=3, feature_group_count=3), (1, 1)), 1),
    "groups of other fields": (lambda x: conv(jnp.concatenate([conv(x, (1, 9), 2), conv(x, (9, 1), 2)], -1), (3, 3), 4,
                                              feature_group_count=2)[..., :2], 1),
    "transposed": (lambda x: lax.conv_transpose(x, np.ones((4, 4, 3, 4), np.float32), (2, 2), "SAME"), 1),
    "transposed, strides over kernel": (lambda x: conv(x, (3, 3), padding=[(1, 4), (1, 4)], lhs_dilation=(4, 4)), 1),
    "nearest": (lambda x: conv(jax.image.resize(conv(x), (len(x), 2 * x.shape[1], 2 * x.shape[2], 4), "nearest")), 1),
    "bicubic of torch": (lambda x: conv(bicubic_upsample(x, 3)), 1),
    "maximum over 3x3, dilated": (lambda x: lax.reduce_window(
        x, -np.inf, lax.max, (1, 3, 3, 1), (1, 1, 1, 1), [(0, 0), (2, 2), (4, 0), (0, 0)],
        window_dilation=(1, 2, 2, 1)), 1),
    "pooled gate": (gated, 4),
    "dense block": (dense_block, 1),
    "deep": (lambda x: functools.reduce(lambda y, _: y + jax.nn.gelu(conv(y)), range(12), conv(x)), 1),
    "depthwise, many features": (lambda x: convolve(jnp.tile(x, 100), np.ones((3, 5, 1, 300), np.float32),
                                                    padding=(1, 2), groups=300), 1),
    "reflected": (lambda x: conv(padded(x, "reflect", (4, 1), (2, 3)), (6, 6), padding="VALID"), 1),
    "repeated edge": (lambda x: conv(padded(x, "edge", (0, 5), (1, 1)), (6, 3), padding="VALID"), 1),
    "around the edge": (lambda x: conv(padded(x, "wrap", (2, 2), (1, 1)), (5, 3), padding="VALID"), 1),
    "zeros, cropped": (
        lambda x: conv(padded(x, "constant", (9, 9), (9, 9)), (3, 5), padding="VALID")[:, 8:-8, 7:-7], 1),
    "rolled": (lambda x: jnp.roll(conv(x), (7, -11), (1, 2)), 1),
    "shifted groups": (shifted_groups, 1),
    "shifted windows": (in_windows, 8),
    "attention along rows": (along_rows, 8),
    "scanned": (scanned, 1),
    "remat, jit, custom derivative": (lambda x: jax.checkpoint(conv)(jax.jit(custom)(x)), 1),
    "branches": (branching, 1),
    "moved about": (moved_about, 1),
    "windows at known places": (tall_pieces, 2),
    "features sorted, summed up and transformed": (
        lambda x: conv(jnp.fft.rfft(jnp.cumsum(jnp.sort(conv(x)), -1)[..., ::-1], axis=-1).real, (1, 1)), 1),
    "normalised": (lambda x: conv(jax.nn.standardize(conv(x, (3, 1)), axis=-1), (1, 3)), 1),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_made_up_networks(name):
    run, period = NETWORKS[name]
    found = receptive_field(run, multiple=period)
    assert found is not None and found == probed(run, period=period)


def small(model_id, scale, **fields):
    stem = model_id.partition("/")[0]
    return models.create(model_id, scale=scale, **importlib.import_module(f"jsr.models.{stem}").SMALL | fields)


ZOO = [
    ("edsr", 4, {}), ("rrdbnet", 2, {}), ("rrdbnet/direct", 3, {"remat": True}),
    ("swinir", 2, {}), ("swinir/car", 1, {"window_size": 3, "depths": [1]}), ("swin2sr/compressed", 4, {}),
    *(pytest.param(*case, marks=pytest.mark.slow) for case in (
        ("edsr", 2, {}), ("edsr", 3, {}), ("rrdbnet", 4, {}), ("rrdbnet", 1, {}), ("swinir/real", 4, {}),
        ("swin2sr/classical", 2, {}))),
]


@pytest.mark.parametrize("model_id, scale, fields", ZOO)
def test_zoo(model_id, scale, fields):
    model = small(model_id, scale, **fields)
    period, rng = models.card(model).padding.multiple, np.random.default_rng(0)
    lr = jax.ShapeDtypeStruct((1, 4 * period, 4 * period, 3), jnp.float32)
    variables = jax.tree.map(lambda x: rng.normal(0, 0.1, x.shape).astype(x.dtype),
                             jax.eval_shape(model.init, jax.random.key(0), lr))
    run = jax.jit(lambda lr: models.outputs(model.apply(variables, lr))["sr"])
    found = of_model(model)
    side = -(-(2 * found.rows + 8) // period) * period
    assert found == probed(run, period=period, side=side)


def test_edsr_baseline_by_hand():
    # At LR: the first convolution, 16 blocks of two, one after them, one of the upsampler. The upsampler's second, at
    # twice the size, and the last, at four times, reach one LR pixel farther from an LR pixel's outermost SR pixel.
    assert of_model(models.create("edsr/baseline", scale=4)) == ReceptiveField(36, 36)


@pytest.mark.parametrize("method, factor", [("linear", 2), pytest.param("cubic", 3, marks=pytest.mark.slow),
                                            pytest.param("lanczos3", 0.5, marks=pytest.mark.slow)])
def test_products_with_constant_matrices_count_where_these_are_not_zero(method, factor):
    def resized(x):
        n, height, width, channels = x.shape
        y = jax.image.resize(x, (n, int(height * factor), int(width * factor), channels), method, antialias=True)
        return conv(y if factor > 1 else y.repeat(2, axis=1).repeat(2, axis=2))

    # NaN would spread by products with zero too; whole numbers sum up without rounding what is far away
    period = 1 if factor > 1 else 2
    assert receptive_field(resized, multiple=period) == probed(resized, period=period, value=64)


def gathered_by_content(x):
    return conv(x)[:, jnp.argmax(x[0, :, 0, 0]) + jnp.arange(x.shape[1]) - x.shape[1]]


GLOBAL = {
    "mean of the image": lambda x: conv(x) * jax.nn.sigmoid(conv(x.mean((1, 2), keepdims=True))),
    "filter in the Fourier domain": lambda x: jnp.fft.irfft2(jnp.fft.rfft2(conv(x), axes=(1, 2)) * 0.5, axes=(1, 2)),
    "attention of all rows": lambda x: jnp.einsum(
        "nhk,nkwc->nhwc", jax.nn.softmax(jnp.einsum("nhc,nkc->nhk", x[:, :, 0], x[:, :, 0])), x),
    "summed up along rows": lambda x: jnp.cumsum(x, axis=2),
    "a row after the other": lambda x: jnp.moveaxis(
        lax.scan(lambda c, row: (c + row, c), x[:, 0], jnp.moveaxis(x, 1, 0))[1], 0, 1),
    "sorted rows": lambda x: jnp.sort(x, axis=1),
    "matrix over columns": lambda x: jnp.einsum("nhwc,wv->nhvc", x, jnp.ones((x.shape[2],) * 2)),
    "largest of all": lambda x: jnp.where(x > x.max(), 0, x),
    "kernel made from the image": lambda x: lax.conv_general_dilated(
        x, jnp.broadcast_to(x.mean((0, 1, 2))[:, None], (3, 3, 3, 4)), (1, 1), "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC")),
    "gathered by content": gathered_by_content,
    "loop of unknown length": lambda x: lax.while_loop(lambda y: y[0, 0, 0, 0] < 1, lambda y: y + 1, conv(x)),
    "branch by content": lambda x: lax.cond(x[0, 0, 0, 0] > 0, lambda: x, lambda: -x),
    "unknown operation": lambda x: conv(jax.pure_callback(np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), x)),
}


@pytest.mark.parametrize("name", GLOBAL)
def test_what_looks_at_the_whole_image_or_is_not_known_has_no_field(name):
    assert receptive_field(GLOBAL[name], limit=200) is None


def test_channel_attention_of_hat_looks_at_the_whole_image():
    assert of_model(small("hat", 2)) is None


@pytest.mark.parametrize("function, expected", [
    (lambda x: jnp.roll(x, 512, 1), (512, 0)),  # a strip's length: comes round to where it was
    (lambda x: jnp.roll(x, (-700, 300), (1, 2)), (700, 300)),
    (lambda x: conv(x, (2, 1), padding=[(600, 0), (0, 0)], rhs_dilation=(600, 1)), (600, 0)),  # out of a first strip
    (lambda x: padded(x, "constant", (0, 0), (0, 450))[:, :, 450:], (0, 450)),
    (lambda x: padded(x, "reflect", (450, 0), (0, 0))[:, :-450], (450, 0)),
    (lambda x: jnp.zeros_like(x).at[:, 450:].set(x[:, :-450]) if len(x[0]) > 450 else x, (450, 0)),
    (lambda x: jnp.concatenate([jnp.zeros_like(x[:, :450]), x[:, :-450]], 1) if len(x[0]) > 450 else x, (450, 0)),
])
def test_far_pixels_are_not_lost_over_the_ends_of_a_strip(function, expected):
    assert receptive_field(function) == ReceptiveField(*expected)


def test_limit_is_of_the_field():
    model = models.create("edsr/baseline", scale=2)
    assert of_model(model, limit=36) == ReceptiveField(36, 36)
    assert of_model(model, limit=35) is None


def test_nothing_is_seen_by_a_constant():
    assert receptive_field(lambda x: jnp.ones_like(x)) == ReceptiveField(0, 0)


def test_unknown_operations_on_what_is_no_image_do_no_harm():
    def function(x):
        return conv(x) * jax.pure_callback(np.sin, jax.ShapeDtypeStruct((4,), jnp.float32), jnp.ones(4))

    assert receptive_field(function) == ReceptiveField(1, 1)


def test_arguments_before_the_image_are_not_read():
    def function(variables, lr):
        return lax.conv_general_dilated(lr, variables["kernel"], (1, 1), "SAME",
                                        dimension_numbers=("NHWC", "HWIO", "NHWC")) @ variables["matrix"]

    zeros = {"kernel": np.zeros((3, 5, 1, 4), np.float32), "matrix": np.zeros((4, 2), np.float32)}
    abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), zeros)
    for variables in (zeros, abstract):
        found = receptive_field(function, variables, lr_shape=lambda height, width: (1, height, width, 1))
        assert found == ReceptiveField(1, 2)


def test_video():
    def function(clip):
        frames = conv(clip.reshape(-1, *clip.shape[2:]), (5, 3), 3).reshape(clip.shape)
        return frames + jnp.roll(frames, 1, axis=1)

    assert receptive_field(function, lr_shape=lambda height, width: (1, 4, height, width, 3)) == ReceptiveField(2, 1)


@pytest.mark.parametrize("function", [lambda x: x[:, 1:], lambda x: x[:, ::2, ::2], lambda x: x[0], lambda x: (x, x),
                                      lambda x: x.repeat(2, axis=1)])
def test_sizes_that_are_no_multiple_are_refused(function):
    with pytest.raises(ValueError, match=r"is no multiple of the image \(1, 512, 64, 3\) in height and width"):
        receptive_field(function)

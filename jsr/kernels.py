"""Small plain networks as one kernel, by Pallas: a tile of pixels passes all layers on the chip, uint8 in and out.

XLA writes the features between two layers to memory and reads them again; here memory holds the image, SR and the
parameters alone. A deployed network (jsr.models.plain) becomes data: 3x3 convolutions at the size of its features, each
a sum of matrix products over shifted rows. The kernel goes down a tile row by row and keeps the last rows of every
layer; with each new row of the image every layer makes one row, the last one's being pixels of SR. Tiles have a halo of
a pixel of features a layer. Beyond the image's borders features are zero, as the convolutions' padding has them.

Rows are (channels, columns). Shifts along them are products with matrices of zeros and ones, exact in every dtype, as
is the shuffle to SR's pixels on a TPU; a GPU stores each value at its place. Products are summed in float32, where
biases are added and activations computed too; features are rounded to the network's dtype, once a layer.
"""

import dataclasses
import functools
import math

import jax
from jax.experimental import pallas as pl
import jax.numpy as jnp
import numpy as np

from jsr.errors import UserError
from jsr.models.plain import Plain

PLATFORMS = ("tpu", "cuda")
_COLOURS = 3


@dataclasses.dataclass(frozen=True)
class _Group:
    """Output channels of a layer that see the same neighbours: all, or those of one place within a pixel of features.

    Attributes:
      taps: ((row, column) of each neighbour that they see, -1..1).
      channels: their number, without padding.
      place: (row, column) of their SR pixels within the pixel of features; of the last layer.
    """

    taps: tuple[tuple[int, int], ...]
    channels: int
    place: tuple[int, int] = (0, 0)


@dataclasses.dataclass(frozen=True)
class _Layer:
    """A convolution, what follows it, and the row that is added then.

    Attributes:
      groups: its _Groups; their channels lie one after the other.
      act: "gelu", "lrelu" or "" for none.
      skip: number of the layer whose features are added, 0 being the image; None is none.
    """

    groups: tuple[_Group, ...]
    act: str = ""
    skip: int | None = None


@dataclasses.dataclass(frozen=True)
class _Plan:
    """A network and its tiles, all static.

    Attributes:
      layers: of the network.
      factor: SR pixels of a pixel of features, a side.
      side: SR pixels of a group of the last layer, a side.
      size: (height, width) of the features.
      rows, columns: pixels of features that a tile makes.
      width: columns with the halo, and more up to what the chip wants.
      dtype: dtype of features and parameters.
    """

    layers: tuple[_Layer, ...]
    factor: int
    side: int
    size: tuple[int, int]
    rows: int
    columns: int
    width: int
    dtype: np.dtype

    @property
    def halo(self):
        return len(self.layers)


def upscaler(networks, variables, platform, *, interpret=False):
    """A function of padded images that computes a deployed network in one kernel.

    Args:
      networks: {name: module} of one network, deployed (jsr.reparam.deployed).
      variables: {name: Flax collections}.
      platform: one of PLATFORMS, for which the function is compiled.
      interpret: Pallas interprets the kernel, on any platform; for tests.

    Returns:
      Function of lr, uint8 (N, H, W, 3), of sizes that the network takes, to uint8 (N, H * scale, W * scale, 3).

    Raises:
      UserError: a platform or a network for which there is no kernel.
    """
    if platform not in PLATFORMS:
        raise UserError(f"kernels = pallas: there are some for {' and '.join(PLATFORMS)}, none for {platform}; leave "
                        "kernels out")
    (name, network), *others = networks.items()
    if others or not _is_known(network):
        made_of = " and ".join(type(each).__name__ for each in networks.values())
        raise UserError(f"kernels = pallas: only the deployed networks plain/casr and plain/bicubicpp have "
                        f"kernels, not this {made_of}; leave kernels out")
    dtype = np.dtype(network.dtype or np.float32)
    layers, side, parameters = _layers(network, variables[name]["params"], platform, dtype)
    factor = network.size_multiple * network.scale

    def upscale(lr):
        size = tuple(length // network.size_multiple for length in lr.shape[1:3])
        plan = _Plan(layers, factor, side, size, *_tiles(platform, size, factor, len(layers)), dtype)
        return _run(plan, platform, interpret, _cut(plan, lr, network.size_multiple, platform), parameters)

    return upscale


def _is_known(network):
    """Whether a network is of convolutions, skips and shuffles as `_layers` reads them."""
    return (isinstance(network, Plain) and network.deploy and network.act in _ACTS and network.acts is None
            and network.head_kernel_size == network.tail_kernel_size == 3 and network.img_range == 1.0
            and 1 in (network.unshuffle, network.head_strides) and not network.bgr and not network.quality_feat
            and (network.anchor, network.up_feat) in (("none", 0), ("nearest", _COLOURS)))


def _layers(network, params, platform, dtype):
    """(_Layers, SR pixels of a group's side, [kernels (taps, features, channels), biases (features, 1)...])."""
    convolutions = ["head", *(f"body_{index}" for index in range(network.num_block)), "tail"]
    layers, parameters = [], []

    def add(name, within=1, phases=1, act="", skip=None, side=0):
        groups = []
        for place in np.ndindex(phases, phases):
            taps, kernel, bias = _group(params[name], within, place, side, platform)
            parameters.extend((kernel.astype(dtype), bias.astype(jnp.float32)))
            groups.append(_Group(taps, params[name]["kernel"].shape[-1], (place[0] * side, place[1] * side)))
        layers.append(_Layer(tuple(groups), act, skip))

    shrunk, last = network.size_multiple, network.scale * (1 if network.up_feat else network.size_multiple)
    for index, name in enumerate(convolutions[:-1]):
        skip = 1 if network.skip and index and index == network.num_block else None
        add(name, network.head_strides if not index else 1, act=network.act, skip=skip)
    if network.up_feat:
        add("tail", skip=0 if network.anchor == "nearest" else None)
        add("up", shrunk, shrunk, side=last)
    else:
        add("tail", side=last)
    return tuple(layers), last, parameters


def _group(params, within, place, side, platform):
    """(taps, kernel (taps, features, channels), bias (features, 1)) of a convolution's group.

    Args:
      params: its parameters.
      within: pixels that it sees of a pixel of features, a side; they are channels (c, row, column).
      place: of the pixel that it makes among those.
      side: of SR pixels that its features are, put in the order (column, c, row); 0 keeps the order.
      platform: by which features and channels are padded with zeros.
    """
    kernel, (size, _, channels, features) = params["kernel"], params["kernel"].shape
    order = np.arange(features)
    if side:
        order = order.reshape(-1, side, side).transpose(2, 0, 1).ravel()
    shape = _padded(features, platform), _padded(channels * within**2, platform)
    index, own = {}, np.arange(kernel.size).reshape(kernel.shape)
    for row, column in np.ndindex(size, size):
        (down, i), (right, j) = (divmod(at + tap - size // 2, within) for at, tap in zip(place, (row, column),
                                                                                        strict=True))
        found = index.setdefault((down, right), np.full(shape, kernel.size))
        found[:features, np.arange(channels) * within**2 + i * within + j] = own[row, column][:, order].T
    taps = tuple(sorted(index))
    bias = params["bias"] if "bias" in params else jnp.zeros(features, kernel.dtype)
    flat = jnp.concatenate([jnp.ravel(kernel), jnp.zeros(1, kernel.dtype)])  # its last is what padding points to
    return taps, flat[np.stack([index[tap] for tap in taps])], jnp.pad(bias[order], (0, shape[0] - features))[:, None]


def _padded(channels, platform):
    """Channels with padding: powers of two for Triton; whole registers of a TPU, of which 32 rows are uint8's."""
    return max(1 << (channels - 1).bit_length(), 16) if platform == "cuda" else -(-channels // 32) * 32


def _tiles(platform, size, factor, halo):
    """(rows, columns, width) of tiles: of a GPU 16 x 64, of a TPU what fills registers with SR's pixels."""
    if platform == "cuda":
        return 16, 64 - 2 * halo, 64
    step = 128 // math.gcd(factor, 128)
    return max(32 // math.gcd(factor, 32), 8), (128 - 2 * halo) // step * step, 128


def _cut(plan, lr, within, platform):
    """Tiles of columns with their halo, uint8 (N, tiles, rows, channels, width), of images (N, H, W, 3).

    Channels are (c, row, column) of the `within` pixels a side, as pixel_unshuffle has them: here slices, of which XLA
    makes fast copies on TPUs too.
    """
    height, width = plan.size
    down, across = -(-height // plan.rows), -(-width // plan.columns)
    image = jnp.stack([lr[:, row::within, column::within, colour]
                       for colour, row, column in np.ndindex(_COLOURS, within, within)], 2)
    channels = image.shape[2]
    image = jnp.pad(image, (
        (0, 0), (plan.halo, down * plan.rows - height + plan.halo), (0, _padded(channels, platform) - channels),
        (plan.halo, (across - 1) * plan.columns + plan.width - plan.halo - width)))
    return jnp.stack([image[..., tile * plan.columns:tile * plan.columns + plan.width] for tile in range(across)], 1)


def _run(plan, platform, interpret, tiles, parameters):
    """SR of the tiles of images, uint8 (N, H, W, 3)."""
    number, across, length, channels, width = tiles.shape
    height, width_sr = (side * plan.factor for side in plan.size)
    rows = plan.rows + 2 * plan.halo
    block = tuple(map(pl.Element, (1, 1, rows, channels, width)))
    given = [pl.BlockSpec(block, lambda n, j, i: (n, j, i * plan.rows, 0, 0)),
             *(pl.BlockSpec(each.shape, lambda n, j, i, rank=each.ndim: (0,) * rank) for each in parameters)]
    grid = number, across, (length - 2 * plan.halo) // plan.rows
    if platform == "cuda":
        from jax.experimental.pallas import triton

        shape = number, height * width_sr * _COLOURS
        sr = pl.pallas_call(
            functools.partial(_on_gpu, plan), jax.ShapeDtypeStruct(shape, jnp.uint8), grid=grid, in_specs=given,
            out_specs=pl.BlockSpec(shape, lambda n, j, i: (0, 0)), interpret=interpret, name="plain_network",
            compiler_params=triton.CompilerParams(num_warps=8, num_stages=1))(tiles, *parameters)
        return sr.reshape(number, height, width_sr, _COLOURS)
    from jax.experimental.pallas import tpu

    last = plan.layers[-1].groups
    kept = tpu.VMEM((len(last), plan.rows, parameters[-2].shape[1], width), plan.dtype)
    sr = pl.pallas_call(
        functools.partial(_on_tpu, plan), jax.ShapeDtypeStruct((number, _COLOURS, height, width_sr), jnp.uint8),
        grid=grid, in_specs=given, scratch_shapes=[kept], interpret=interpret, name="plain_network",
        out_specs=pl.BlockSpec((1, _COLOURS, plan.rows * plan.factor, plan.columns * plan.factor),
                               lambda n, j, i: (n, 0, i, j)))(tiles, *parameters)
    return sr.transpose(0, 2, 3, 1)


def _on_gpu(plan, tiles, *refs):
    """The kernel of a GPU: each value of SR is stored at its place."""
    from jax.experimental.pallas import triton

    *parameters, sr = refs
    n, j, i = (pl.program_id(axis) for axis in range(3))
    height, width = plan.size
    line = _COLOURS * plan.factor * width  # values of SR's rows

    def put(number, group, row, values):
        channel = jax.lax.broadcasted_iota(jnp.int32, (values.shape[0], 1), 0)
        column = jax.lax.broadcasted_iota(jnp.int32, (1, values.shape[1]), 1) - plan.halo
        across, within = _divided(channel, _COLOURS * plan.side)
        colour, down = _divided(within, plan.side)
        row += i * plan.rows
        of_channel = (row * plan.factor + group.place[0] + down) * line + (group.place[1] + across) * _COLOURS + colour
        of_column = (j * plan.columns + column) * plan.factor * _COLOURS
        inside = (channel < group.channels) & (row < height) & (
            (column >= 0) & (column < jnp.minimum(plan.columns, width - j * plan.columns)))
        # where nothing is stored the place lies outside, since Pallas' interpreter writes all that lies inside
        triton.store(sr.at[n, jnp.where(inside, of_channel + of_column, sr.shape[1])], values.astype(jnp.uint8),
                     mask=inside)

    _pass_rows(plan, tiles, parameters, put)


def _on_tpu(plan, tiles, *refs):
    """The kernel of a TPU: values of SR are kept, and put at their places by two products with zeros and ones."""
    *parameters, sr, kept = refs

    def put(number, group, row, values):
        kept[number, row] = values.astype(jnp.float32).astype(kept.dtype)

    _pass_rows(plan, tiles, parameters, put)
    number, rows, channels, width = kept.shape
    exact, phases = _precision(kept.dtype), math.isqrt(number)
    high, wide = plan.rows * plan.factor, plan.columns * plan.factor

    def colour_of_sr(colour, _):
        def column_of_sr(x, found):
            """Adds the columns x, factor + x, 2 * factor + x... of SR."""
            right, across = _divided(x, plan.side)
            y, source = _iota((high, rows * channels))
            row, down = _divided(y, plan.factor)
            here = jnp.zeros((high, width), jnp.float32)
            for below in range(phases):
                within = down - below * plan.side
                chosen = (within >= 0) & (within < plan.side) & (
                    source == row * channels + (across * _COLOURS + colour) * plan.side + within)
                here += jnp.dot(chosen.astype(kept.dtype), kept[below * phases + right].reshape(-1, width),
                                precision=exact, preferred_element_type=jnp.float32)
            source, column = _iota((width, wide))
            chosen = column == (source - plan.halo) * plan.factor + x
            return found + jnp.dot(here.astype(kept.dtype), chosen.astype(kept.dtype), precision=exact,
                                   preferred_element_type=jnp.float32)

        found = jax.lax.fori_loop(0, plan.factor, column_of_sr, jnp.zeros((high, wide), jnp.float32))
        sr[0, colour] = found.astype(jnp.int32).astype(jnp.uint8)
        return 0

    jax.lax.fori_loop(0, _COLOURS, colour_of_sr, 0)


def _pass_rows(plan, tiles, parameters, put):
    """Passes the rows of a tile through all layers.

    Args:
      plan: _Plan.
      tiles: ref (1, 1, rows with halo, channels, width) of uint8.
      parameters: refs of `_layers`.
      put: function that keeps values of SR: the number of a group of the last layer, the _Group, the row of the tile,
        int32 (features, width) from 0 to 255.
    """
    j, i = pl.program_id(1), pl.program_id(2)
    column = j * plan.columns - plan.halo + jax.lax.broadcasted_iota(jnp.int32, (1, plan.width), 1)
    in_columns = (column >= 0) & (column < plan.size[1])
    source, target = _iota((plan.width, plan.width))
    moves = {step: (source == target + step).astype(plan.dtype) for step in (-1, 1)}
    exact, refs = _precision(plan.dtype), iter(parameters)
    layers = [(layer, [(group, next(refs), next(refs)) for group in layer.groups]) for layer in plan.layers]
    # rows that are kept of each layer: its last two, more where a skip reaches further back
    reach = [max([2, *(number - start for number, layer in enumerate(plan.layers, 1) if layer.skip == start)])
             for start in range(plan.halo)]

    def image(row):
        """A row of the image, float32 in [0, 1]."""
        return tiles[0, 0, jnp.maximum(row, 0)].astype(jnp.int32).astype(jnp.float32) / 255

    def convolved(groups, rows):
        """What each group makes of three rows, float32 (features, width)."""
        moved = functools.cache(lambda down, right: rows[down + 1] if not right else jnp.dot(
            rows[down + 1], moves[right], precision=exact, preferred_element_type=jnp.float32).astype(plan.dtype))
        for group, kernel, bias in groups:
            products = (jnp.dot(kernel[number], moved(*tap), precision=exact, preferred_element_type=jnp.float32)
                        for number, tap in enumerate(group.taps))
            yield group, functools.reduce(jnp.add, products) + bias[...]

    def step(time, history):
        rows = [image(time - back).astype(plan.dtype) for back in (2, 1, 0)]
        kept = []
        for number, (layer, groups) in enumerate(layers[:-1], 1):
            ((_, y),) = convolved(groups, rows)
            y = _ACTS[layer.act](y)
            if layer.skip == 0:
                y += image(time - number)
            elif layer.skip:
                y += kept[layer.skip - 1][-1 - (number - layer.skip)].astype(jnp.float32)
            row = i * plan.rows - plan.halo + time - number
            inside = in_columns & (row >= 0) & (row < plan.size[0])
            kept.append([*history[number - 1], jnp.where(inside, y, 0).astype(plan.dtype)])
            rows = kept[-1][-3:]

        @pl.when(time >= 2 * plan.halo)
        def _():
            for number, (group, y) in enumerate(convolved(layers[-1][1], rows)):
                put(number, group, time - 2 * plan.halo, (jnp.clip(y, 0, 1) * 255 + 0.5).astype(jnp.int32))

        return [lines[1:] for lines in kept]

    # zeros, but not as constants: a TPU's compiler lays these out in another way than the rows that follow
    start = [[jnp.minimum(sum(_iota((groups[0][1].shape[1], plan.width))), 0).astype(plan.dtype)] * reach[number]
             for number, (_, groups) in enumerate(layers[:-1], 1)]
    jax.lax.fori_loop(0, plan.rows + 2 * plan.halo, step, start)


def _iota(shape):
    """The numbers of rows and of columns of a matrix, int32."""
    return tuple(jax.lax.broadcasted_iota(jnp.int32, shape, axis) for axis in range(2))


def _divided(numbers, by):
    """Quotients and remainders of int32 numbers that are not negative, without their signs, which cost kernels much."""
    by = jnp.int32(by)
    return jax.lax.div(numbers, by), jax.lax.rem(numbers, by)


def _precision(dtype):
    """That in which products of a dtype are as exact as it."""
    return jax.lax.Precision.HIGHEST if dtype == np.float32 else None


def _gelu(x):
    """x times the normal distribution, by erf as XLA has it in float32: a quotient of polynomials (Eigen's)."""
    z = jnp.clip(x * np.float32(math.sqrt(0.5)), -3.7439211627767994, 3.7439211627767994)
    above, below = (functools.reduce(lambda sum_, term: sum_ * (z * z) + np.float32(term), terms[1:],
                                     jnp.full_like(z, terms[0])) for terms in (_ERF_ABOVE, _ERF_BELOW))
    return 0.5 * x * (1 + z * above / below)


_ERF_ABOVE = (2.2905065861350646e-4, 3.4082910107109506e-3, 5.0955695062380861e-2, 1.8520832239976145e-1,
              1.128379143519084)
_ERF_BELOW = (-1.1791602954361697e-7, 2.3547966471313185e-5, 1.0179625278914885e-3, 1.4070470171167667e-2,
              1.1098505178285362e-1, 4.9746925110067538e-1, 1.0)
_ACTS = {"gelu": _gelu, "lrelu": lambda x: jnp.where(x >= 0, x, 0.1 * x), "": lambda x: x}

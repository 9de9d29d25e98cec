"""The convolution that every network uses.

XLA makes the gradient with respect to a kernel as a convolution of the input by the output's gradient, whose window is
the image. On the CPU it is quickest where the output channels fill its tiles of 64 or 32, and slow for 1x1 kernels.
`convolve` may therefore have it made in another way there: with the two exchanged, or as a matrix product. On the CPU
some convolutions are slow themselves, and computed otherwise: depthwise ones as sums of shifted products, other grouped
ones as whole ones with zeros in their kernels, ones of few features with several neighbours in a step, 1x1 kernels as
matrix products; others have channels or features added to fill vectors, or a row that is dropped. The rest is XLA's
own, on every platform: in a trace, the convolution is one lax.conv_general_dilated.
"""

from collections.abc import Callable
import contextlib
import contextvars
import dataclasses
import functools
import math
from typing import Any

import flax.linen as nn
from flax.linen.dtypes import promote_dtype
import jax
from jax import export, lax
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
import jax.numpy as jnp
import numpy as np

from jsr.layers.padding import PAD_MODES


def torch_uniform(fan_in):
    """An initialiser drawing from U(-b, b), b = 1 / sqrt(fan_in).

    This is PyTorch's default for the kernels and the biases of convolutions and linear layers (torch.nn.Conv2d, Linear:
    kaiming_uniform_ with a = sqrt(5) comes to the same bound).
    """
    bound = 1 / math.sqrt(fan_in)

    def draw(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return draw


def he(factor=1.0):
    """Kaiming's initialiser of the kernels of networks with ReLUs, normal, times a factor."""
    return nn.initializers.variance_scaling(2 * factor**2, "fan_in", "normal")


def detail(factor=1.0):
    """He's initialiser, times a factor, without the mean over the window: differences of pixels, not their level."""
    def draw(key, shape, dtype=jnp.float32):
        kernel = he(factor)(key, shape, dtype)
        return kernel - kernel.mean((0, 1), keepdims=True)
    return draw


class Conv(nn.Module):
    """2D convolution with padding given in pixels, as torch.nn.Conv2d counts it.

    There is no "SAME": with stride 2 it pads other sides than PyTorch's padding=1, an error as large as the signal.

    Attributes:
      features: output channels.
      kernel_size, strides, dilation: an int, or (height, width).
      groups: both channel counts are multiples of it; as many as channels make a depthwise convolution.
      padding: pixels on either side, an int or (height, width); None keeps the size at stride 1, for odd kernels.
      use_bias: adds `bias`.
      dtype: dtype of the computation; None promotes input and parameters to their common type.
      param_dtype: dtype of the parameters.
      kernel_init, bias_init: initialisers; None is PyTorch's default, see torch_uniform.
      zero_start: None is zeros instead, so that the output starts at zero.
      padding_mode: what the padding holds: "zeros", "reflect" or "replicate".
      weight_norm: the kernel of each feature has a norm of its own, as with torch.nn.utils.weight_norm.

    Parameters: `kernel` (kernel height, kernel width, input channels / groups, features), `bias` (features,), and with
    `weight_norm` `magnitude` (1, 1, 1, features), the norms.
    """

    features: int
    kernel_size: int | tuple[int, int] = 3
    strides: int | tuple[int, int] = 1
    dilation: int | tuple[int, int] = 1
    groups: int = 1
    padding: int | tuple[int, int] | None = None
    use_bias: bool = True
    dtype: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: Callable | None = None
    bias_init: Callable | None = None
    zero_start: bool = False
    padding_mode: str = "zeros"
    weight_norm: bool = False

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to (N, H', W', features), H' = (H + 2 padding - dilation (kernel - 1) - 1) // stride + 1."""
        channels = x.shape[-1]
        if channels % self.groups or self.features % self.groups:
            raise ValueError(f"groups = {self.groups} does not divide {channels} input channels and "
                             f"features = {self.features}")
        kernel_size, dilation = _pair(self.kernel_size), _pair(self.dilation)
        if self.padding is None:
            if not all(k % 2 for k in kernel_size):
                raise ValueError(f"kernel_size = {self.kernel_size} is even: say which padding it takes")
            padding = tuple(d * (k // 2) for k, d in zip(kernel_size, dilation, strict=True))
        else:
            padding = _pair(self.padding)

        drawn = torch_uniform(math.prod(kernel_size) * channels // self.groups)
        default = nn.initializers.zeros if self.zero_start else drawn
        kernel = self.param("kernel", self.kernel_init or default,
                            (*kernel_size, channels // self.groups, self.features), self.param_dtype)
        if self.weight_norm:
            kernel = weight_normed(self, kernel, -1)
        bias = None
        if self.use_bias:
            bias = self.param("bias", self.bias_init or default, (self.features,), self.param_dtype)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        if self.padding_mode != "zeros":
            x = jnp.pad(x, [(0, 0), *((p, p) for p in padding), (0, 0)], PAD_MODES[self.padding_mode])
            padding = 0, 0
        y = convolve(x, kernel, strides=_pair(self.strides), padding=padding, dilation=dilation, groups=self.groups)
        return y if bias is None else y + bias


def weight_normed(layer, kernel, axis):
    """A kernel with the norms that the parameter `magnitude` of a layer has, one for each index of an axis.

    They start as the norms that the kernel is drawn with: nothing changes at the start.
    """
    across = tuple(d for d in range(kernel.ndim) if d != axis % kernel.ndim)
    norms = jnp.sqrt(jnp.square(kernel).sum(across, keepdims=True))
    magnitude = layer.param("magnitude", lambda key: norms)
    return kernel * (magnitude / norms)


def convolve(x, kernel, *, strides=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    """A convolution, differentiable in every way that lax.conv_general_dilated is.

    Args:
      x: (N, H, W, C).
      kernel: (kernel height, kernel width, C / groups, features), of x's dtype.
      strides, padding, dilation: (height, width) each; zeros are put on either side.
      groups: divides C and features.

    Returns:
      (N, H', W', features), H' as that of Conv.
    """
    # JAX makes the attributes of its options when it is imported, unseen by type checkers
    precision = jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]
    return _convolved(_Window(strides, padding, dilation, groups, precision), x, kernel)


_by_products = contextvars.ContextVar("by_products", default=False)


@contextlib.contextmanager
def by_products():
    """While it is entered, `convolve` multiplies the windows of an image by the kernel, as one matrix product.

    For images of a few pixels: such a convolution takes an accelerator less time than its start, and of a batch of
    products, by jax.vmap, XLA makes one, whatever is batched.
    """
    token = _by_products.set(True)
    try:
        yield
    finally:
        _by_products.reset(token)


def _of_taps(window, x, kernel):
    """The convolution of a _Window as one product over the kernel's taps and channels."""
    (*size, channels, features), (_, *sides, _) = kernel.shape, x.shape
    x = jnp.pad(x, [(0, 0), *((p, p) for p in window.padding), (0, 0)])
    lengths = window.lengths(sides, size)
    if (*x.shape[1:3],) == (*size,):  # one window
        taps = x.reshape(len(x), 1, 1, -1, window.groups, channels)
    else:
        taps = jnp.stack([x[(slice(None), *(slice(d * at, d * at + s * (length - 1) + 1, s) for at, d, s, length in zip(
            tap, window.dilation, window.strides, lengths, strict=True)))] for tap in np.ndindex(*size)], 3)
        taps = taps.reshape(len(x), *lengths, -1, window.groups, channels)
    kernel = kernel.reshape(-1, channels, window.groups, features // window.groups)
    y = jnp.einsum("nhwtgc,tcgf->nhwgf", taps, kernel, precision=window.precision)
    return y.reshape(*y.shape[:3], features)


def _convolved(window, x, kernel):
    """The convolution of a _Window; of the ways below, the CPU takes one where that is quicker."""
    if _by_products.get():
        return _of_taps(window, x, kernel)
    if way := _way(window, x, kernel):
        return _otherwise.bind(x, kernel, window=window, way=way, jaxpr=jax.make_jaxpr(window)(x, kernel))
    # Where XLA's own gradient is the choice on the CPU too, nothing is to be traced but the convolution.
    return window(x, kernel) if _choice(window, x, kernel) is None else _convolve(window, x, kernel)


@dataclasses.dataclass(frozen=True)
class _Window:
    """A convolution as a function of input and kernel.

    Attributes:
      strides, padding, dilation, groups: see `convolve`.
      precision: precision of the forward call, also where the gradient is traced under another default.
    """

    strides: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    precision: Any

    def __call__(self, x, kernel, below=0):
        """XLA's convolution; `below` rows of zeros more lie under the image."""
        up, left = self.padding
        return lax.conv_general_dilated(
            x, kernel, self.strides, [(up, up + below), (left, left)], rhs_dilation=self.dilation,
            dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=self.groups, precision=self.precision)

    def lengths(self, sides, size):
        """[height, width] of the output for an image of these sides; less than 1 where no window fits into it."""
        return [(side + 2 * p - d * (k - 1) - 1) // s + 1 for side, p, d, k, s in zip(
            sides, self.padding, self.dilation, size, self.strides, strict=True)]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _convolve(window, x, kernel):
    return window(x, kernel)


def _convolve_jvp(window, primals, tangents):
    (x, kernel), (dx, dkernel) = primals, tangents
    y = _convolve(window, x, kernel)
    of_x = None if isinstance(dx, SymbolicZero) else _convolve(window, dx, kernel)
    of_kernel = None if isinstance(dkernel, SymbolicZero) else _by_kernel.bind(x, dkernel, window=window)
    return y, functools.reduce(jnp.add, [term for term in (of_x, of_kernel) if term is not None])


_convolve.defjvp(_convolve_jvp, symbolic_zeros=True)

# The convolution as a linear function of the kernel: the same values, but with a transposition of its own.
_by_kernel = Primitive("convolve_by_kernel")


@_by_kernel.def_impl
def _by_kernel_impl(x, kernel, *, window):
    return _convolve(window, x, kernel)


@_by_kernel.def_abstract_eval
def _by_kernel_type(x, kernel, *, window):
    return jax.make_jaxpr(window)(x, kernel).out_avals[0]


def _transposed_by_x(gradient, x, kernel, *, window):
    return jax.linear_transpose(lambda x: window(x, kernel), x.aval)(gradient)[0]


def _transposed_by_kernel(gradient, x, kernel, *, window):
    own, choice = _own(window, kernel.aval), _choice(window, x, kernel.aval)
    chosen = own if choice is None else functools.partial(choice, window, kernel.aval.shape[:2])
    return lax.platform_dependent(x, gradient, cpu=chosen, default=own)


def _own(window, kernel):
    """XLA's gradient with respect to a kernel, as a function of input and the output's gradient."""
    return lambda x, gradient: jax.linear_transpose(functools.partial(window, x), kernel)(gradient)[0]


def _batched(values, axes, *, window, **_):
    return jax.vmap(window, axes)(*values), 0  # one grouped convolution, with XLA's own gradient


ad.defbilinear(_by_kernel, _transposed_by_x, _transposed_by_kernel)
batching.primitive_batchers[_by_kernel] = _batched
mlir.register_lowering(_by_kernel, mlir.lower_fun(_by_kernel_impl, multiple_results=False))


def _choice(window, x, kernel):
    """The way to compute the gradient with respect to the kernel on the CPU: a function, or None for XLA's way."""
    plain = window.strides == window.dilation == (1, 1) and window.groups == 1
    if not plain or x.dtype != jnp.float32:
        return None
    *size, channels, features = kernel.shape
    if size == [1, 1]:
        return _product
    if any(2 * p < k - 1 or p >= k for p, k in zip(window.padding, size, strict=True)):
        return None  # exchanged, it would have more zeros around than its window can do with: 20 times slower
    if any(2 * p > k - 1 for p, k in zip(window.padding, size, strict=True)):
        return _exchanged  # larger than its input; XLA exchanges it too, but by a loop that is up to 100 times slower
    # Below 16 features XLA sums in another order, which is slow too, but an order of magnitude more exact.
    return _exchanged if features >= 16 and _cost(channels) < _cost(features) else None


def _cost(channels):
    """Time per multiply-accumulate of a kernel's gradient, by its number of output channels; 64 channels take 1.

    Rounded measurements of jaxlib 0.10.2 on a CPU with AVX-512.
    """
    return {64: 1.0, 32: 1.2}.get(channels, 1.7)


def _product(window, size, x, gradient):
    """The kernel's gradient of a 1x1 convolution: (1, 1, C, features)."""
    of_zeros = [(-p, -p, 0) for p in window.padding]
    gradient = lax.pad(gradient, jnp.zeros((), gradient.dtype), [(0, 0, 0), *of_zeros, (0, 0, 0)])
    return jnp.tensordot(x, gradient, ((0, 1, 2), (0, 1, 2)), precision=window.precision)[None, None]


def _exchanged(window, size, x, gradient):
    """The kernel's gradient as the convolution of the output's gradient by the input, its result turned over."""
    padding = [(k - 1 - p,) * 2 for k, p in zip(size, window.padding, strict=True)]
    kernel = lax.conv_general_dilated(gradient, x, (1, 1), padding, dimension_numbers=("CHWN", "IHWO", "NHWC"),
                                      precision=window.precision)
    return lax.rev(kernel, (1, 2)).transpose(1, 2, 3, 0)


# A convolution as a primitive, for its lowering to be chosen by platform: `jaxpr` computes it, on the CPU `way` does, a
# function of a _Window, input and kernel.
_otherwise = Primitive("convolution_otherwise")
_MOST_TAPS = 49  # of a kernel; above, a sum of products takes long to compile, and gains little
_LEAST_MACS = 2**20  # below, it takes longer to compile than it gains in tens of calls
_LEAST_MACS_OF_ONE = 2**23  # the same of convolutions of one group, which gain less
_FILLED = 32  # channels or features taken together, with which a convolution is quick
_WHOLE_FROM = {16: 9, 24: 22, 32: 25, 48: 46, 64: 49}  # a quick number of features: the fewest that are filled up to it


def _way(window, x, kernel):
    """How the CPU computes a convolution: a function of window, input and kernel, or None for XLA's way.

    By measurements of jaxlib 0.10.2 on a CPU with AVX-512, one core: depthwise 3x3 kernels take a twentieth to a
    fortieth of XLA's time, four groups of 32 channels a seventh, 3 to 16 features a tenth to a half, channels that are
    no multiple of 4 two thirds, 49 to 63 features two thirds, 9 to 15 features of more than 16 channels six sevenths,
    1x1 kernels of more than 16 channels or features four tenths to nine tenths, 3x3 and 5x5 kernels of 16 channels and
    more without padding a third to seven tenths.
    """
    *size, channels, features = kernel.shape
    taps, by_ones = math.prod(size), window.strides == (1, 1)
    fits = all(p <= d * (k - 1) for p, d, k in zip(window.padding, window.dilation, size, strict=True))
    symbolic = any(map(export.is_symbolic_dim, x.shape))
    if not symbolic and min(window.lengths(x.shape[1:3], size)) < 1:
        return None  # nothing is computed
    if window.groups > 1:
        if taps == 1 or not symbolic and math.prod(x.shape) * taps < _LEAST_MACS:
            return None
        if window.groups == features > channels == 1 and by_ones and taps <= _MOST_TAPS and fits:
            return _of_moved
        return _of_blocks if x.dtype == jnp.float32 else None
    if symbolic or x.dtype != jnp.float32 or math.prod(x.shape) * taps * features < _LEAST_MACS_OF_ONE:
        return None
    if taps == 1:
        return _of_products if by_ones and max(channels, features) > 16 and window.padding == (0, 0) else None
    few = channels <= 16 and features <= 16 or channels < 4 and features <= _FILLED
    if few and by_ones and window.dilation == (1, 1) and size[1] > 1 and fits:
        return _of_neighbours
    # Of 64 features XLA's convolution is quick, whatever the channels are.
    if channels > 4 and features % 64 and (_to_vectors(features) or _to_fours(channels, features)):
        return _of_wholes
    return _of_a_row_more if _is_slow_without(window, size) and channels > 3 else None


def _moved(window, size, x):
    """The image that each tap of a kernel of `size` sees, row by row: arrays (N, H', W', C), float32 or wider."""
    zeros = [(0, 0), *((p, p) for p in window.padding), (0, 0)]
    image = jnp.pad(x.astype(jnp.promote_types(x.dtype, jnp.float32)), zeros)
    height, width = (side - d * (k - 1) for side, d, k in zip(image.shape[1:3], window.dilation, size, strict=True))
    for row in range(size[0]):
        rows = lax.slice_in_dim(image, row * window.dilation[0], row * window.dilation[0] + height, axis=1)
        for column in range(size[1]):
            yield lax.slice_in_dim(rows, column * window.dilation[1], column * window.dilation[1] + width, axis=2)


def _of_moved(window, x, kernel):
    """A depthwise convolution: the sum of the moved image, times each tap of the kernel."""
    *size, _, features = kernel.shape
    taps = kernel.reshape(-1, features)
    total = sum(image * tap for image, tap in zip(_moved(window, size, x), taps, strict=True))
    return jnp.asarray(total).astype(x.dtype)


def _of_blocks(window, x, kernel):
    """A convolution of groups: as many groups together as fill a convolution, whose kernel is zero between groups."""
    *size, channels, features = kernel.shape
    groups = window.groups
    together = max(n for n in range(1, groups + 1) if groups % n == 0 and (n == 1 or n * channels <= _FILLED))
    wholes, each = groups // together, features // groups
    parts = kernel.reshape(*size, channels, wholes, together, each)
    own = jnp.eye(together, dtype=kernel.dtype)
    kernels = jnp.einsum("hwcnge,Gg->nhwGcge", parts, own).reshape(wholes, *size, together * channels, together * each)
    alone = dataclasses.replace(window, groups=1)
    return jnp.concatenate([_convolved(alone, part, whole)
                            for part, whole in zip(jnp.split(x, wholes, -1), kernels, strict=True)], -1)


def _of_products(window, x, kernel):
    """A convolution by a 1x1 kernel: the product of two matrices."""
    return jnp.tensordot(x, kernel[0, 0], 1, precision=window.precision)


def _of_neighbours(window, x, kernel):
    """A convolution whose every step gives several neighbours in a row, so that they fill it together: the kernel is
    there once for each of them, moved by a pixel. Their features are in memory as one pixel after another, behind them
    those that fill vectors, which are dropped.
    """
    rows, columns, channels, features = kernel.shape
    batch, _, width, _ = x.shape
    up, left = window.padding
    together = min(8, 2 ** int(math.log2(_FILLED // features)) * (2 if channels < 4 else 1))
    many = jnp.stack([jnp.pad(kernel, [(0, 0), (each, together - 1 - each), (0, 0), (0, 0)])
                      for each in range(together)], 3)
    many = many.reshape(rows, columns + together - 1, channels, together * features)
    many = jnp.pad(many, [(0, 0), (0, 0), (0, 0), (0, _to_vectors(together * features))])
    wanted = width + 2 * left - columns + 1
    steps = -(-wanted // together)
    right = (steps - 1) * together + many.shape[1] - width - left
    y = lax.conv_general_dilated(x, many, (1, together), [(up, up), (left, right)],
                                 dimension_numbers=("NHWC", "HWIO", "NHWC"), precision=window.precision)
    return y[..., :together * features].reshape(batch, y.shape[1], -1, features)[:, :, :wanted]


def _of_wholes(window, x, kernel):
    """A convolution of more channels, which are zero, and of more features, which are dropped: whole vectors."""
    *size, channels, features = kernel.shape
    more = _to_fours(channels, features)
    kernel = jnp.pad(kernel, [(0, 0), (0, 0), (0, more), (0, _to_vectors(features))])
    x = jnp.pad(x, [(0, 0), (0, 0), (0, 0), (0, more)])
    own = functools.partial(_of_a_row_more, window) if _is_slow_without(window, size) else window
    return own(x, kernel)[..., :features]


def _to_fours(channels, features):
    """The number of channels that lack to a multiple of 4; 0 where there are 32 or 64 features once they are filled."""
    return 0 if (features + _to_vectors(features)) % 64 in (0, 32) else -channels % 4


def _to_vectors(features):
    """The number of features that lack to 16, 24, 32, 48 or 64 where a convolution of as many takes less time."""
    return next((whole - features for whole, least in _WHOLE_FROM.items() if least <= features <= whole), 0)


def _of_a_row_more(window, x, kernel):
    """A convolution of an image with rows of zeros below, whose last row is dropped; see _is_slow_without."""
    height, _ = window.lengths(x.shape[1:3], kernel.shape[:2])
    taken = window.strides[0] * height + window.dilation[0] * (kernel.shape[0] - 1) + 1  # rows, for one row more
    return window(x, kernel, below=taken - x.shape[1])[:, :height]


def _is_slow_without(window, size):
    """Whether windows overlap and nothing is padded: there XLA's library for convolutions takes twice to thrice the
    time for the same.
    """
    return window.padding == (0, 0) and all(k > s for k, s in zip(size, window.strides, strict=True))


def _otherwise_by_x(gradient, x, kernel, *, window, way, jaxpr):
    *size, channels, features = kernel.shape
    padding = tuple(d * (k - 1) - p for p, d, k in zip(window.padding, window.dilation, size, strict=True))
    if window.strides == (1, 1) and min(padding) >= 0:  # a convolution, too
        turned = lax.rev(kernel, (0, 1)).reshape(*size, channels, window.groups, features // window.groups)
        turned = turned.swapaxes(2, 4).reshape(*size, features // window.groups, window.groups * channels)
        return _convolved(dataclasses.replace(window, padding=padding), gradient, turned)

    def of_the_cpu(gradient, kernel):
        return jax.vjp(lambda x: way(window, x, kernel), jnp.zeros(x.aval.shape, x.aval.dtype))[1](gradient)[0]

    return lax.platform_dependent(gradient, kernel, cpu=of_the_cpu, default=lambda gradient, kernel: (
        _transposed_by_x(gradient, x, kernel, window=window)))


def _otherwise_by_kernel(gradient, x, kernel, *, window, way, jaxpr):
    shape, dtype = kernel.aval.shape, kernel.aval.dtype

    def of_moved(x, gradient):
        taps = [(image * gradient).sum((0, 1, 2)) for image in _moved(window, shape[:2], x)]
        return jnp.stack(taps).reshape(shape).astype(dtype)

    def of_blocks(x, gradient):
        return jax.vjp(lambda kernel: _of_blocks(window, x, kernel), jnp.zeros(shape, dtype))[1](gradient)[0]

    if way not in (_of_moved, _of_blocks):
        return _transposed_by_kernel(gradient, x, kernel, window=window)
    of_the_cpu = {_of_moved: of_moved, _of_blocks: of_blocks}[way]
    return lax.platform_dependent(x, gradient, cpu=of_the_cpu, default=_own(window, kernel.aval))


_otherwise.def_impl(lambda x, kernel, *, window, way, jaxpr: window(x, kernel))
_otherwise.def_abstract_eval(lambda x, kernel, *, window, way, jaxpr: jaxpr.out_avals[0])
ad.defbilinear(_otherwise, _otherwise_by_x, _otherwise_by_kernel)
batching.primitive_batchers[_otherwise] = _batched
mlir.register_lowering(_otherwise, mlir.lower_fun(_otherwise.impl, multiple_results=False))
mlir.register_lowering(_otherwise, mlir.lower_fun(
    lambda x, kernel, *, window, way, jaxpr: way(window, x, kernel), multiple_results=False), platform="cpu")


def _pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)

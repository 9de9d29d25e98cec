"""Moving pixels between channels and space, with PyTorch's channel order (c, row, column).

TensorFlow's depth_to_space orders (row, column, c): the same shapes, another image. The functions are jitted for their
names, which stay readable in a traced network.
"""

import functools

import jax


@functools.partial(jax.jit, static_argnums=1)
def pixel_shuffle(x, factor):
    """(N, H, W, C * factor**2) to (N, H * factor, W * factor, C), as torch.nn.PixelShuffle; any dtype, kept."""
    n, h, w, channels = x.shape
    if channels % factor**2:
        raise ValueError(f"{channels} channels are no multiple of factor**2 = {factor**2}")
    x = x.reshape(n, h, w, channels // factor**2, factor, factor)
    return x.transpose(0, 1, 4, 2, 5, 3).reshape(n, h * factor, w * factor, channels // factor**2)


@functools.partial(jax.jit, static_argnums=1)
def pixel_unshuffle(x, factor):
    """(N, H * factor, W * factor, C) to (N, H, W, C * factor**2), the inverse of pixel_shuffle; any dtype, kept."""
    n, h, w, channels = x.shape
    if h % factor or w % factor:
        raise ValueError(f"height {h} or width {w} is no multiple of factor = {factor}")
    x = x.reshape(n, h // factor, factor, w // factor, factor, channels)
    return x.transpose(0, 1, 3, 5, 2, 4).reshape(n, h // factor, w // factor, channels * factor**2)

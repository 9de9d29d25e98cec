"""Attention windows: cutting an image into them, shifting them, and the positions inside them."""

import jax.numpy as jnp
import numpy as np


def window_partition(x, window_size):
    """Cuts images into square windows.

    Args:
      x: array (N, H, W, C), of any dtype.
      window_size: side of a window, px.

    Returns:
      Array (N, windows, window_size**2, C); windows and the pixels inside them go row by row.

    Raises:
      ValueError: H or W is no multiple of window_size.
    """
    n, height, width, channels = x.shape
    if height % window_size or width % window_size:
        raise ValueError(f"height {height} or width {width} is no multiple of window_size = {window_size}")
    x = x.reshape(n, height // window_size, window_size, width // window_size, window_size, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(n, -1, window_size**2, channels)


def window_merge(windows, height, width):
    """The inverse of `window_partition`: (N, windows, window_size**2, C) to (N, height, width, C)."""
    n, count, tokens, channels = windows.shape
    side = round(tokens**0.5)
    if count * tokens != height * width or height % side or width % side:
        raise ValueError(f"{count} windows of {tokens} pixels do not make up {height}x{width}")
    x = windows.reshape(n, height // side, width // side, side, side, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(n, height, width, channels)


def shifted_regions(height, width, window_size, shift):
    """Which pixels of an image rolled by -shift were neighbours before, as Swin transformers number them.

    The windows at the bottom and right edge hold pixels that came round from the other side; pixels attend to pixels of
    their own region only.

    Returns:
      int8 array (windows, window_size**2) of region numbers 0..8. One byte a pixel, where the mask it stands for takes
      window_size**2 floats a pixel.
    """
    def along(side):
        positions = jnp.arange(side)
        return (positions >= side - window_size).astype(jnp.int8) + (positions >= side - shift)

    regions = 3 * along(height)[:, None] + along(width)
    return window_partition(regions[None, :, :, None], window_size)[0, :, :, 0]


def relative_position_index(window_size):
    """Where the bias table of window attention holds each pair of pixels: int numpy array (query, key).

    The table has (2 * window_size - 1)**2 rows, one for every (row, column) difference query minus key, row by row.
    """
    row, column = np.divmod(np.arange(window_size**2), window_size)
    rows, columns = (a[:, None] - a + window_size - 1 for a in (row, column))
    return rows * (2 * window_size - 1) + columns


def attend_in_windows(attention, x, window_size, shift):
    """Applies attention in windows, shifted cyclically.

    Args:
      attention: function of windows (N, windows, window_size**2, C) and their regions, or None without a shift, to new
        ones.
      x: array (N, H, W, C).
      window_size: side of a window, px.
      shift: of the windows to the bottom and right, px.

    Returns:
      Array (N, H, W, C).
    """
    height, width = x.shape[1:3]
    if not shift:
        return window_merge(attention(window_partition(x, window_size), None), height, width)
    windows = window_partition(jnp.roll(x, (-shift, -shift), axis=(1, 2)), window_size)
    y = attention(windows, shifted_regions(height, width, window_size, shift))
    return jnp.roll(window_merge(y, height, width), (shift, shift), axis=(1, 2))

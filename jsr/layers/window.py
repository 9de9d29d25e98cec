"""Attention windows: cutting an image into them, shifting them, and the positions inside them."""

import jax.numpy as jnp
import numpy as np


def window_partition(x, window_size):
    """Cuts images into windows.

    Args:
      x: array (N, H, W, C), of any dtype.
      window_size: side of a square window, px, or (height, width).

    Returns:
      Array (N, windows, pixels of a window, C); windows and the pixels inside them go row by row.

    Raises:
      ValueError: H or W is no multiple of window_size.
    """
    n, height, width, channels = x.shape
    rows, columns = _pair(window_size)
    if height % rows or width % columns:
        raise ValueError(f"height {height} or width {width} is no multiple of window_size = {window_size}")
    x = x.reshape(n, height // rows, rows, width // columns, columns, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(n, -1, rows * columns, channels)


def window_merge(windows, height, width, window_size=None):
    """The inverse of `window_partition`, square by default: (N, windows, pixels, C) to (N, height, width, C)."""
    n, count, tokens, channels = windows.shape
    rows, columns = _pair(window_size or round(tokens**0.5))
    if count * tokens != height * width or height % rows or width % columns:
        raise ValueError(f"{count} windows of {tokens} pixels do not make up {height}x{width}")
    x = windows.reshape(n, height // rows, width // columns, rows, columns, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(n, height, width, channels)


def shifted_regions(height, width, window_size, shift):
    """Numbers that mark neighbours before an image was rolled by -shift, as in Swin transformers.

    The windows at the bottom and right edge hold pixels that came round from the other side; pixels attend to pixels of
    their own region only.

    Args:
      height, width: size of the image, px.
      window_size, shift: px, a number or (height, width).

    Returns:
      int8 array (windows, pixels of a window) of region numbers 0..8. One byte a pixel, where the mask it stands for
      takes as many floats a pixel as a window has pixels.
    """
    def along(side, window, shift):
        positions = jnp.arange(side)
        return (positions >= side - window).astype(jnp.int8) + (positions >= side - shift)

    rows, columns = map(along, (height, width), _pair(window_size), _pair(shift))
    regions = 3 * rows[:, None] + columns
    return window_partition(regions[None, :, :, None], window_size)[0, :, :, 0]


def relative_position_index(window_size):
    """The index of each pair of pixels in window attention's bias table: int numpy array (query, key).

    The table has (2 * window_size - 1)**2 rows, one for every (row, column) difference query minus key, row by row.
    """
    row, column = np.divmod(np.arange(window_size**2), window_size)
    rows, columns = (a[:, None] - a + window_size - 1 for a in (row, column))
    return rows * (2 * window_size - 1) + columns


def attend_in_windows(attention, x, window_size, shift):
    """Applies attention in windows, shifted cyclically.

    Args:
      attention: function of windows (N, windows, pixels, C) and their regions, or None without a shift, to new ones.
      x: array (N, H, W, C).
      window_size: side of a square window, px, or (height, width).
      shift: shift of the windows to the bottom and right, px, likewise.

    Returns:
      Array (N, H, W, C).
    """
    windows, regions = shifted_windows(x, window_size, shift)
    return merge_shifted(attention(windows, regions), *x.shape[1:3], window_size=window_size, shift=shift)


def shifted_windows(x, window_size, shift):
    """Cuts images into windows that are shifted cyclically.

    Args:
      x: array (N, H, W, C).
      window_size, shift: px, a number or (height, width); 0 shifts nothing.

    Returns:
      Windows as in `window_partition`, and their regions as in `shifted_regions`, or None without a shift.
    """
    if not shift:
        return window_partition(x, window_size), None
    rows, columns = _pair(shift)
    windows = window_partition(jnp.roll(x, (-rows, -columns), axis=(1, 2)), window_size)
    return windows, shifted_regions(*x.shape[1:3], window_size=window_size, shift=shift)


def merge_shifted(windows, height, width, window_size, shift):
    """The inverse of `shifted_windows`, to (N, height, width, C)."""
    x = window_merge(windows, height, width, window_size)
    return jnp.roll(x, _pair(shift), axis=(1, 2)) if shift else x


def fill_up(x, multiple):
    """(N, H, W, C) with rows and columns of zeros at the bottom and right, up to multiples; sizes may be symbolic."""
    # of positive numbers: ONNX divides negative ones to zero, not down
    missing = [(0, (side + multiple - 1) // multiple * multiple - side) for side in x.shape[1:3]]
    return x if missing == [(0, 0), (0, 0)] else jnp.pad(x, [(0, 0), *missing, (0, 0)])


def _pair(size):
    return (size, size) if isinstance(size, int) else size

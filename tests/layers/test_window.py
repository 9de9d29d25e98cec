"""Windows: cutting and merging, shifts, regions and relative positions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr.layers.window import (
    attend_in_windows,
    merge_shifted,
    relative_position_index,
    shifted_regions,
    shifted_windows,
    window_merge,
    window_partition,
)


def test_windows_and_their_pixels_go_row_by_row():
    x = np.arange(2 * 6 * 9).reshape(2, 6, 9, 1)
    windows = window_partition(x, 3)
    assert windows.shape == (2, 6, 9, 1)
    assert (windows[1, 4].reshape(3, 3) == x[1, 3:6, 3:6, 0]).all()
    assert (window_merge(windows, 6, 9) == x).all()


def test_sizes_that_windows_do_not_fill_are_refused():
    with pytest.raises(ValueError, match="height 6 or width 8 is no multiple of window_size = 4"):
        window_partition(np.zeros((1, 6, 8, 1)), 4)
    with pytest.raises(ValueError, match="3 windows of 4 pixels do not make up 4x4"):
        window_merge(np.zeros((1, 3, 4, 1)), 4, 4)


def test_position_index_tells_differences_apart():
    """Pairs of pixels share an index if and only if query minus key is the same in both directions."""
    side = 3
    index = relative_position_index(side)
    places = [(y, x) for y in range(side) for x in range(side)]
    for q, (qy, qx) in enumerate(places):
        for k, (ky, kx) in enumerate(places):
            assert index[q, k] == (qy - ky + side - 1) * (2 * side - 1) + (qx - kx + side - 1)


@pytest.mark.parametrize("height, width, window_size, shift", [(8, 12, 4, 2), (4, 4, 4, 2), (14, 7, 7, 3)])
def test_regions_are_those_of_pixels_that_were_neighbours(height, width, window_size, shift):
    """Rolled coordinates are continuous inside a region of a window and jump between regions."""
    regions = shifted_regions(height, width, window_size, shift)
    assert regions.dtype == np.int8 and regions.shape == (height * width // window_size**2, window_size**2)
    rows, columns = (np.roll(a, (-shift, -shift), axis=(0, 1)) for a in np.indices((height, width)))
    rows, columns = (window_partition(a[None, :, :, None], window_size)[0, :, :, 0] for a in (rows, columns))
    near = ((abs(rows[:, :, None] - rows[:, None]) < window_size)
            & (abs(columns[:, :, None] - columns[:, None]) < window_size))
    if height > window_size and width > window_size:  # else pixels that came round are near all the same
        assert ((regions[:, :, None] == regions[:, None]) == near).all()
    assert len(np.unique(regions)) == 9 - 3 * (height == window_size) - 3 * (width == window_size) + (
        height == width == window_size)


@pytest.mark.parametrize("shift", [0, 2])
def test_a_shift_is_undone(shift):
    x = jax.random.normal(jax.random.key(0), (2, 8, 12, 3))
    seen = []
    y = attend_in_windows(lambda windows, regions: (seen.append(regions), windows * 2)[1], x, 4, shift)
    assert jnp.array_equal(y, 2 * x)
    assert (seen[0] is None) == (shift == 0)


def test_shifted_windows_see_across_the_borders_of_the_others():
    """Means of windows shifted by half: the pixels around an inner corner share one."""
    x = np.arange(64.0).reshape(1, 8, 8, 1)
    y = attend_in_windows(lambda windows, _: jnp.broadcast_to(windows.mean(2, keepdims=True), windows.shape), x, 4, 2)
    assert np.allclose(y[0, 2:6, 2:6, 0], x[0, 2:6, 2:6, 0].mean())


def test_oblong_windows_and_their_shifts():
    x = np.arange(2 * 8 * 12).reshape(2, 8, 12, 1)
    windows = window_partition(x, (2, 6))
    assert windows.shape == (2, 8, 12, 1) and (windows[1, 3].reshape(2, 6) == x[1, 2:4, 6:, 0]).all()
    assert (window_merge(windows, 8, 12, (2, 6)) == x).all()

    windows, regions = shifted_windows(x, (2, 6), (1, 3))
    assert (windows[0, 7].reshape(2, 6) == x[0, [[7], [0]], [9, 10, 11, 0, 1, 2], 0]).all()
    assert regions[7].reshape(2, 6).tolist() == [[4] * 3 + [5] * 3, [7] * 3 + [8] * 3]
    assert (merge_shifted(windows, 8, 12, (2, 6), (1, 3)) == x).all()
    with pytest.raises(ValueError, match=r"height 8 or width 12 is no multiple of window_size = \(4, 5\)"):
        window_partition(x, (4, 5))

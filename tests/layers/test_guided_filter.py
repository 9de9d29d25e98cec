"""The guided filter against its definition."""

import jax
import numpy as np
import pytest

from jsr.layers.guided_filter import guided_filter


@pytest.mark.parametrize("radius, eps", [(1, 0.01), (3, 0.2)])
def test_it_is_its_definition(radius, eps):
    rng = np.random.default_rng(0)
    guide, image = rng.random((2, 1, 6, 5, 2))
    height, width = image.shape[1:3]
    windows = {(y, x): np.s_[:, max(y - radius, 0):y + radius + 1, max(x - radius, 0):x + radius + 1]
               for y in range(height) for x in range(width)}
    slope, offset = np.empty((2, *image.shape))
    for (y, x), window in windows.items():
        g, i = (array[window].reshape(-1, 2) for array in (guide, image))
        slope[:, y, x] = ((g * i).mean(0) - g.mean(0) * i.mean(0)) / (g.var(0) + eps)
        offset[:, y, x] = i.mean(0) - slope[0, y, x] * g.mean(0)
    expected = np.empty_like(image)
    for (y, x), window in windows.items():
        expected[:, y, x] = slope[window].mean((1, 2)) * guide[:, y, x] + offset[window].mean((1, 2))
    with jax.enable_x64(True):
        np.testing.assert_allclose(guided_filter(guide, image, radius, eps), expected, atol=1e-10)


def test_edges_of_the_guide_stay():
    step = np.where(np.arange(16) < 8, 0.0, 1.0)[None, None, :, None] * np.ones((1, 16, 16, 1))
    np.testing.assert_allclose(guided_filter(step, step, 4, 1e-4), step, atol=1e-3)
    assert np.abs(guided_filter(step, step, 4, 10.0) - step).max() > 0.4

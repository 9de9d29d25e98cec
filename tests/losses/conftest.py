"""Made-up images that the published code's values were computed from, and a jit that compiles in little time."""

import functools

import jax
import numpy as np
import pytest


@pytest.fixture(scope="session")
def quick():
    """jax.jit without the compiler's optimisation."""
    return functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@pytest.fixture(scope="session")
def pair():
    """Two images of noise, float32 (2, 12, 8, 3)."""
    i = np.arange(2 * 12 * 8 * 3).reshape(2, 12, 8, 3)
    return tuple((np.mod(i * i * a + b * i, m) / m).astype(np.float32) for a, b, m in ((7, 3, 101), (5, 11, 97)))


@pytest.fixture(scope="session")
def pictures():
    """A function of (n, height, width) to a smooth image with texture and a disturbed copy of it, the latter first."""

    def draw(*shape):
        n, y, x, c = np.indices((*shape, 3))
        target = 0.5 + 0.3 * np.sin(x / 9 + c + n) * np.cos(y / 7) + 0.1 * np.sin(x * y / 17)
        return tuple(image.astype(np.float32) for image in (target + 0.08 * np.sin(x * y / 13 + c - n), target))

    return draw

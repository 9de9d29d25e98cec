"""Blur kernels that peers train with: Gaussians, generalised and plateau-shaped ones, and the low-pass of ringing.

Each is float64 (size, size), 1 in sum, and equal to the last digit to what BasicSR's `basicsr.data.degradations` makes
of the same numbers: the operations and their order are its.
"""

import numpy as np


def _squared_distance(size, sigma_x, sigma_y, theta):
    """x^T S^-1 x at each place of a kernel; without `sigma_y` S is isotropic."""
    if sigma_y is None:
        covariance = np.array([[sigma_x**2, 0], [0, sigma_x**2]])
    else:
        turn = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
        covariance = turn @ (np.array([[sigma_x**2, 0], [0, sigma_y**2]]) @ turn.T)
    axis = np.arange(-size // 2 + 1.0, size // 2 + 1.0)
    grid = np.stack(np.meshgrid(axis, axis), -1)
    return np.sum(np.dot(grid, np.linalg.inv(covariance)) * grid, 2)


def _normal(kernel):
    """Divided by its sum twice, as BasicSR does, which changes last digits."""
    kernel = kernel / np.sum(kernel)
    return kernel / np.sum(kernel)


def gaussian(size, sigma_x, sigma_y=None, theta=0.0):
    """A Gaussian.

    Args:
      size: side, px, odd.
      sigma_x: standard deviation, px.
      sigma_y: sigma of the other axis; None is `sigma_x`.
      theta: angle by which the axes are turned, radians.
    """
    return _normal(np.exp(-0.5 * _squared_distance(size, sigma_x, sigma_y, theta)))


def generalized(size, sigma_x, sigma_y=None, theta=0.0, *, beta):
    """A generalised Gaussian, exp(-d^(2 beta) / 2); below a `beta` of 1 it is more pointed, above flatter."""
    return _normal(np.exp(-0.5 * np.power(_squared_distance(size, sigma_x, sigma_y, theta), beta)))


def plateau(size, sigma_x, sigma_y=None, theta=0.0, *, beta):
    """A plateau, 1 / (1 + d^(2 beta))."""
    return _normal(np.reciprocal(np.power(_squared_distance(size, sigma_x, sigma_y, theta), beta) + 1))


def sinc(size, cutoff):
    """The low-pass filter of a circular band, cut off at a square: it rings, as over-sharpened pictures do.

    Args:
      size: side, px, odd.
      cutoff: highest frequency that it lets through, radians a px, up to pi.
    """
    from scipy import special

    place = np.arange(size, dtype=np.float64) - (size - 1) / 2
    distance = np.sqrt(place[:, None] ** 2 + place**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        kernel = cutoff * special.j1(cutoff * distance) / (2 * np.pi * distance)
    kernel[(size - 1) // 2, (size - 1) // 2] = cutoff**2 / (4 * np.pi)
    return kernel / np.sum(kernel)


def named(kind, size, sigma_x=None, sigma_y=None, theta=0.0, beta=None, cutoff=None):
    """The kernel of a kind by BasicSR's names: iso, aniso, generalized_iso, ..., plateau_aniso, and sinc."""
    if kind == "sinc":
        return sinc(size, cutoff)
    if kind in ("iso", "aniso"):
        return gaussian(size, sigma_x, sigma_y, theta)
    return {"generalized": generalized, "plateau": plateau}[kind.partition("_")[0]](size, sigma_x, sigma_y, theta,
                                                                                    beta=beta)

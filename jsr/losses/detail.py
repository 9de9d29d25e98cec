"""Losses of edges and fine detail, for float32 images (N, H, W, C)."""


import jax
import jax.numpy as jnp
import numpy as np


def high_frequency_l1(pred, target):
    """L1 of what a Gaussian blur (5x5, sigma 1.1) takes away, for images; after Conde et al., Swin2SR (ECCVW 2022)."""
    difference = pred - target
    return jnp.mean(jnp.abs(difference - _blur(difference)))


def _blur(image, radius=2, sigma=1.1):
    """(N, H, W, C) of the same shape, borders reflected."""
    weights = np.exp(-np.arange(-radius, radius + 1)**2 / (2 * sigma**2))
    image = jnp.pad(image, [(0, 0), (radius, radius), (radius, radius), (0, 0)], mode="reflect")
    for axis in (1, 2):
        size = image.shape[axis] - 2 * radius
        image = sum(weight * jax.lax.slice_in_dim(image, k, k + size, axis=axis)
                    for k, weight in enumerate((weights / weights.sum()).tolist()))
    return image


def lanczos_l1(pred, target, scale=4, lobes=5):
    """L1 of the images shrunk by Lanczos: what the SR image would be as an LR image.

    The auxiliary loss of Swin2SR (Conde et al., ECCVW 2022; recalled) with ANUNet's Lanczos in place of bicubic (AIS
    2024, report, section 3.6). Inferred: 5 lobes; away from the borders that is the filter of its LR images.

    Args:
      pred, target: (N, H, W, C).
      scale: HR size over LR size; sizes are rounded up.
      lobes: of the kernel.
    """
    return jnp.mean(jnp.abs(_resized(pred - target, *_matrices(pred.shape, scale, lobes))))


def high_frequency_lanczos_l1(pred, target, scale=4, lobes=5):
    """L1 of what shrinking and enlarging again by Lanczos takes away; arguments as `lanczos_l1`.

    A reading of ANUNet's high-frequency loss (AIS 2024, report, section 3.6): the text may also mean Swin2SR's with its
    blur, `high_frequency_l1`, and Lanczos in the auxiliary loss alone, `lanczos_l1`.
    """
    difference = pred - target
    down = _matrices(pred.shape, scale, lobes)
    up = [lanczos_matrix(small, large, lobes) for small, large in (matrix.shape for matrix in down)]
    return jnp.mean(jnp.abs(difference - _resized(_resized(difference, *down), *up)))


def _matrices(shape, scale, lobes):
    return [lanczos_matrix(side, -(-side // scale), lobes) for side in shape[1:3]]


def _resized(image, rows, columns):
    return jnp.einsum("yh,xw,nhwc->nyxc", rows, columns, image, precision="highest")


def lanczos_matrix(size, out, lobes):
    """Lanczos in one dimension as a linear map, float32 (out, size): rows that sum to one.

    The kernel is widened where it shrinks, pixel centres are at half-integers and there are no pixels outside, as in
    Pillow, whose LANCZOS has 3 lobes.
    """
    stretch = max(size / out, 1.0)
    centers = (np.arange(out)[:, None] + 0.5) * size / out - 0.5
    x = (np.arange(size) - centers) / stretch
    weights = np.where(np.abs(x) < lobes, np.sinc(x) * np.sinc(x / lobes), 0)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def gradient_l1(pred, target):
    """L1 of the gradient maps: per channel, the length of (right - left, below - above), without the factor 1/2.

    The map is that of Maclory/SPSR (Ma et al., CVPR 2020): sqrt(dy^2 + dx^2 + 1e-6), zeros outside the image, and one
    px larger on each side than the image. RDEN and KREN (AIS 2024, report, section 3.10) and SPANR (3.8) name it;
    SPSR's own loss squares the difference, that theirs is an L1 is inferred.
    """
    return jnp.mean(jnp.abs(_gradient_map(pred) - _gradient_map(target)))


def _gradient_map(image):
    """(N, H, W, C) to (N, H + 2, W + 2, C)."""
    padded = jnp.pad(image, [(0, 0), (2, 2), (2, 2), (0, 0)])
    vertical = (padded[:, 2:] - padded[:, :-2])[:, :, 1:-1]
    horizontal = (padded[:, :, 2:] - padded[:, :, :-2])[:, 1:-1]
    return jnp.sqrt(vertical**2 + horizontal**2 + 1e-6)

"""Blur, resize and noise of Real-ESRGAN's degradation on the device: those of `jsr.degradations.second_order` in JAX.

Images are float32 (N, H, W, C), 0..1. Blur and resize agree with the host's to 1e-5; noise is drawn by JAX's
generators, and has the host's distribution.
"""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jsr.degradations import second_order
from jsr.layers.conv import convolve


@jax.jit
def blur(images: ArrayLike, kernels: ArrayLike) -> jax.Array:
    """Every image under a kernel of its own, mirrored beyond its borders.

    Args:
      images: float32 (N, H, W, C), sides above K // 2.
      kernels: float32 (N, K, K), K odd; smaller ones are padded with zeros.

    Returns:
      float32 (N, H, W, C).
    """
    images, kernels = jnp.asarray(images), jnp.asarray(kernels)
    reach, channels = kernels.shape[-1] // 2, images.shape[-1]
    padded = jnp.pad(images, [(0, 0), (reach, reach), (reach, reach), (0, 0)], "reflect")

    def one(image, kernel):
        wide = jnp.broadcast_to(kernel[..., None, None], (*kernel.shape, 1, channels))
        return convolve(image[None], wide.astype(image.dtype), groups=channels)[0]

    with jax.default_matmul_precision("highest"):
        return jax.vmap(one)(padded, kernels)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def rescale(images: ArrayLike, size_hw: tuple[int, int], mode: str, factor: float | None = None) -> jax.Array:
    """jsr.degradations.second_order.rescale: one compilation for each pair of sizes, mode and factor.

    Args:
      images: float32 (N, H, W, C).
      size_hw: (height, width) of the result, px; static.
      mode: "area", "bilinear" or "bicubic"; static.
      factor: torch's scale_factor, None where the size was given; static.
    """
    return second_order.rescale(jnp.asarray(images), size_hw, mode, factor, axis=1)


@jax.jit
def noise(key: ArrayLike, images: ArrayLike, poisson: ArrayLike, strength: ArrayLike, grey: ArrayLike) -> jax.Array:
    """Images with noise, clipped to 0..1.

    Args:
      key: key of jax.random.
      images: float32 (N, H, W, 3).
      poisson: bool (N,), Poisson noise instead of Gaussian.
      strength: float32 (N,), standard deviation of Gaussian noise, levels of 255, or factor of Poisson noise.
      grey: bool (N,), whether the noise is alike in all channels.
    """
    images = jnp.asarray(images)

    def one(key, image, poisson, strength, grey):
        first, second, third, fourth = jax.random.split(key, 4)
        luma = (image * second_order.GREY).sum(-1, keepdims=True)
        gaussian = jnp.where(grey, jax.random.normal(first, luma.shape), jax.random.normal(second, image.shape)) / 255
        shot = jnp.where(grey, _shot(third, luma), _shot(fourth, image))
        return jnp.clip(image + strength * jnp.where(poisson, shot, gaussian), 0, 1)

    keys = jax.random.split(key, len(images))
    return jax.vmap(one)(keys, images, *map(jnp.asarray, (poisson, strength, grey)))


def _shot(key, image):
    """Poisson noise of the image in 8 bits, by the power of two above the number of its levels."""
    levels = jnp.clip(jnp.round(image * 255), 0, 255)
    used = jnp.zeros(256).at[levels.astype(jnp.int32)].set(1).sum()
    count = 2 ** jnp.ceil(jnp.log2(used))
    return jax.random.poisson(key, levels / 255 * count).astype(jnp.float32) / count - levels / 255

"""Losses of spectra, for float32 images (N, H, W, C); the transforms are float32 too."""

import jax
import jax.numpy as jnp
import numpy as np

_DCT = np.cos(np.pi / 8 * np.arange(8)[:, None] * (np.arange(8) + 0.5)) / 2
_DCT[0] /= np.sqrt(2)
_DCT = _DCT.astype(np.float32)


def fft_l1(pred, target):
    """Mean absolute difference of the real and the imaginary parts of the spectra.

    FFTLoss of sunny2109/SAFMN and ShuffleMixer: the half spectrum of `rfft2`, not normalised, so that values grow with
    the size of the crop. MIMO-UNet (Cho et al., ICCV 2021), which the reports cite for it, takes the whole spectrum.
    """
    spectrum = jnp.fft.rfft2(pred - target, axes=(1, 2))
    return 0.5 * (jnp.mean(jnp.abs(spectrum.real)) + jnp.mean(jnp.abs(spectrum.imag)))


def focal_frequency(pred, target, alpha=1.0, patch_factor=1, ave_spectrum=False, log_matrix=False, batch_matrix=False):
    """Mean squared distance of the spectra, each frequency weighted by how far off it is.

    Jiang et al., Focal Frequency Loss (ICCV 2021), as in EndlessSora/focal-frequency-loss, defaults as there. Spectra
    are orthonormal; the weights are the distances^alpha over the largest of them, and no gradient passes through them.

    Args:
      pred, target: (N, H, W, C).
      alpha: exponent of the weights.
      patch_factor: the image is cut into this many patches each way, each with its own spectrum.
      ave_spectrum: compares the batch's mean spectra.
      log_matrix: takes log(1 + weight) before dividing by the largest.
      batch_matrix: the largest is that of the whole batch, not of each patch and channel.

    Raises:
      ValueError: a side is no multiple of `patch_factor`.
    """
    n, height, width, channels = pred.shape
    if patch_factor < 1 or height % patch_factor or width % patch_factor:
        raise ValueError(f"focal_frequency: {height}x{width} px (height x width) cannot be cut into "
                         f"patch_factor {patch_factor} patches each way")
    patch_hw = height // patch_factor, width // patch_factor
    patches = (pred - target).reshape(n, patch_factor, patch_hw[0], patch_factor, patch_hw[1], channels)
    spectrum = jnp.fft.fft2(patches, axes=(2, 4), norm="ortho")
    if ave_spectrum:
        spectrum = jnp.mean(spectrum, axis=0, keepdims=True)
    distance = spectrum.real**2 + spectrum.imag**2
    weights = jax.lax.stop_gradient(distance) ** (alpha / 2)
    if log_matrix:
        weights = jnp.log1p(weights)
    largest = jnp.max(weights) if batch_matrix else jnp.max(weights, axis=(2, 4), keepdims=True)
    return jnp.mean(jnp.where(largest > 0, weights / jnp.where(largest > 0, largest, 1), 0) * distance)


def block_dct_l1(pred, target):
    """Mean absolute difference of the coefficients of orthonormal 8x8 DCTs, as JPEG has them.

    UCAS_SCST (NTIRE 2024 blind JPEG, report) constrains differences in the DCT domain; blocks of 8x8, all coefficients
    alike and each RGB channel by itself are inferred.

    Raises:
      ValueError: a side is no multiple of 8 px.
    """
    n, height, width, channels = pred.shape
    if height % 8 or width % 8:
        raise ValueError(f"block_dct_l1: {height}x{width} px (height x width) is no multiple of 8 px a side")
    blocks = (pred - target).reshape(n, height // 8, 8, width // 8, 8, channels)
    return jnp.mean(jnp.abs(jnp.einsum("ki,lj,nhiwjc->nhkwlc", _DCT, _DCT, blocks, precision="highest")))

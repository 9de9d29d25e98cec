"""Template matching: where in a reference an image's patches are, by normalised cross-correlation.

As of Briechle and Hanebeck, Template matching using fast normalized cross correlation (2001), which NoahTerminalCV
cite: of the mean over colours, less its mean, at all places at once by Fourier transforms.
"""

import functools

import jax
import jax.numpy as jnp

_FLAT = 1e-6  # variance of a window, of values in [0, 1], below which nothing correlates with it


@functools.partial(jax.jit)
def align(patches, reference):
    """The part of a reference that correlates most with each patch.

    Args:
      patches: float32 (P, h, w, 3) in [0, 1].
      reference: float32 (H, W, 3) in [0, 1], no smaller.

    Returns:
      (float32 (P, h, w, 3), float32 (P,) correlations from -1 to 1): of equals the first, row by row.
    """
    (height, width), (h, w) = reference.shape[:2], patches.shape[1:3]
    if height < h or width < w:
        raise ValueError(f"a reference of {height}x{width} px is smaller than the patches, {h}x{w}")
    grey = reference.mean(-1)
    grey = grey - grey.mean()
    spectrum = jnp.fft.rfft2(grey)
    count = h * w
    mean = _sums(_sums(grey, h, 0), w, 1) / count
    variance = _sums(_sums(grey**2, h, 0), w, 1) / count - mean**2
    spread = jnp.sqrt(jnp.maximum(variance, _FLAT)) * count**0.5

    def one(patch):
        template = patch.mean(-1)
        template = template - template.mean()
        product = spectrum * jnp.conj(jnp.fft.rfft2(template, (height, width)))
        found = jnp.fft.irfft2(product, (height, width))[:height - h + 1, :width - w + 1]
        alike = found / (spread * jnp.maximum(jnp.linalg.norm(template), (_FLAT * count)**0.5))
        best = jnp.argmax(alike)
        top, left = best // alike.shape[1], best % alike.shape[1]
        return jax.lax.dynamic_slice(reference, (top, left, 0), (h, w, 3)), alike.reshape(-1)[best]

    return jax.lax.map(one, patches)


def _sums(x, size, axis):
    """Sums of `size` neighbours along an axis."""
    sums = jnp.cumsum(jnp.pad(x, [(int(d == axis), 0) for d in range(x.ndim)]), axis)
    length = x.shape[axis]
    return (jax.lax.slice_in_dim(sums, size, length + 1, axis=axis)
            - jax.lax.slice_in_dim(sums, 0, length - size + 1, axis=axis))

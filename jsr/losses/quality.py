"""Losses of a network's estimates about its input."""

import jax.numpy as jnp


def quality_factor(pred, target, squared=False):
    """Mean absolute or squared distance of an estimated JPEG quality, as FBCNN estimates it: 1 - quality / 100.

    Jiang et al., FBCNN (ICCV 2021). BinYCn and SYU-HnVLab (NTIRE 2024 blind JPEG, report) take it as an L1.

    Args:
      pred: float32, one value an image, of any shape, as (N, 1).
      target: float32, the qualities in 1..100, one an image.
      squared: takes the mean square.

    Raises:
      ValueError: not as many values.
    """
    if pred.size != target.size:
        raise ValueError(f"quality_factor: {pred.shape} and {target.shape} are not one value an image each")
    error = jnp.ravel(pred) - (1 - jnp.ravel(target) / 100)
    return jnp.mean(jnp.square(error) if squared else jnp.abs(error))

"""Padding an image to the size that a network needs, outside the network, and cropping its output back."""

import dataclasses
from typing import Any

import jax
from jax import export, lax
import jax.numpy as jnp
import numpy as np

PAD_MODES: dict[str, Any] = {  # ours: NumPy's
    "reflect": "reflect",     # 1 2 3 4 | 3 2 1, the edge once
    "flip": "symmetric",      # 1 2 3 4 | 4 3 2, the edge twice: the test scripts of SwinIR and its descendants
    "replicate": "edge",      # 1 2 3 4 | 4 4 4
    "zeros": "constant",      # 1 2 3 4 | 0 0 0
}


@dataclasses.dataclass(frozen=True)
class Padding:
    """The rule that brings images to a size that a network takes; rows and columns are added at the bottom and right.

    Attributes:
      multiple: height and width become multiples of it, px.
      mode: what the new pixels hold: "reflect", "flip", "replicate" or "zeros".
      always: adds a whole `multiple` where a side is one already, as the test scripts of SwinIR and its descendants do.
    """

    multiple: int = 1
    mode: str = "reflect"
    always: bool = False

    def __post_init__(self):
        if self.multiple < 1:
            raise ValueError(f"multiple = {self.multiple} is less than 1")
        if self.mode not in PAD_MODES:
            raise ValueError(f"mode = {self.mode!r} is none of {', '.join(PAD_MODES)}")
        if self.always and self.multiple == 1:
            raise ValueError("always = True needs a multiple above 1")

    def target(self, side):
        """The padded length of a side of `side` px."""
        return (side + (self.multiple if self.always else self.multiple - 1)) // self.multiple * self.multiple


def pad_to_multiple(image, padding):
    """Pads images at the bottom and right; an image that fits already comes back as it is.

    Args:
      image: array (..., H, W, C), of any dtype.
      padding: a Padding.

    Returns:
      Array (..., padding.target(H), padding.target(W), C).
    """
    height, width = image.shape[-3:-1]
    return pad_to(image, padding.target(height), padding.target(width), padding.mode)


def pad_to(image, height, width, mode):
    """Pads images (..., H, W, C) at the bottom and right to (..., height, width, C).

    Where "reflect" or "flip" asks for more pixels than the image has, the reflection is reflected again, and so on; an
    image of one row or column repeats it.
    """
    rows, columns = height - image.shape[-3], width - image.shape[-2]
    if not rows and not columns:
        return image
    # NumPy and jnp.pad both go on reflecting where the image is smaller than the padding
    pad = np.pad if isinstance(image, np.ndarray) else jnp.pad
    widths = [(0, 0)] * (image.ndim - 3) + [(0, rows), (0, columns), (0, 0)]
    return pad(image, widths, mode=PAD_MODES[mode])


def crop_to(image, height, width):
    """The top left (..., height, width, C) of an image (..., H, W, C)."""
    if image.shape[-3] < height or image.shape[-2] < width:
        raise ValueError(f"image of {image.shape[-3]}x{image.shape[-2]} is smaller than {height}x{width}")
    return image[..., :height, :width, :]


def mirrored(image, width):
    """Images (N, H, W, C) with `width` px of their mirror image on every side, the edge once; H and W may be symbolic.

    Where that is more than the image has, the reflection is reflected again.
    """
    if not any(map(export.is_symbolic_dim, image.shape)):
        return jnp.pad(image, [(0, 0), (width, width), (width, width), (0, 0)], "reflect")
    for axis in (1, 2):
        side = image.shape[axis]
        image = taken(image, source_rows(side, side + 2 * width, "reflect", before=width), axis)
    return image


def source_rows(side: Any, target: Any, mode: str, before: int = 0) -> jax.Array:
    """The source row, in an image of `side` rows, of each of `target` rows, int32 (target,); "zeros" is as "replicate".

    Args:
      side, target: int, or symbolic dimensions of jax.export.
      mode: mode of Padding.
      before: number of rows in front of the image's first; only "reflect" has some.
    """
    last = jnp.asarray(side, jnp.int32) - 1
    rows = lax.iota(jnp.int32, target)
    if mode in ("zeros", "replicate"):
        return lax.min(rows, last)
    twice = mode == "flip"  # whether the edge is there twice: 2 * side rows until the image begins again, not 2 less
    period = 2 * (last + 1) if twice else lax.max(2 * last, jnp.int32(1))
    there = lax.rem(lax.abs(rows - before) if before else rows, period)
    return lax.min(there, (period if not twice else period - 1) - there)


def taken(image: jax.Array, rows: jax.Array, axis: int) -> jax.Array:
    """The rows of an image along an axis, by their indices, all of which are there."""
    return image.at[(slice(None),) * axis + (rows,)].get(mode="promise_in_bounds", wrap_negative_indices=False)

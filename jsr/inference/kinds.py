"""Images as people hold them in Python: arrays of NumPy and JAX, tensors of PyTorch, images of Pillow, and back."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

# Modes of Pillow that have an array of their own; others become the one behind them.
_MODES = {"1": "L", "L": "L", "LA": "LA", "La": "LA", "P": "RGB", "PA": "RGBA", "RGB": "RGB", "RGBA": "RGBA",
          "RGBX": "RGB", "RGBa": "RGBA", "YCbCr": "RGB", "LAB": "RGB", "HSV": "RGB", "I;16": "I;16", "I;16B": "I;16",
          "I;16L": "I;16", "I;16N": "I;16"}
_CHANNELS = 4
_DTYPES = (np.uint8, np.uint16, np.float32)


def as_array(image: Any) -> tuple[np.ndarray, Callable[[np.ndarray], Any]]:
    """An image, or a batch, as a NumPy array.

    Args:
      image: array of NumPy or JAX, tensor of PyTorch, or what NumPy makes an array of: (H, W), (H, W, C) or
        (N, H, W, C), uint8, uint16 or float32; an image of Pillow.

    Returns:
      (array, function of an array of the same rank and dtype that makes the same kind of it).

    Raises:
      ValueError: channels in front, another dtype or shape; a mode of Pillow without a meaning for networks; an array
        that is being traced.
    """
    if isinstance(image, Image.Image):
        array, back = _of_pillow(image)
    elif isinstance(image, jax.core.Tracer):
        raise ValueError("image is traced by JAX (jit, grad or vmap), but upscale works on values; in such a function "
                         "apply the network itself: module, variables = jsr.models.load(...), module.apply(variables, "
                         "lr)")
    elif isinstance(image, jax.Array):
        array, back = np.asarray(image), jnp.asarray
    elif type(image).__module__.partition(".")[0] == "torch":
        array, back = _of_torch(image)
    else:
        array, back = np.asarray(image), lambda sr: sr
    _check(array)
    return array, back


def _of_pillow(image):
    if image.mode == "P" and "transparency" in image.info:
        mode = "RGBA"
    elif image.mode in _MODES:
        mode = _MODES[image.mode]
    else:
        raise ValueError(f"image is of Pillow's mode {image.mode}, expected one of {', '.join(_MODES)}; convert it, as "
                         "by image.convert(\"RGB\")")
    if mode == "I;16":
        return np.asarray(image).astype(np.uint16), Image.fromarray
    return np.asarray(image if image.mode == mode else image.convert(mode)), Image.fromarray


def _of_torch(tensor):
    def back(array):
        import torch  # which is there, as the tensor is

        return torch.from_numpy(np.ascontiguousarray(array)).to(tensor.device)

    try:
        return tensor.detach().cpu().numpy(), back
    except TypeError as e:  # bfloat16 and what else NumPy lacks
        raise ValueError(f"image is a tensor of {tensor.dtype}, expected uint8, uint16 or float32") from e


def _check(array):
    """Raises ValueError for an array that is no image, nor a batch of images."""
    shape = " x ".join(map(str, array.shape))
    expected = "expected (H, W), (H, W, C) or (N, H, W, C) with at most 4 channels"
    if array.ndim in (3, 4) and array.shape[-1] > _CHANNELS and array.shape[-3] <= _CHANNELS:
        order = "1, 2, 0" if array.ndim == 3 else "0, 2, 3, 1"
        raise ValueError(f"image is channels-first, {shape}: {expected}; give image.transpose({order}), of a tensor "
                         f"image.permute({order})")
    if array.ndim not in (2, 3, 4) or 0 in array.shape or array.ndim > 2 and array.shape[-1] > _CHANNELS:
        raise ValueError(f"image is {array.dtype} of {shape or 'no size'}, {expected}")
    if array.dtype in _DTYPES:
        return
    if array.dtype == bool:
        raise ValueError("image is boolean, expected uint8, uint16 or float32; a mask becomes one by "
                         "image.astype(numpy.uint8) * 255")
    if array.dtype.kind == "f" or array.dtype.name == "bfloat16":
        raise ValueError(f"image is {array.dtype}, expected float32 in [0, 1], uint8 or uint16; give "
                         "image.astype(numpy.float32)")
    raise ValueError(f"image is {array.dtype}, expected uint8, uint16, or float32 in [0, 1]")

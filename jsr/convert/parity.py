"""The parity certificate: the difference between a converted network's output and the original's."""

import hashlib
import io
from pathlib import Path
import zipfile

import jax
import numpy as np
import safetensors
import safetensors.numpy

from jsr import models
from jsr.errors import UserError

_MOST_TIMES, _MOST_BESIDE = 100, 1 << 26  # bytes of a .npz: times its packed size, and bytes more
BOUND = 1e-4  # of the largest error, times the largest value if that is above 1; networks of the tests are under 5e-6


def certify(model, variables, path):
    """Compares a network's output with the original code's, for one image.

    Args:
      model: a network.
      variables: its variables.
      path: a .npz or .safetensors of `lr` and `sr`, float in [0, 1] and not clipped, (H, W, C) or (N, H, W, C), 3
        channels or those that the network has, and, in a .npz, a text `about` that says how they were made.

    Returns:
      {reference: file name, sha256, about, lr_shape, max_abs_error, mean_abs_error}. The errors are in units of the
      value range [0, 1], in float32 at the highest matmul precision.

    Raises:
      UserError: a file that is no such reference or does not fit the network, or an error above BOUND.
    """
    path = Path(path)
    data, arrays = _read(path)
    card = models.card(model)
    lr, sr = (_batched(path, arrays, key, channels)
              for key, channels in (("lr", card.in_channels), ("sr", card.out_channels)))
    height, width = lr.shape[1:3]
    expected = (lr.shape[0], height * model.scale, width * model.scale, card.out_channels)
    if sr.shape != expected:
        raise UserError(f"{path}: sr is {sr.shape}, for an lr of {lr.shape} this network gives {expected}")
    if height % card.padding.multiple or width % card.padding.multiple:
        raise UserError(f"{path}: lr is {height}x{width} (height x width), but this network takes multiples of "
                        f"{card.padding.multiple}; make the reference at such a size")
    with jax.default_matmul_precision("highest"):
        found = models.outputs(jax.jit(model.apply)(variables, lr))["sr"]
    error = np.abs(np.asarray(found, np.float64) - sr)
    bound = BOUND * max(1, np.abs(sr).max())  # of noise some networks make values of 60, with as many times the error
    if not error.max() <= bound:  # also where it is not a number
        raise UserError(f"the converted network differs from the original: on {path} its output is off by up to "
                        f"{error.max():.3g}, more than {bound:.2g}; nothing was written")
    return {"reference": path.name, "sha256": hashlib.sha256(data).hexdigest(), "about": str(arrays.get("about", "")),
            "lr_shape": list(lr.shape), "max_abs_error": float(error.max()), "mean_abs_error": float(error.mean())}


def _read(path):
    """(bytes, {key: array}) of a .npz or .safetensors."""
    try:
        data = path.read_bytes()
        if path.suffix == ".safetensors":
            return data, safetensors.numpy.load(data)
        return data, arrays_in(io.BytesIO(data))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except Exception as e:  # zipfile, zlib and NumPy have several for a damaged file
        raise UserError(f"{path}: cannot be read as a reference; it is a .npz or .safetensors of lr and sr") from e


def arrays_in(file):
    """{name: array} of a .npz, path or open file, none of which says that a few bytes are gigabytes.

    Raises:
      ValueError: they are, or it is no .npz.
      Exception: whatever else damage leads to.
    """
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        size, packed = sum(info.file_size for info in members), sum(info.compress_size for info in members)
    if size > _MOST_TIMES * packed + _MOST_BESIDE:
        raise ValueError(f"its {packed:,} bytes claim to be {size:,}")
    with np.load(file, allow_pickle=False) as found:
        return dict(found)


def _batched(path, arrays, key, channels):
    """An image or images as float32 (N, H, W, channels)."""
    if key not in arrays:
        raise UserError(f"{path}: has no {key!r}; a reference holds lr and sr")
    array = arrays[key]
    if array.dtype.kind != "f" or array.ndim not in (3, 4) or array.shape[-1] != channels:
        raise UserError(f"{path}: {key} is {array.dtype} {array.shape}, expected float (H, W, {channels}) or "
                        f"(N, H, W, {channels})")
    return np.asarray(array, np.float32).reshape(-1, *array.shape[-3:])

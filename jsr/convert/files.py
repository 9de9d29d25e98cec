"""PyTorch checkpoints on disk: .pth, .pt and .ckpt through PyTorch, .safetensors without it.

A .pth is a pickle, and unpickling can run any code: only `torch.load(weights_only=True)` reads one, which builds
tensors and plain containers and refuses everything else. Of a module that was pickled whole jsr.convert.pickled takes
the tensors, and runs nothing of it.
"""

import contextlib
import dataclasses
import io
from pathlib import Path
import pickle
import re
import warnings

import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from jsr.convert import pickled
from jsr.convert.engine import unwrap
from jsr.errors import MissingLibrary, UserError, install
from jsr.files import atomic_write

TORCH_ENDINGS = (".pth", ".pt", ".ckpt")
ENDINGS = (*TORCH_ENDINGS, ".safetensors")

_DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": jnp.bfloat16, "I64": np.int64,
           "I32": np.int32, "I16": np.int16, "I8": np.int8, "U8": np.uint8, "BOOL": np.bool_}


def read_state_dict(path):
    """Reads the state dict in a file, out of whatever training scripts save around it.

    Args:
      path: ends in one of ENDINGS, or is of PyTorch by its first bytes, as .pth.tar and .bin.

    Returns:
      jsr.convert.StateDict of arrays in the types of the file; bfloat16 is ml_dtypes'.

    Raises:
      UserError: missing, of another kind, damaged, holds more than tensors, no state dict, a tensor that is complex,
        sparse, quantised, empty or without data, a value that is not finite; PyTorch is needed and not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if path.suffix not in ENDINGS and not _is_torchs(path):
        raise UserError(f"{path}: not a checkpoint by its ending; expected {', '.join(ENDINGS)}")
    checkpoint = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    try:
        found = unwrap(checkpoint)
    except UserError as e:
        raise UserError(f"{path}: {e}") from None
    tensors = {key: _to_numpy(f"{path}: {key}", value) for key, value in found.tensors.items()}
    for key, value in tensors.items():
        if np.iscomplexobj(value):
            raise UserError(f"{path}: {key} is of {value.dtype}, which no network here has; get other weights")
        if not value.size:
            raise UserError(f"{path}: {key} holds nothing, its shape is {list(value.shape)}; get the weights again")
        if not np.isfinite(value).all():
            raise UserError(f"{path}: {key} has values that are not finite; the training that wrote it went wrong")
    return dataclasses.replace(found, tensors=tensors)


def other_floats(tensors):
    """The names of the floating types besides float32 in {key: array}, sorted."""
    dtypes = {value.dtype for value in tensors.values()}
    return sorted(d.name for d in dtypes if jnp.issubdtype(d, jnp.floating) and d != np.float32)


def write_state_dict(path, tensors, *, replace=True):
    """Writes {key: array}, atomically.

    Args:
      path: ends in .safetensors, or in .pth or .pt: then `{"params": tensors}`, as BasicSR saves it.
      tensors: a state dict of numpy arrays.
      replace: as of `jsr.files.atomic_write`.

    Raises:
      UserError: another ending, PyTorch is needed and not installed, or the place cannot be written.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        data = safetensors.numpy.save(tensors)
    elif path.suffix in (".pth", ".pt"):
        torch, buffer = _torch(path), io.BytesIO()
        torch.save({"params": {key: torch.from_numpy(np.array(value)) for key, value in tensors.items()}}, buffer)
        data = buffer.getvalue()
    else:
        raise UserError(f"{path}: cannot be written by its ending; use .pth, .pt or .safetensors")
    with atomic_write(path, replace=replace) as file:
        file.write(data)


def is_model_file(path):
    """Whether a file is a .safetensors that has jsr's metadata; False for one that cannot be read."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return "jsr" in (file.metadata() or {})
    except (safetensors.SafetensorError, OSError):
        return False


def _is_torchs(path):
    """Whether a file begins as torch.save lets one begin: a zip archive, or a pickle."""
    with open(path, "rb") as file:
        return file.read(2) in (b"PK", b"\x80\x02")


def _to_numpy(name, value):
    """An array, or PyTorch's tensor, as an array; `name` is for messages."""
    if isinstance(value, np.ndarray):
        return value
    value = value.detach()
    if str(value.dtype) == "torch.bfloat16":  # which NumPy does not have itself
        return value.float().numpy().astype(jnp.bfloat16)
    try:
        return value.numpy()
    except Exception as e:  # TypeError, RuntimeError, NotImplementedError... by what it is
        dtype = str(value.dtype).removeprefix("torch.")
        kind = ("quantised" if value.is_quantized else "without data" if value.is_meta else
                "sparse" if str(value.layout) != "torch.strided" else f"of type {dtype}")
        raise UserError(f"{name} is {kind}; save it as dense 32-bit floats") from e


def _read_safetensors(path):
    try:
        entries = safetensors.deserialize(path.read_bytes())
    except (safetensors.SafetensorError, OSError) as e:
        raise UserError(f"{path}: damaged, or not a .safetensors file; get it again") from e
    odd = [key for key, entry in entries if entry["dtype"] not in _DTYPES]
    if odd:
        raise UserError(f"{path}: {odd[0]} is of type {dict(entries)[odd[0]]['dtype']}; save it as 32-bit floats")
    return {key: np.frombuffer(entry["data"], _DTYPES[entry["dtype"]]).reshape(entry["shape"])
            for key, entry in entries}


def _read_torch(path):
    torch = _torch(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols that PyTorch does not write itself
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as e:
        with contextlib.suppress(Exception):  # whatever else the file is
            if (tensors := pickled.state_dict(path)) is not None:
                return tensors
        # PyTorch's own text advises to load it all the same, which must not reach anybody.
        refused = re.search(r"GLOBAL (\S+)", str(e))
        what = f"holds more than tensors ({refused[1]})" if refused else "is damaged or holds more than tensors"
        raise UserError(f"{path}: {what}, and unpickling that could run any code; refused; get a file of the "
                        "state_dict() alone") from None
    except Exception as e:  # RuntimeError, EOFError, KeyError, OSError... by where the damage is
        raise UserError(f"{path}: damaged, or no PyTorch checkpoint; get it again") from e


def _torch(path):
    try:
        import torch
    except ImportError:
        raise MissingLibrary(f"{path}: files ending in {path.suffix} need PyTorch, which is not installed: "
                             f"{install('torch')}, or use .safetensors") from None
    return torch

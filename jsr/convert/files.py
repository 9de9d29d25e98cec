"""State dicts of PyTorch on disk: what torch.save writes (.pth, .pt, .ckpt, .bin...), and .safetensors.

Neither needs PyTorch to be read; jsr.convert.storages reads the first, and says what is refused.
"""

import dataclasses
import io
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from jsr.convert import storages
from jsr.convert.wrappers import state_dicts
from jsr.errors import MissingLibrary, UserError, install
from jsr.files import atomic_write

_HEAD = 512  # bytes that tell what a file is
_FOREIGN = (  # how files begin that people take for weights, and what they are
    (b"\x89HDF", "an HDF5 file, as Keras writes it"),
    (b"MATLAB", "a file of MATLAB"),
    (b"version https://git-lfs", "a note of Git LFS in the place of a file; `git lfs pull` brings that"),
    (b"<", "a page of the web in the place of a file; get that by its download link"),
    (b"\x1f\x8b", "compressed by gzip; unpack it"),
    (b"Rar!", "a RAR archive; unpack it"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it"),
    (b"7767517", "a network of ncnn, whose weights are in its .bin; get the PyTorch weights that it was made of"),
    (b"GGUF", "a GGUF file, of language models"),
    (b"{", "a JSON text, no weights"),
    (b"%PDF", "a PDF document"),
    *((start, "a picture, not weights of a network") for start in (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8")),
)

_DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": jnp.bfloat16, "I64": np.int64,
           "I32": np.int32, "I16": np.int16, "I8": np.int8, "U8": np.uint8, "BOOL": np.bool_}


def read_state_dicts(path):
    """Reads the state dicts in a file, out of whatever training scripts save around them.

    Args:
      path: path of a file that, by its content, torch.save or safetensors wrote.

    Returns:
      {names of the dicts around it: jsr.convert.StateDict}, those to take first in front, with arrays in the types of
      the file; bfloat16 is ml_dtypes'.

    Raises:
      UserError: missing, of another kind, damaged, holds more than tensors, no state dict, a tensor that is sparse,
        quantised or without data.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    kind = kind_of(path)
    if kind is None:
        wanted = "not a .safetensors file" if path.suffix.lower() == ".safetensors" else "no PyTorch checkpoint"
        raise UserError(f"{path}: {foreign(path) or f'damaged, or {wanted}; get it again'}")
    return _read_safetensors(path) if kind == "safetensors" else _read_torchs(path)


def read_state_dict(path):
    """The first of `read_state_dicts`, checked; UserError as there and of `check`."""
    found = next(iter(read_state_dicts(path).values()))
    check(path, found.tensors)
    return found


def check(path, tensors):
    """Raises UserError where one of {key: array} is complex, empty, or has a value that is not finite."""
    for key, value in tensors.items():
        if np.iscomplexobj(value):
            raise UserError(f"{path}: {key} is of {value.dtype}, which no network here has; get other weights")
        if not value.size:
            raise UserError(f"{path}: {key} is empty, its shape is {list(value.shape)}; get the weights again")
        if not np.isfinite(value).all():
            raise UserError(f"{path}: {key} has values that are not finite; the training that wrote it went wrong")


def kind_of(path):
    """The kind of a file by its first bytes: "torch", "safetensors", or None for neither."""
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    if head[8:9] == b"{":  # behind the length of what it begins
        return "safetensors"
    return "torch" if head.startswith((storages.ZIP, storages.PICKLE)) else None


def other_floats(tensors):
    """The names of the floating types besides float32 in {key: array}, sorted."""
    dtypes = {value.dtype for value in tensors.values()}
    return sorted(d.name for d in dtypes if jnp.issubdtype(d, jnp.floating) and d != np.float32)


def write_state_dict(path, tensors, *, replace=True):
    """Writes {key: array}, atomically.

    Args:
      path: ends in .safetensors, or in .pth or .pt: then `{"params": tensors}`, as BasicSR saves it.
      tensors: a state dict of numpy arrays.
      replace: see `jsr.files.atomic_write`.

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
        raise UserError(f"{path}: jsr writes no files of this ending; use .pth, .pt or .safetensors")
    with atomic_write(path, replace=replace) as file:
        file.write(data)


def is_model_file(path):
    """Whether a file is a .safetensors that has jsr's metadata; False for one that cannot be read."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return "jsr" in (file.metadata() or {})
    except (safetensors.SafetensorError, OSError, MemoryError):
        return False


def foreign(path):
    """The kind of a file without usable weights, as "is a RAR archive"; "" where its first bytes do not tell."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return ""
    if not head:
        return "is empty; get it again"
    if head[:1] == b"\x08" and head[2:3] == b"\x12":  # its version and who made it
        return "is an ONNX network; get the PyTorch weights that it was made of"
    if head[4:8] == b"TFL3":
        return "is a network of TensorFlow Lite; get the PyTorch weights that it was made of"
    if head[257:262] == b"ustar":
        return "is a tar archive; unpack it, or, of PyTorch before 0.2, open it there and save it again"
    return next((f"is {what}" for start, what in _FOREIGN if head.lstrip().startswith(start)), "")


def _read_safetensors(path):
    try:
        entries = safetensors.deserialize(path.read_bytes())
    except MemoryError as e:
        raise UserError(f"{path}: needs more memory than there is") from e
    except (safetensors.SafetensorError, OSError) as e:
        raise UserError(f"{path}: damaged, or not a .safetensors file; get it again") from e
    odd = [key for key, entry in entries if entry["dtype"] not in _DTYPES]
    if odd:
        raise UserError(f"{path}: {odd[0]} is of type {dict(entries)[odd[0]]['dtype']}; save it as 32-bit floats")
    try:
        return state_dicts({key: np.frombuffer(entry["data"], _DTYPES[entry["dtype"]]).reshape(entry["shape"])
                            for key, entry in entries})
    except UserError as e:
        raise UserError(f"{path}: {e}") from None


def _read_torchs(path):
    with storages.opened(path) as (content, arrays):
        return {names: dataclasses.replace(found, tensors=arrays(found.tensors))
                for names, found in state_dicts(content).items()}


def _torch(path):
    try:
        import torch
    except ImportError:
        raise MissingLibrary(f"{path}: writing {path.suffix} files needs PyTorch, which is not installed: "
                             f"{install('torch')}, or use .safetensors") from None
    return torch

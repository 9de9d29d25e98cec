"""PyTorch modules that were pickled whole, as torch.save(model) does: their tensors, without the code they ask for.

Unpickling makes objects by calling what the file names. Here a name stays a name: each stands for an inert object that
keeps what it was called with, and nothing is imported. Dicts and sets alone are made.
"""

import io
import math
import pickle
from typing import Any
import zipfile

import numpy as np

_CONTAINERS = {"collections.OrderedDict": dict, "__builtin__.set": set, "builtins.set": set}
_DTYPES = {"torch.FloatStorage": "<f4", "torch.DoubleStorage": "<f8", "torch.HalfStorage": "<f2",
           "torch.LongStorage": "<i8", "torch.IntStorage": "<i4", "torch.ShortStorage": "<i2",
           "torch.CharStorage": "i1", "torch.ByteStorage": "u1", "torch.BoolStorage": "?"}
# Of one file, which could be without end: modules inside one another, and tensors that say their values over and over
_MOST_MODULES, _MOST_LEVELS, _MOST_BYTES = 100_000, 100, 8 << 30


class _Inert:
    """What a class or a function of a file would have made; `name` is that of either, and `args` are its arguments."""

    name = ""
    args: tuple = ()

    def __new__(cls, *args):
        made = object.__new__(cls)
        made.args = args
        return made


class _Unpickler(pickle._Unpickler):
    """Makes an _Inert of whatever a file names.

    It is Python's own in Python: the one in C takes memory for as many values as a few bytes of a file announce.
    """

    dispatch = {code: load for code, load in pickle._Unpickler.dispatch.items() if code != pickle.BYTEARRAY8[0]}

    def find_class(self, module_name: str, global_name: str) -> Any:
        """A class of _Inert of that name, or a container."""
        name = f"{module_name}.{global_name}"
        return _CONTAINERS.get(name) or type("_Inert", (_Inert,), {"name": name})

    def persistent_load(self, pid: Any) -> Any:
        """What a file says of values that lie beside its pickle."""
        return pid


def state_dict(path) -> dict[str, np.ndarray] | None:
    """The tensors of a module that was pickled whole, under the paths of its attributes.

    Args:
      path: of a .pth as PyTorch writes them since 1.6, a ZIP archive.

    Returns:
      {key: array}, as module.state_dict() would name them; None of a file of anything else.

    Raises:
      Exception: whatever damage leads to.
    """
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _MOST_BYTES:
            raise ValueError(f"more than {_MOST_BYTES} bytes")
        pickled, = (name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl"))
        root = _Unpickler(io.BytesIO(archive.read(pickled))).load()
        if not _is_module(root):
            return None
        folder = pickled.removesuffix("data.pkl")
        found, left = {}, _MOST_BYTES
        for key, tensor in _tensors(root):
            found[key] = _array(tensor, archive, folder, left)
            left -= found[key].nbytes
        return found


def _is_module(value):
    return isinstance(value, _Inert) and {"_parameters", "_buffers", "_modules"} <= vars(value).keys()


def _tensors(root):
    """(key, tensor as it was pickled) of a module and of those inside it, in the order of state_dict()."""
    left, seen = [("", root)], 0
    while left:
        prefix, module = left.pop()
        if (seen := seen + 1) > _MOST_MODULES or prefix.count(".") > _MOST_LEVELS:
            raise ValueError(f"more than {_MOST_MODULES} modules, or {_MOST_LEVELS} inside one another")
        passing = vars(module).get("_non_persistent_buffers_set", ())
        own = module._parameters | {name: value for name, value in module._buffers.items() if name not in passing}
        yield from ((prefix + name, value) for name, value in own.items() if value is not None)
        left += [(f"{prefix}{name}.", inner) for name, inner in reversed(module._modules.items()) if _is_module(inner)]


def _array(tensor, archive, folder, most):
    """The values of a tensor as it was pickled.

    A ValueError of one that is no tensor, lies outside its storage, or has more than `most` bytes.
    """
    if tensor.name == "torch._utils._rebuild_parameter":
        tensor = tensor.args[0]
    if tensor.name != "torch._utils._rebuild_tensor_v2":
        raise ValueError(f"{tensor.name} is no tensor")
    (_, kind, key, _, size), offset, shape, strides, *_ = tensor.args
    values = np.frombuffer(archive.read(f"{folder}data/{key}"), _DTYPES[kind.name], size)
    last = offset + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
    if math.prod(shape) and not (min(offset, *shape, *strides, 0) >= 0 and last < size):
        raise ValueError(f"a tensor of {shape} does not lie in its storage of {size}")
    itemsize = values.itemsize
    if math.prod(shape) * itemsize > most:
        raise ValueError(f"more than {_MOST_BYTES} bytes")
    view = np.lib.stride_tricks.as_strided(values[offset:], shape, [stride * itemsize for stride in strides])
    return view.copy()

"""Tensors in the files that PyTorch's torch.save writes: ZIP archives, and the pickles of PyTorch before 1.6.

    with storages.opened("net.pth") as (checkpoint, arrays):
        values = arrays({"conv.weight": checkpoint["params"]["conv.weight"]})

What a checkpoint holds is read first, by jsr.convert.pickled; a Tensor in it says where its values lie, which are read
when they are asked for. Nothing of PyTorch is needed, nothing is imported, and what a file states of its sizes is held
against the file before memory is taken. What torch.load(weights_only=True) refuses is refused here, but for

  modules      pickled whole, as by torch.save(network): their tensors are read, class names being names
  protocols    3 to 5 of Python's pickle
  devices      that this machine has not: all tensors are read into its memory
  archives     whose table of contents states lengths in its last entry that say nothing of the content

Refused, though PyTorch reads them, are tensors that say the values of a storage over and over, to more than a file of
its size can hold, and content whose CRC-32 in the archive is another's, which PyTorch does not look at.
"""

from collections.abc import Callable
import contextlib
import dataclasses
import functools
import io
import itertools
import math
import operator
import os
import struct
from typing import Any
import zipfile

import jax.numpy as jnp
import numpy as np

from jsr.convert import pickled
from jsr.convert.pickled import Made
from jsr.errors import UserError

ZIP, PICKLE = b"PK\x03\x04", b"\x80"  # how a file begins
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of the old form
_VERSIONS = range(1, 11)  # of the ZIP form
_END = "<4sQ2H2L4Q", "<4sLQL", "<4s4H2LH"  # of an archive; the first two of those that may be large, as PyTorch's are
_LARGER, _MOST_MEMBERS, _ENCRYPTED = b"PK\x06\x06", 0xFFFF, 1
_MOST_TIMES, _MOST_BESIDE = 16, 1 << 20  # bytes of values: so many times those of the file, and so many more
_DEVICES = ("cpu", "cuda", "mps", "xla", "xpu", "hpu", "meta")
_MOST_PICKLED = 64 << 20  # bytes of the pickle in an archive
_MOST_MODULES, _MOST_LEVELS = 100_000, 100  # of a file, which could hold modules inside one another without end

_DTYPES = {"float64": np.float64, "float32": np.float32, "float16": np.float16, "bfloat16": jnp.bfloat16,
           "int64": np.int64, "int32": np.int32, "int16": np.int16, "int8": np.int8, "uint8": np.uint8,
           "uint16": np.uint16, "uint32": np.uint32, "uint64": np.uint64, "bool": np.bool_,
           "complex64": np.complex64, "complex128": np.complex128, "untyped": np.uint8}
_ODD = {  # types without one of NumPy, by the bytes that a value takes
    **dict.fromkeys(("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu",
                     "float4_e2m1fn_x2", "bits8", "bits1x8", "bits2x4", "bits4x2", "quint8", "qint8", "quint4x2",
                     "quint2x4", *(f"{sign}int{bits}" for sign in ("u", "") for bits in range(1, 8))), 1),
    "bits16": 2, "complex32": 4, "qint32": 4}
_OF_STORAGE = {"Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64",
               "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool",
               "ComplexFloat": "complex64", "ComplexDouble": "complex128", "QInt8": "qint8", "QUInt8": "quint8",
               "QInt32": "qint32", "QUInt4x2": "quint4x2", "QUInt2x4": "quint2x4"}
_STORAGES = {f"torch.{device}{kind}Storage": dtype for kind, dtype in _OF_STORAGE.items() for device in ("", "cuda.")}
_STORAGES |= {"torch.storage.UntypedStorage": "untyped"}
_ALLOWED = frozenset({*_STORAGES, *(f"torch.{dtype}" for dtype in (*_DTYPES, *_ODD)), "torch.storage.TypedStorage",
                      *(f"torch.per_{kind}" for kind in (
                          "tensor_affine", "tensor_symmetric", "channel_affine", "channel_symmetric",
                          "channel_affine_float_qparams"))})


@dataclasses.dataclass(frozen=True, eq=False)
class Storage:
    """The place of values in a file.

    Attributes:
      key: its name in the file.
      dtype: name of the type.
      start, count: the part of the values of that name that it is.
    """

    key: str
    dtype: str
    start: int
    count: int

    @property
    def nbytes(self):
        """Bytes of its values."""
        return self.count * _size(self.dtype)


@dataclasses.dataclass(eq=False)
class Tensor:
    """A tensor of a checkpoint.

    Attributes:
      shape, dtype: as in PyTorch; the dtype by its name.
      storage: Storage, None of one without values.
      offset, strides: places of its values in the storage, counted in values.
      odd: what it is that has no array, "" for others.
    """

    shape: tuple[int, ...] = (0,)
    dtype: str = "float32"
    storage: Storage | None = None
    offset: int = 0
    strides: tuple[int, ...] = ()
    odd: str = ""

    @property
    def nbytes(self):
        """Bytes of its values."""
        return math.prod(self.shape) * _size(self.dtype)

    def set_state(self, state):
        """Becomes the tensor that a pickle of PyTorch 0.1 to 0.3 puts into an empty one."""
        if len(state) == 4:
            state = (_tensor(*state), *state)
        if len(state) == 5:
            vars(self).update(vars(_parameter(state[0])))
        elif len(state) != 3:  # whether it is trained, and hooks
            raise ValueError("a tensor of an unknown state")


@contextlib.contextmanager
def opened(path):
    """Opens what torch.save has written.

    Yields:
      (content, arrays): what it holds, with a Tensor for each tensor, of a module that was pickled whole {path of the
      attribute: Tensor}; a function from {key: Tensor} to {key: array in the file's type}.

    Raises:
      UserError: damaged, of another kind, or names anything but what builds tensors; a tensor has no values that NumPy
        has, or more than a file of this size can hold.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            found, read = _from_zip(file, size) if file.read(4) == ZIP else _from_pickles(file)
            yield found, functools.partial(_arrays, read=read, most=_MOST_TIMES * size + _MOST_BESIDE)
    except UserError as e:
        raise UserError(f"{path}: {e}") from None
    except MemoryError as e:
        raise UserError(f"{path}: needs more memory than there is") from e
    except Exception as e:  # ValueError, KeyError, zipfile.BadZipFile, OSError... by where the damage is
        raise UserError(f"{path}: damaged, or no PyTorch checkpoint; get it again") from e


def _from_zip(file, size):
    """(content, function that reads a Storage) of an archive, open at any place."""
    archive = zipfile.ZipFile(file)
    members = {info.filename: info for info in archive.infolist()}
    folder = next(iter(members)).partition("/")[0]
    if f"{folder}/constants.pkl" in members:
        raise UserError("is a program of TorchScript; save the state_dict() of torch.jit.load(FILE)")
    if f"{folder}/data.pkl" not in members:
        raise UserError("is a ZIP archive, but no PyTorch checkpoint; unpack it, and name the file with the weights")
    file.seek(-(at := sum(map(struct.calcsize, _END))), os.SEEK_END)
    larger, place, end = (struct.unpack(form, file.read(struct.calcsize(form))) for form in _END)
    if (larger[0] == _LARGER and (*larger[4:8], *place[1:]) != (0, 0, len(members), len(members), 0, size - at, 1)
            or end[1:5] != (0, 0, *[min(len(members), _MOST_MEMBERS)] * 2)
            or not all(_is_sound(info, folder, size) for info in members.values())):
        raise ValueError("an archive that PyTorch cannot read")
    if not any(info.CRC for info in members.values()):  # PyTorch can be told to write none
        for info in members.values():
            info.CRC = None  # pyright: ignore[reportAttributeAccessIssue]  # which zipfile takes as none

    def text(name, default):
        inside = members.get(f"{folder}/{name}")
        return default if inside is None else archive.open(inside).read(100).decode()

    if int(text(".data/version", text("version", ""))) not in _VERSIONS:
        raise ValueError("of another version")
    for name in (".format_version", ".data/serialization_id"):  # whose places PyTorch looks at, too
        text(name, "")
    int(text(".storage_alignment", "0"))
    order = {"little": "<", "big": ">"}[text("byteorder", "little")]

    def check(storage):
        if members[f"{folder}/data/{storage.key}"].file_size != storage.nbytes:
            raise ValueError(f"{storage.key} has another size than stated")

    def read(storage):
        data = archive.read(members[f"{folder}/data/{storage.key}"])
        return data if order == "<" or storage.dtype not in _DTYPES else _swapped(data, storage.dtype)

    inside = members[f"{folder}/data.pkl"]
    if inside.file_size > _MOST_PICKLED:
        raise ValueError("a pickle too large")
    return _content(io.BytesIO(archive.read(inside)), check, 4), read


def _is_sound(info, folder, size):
    """Whether PyTorch's reader takes a member of an archive of that size, bytes."""
    return (info.filename.startswith(f"{folder}/") and info.filename == info.orig_filename
            and info.header_offset + info.compress_size < size and not info.flag_bits & _ENCRYPTED
            and info.volume in (0, 1)
            and (info.compress_type == zipfile.ZIP_STORED and info.file_size == info.compress_size
                 or info.compress_type == zipfile.ZIP_DEFLATED and bool(info.file_size) <= bool(info.compress_size)))


def _from_pickles(file):
    """(content, function that reads a Storage) of the old form."""
    file.seek(0)
    stream = io.BytesIO(data := file.read())
    for expected in (_MAGIC, _PROTOCOL, None):  # the last says something of the machine
        if _unpickled(stream) != expected and expected:
            raise ValueError("begins in another way")
    roots, places = {}, {}
    found = _content(stream, lambda storage: roots.setdefault(storage.key, storage), 5)
    if any(storage.dtype == "untyped" for storage in roots.values()):
        raise ValueError("a type that the old form does not have")
    keys, at = _unpickled(stream), stream.tell()
    for key in keys:
        count, = struct.unpack_from("<q", data, at)
        size = roots[key].nbytes
        if count * _size(roots[key].dtype) != size or at + 8 + size > len(data):
            raise ValueError(f"{key} has another size than stated")
        places[key] = slice(at + 8, at + 8 + size)
        at += 8 + size
    if roots.keys() - places.keys():
        raise ValueError("values are missing")
    return found, lambda storage: memoryview(data)[places[storage.key]]


def _content(stream, check, words):
    """The content of a checkpoint's pickle; `check` is called with each Storage, which `words` values name."""
    storages = {}

    def persistent(kind, *args):
        if kind == "module":  # with its source code, in the old form
            return args[0]
        if kind != "storage" or len(args) != words:
            raise ValueError(f"{kind} beside the pickle")
        named, key, device, count, *view = args
        _text(device)
        dtype = _STORAGES[named.name]
        root = storages.get(key) or Storage(_text(key), dtype, 0, _natural(count))
        if root.count:
            storages[key] = root
        check(root)
        if not view or view[0] is None:
            return root
        _, start, count = view[0]
        part = Storage(root.key, dtype, _natural(start), _natural(count))
        if (part.start + part.count) * _size(part.dtype) > root.nbytes:
            raise ValueError("a view outside its storage")
        return part

    return _unpickled(stream, persistent)


def _unpickled(stream, persistent: Callable[..., Any] = tuple) -> Any:
    """The content of the next pickle; UserError where it names anything but what builds tensors, and is no module."""
    unknown, found = [], None
    try:
        found = pickled.load(stream, _MAKERS, _ALLOWED, persistent, unknown.append)
    except Exception:
        if not unknown:
            raise
    if _is_module(found):
        return dict(_of_module(found))
    if unknown:
        name = "".join(letter if letter.isprintable() else "?" for letter in unknown[0])[:100]
        raise UserError(f"holds more than tensors ({name}); refused, since unpickling that could run any code; get a "
                        "file with only the state_dict()")
    return found


def _is_module(value):
    return (isinstance(value, Made) and isinstance(value.state, dict)
            and {"_parameters", "_buffers", "_modules"} <= value.state.keys())


def _of_module(root):
    """(key, Tensor) of a module and of those inside it, in the order of state_dict()."""
    left, seen = [("", root.state)], 0
    while left:
        prefix, module = left.pop()
        if (seen := seen + 1) > _MOST_MODULES or prefix.count(".") > _MOST_LEVELS:
            raise UserError("holds modules within modules without end, or more than tensors; get a file with only the "
                            "state_dict()")
        passing = module.get("_non_persistent_buffers_set", ())
        own = module["_parameters"] | {name: value for name, value in module["_buffers"].items() if name not in passing}
        yield from ((prefix + name, value) for name, value in own.items() if value is not None)
        left += [(f"{prefix}{name}.", inner.state) for name, inner in reversed(module["_modules"].items())
                 if _is_module(inner)]


def _arrays(tensors, *, read, most):
    """The values of {key: Tensor}; `read` gives those of a Storage, and all may take `most` bytes."""
    for key, tensor in tensors.items():
        if tensor.odd:
            raise UserError(f"{key} is {tensor.odd}; save it as dense 32-bit floats")
    used = {tensor.storage.key: tensor.storage.nbytes for tensor in tensors.values() if tensor.nbytes}
    if max(sum(used.values()), sum(tensor.nbytes for tensor in tensors.values())) > most:
        raise UserError("its tensors have more values than a file of its size can hold; save copies of them (clone())")
    found = {key: np.zeros(tensor.shape, _DTYPES[tensor.dtype]) for key, tensor in tensors.items() if not tensor.nbytes}
    rest = sorted((key for key, tensor in tensors.items() if tensor.nbytes), key=lambda key: tensors[key].storage.key)
    for _, keys in itertools.groupby(rest, key=lambda key: tensors[key].storage.key):
        data = None
        for key in keys:  # of one storage, which is read once
            tensor = tensors[key]
            data = read(tensor.storage) if data is None else data
            found[key] = _array(tensor, data)
    return {key: found[key] for key in tensors}


def _array(tensor, data):
    """The values of a tensor; `data` are the bytes of its storage's name."""
    dtype = np.dtype(_DTYPES[tensor.dtype])
    first = tensor.storage.start * _size(tensor.storage.dtype) + tensor.offset * dtype.itemsize
    values = np.frombuffer(memoryview(data)[first:first + _extent(tensor) * dtype.itemsize], dtype)
    if _extent(tensor) == math.prod(tensor.shape) and tensor.strides == _dense(tensor.shape):
        return values.reshape(tensor.shape)
    return np.lib.stride_tricks.as_strided(
        values, tensor.shape, [stride * dtype.itemsize for stride in tensor.strides], writeable=False).copy()


def _tensor(storage, offset, shape, strides, *, dtype=None, metadata=None):
    """A Tensor of values in a Storage; `metadata` of PyTorch say how they are to be read otherwise."""
    if not isinstance(storage, Storage) or not {type(shape), type(strides)} <= {tuple, list}:
        raise ValueError("a tensor without a storage or shape")
    found = Tensor(tuple(map(_natural, shape)), dtype or storage.dtype, storage, _natural(offset),
                   tuple(map(_natural, strides)))
    if len(found.shape) != len(found.strides):
        raise ValueError("a stride for each axis")
    if math.prod(found.shape) and (found.offset + _extent(found)) * _size(found.dtype) > storage.nbytes:
        raise ValueError("a tensor outside its storage")
    if found.dtype in _ODD:
        found.odd = "quantised" if "q" in found.dtype else f"of type {found.dtype}"
    elif metadata:
        found.odd = "a view that is negated or conjugated when it is read"
    return found


def _tensor_v2(storage, offset, shape, strides, requires_grad, hooks, metadata=None):
    return _tensor(storage, offset, shape, strides, metadata=metadata)


def _tensor_v3(storage, offset, shape, strides, requires_grad, hooks, dtype, metadata=None):
    return _tensor(storage, offset, shape, strides, dtype=_dtype(dtype), metadata=metadata)


def _parameter(data=None, *_):
    if not isinstance(data, Tensor | None):
        raise ValueError("a parameter that is no tensor")
    return data or Tensor()


def _bytes(text, encoding):
    if encoding != "latin1":  # by which Python's pickle writes bytes
        raise ValueError("bytes in an encoding of their own")
    return text.encode(encoding)


def _device(kind, index=0):
    if kind.partition(":")[0] not in _DEVICES or not isinstance(index, int):
        raise ValueError("an unknown device")
    return kind


def _subclass(function, kind, args, state):
    """A tensor with attributes, without the attributes."""
    if not function.name.startswith("torch._utils._rebuild") or kind.name not in (
            "torch.Tensor", "torch.nn.parameter.Parameter"):
        raise ValueError("a tensor of an unknown class")
    return _MAKERS[function.name](*args)


def _without_array(odd, shape):
    """A function that makes a tensor that is `odd`; `shape` finds its shape in the arguments."""
    return lambda *args: Tensor(tuple(map(_natural, shape(args))), odd=odd)


def _dtype(named):
    dtype = named.name.removeprefix("torch.")
    if dtype not in _DTYPES and dtype not in _ODD:
        raise ValueError(f"{dtype} is no type")
    return dtype


_MAKERS = {
    "collections.OrderedDict": pickled.items, "collections.Counter": pickled.items,
    "builtins.set": pickled.Set, "torch.Size": lambda sides=(): tuple(map(_natural, sides)),
    "_codecs.encode": _bytes, "builtins.bytearray": lambda data=b"": b"".join([data]), "builtins.complex": complex,
    "torch.device": _device,
    "torch.serialization._get_layout": lambda name: Made("layout", (name,)),
    "torch._utils._rebuild_tensor": _tensor, "torch._utils._rebuild_tensor_v2": _tensor_v2,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    **dict.fromkeys(("torch.nn.parameter.Parameter", "torch._utils._rebuild_parameter",
                     "torch._utils._rebuild_parameter_with_state"), _parameter),
    "torch._tensor._rebuild_from_type_v2": _subclass,
    "torch._utils._rebuild_sparse_tensor": _without_array(
        "sparse", lambda args: next(part for part in args[1] if isinstance(part, tuple))),
    "torch._utils._rebuild_meta_tensor_no_storage": _without_array("without data", lambda args: args[1]),
    "torch._utils._rebuild_qtensor": _without_array("quantised", lambda args: args[2]),
    "torch._utils._rebuild_nested_tensor": _without_array("nested", lambda args: ()),
    "torch._utils._rebuild_wrapper_subclass": _without_array("of a class of its own", lambda args: args[2]),
    **{f"torch._utils._rebuild_device_tensor_from_{kind}": _without_array("of another device", lambda args: ())
       for kind in ("cpu_tensor", "numpy")},
    **{f"torch.{device}{kind}Tensor": lambda: Tensor() for device in ("", "cuda.") for kind in (
        "", "BFloat16", "Bool", "Byte", "Char", "Double", "Float", "Half", "Int", "Long", "Short")},
}


def _size(dtype):
    """Bytes of a value of a type."""
    return np.dtype(_DTYPES[dtype]).itemsize if dtype in _DTYPES else _ODD[dtype]


def _extent(tensor):
    """The number of values of its storage that a tensor spans, from its first to its last."""
    return 1 + sum((side - 1) * stride for side, stride in zip(tensor.shape, tensor.strides, strict=True))


def _dense(shape):
    """The strides of values that lie one behind the other."""
    return tuple(itertools.accumulate(reversed(shape), operator.mul, initial=1))[-2::-1]


def _swapped(data, dtype):
    """Bytes of values in the other byte order, turned to this machine's."""
    width = _size(dtype) // (2 if dtype.startswith("complex") else 1)
    return np.frombuffer(data, f"u{width}").byteswap().tobytes()


def _natural(value):
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r:.100} is no number of values")
    return value


def _text(value):
    if not isinstance(value, str):
        raise ValueError("a name that is no text")
    return value

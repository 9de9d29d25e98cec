"""StableHLO files: a chain of networks as one program that JAX runs on any of its platforms without jsr.

A file is a zip archive, whose checksums tell a damaged one, of `program`, as jax.export serialises it with the
parameters inside, of `meta.json`, which anyone can read, and of `README`, which says how to call it in plain JAX:

    unzip -p model.stablehlo README

JAX reads programs of its older versions for half a year and more (jax.export's compatibility guarantees).
"""

from collections.abc import Mapping, Sequence
import dataclasses
import importlib.util
import io
import json
from pathlib import Path
from typing import IO, Any
import zipfile

import flax.linen as nn
import jax
from jax import export
from jax.typing import DTypeLike
import numpy as np

from jsr.chain import chain_open_multiple
from jsr.errors import UserError, install
from jsr.export.pixels import on_pixels, traced_input, tracing
from jsr.files import atomic_write

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
DEFAULT_PLATFORMS = ("cpu", "cuda", "tpu")


@dataclasses.dataclass(frozen=True)
class Program:
    """The content of a StableHLO file.

    Attributes:
      meta: the metadata that it was saved with, and "program": {"platforms", "input", "output", "call"}, of which
        input and output are {"name", "dtype", "shape"}, lengths that stay open by name, and call is lines of Python.
      platforms: names from PLATFORMS; the program runs only on these.
    """

    meta: dict[str, Any]
    platforms: tuple[str, ...]
    _call: Any

    def __call__(self, lr: jax.Array) -> jax.Array:
        """lr to sr, arrays of the layout, batch and dtype that it was saved for; each new size compiles."""
        return self._call(lr)


def save(path: str | Path, networks: Mapping[str, nn.Module], variables: Mapping[str, Any], *,
         meta: Mapping[str, Any] | None = None, platforms: Sequence[str] = DEFAULT_PLATFORMS,
         dtype: DTypeLike = np.uint8, size: tuple[int, int] | None = None, batch: int | None = 1, nchw: bool = False,
         half: bool = False) -> None:
    """Writes a StableHLO file, atomically; arguments as for `serialize`."""
    with atomic_write(path) as file:
        file.write(serialize(networks, variables, meta=meta, platforms=platforms, dtype=dtype, size=size, batch=batch,
                             nchw=nchw, half=half))


def serialize(networks: Mapping[str, nn.Module], variables: Mapping[str, Any], *,
              meta: Mapping[str, Any] | None = None, platforms: Sequence[str] = DEFAULT_PLATFORMS,
              dtype: DTypeLike = np.uint8, size: tuple[int, int] | None = None, batch: int | None = 1,
              nchw: bool = False, half: bool = False) -> bytes:
    """The bytes of a StableHLO file: the function jsr.export.pixels.on_pixels of a chain; equal bytes for equal input.

    Args:
      networks, variables, dtype, half: as for `on_pixels`.
      meta: JSON object to keep beside it.
      platforms: names from PLATFORMS, for the program to run on.
      size: (height, width) of the only images it takes; None is any.
      batch: number of images at once; None is any.
      nchw: LR and SR are (N, C, H, W).

    Raises:
      UserError: a network cannot be traced for any size or batch; the package flatbuffers is missing.
    """
    _need_flatbuffers()
    inner, lr = on_pixels(networks, variables, dtype=dtype, half=half), traced_input(networks, size, dtype, batch)

    def upscale(lr):
        return inner(lr.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) if nchw else inner(lr)

    if nchw:
        lr = jax.ShapeDtypeStruct([lr.shape[axis] for axis in (0, 3, 1, 2)], dtype)
    with tracing(size, batch):
        exported = export.export(jax.jit(upscale), platforms=platforms)(lr)
    program = _described(exported, chain_open_multiple(networks))
    members = {"README": _README.format(code="\n".join(program["call"]), **program).encode(),
               "meta.json": json.dumps({**(meta or {}), "program": program}, indent=1, sort_keys=True).encode(),
               "program": exported.serialize()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # of 1980, whenever it was made
    return buffer.getvalue()


_README = """\
A network for super-resolution as one program with its parameters inside. JAX runs it without anything else:

{code}

input: {input}
output: {output}
platforms: {platforms}

meta.json says the same, and where the network comes from.
"""


def _described(exported, multiple):
    """The metadata of a jax.export.Exported, see Program."""
    ends = {key: {"name": name, "dtype": str(aval.dtype),
                  "shape": [side if isinstance(side, int) else str(side) for side in aval.shape]}
            for key, name, (aval,) in (("input", "lr", exported.in_avals), ("output", "sr", exported.out_avals))}
    open_lengths = {"batch": 1}  # and of sides, the first multiple that is not less than 64
    example = tuple(side if isinstance(side, int) else open_lengths.get(side, -(-64 // multiple) * multiple)
                    for side in ends["input"]["shape"])
    return {"platforms": list(exported.platforms), **ends, "call": [
        "import zipfile, jax.export, numpy",
        'program = jax.export.deserialize(bytearray(zipfile.ZipFile("model.stablehlo").read("program")))',
        f'lr = numpy.zeros({example}, "{ends["input"]["dtype"]}")  # a black image, for one',
        "sr = program.call(lr)"]}


def load(file: str | Path | IO[bytes]) -> Program:
    """Reads a StableHLO file.

    Args:
      file: path, or an open binary file.

    Returns:
      A Program, to be called with images.

    Raises:
      UserError: missing, damaged, no StableHLO file of jsr's, or the package flatbuffers is missing.
    """
    _need_flatbuffers()
    if isinstance(file, (str, Path)) and not Path(file).is_file():
        raise UserError(f"{file}: no such file")
    try:
        with zipfile.ZipFile(file) as archive:
            if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):  # a bomb
                raise ValueError("it is compressed")
            meta, program = json.loads(archive.read("meta.json")), bytearray(archive.read("program"))
        if not isinstance(meta, dict):
            raise ValueError("its meta.json is no object")
        exported = export.deserialize(program)
    except Exception as e:  # zipfile and flatbuffers have several for a damaged file
        raise UserError(f"{file}: damaged, or not a .stablehlo file of jsr's ({e}); export it again") from e
    return Program(meta, tuple(exported.platforms), jax.jit(exported.call))


def _need_flatbuffers():
    """jax.export serialises with a package that JAX does not bring."""
    if importlib.util.find_spec("flatbuffers") is None:
        raise UserError(f"StableHLO files need the package flatbuffers: {install('export')}")

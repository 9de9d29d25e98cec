"""StableHLO files: a chain of networks as one program that JAX runs on any of its platforms without jsr.

A file is a zip archive, whose checksums tell a damaged one, of `program`, as jax.export serialises it with the
parameters inside, and of `meta.json`, which anyone can read. In plain JAX:

    program = jax.export.deserialize(bytearray(zipfile.ZipFile("model.stablehlo").read("program")))
    sr = program.call(lr)      # uint8 (1, H, W, 3) of any size to uint8 (1, H * scale, W * scale, 3)

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

from jsr.errors import UserError, install
from jsr.export.pixels import on_pixels, traced_input, tracing
from jsr.files import atomic_write

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
DEFAULT_PLATFORMS = ("cpu", "cuda", "tpu")


@dataclasses.dataclass(frozen=True)
class Program:
    """What a StableHLO file holds.

    Attributes:
      meta: the metadata that it was saved with.
      platforms: of PLATFORMS; it runs on these alone.
    """

    meta: dict[str, Any]
    platforms: tuple[str, ...]
    _call: Any

    def __call__(self, lr: jax.Array) -> jax.Array:
        """lr (1, H, W, C) to sr (1, H * scale, W * scale, C), of the dtype it was saved for; each new size compiles."""
        return self._call(lr)


def save(path: str | Path, networks: Mapping[str, nn.Module], variables: Mapping[str, Any], *,
         meta: Mapping[str, Any] | None = None, platforms: Sequence[str] = DEFAULT_PLATFORMS,
         dtype: DTypeLike = np.uint8, size: tuple[int, int] | None = None) -> None:
    """Writes a StableHLO file, atomically; arguments as for `serialize`."""
    with atomic_write(path) as file:
        file.write(serialize(networks, variables, meta=meta, platforms=platforms, dtype=dtype, size=size))


def serialize(networks: Mapping[str, nn.Module], variables: Mapping[str, Any], *,
              meta: Mapping[str, Any] | None = None, platforms: Sequence[str] = DEFAULT_PLATFORMS,
              dtype: DTypeLike = np.uint8, size: tuple[int, int] | None = None) -> bytes:
    """The bytes of a StableHLO file: the function jsr.export.pixels.on_pixels of a chain; equal bytes for equal input.

    Args:
      networks, variables, dtype: as for `on_pixels`.
      meta: JSON object to keep beside it.
      platforms: of PLATFORMS, that it is to run on.
      size: (height, width) of the only images it takes; None is any.

    Raises:
      UserError: a network cannot be traced for any size; the package flatbuffers is missing.
    """
    _need_flatbuffers()
    with tracing(size):
        exported = export.export(jax.jit(on_pixels(networks, variables, dtype=dtype)), platforms=platforms)(
            traced_input(networks, size, dtype))
    members = {"meta.json": json.dumps(meta or {}, indent=1, sort_keys=True).encode(), "program": exported.serialize()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # of 1980, whenever it was made
    return buffer.getvalue()


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
            meta, program = json.loads(archive.read("meta.json")), bytearray(archive.read("program"))
    except (zipfile.BadZipFile, KeyError, ValueError) as e:
        raise UserError(f"{file}: damaged, or not a .stablehlo file of jsr's ({e})") from e
    exported = export.deserialize(program)
    return Program(meta, tuple(exported.platforms), jax.jit(exported.call))


def _need_flatbuffers():
    """jax.export serialises with a package that JAX does not bring."""
    if importlib.util.find_spec("flatbuffers") is None:
        raise UserError(f"StableHLO files need the package flatbuffers: {install('export')}")

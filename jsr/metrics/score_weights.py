"""The weights that perceptual scores use: files in the cache folder, which `jsr models get` makes of published ones.

Such a file is a .safetensors with the arrays under the names that the authors gave them, and one entry of metadata,
`jsr`: {format, source: address, source_sha256, licence, sha256: check sum of all arrays and of all else here}. The
network whose features a score compares is a model file of its own (jsr.model_file), which several scores may share.
"""

import dataclasses
import functools
import json
from pathlib import Path

from flax import traverse_util
import numpy as np
import safetensors
import safetensors.numpy

from jsr import trees, weights
from jsr.errors import UserError
from jsr.files import atomic_write
from jsr.weights import scores

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Loaded:
    """Weights of a score in memory.

    Attributes:
      arrays: {name: array} of the score's own weights.
      params: Flax parameters of the network, {} where the score has none.
      used: [{score, weights: name, sha256, source}], of the published files that they were made of.
    """

    arrays: dict
    params: dict
    used: list


def place(name):
    """The Path of a score's own weights, which need not be there."""
    return weights.downloads() / "scores" / f"{name}.safetensors"


def save(name, arrays, *, source, source_sha256, licence):
    """Writes a score's own weights, atomically.

    Args:
      name: key of jsr.weights.scores.table.
      arrays: {name: array}.
      source: address that they came from.
      source_sha256: SHA-256 of the file that came.
      licence: licence of the weights.
    """
    flat = {key: np.ascontiguousarray(value) for key, value in arrays.items()}
    meta = {"format": FORMAT, "source": source, "source_sha256": source_sha256, "licence": licence}
    place(name).parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(place(name)) as file:
        file.write(safetensors.numpy.save(flat, metadata={"jsr": json.dumps(
            {**meta, "sha256": trees.digest(flat, meta)})}))


def load(key):
    """The weights of a score.

    Args:
      key: key of the score, "lpips[alex]".

    Returns:
      Loaded; the same object until a file changes.

    Raises:
      UserError: they are not there, or damaged.
    """
    row = scores.of_score(key)
    paths: dict[str, Path | None] = {row.name: place(row.name)}
    if row.network:
        paths[row.network] = weights.files().get(row.network)
    found = {name: path for name, path in paths.items() if path and path.is_file()}
    if lacking := [name for name in paths if name not in found]:
        raise UserError(f"{key}: needs weights that are not here: {' and '.join(lacking)}; "
                        f"`jsr models get {row.name}` downloads them")
    return _read(key, tuple((name, str(path), path.stat().st_mtime_ns) for name, path in found.items()))


@functools.lru_cache(maxsize=4)
def _read(key, files):
    (name, path, _), *others = files
    arrays, meta = _tensors(path)
    used = [{"score": key, "weights": name, "sha256": meta["source_sha256"], "source": meta["source"]}]
    params = {}
    for network, path, _ in others:
        tensors, meta = _tensors(path)
        its = meta.get("fingerprint") or {}
        used.append({"score": key, "weights": network, "sha256": its.get("sha256") or meta["sha256"],
                     "source": its.get("source") or path})
        inside = {tuple(name.split("/")[2:]): value for name, value in tensors.items()}  # <network>/params/<path>
        params = traverse_util.unflatten_dict(inside)
    return Loaded(arrays, params, used)


def _tensors(path):
    """({name: array}, metadata) of a file; UserError for one that is not as it was written."""
    try:
        with safetensors.safe_open(path, "numpy") as file:
            meta = json.loads((file.metadata() or {})["jsr"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        whole = trees.digest(tensors, {name: value for name, value in meta.items() if name != "sha256"})
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError,
            safetensors.SafetensorError) as e:
        raise UserError(f"{path}: damaged, or not what `jsr models get` made; remove it, and get it again") from e
    if meta.get("sha256") != whole:
        raise UserError(f"{path}: changed since it was made; remove it, and get it again")
    return tensors, meta

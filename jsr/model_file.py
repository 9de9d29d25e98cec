"""Model files: one .safetensors with the tensors of a trained chain of networks, and JSON that describes them.

A model file is what a run hands to the world: `jsr upscale`, `jsr.load`, conversion and benchmarks take it. They take
PyTorch weights of networks that jsr.convert recognises, too, and convert them each time. Tensors of a model file are
named `<network>/<collection>/<path>`, in float32 or, to be small, float16; the metadata has one entry, `jsr`, a JSON
object:

  format       1
  sha256       check sum of all tensors and of all else here (jsr.trees.digest); absent of files of older versions
  networks     [{name, model, scale, fields, deployed}] in the order in which an image passes them
  members      [{name, weight, ema, steps, scores, fingerprint}] of an ensemble, whose outputs are averaged: a chain
               each, of the networks called "<member>/<network>"; absent of a file of one chain
  ema          whether the parameters are the averaged ones
  recipe       "<track>:<name>", "" of converted weights whose recipe nobody named
  protocol     the recipe's protocol, "ntire24" (jsr.challenges): a network for scale 1 whose protocol ends in JPEG
               restores JPEG pictures; "" as for `recipe`
  steps        updates trained; null of weights that were not trained here
  ensemble     {self: whether flips and turns of an image are averaged, transforms: [names of those, where not all
               eight], tiles: [sides of tiles, LR px, that it is cut into, and the results averaged], overlap: px
               around what is shown of each, 0 for the usual, tlc: side of the windows of local means, LR px}; absent
               means not
  scores       {"psnr[rgb]": ...} on the validation images, where there are any
  data         [{dataset, split, degrade, ..., licence}] trained on, the rows of the recipe; [] of converted weights
  fingerprint  {config, data, codecs, revision, versions, seed} of the run; codecs are {place in the recipe: what made
               and decodes the LR images there}, "data.eval" those of the scores (jsr.degradations.codecs); of
               converted weights {source, sha256, names, versions}

and of converted weights also

  notes        [lines on what was assumed, taken and left out]
  parity       what jsr.convert.parity.certify found, null where nothing was compared
  licence      of the weights, "" where it was not stated

and of the weights that jsr ships also `licence`, and `pictures` and `pictures_sha256`: see benchmarks/box/keep.py.
"""

import contextlib
import dataclasses
import json
import logging
import math
import os
from pathlib import Path
import shlex
from typing import Any

from flax import traverse_util
import jax
import numpy as np
import safetensors
import safetensors.numpy

from jsr import buckets, models, reparam, trees, weights
from jsr.convert import conversion, files, trial
from jsr.errors import UserError
from jsr.files import atomic_write, is_remote
from jsr.weights import public

FORMAT = 1
_TORCHS = (".pth", ".pt", ".ckpt", ".bin", ".pkl")  # endings of PyTorch weights
_ENDINGS = (".safetensors", ".onnx", *_TORCHS[:3])  # of what people take for a model file
KEPT = ("best.safetensors", "last.safetensors")  # of a run, the one to take first
MEMBER = "member{}"  # name of a member of an ensemble in its file, and of the folder of its run
_MOST_NETWORKS = 1000  # of a file
_MOST_SIDE, _MOST_TILES = 1 << 20, 64  # of a tile, px; sizes of tiles that are averaged
_DTYPES = ("F32", "F16")
_log = logging.getLogger(__name__)


def _is_word(value):
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= 200


def _is_above_0(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf


def _is_side(value):
    return type(value) is int and 0 <= value <= _MOST_SIDE


def _is_tile(value):
    return _is_side(value) and value > 0


def _are_fields(value):
    return isinstance(value, dict) and all(map(_is_word, value))


_NUMBER = (int, float)
_ENDLESS = ("inf", "-inf", "nan")  # numbers that JSON has no words for


def _is_figure(value):
    return value is None or value in _ENDLESS or not trees.wrong(value, _NUMBER)


_LEVEL = {"baseline": {"psnr[rgb]": _is_figure}, "gain": _NUMBER, "worst": _NUMBER, "worst_name": str, "lost": int,
          "images": int, "seconds_per_mpx": _NUMBER}  # of a set of pictures, of the weights that jsr ships
_FINGERPRINT = {"source?": str, "sha256?": str, "names?": str, "codecs?": {"*": str}, "versions?": {"*": str}}


def _is_score(value):
    return not trees.wrong(value, {"*": _LEVEL}) if isinstance(value, dict) else _is_figure(value)


_SCHEMA = {  # of the metadata above, as jsr.trees.wrong takes it
    "networks": [{"name": _is_word, "model": _is_word, "scale": int, "fields": _are_fields, "deployed?": bool}],
    "members?": [{"name": _is_word, "weight": _is_above_0, "ema?": bool, "steps?": (int, type(None)),
                  "scores?": {"*": _is_score}, "fingerprint?": _FINGERPRINT}],
    "ema?": bool, "recipe?": str, "protocol?": str, "steps?": (int, type(None)), "scores?": {"*": _is_score},
    "data?": [dict],
    "ensemble?": {"self?": bool, "transforms?": [_is_word], "tiles?": [_is_tile], "overlap?": _is_side,
                  "tlc?": _is_side},
    "fingerprint?": _FINGERPRINT, "notes?": [str], "parity?": (dict, type(None)), "licence?": str, "sha256?": str,
    "pictures?": [{"origin": str, "licence": str, "author": str, "count": int}], "pictures_sha256?": str,
    "training?": [{"steps": int, "batch": int, "crop": int, "seed": int, "learning_rate": _NUMBER, "ema_decay": _NUMBER,
                   "schedule": {"name": str}, "curve": lambda value: isinstance(value, list) and all(
                       isinstance(row, list) and len(row) == 2 and not trees.wrong(row, [_NUMBER]) for row in value)}]}
_OWN = ("ema", "steps", "scores", "fingerprint")  # what a member's metadata have of their own, besides networks


@dataclasses.dataclass(frozen=True)
class Member:
    """A chain of a model file.

    Attributes:
      name: for messages, the file and, of an ensemble, the member.
      share: share of the file's average, 1 of a file of one chain.
      meta: metadata of a file of this chain alone.
      networks: {name: module} in the chain's order.
      variables: {name: Flax collections} of arrays.
    """

    name: str
    share: float
    meta: dict[str, Any]
    networks: dict[str, Any]
    variables: dict[str, Any]


def save(path, variables, meta, *, replace=True):
    """Writes a model file, atomically.

    Args:
      path: ends in .safetensors.
      variables: {network name: Flax collections} of arrays.
      meta: the metadata above, without `format`.
      replace: see `jsr.files.atomic_write`.
    """
    flat = {key: np.ascontiguousarray(value)
            for key, value in traverse_util.flatten_dict(jax.device_get(variables), sep="/").items()}
    meta = json.loads(json.dumps({"format": FORMAT, **meta}))
    with atomic_write(path, replace=replace) as file:
        file.write(safetensors.numpy.save(flat, metadata={"jsr": json.dumps(
            {**meta, "sha256": trees.digest(flat, meta)})}))


def save_ensemble(path, members, meta):
    """Writes the model file of an ensemble, atomically.

    Args:
      path: ends in .safetensors.
      members: Members, whose shares are their weights.
      meta: what the metadata above are for all of them together, without `format`, `networks` and `members`.
    """
    rows, networks, variables = [], [], {}
    for number, its in enumerate(members, 1):
        name = MEMBER.format(number)
        rows.append({"name": name, "weight": its.share, **{key: its.meta[key] for key in _OWN if key in its.meta}})
        networks += [{**row, "name": f"{name}/{row['name']}"} for row in its.meta["networks"]]
        variables |= {f"{name}/{network}": tree for network, tree in its.variables.items()}
    save(path, variables, {**meta, "networks": networks, "members": rows})


def mean(found, weights):
    """The weighted mean of networks' variables.

    Args:
      found: {name: Flax collections} each, of one form.
      weights: a number for each, 1 in sum.

    Returns:
      The same, of NumPy arrays: summed in float64, in their types.
    """
    def of_leaves(*leaves):
        its = sum(weight * np.asarray(leaf, np.float64) for weight, leaf in zip(weights, leaves, strict=True))
        return (np.rint(its) if np.issubdtype(leaves[0].dtype, np.integer) else its).astype(leaves[0].dtype)

    return jax.tree.map(of_leaves, *found)


def load(path):
    """Reads a model file of one chain.

    Args:
      path: path of the file or of a run's folder, or a model's name, see `find`.

    Returns:
      (meta, networks, variables): the metadata, {name: module} in the chain's order, {name: Flax collections} of
      numpy arrays.

    Raises:
      UserError: missing, damaged (by its check sum, too), neither a model file of jsr's nor weights of PyTorch that are
        recognised, of another format version, its tensors are not those of the networks it names, or it holds an
        ensemble.
    """
    path = find(path)
    if not is_foreign(path):
        with _opened(path) as file:
            if members := _meta(path, file).get("members"):
                first = path.parent / members[0]["name"]
                where = f"as in {first}" if first.is_dir() else "which its run has in a folder each"
                raise UserError(f"{path}: holds an ensemble of {len(members)} networks, but this takes one; name the "
                                f"file of a member, {where}")
    return _load(path)


def load_members(path):
    """Reads a model file of one chain or of an ensemble.

    Args:
      path: as for `load`.

    Returns:
      [Member], one of a file of one chain.

    Raises:
      UserError: as `load`, but for an ensemble.
    """
    path = find(path)
    meta, networks, variables = _load(path)
    if not meta.get("members"):
        return [Member(str(path), 1.0, meta, networks, variables)]
    total, found = sum(its["weight"] for its in meta["members"]), []
    for its, rows in zip(meta["members"], chains(meta), strict=True):
        own = {row["name"]: row["name"].partition("/")[2] for row in rows}
        of_it = {key: value for key, value in meta.items() if key != "members"} | {
            key: its[key] for key in _OWN if key in its}
        found.append(Member(f"{path} ({its['name']})", its["weight"] / total,
                            of_it | {"networks": [{**row, "name": own[row["name"]]} for row in rows]},
                            *({short: tree[name] for name, short in own.items()} for tree in (networks, variables))))
    return found


def chains(meta):
    """The rows of `networks` in the metadata of a file, chain by chain: one, or one a member of an ensemble."""
    if not meta.get("members"):
        return [meta["networks"]]
    return [[row for row in meta["networks"] if row["name"].startswith(f"{its['name']}/")] for its in meta["members"]]


def alike(one, other):
    """Whether two Members are the same networks with the same parameters."""
    leaves, others = (jax.tree_util.tree_leaves_with_path(its.variables) for its in (one, other))
    return (one.networks == other.networks and [path for path, _ in leaves] == [path for path, _ in others]
            and all(np.array_equal(a, b) for (_, a), (_, b) in zip(leaves, others, strict=True)))


def _load(path):
    """(meta, networks, variables) of all that a file holds."""
    if is_foreign(path):
        source, converted = trial.of_file(path)
        meta = {"format": FORMAT, **conversion.metadata(source, converted)}
        name = meta["networks"][0]["name"]
        return meta, {name: converted.model}, {name: converted.variables}
    with _opened(path) as file:
        meta = _meta(path, file)
        found = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}
        networks, expected = _expected(path, meta, len(found))
        if found != expected:
            wrong = sorted(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
            raise UserError(f"{path}: its tensors do not fit {', '.join(n['model'] for n in meta['networks'])}: "
                            f"{len(wrong)} differ, first {wrong[0]}; another version made the file, or it was changed")
        if odd := next((key for key in found if file.get_slice(key).get_dtype() not in _DTYPES), ""):
            raise UserError(f"{path}: damaged: {odd} is of {file.get_slice(odd).get_dtype()}; get it, or train it, "
                            "again")
        tensors = {key: file.get_tensor(key) for key in found}
    if (digest := meta.pop("sha256", None)) is None:
        _log.warning("%s: has no check sum, so that damage in it cannot be told; a newer jsr writes one", path)
    elif digest != trees.digest(tensors, meta):
        raise UserError(f"{path}: damaged: its check sum does not fit its tensors and metadata; get it, or train it, "
                        "again")
    tensors = {key: _as_trained(tensor) for key, tensor in tensors.items()}
    variables = {name: traverse_util.unflatten_dict({key[len(name) + 1:]: tensor for key, tensor in tensors.items()
                                                     if key.startswith(f"{name}/")}, sep="/") for name in networks}
    return meta, networks, {name: {"params": {}} | tree for name, tree in variables.items()}


def _expected(path, meta, count):
    """({name: module}, {key: shape}) of a file with a number of tensors, by its metadata."""
    networks, shapes = {}, {}
    for net in meta["networks"]:
        try:
            networks[net["name"]] = models.create(net["model"], scale=net["scale"], **net["fields"])
            abstract = conversion.abstract(count, net["model"], scale=net["scale"], **net["fields"])
        except UserError as e:
            raise UserError(f"{path}: {e}") from e
        except Exception as e:  # ZeroDivisionError, TypeError, MemoryError... by which field is of another network
            raise UserError(f"{path}: damaged: the fields of {net['model']} make no network ({type(e).__name__}); get "
                            "it, or train it, again") from e
        shapes |= {f"{net['name']}/{key}": leaf.shape
                   for key, leaf in traverse_util.flatten_dict(abstract, sep="/").items()}
    return networks, shapes


def is_foreign(path):
    """Whether a file is taken for PyTorch weights: by its content, or as nothing else by an ending of theirs."""
    try:
        kind = files.kind_of(path)
    except OSError:
        return False
    if kind is None:
        return path.suffix.lower() in _TORCHS
    return kind == "torch" or not files.is_model_file(path)


@contextlib.contextmanager
def _opened(path):
    """The safetensors file, open; UserError where that, or what is done with it, fails by its content."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            yield file
    except MemoryError as e:
        raise UserError(f"{path}: needs more memory than there is") from e
    except (safetensors.SafetensorError, json.JSONDecodeError, OSError) as e:
        said = _foreign(path) or files.foreign(path) or f"damaged, or not a .safetensors file ({e})"
        raise UserError(f"{path}: {said}{_hidden(path)}") from e


def _meta(path, file):
    """The metadata of an open file."""
    try:
        meta = json.loads((file.metadata() or {}).get("jsr", "null"))
    except (ValueError, RecursionError):
        meta = None
    if not isinstance(meta, dict):
        raise UserError(f"{path}: damaged: its metadata cannot be read; get it, or train it, again")
    if meta.get("format") != FORMAT:
        raise UserError(f"{path}: is of format {meta.get('format')}, this jsr reads format {FORMAT}; "
                        "use the jsr version that wrote it, or train it again")
    if found := trees.wrong(meta, _SCHEMA) or _misnamed(meta):
        raise UserError(f"{path}: damaged: of its metadata {found}; get it, or train it, again")
    return meta


def _misnamed(meta):
    """The mistake in the names of networks and members in metadata of the right form, "" if there is none."""
    networks, members = ([row["name"] for row in meta.get(key) or ()] for key in ("networks", "members"))
    if not 0 < len(networks) <= _MOST_NETWORKS:
        return f"networks are {len(networks)}"
    if len(tiles := (meta.get("ensemble") or {}).get("tiles", ())) > _MOST_TILES:
        return f"ensemble.tiles are {len(tiles)}"
    if len({*networks}) < len(networks) or len({*members}) < len(members):
        return "two networks or members have one name"
    if members and sum(map(len, chains(meta))) < len(networks) or not all(chains(meta)):
        return "members have no networks, or networks no member"
    return ""


def describe(path):
    """A model file's metadata, read without its tensors; of PyTorch weights what a conversion says.

    Args:
      path: path of the file.

    Returns:
      (meta, number of parameters).

    Raises:
      UserError: missing, damaged, or no model file of jsr's.
    """
    path = find(path)
    if is_foreign(path):
        meta, _, variables = _load(path)
        return meta, sum(leaf.size for tree in variables.values() for leaf in jax.tree.leaves(tree["params"]))
    with _opened(path) as file:
        meta = _meta(path, file)
        meta.pop("sha256", None)  # which is not looked at
        shapes = {key: file.get_slice(key).get_shape() for key in file.keys()}
    params = tuple(f"{row['name']}/params/" for row in meta["networks"])
    return meta, sum(math.prod(shape) for key, shape in shapes.items() if key.startswith(params))


def find(path):
    """The model file that a word stands for.

    Args:
      path: of the file, or of a run's folder, whose best one or else last one it is; where there is neither, the name
        of a model that jsr ships or has downloaded (jsr.weights). A file's address on cloud storage, as gs://..., is
        of its local copy (jsr.buckets).

    Raises:
      UserError: no such file or name (the nearest is named), or a folder without a model file.
    """
    word, path = os.fspath(path), Path(path)
    if is_remote(word):
        return buckets.file(word)
    if path.is_dir():
        found = next((path / kept for kept in KEPT if (path / kept).is_file()), None)
        if found is None and (trained := [file.parent for file in path.glob(f"{MEMBER.format('[0-9]*')}/{KEPT[1]}")]):
            raise UserError(f"{path}: holds an unfinished ensemble; train the missing members, or name one that is "
                            f"there, for example {min(trained)}")
        if found is None:
            raise UserError(f"{path}: is a folder without the model file of a run, {' or '.join(KEPT)}{_hidden(path)}")
        return found
    if path.is_file():
        return path
    if named := weights.files().get(word):
        return named
    said = "is no ordinary file" if path.exists() else "no such model file"
    if path.parts[:1] and path.parts[0] in models.STEMS and len(path.parts) <= 2 and not path.suffix:
        names = ", ".join(public.of_network(path.parts[0]))
        said += (f"; weights of the network of this name are {names}: `jsr models get` downloads them" if names else
                 "; of the network of this name jsr knows no weights: train it, or convert published ones "
                 "(jsr convert WEIGHTS.pth MODEL.safetensors)")
    elif len(path.parts) == 1 and not path.suffix:
        said = weights.unknown(word)
    raise UserError(f"{path}: {said}")


def is_named(word):
    """Whether a word names a model file in a way that `find` takes: by its ending, a run's folder, or a known name."""
    path = Path(word)
    if path.is_dir():
        return any((path / kept).exists() for kept in KEPT)
    return path.suffix.lower() in _ENDINGS or not path.exists() and word in weights.files()


def _hidden(path):
    """Words to add to an error about a file or folder whose name is also a model's."""
    named = weights.files().get(str(path))
    return f"; it hides the model of this name, {named}: rename it, or give that path" if named else ""


def _foreign(path):
    """The kind of a file with another ending than .safetensors, and what to do; "" where that does not show."""
    if path.suffix.lower() == ".onnx":
        return ("an ONNX network, no model file of jsr's; convert the PyTorch weights that it was made of: "
                f"jsr convert WEIGHTS.pth {shlex.quote(str(path.with_suffix('.safetensors')))}")
    if path.suffix.lower() == ".stablehlo":
        return "an exported network, no model file of jsr's; take the file that it was exported from"
    return ""


def _as_trained(tensor):
    """Files may hold float16, to be small; parameters are float32."""
    return tensor.astype(np.float32) if tensor.dtype == np.float16 else tensor


def fused(meta, networks, variables):
    """The same chain with the training branches of its networks fused (jsr.reparam.fuse).

    Args:
      meta, networks, variables: as `load` returns them.

    Returns:
      (meta, networks, variables, report): those of the deployed networks, and {"<network>/<block>": relative error of
      the fused block}, empty where there was nothing to fuse.

    Raises:
      UserError: a block does not fuse exactly, as with weights that are no numbers.
    """
    report, rows, networks, variables = {}, [], dict(networks), dict(variables)
    for row in meta["networks"]:
        name = row["name"]
        try:
            networks[name], variables[name], errors = reparam.fuse(networks[name], variables[name])
        except ValueError as e:
            raise UserError(f"{name}: {e}") from e
        report |= {f"{name}/{path}": error for path, error in errors.items()}
        rows.append({**row, "deployed": True, "fields": {**row["fields"], "deploy": True}} if errors else row)
    return {**meta, "networks": rows}, networks, variables, report

"""PyTorch weights to a network of the zoo: the content of a file, the network, and its variables."""

import dataclasses
from pathlib import Path
from typing import Any

import flax.linen as nn
import numpy as np

import jsr
from jsr import models
from jsr.convert import files
from jsr.convert.engine import detect, formats, known, to_jax
from jsr.convert.identify import Match, recognise
from jsr.convert.wrappers import StateDict, networks
from jsr.errors import UserError
from jsr.files import sha256

_NAMED = 4  # of what is left out of a file
_MOST_CALLS, _MOST_BESIDE = 50, 500  # of modules in a network: so many a tensor of its file, and so many more


@dataclasses.dataclass(frozen=True)
class Source:
    """The content of a file of PyTorch weights.

    Attributes:
      path: Path of the file.
      options: {prefix: StateDict}, of which one is the network.
      prefix: the one that is recognised; None without any.
      match: the network that it is, None where it is of none that jsr knows.
    """

    path: Path
    options: dict[str, StateDict]
    prefix: str | None
    match: Match | None

    def keys(self):
        """Names of some tensors, for messages."""
        return f"keys: {', '.join(list(next(iter(self.options.values())).tensors)[:3])}, ..."


@dataclasses.dataclass(frozen=True)
class Converted:
    """Weights as a network of the zoo.

    Attributes:
      match: the network, under its whole id.
      model: Flax module.
      variables: variables, as numpy arrays.
      style: name of the format (jsr.convert.formats) that the tensors' names are of.
      ema: whether they are averaged parameters.
      notes: lines: which network the file is, and what was assumed, changed, taken and left out.
    """

    match: Match
    model: nn.Module
    variables: dict[str, Any]
    style: str
    ema: bool
    notes: tuple[str, ...]


def read(path, prefix=None):
    """Reads a file of PyTorch weights and finds out which network they are of.

    Args:
      path: see jsr.convert.files.read_state_dicts.
      prefix: start of the tensors' names that chooses one of several networks.

    Returns:
      Source.

    Raises:
      UserError: it cannot be read, no tensor's name begins with the prefix, it holds several networks, or none and
        tensors that jsr.convert.files.check refuses.
    """
    found = files.read_state_dicts(path)
    try:
        options = networks(found, prefix)
        taken, match = recognise(options)
        if match is None and prefix is None:
            options = networks(found, any_name=True)
            taken, match = recognise(options)
    except UserError as e:
        raise UserError(f"{path}: {e}") from None
    if match is None:  # perhaps for what is wrong with the tensors
        files.check(path, next(iter(found.values())).tensors)
    return Source(Path(path), options, taken, match)


def fit(source, match):
    """Converts a Source to a network.

    Args:
      source: Source.
      match: Match, as recognised or as the user says.

    Returns:
      Converted.

    Raises:
      UserError: no such network, no rules for it, or the tensors do not fit it; one of them is empty, complex, or has
        values that are not finite.
    """
    model = models.create(match.model, scale=match.scale, **match.fields)
    match = dataclasses.replace(match, model=models.resolve(match.model))
    rules = formats(model)
    prefix = source.prefix
    if prefix is None:
        prefix = max(source.options, key=lambda option: max(known(source.options[option].tensors, its)
                                                            for its in rules.values()))
    taken = source.options[prefix]
    files.check(source.path, taken.tensors)
    style = detect(taken.tensors, rules)
    try:
        expected = abstract(len(taken.tensors), match.model, scale=match.scale, **match.fields)
        variables = to_jax(taken.tensors, rules[style], expected)
    except UserError as e:
        raise UserError(f"{source.path}: as {match.model} x{match.scale}: {e}") from None
    notes = (_title(source.path.name, match, variables, style, taken.ema),
             *(f"not in the file, assumed: {text} (--scale, --field)" for text in match.assumed),
             *(f"{name} became float32" for name in files.other_floats(taken.tensors)),
             *_left_out(prefix, taken.left_out))
    return Converted(match, model, variables, style, taken.ema, notes)


def abstract(count, model_id, *, scale, **fields):
    """jsr.models.abstract of a network with the fields that a file states, bounded by the file's number of tensors.

    Raises:
      UserError: as there, or the network has many more modules than these are of.
    """
    left = _MOST_CALLS * count + _MOST_BESIDE

    def counted(call, args, kwargs, context):
        nonlocal left
        left -= 1
        if left < 0:
            raise UserError(f"has more blocks than {count} tensors are of")
        return call(*args, **kwargs)

    with nn.intercept_methods(counted):
        return models.abstract(model_id, scale=scale, **fields)


def metadata(source, converted, name="sr"):
    """A model file's metadata for converted weights (jsr.model_file), without certificate and licence.

    Args:
      source, converted: Source and Converted.
      name: name of the network in the file.
    """
    match = converted.match
    return {"networks": [{"name": name, "model": match.model, "scale": match.scale, "fields": match.fields,
                          "deployed": getattr(converted.model, "deploy", False)}],
            "ema": converted.ema, "recipe": "", "protocol": "", "ensemble": {"self": False}, "steps": None,
            "scores": {}, "data": [], "notes": list(converted.notes),
            "fingerprint": {"source": source.path.name, "sha256": sha256(source.path), "names": converted.style,
                            "versions": {"jsr": jsr.__version__}},
            "parity": None, "licence": ""}


def _title(name, match, variables, style, ema):
    """The line on which network the weights of a file are."""
    fields = ", ".join(f"{key}={value}" for key, value in match.fields.items())
    params = sum(int(np.size(leaf)) for leaf in _leaves(variables.get("params", {})))
    return (f"{name}: {match.model} x{match.scale}{f' with {fields}' if fields else ''}, {params:,} parameters"
            f"{', averaged' if ema else ''}, named as in {style}")


def _leaves(tree):
    return [leaf for inner in tree.values() for leaf in _leaves(inner)] if isinstance(tree, dict) else [tree]


def _left_out(prefix, rest):
    """The line on the tensors of a file that were taken, and those that were not; none where all was."""
    if rest:
        more = f" and {len(rest) - _NAMED} more" if len(rest) > _NAMED else ""
        yield f"{f'taken: {prefix}; ' if prefix else ''}left out: {', '.join(rest[:_NAMED])}{more}"

"""Recognises the network of a state dict by its keys and shapes."""

import dataclasses
import importlib
import math
from pathlib import Path

from jsr import models
from jsr.errors import UserError

RULES = tuple(sorted(p.stem for p in (Path(__file__).parent / "rules").glob("[!_]*.py")))


_MOST_NUMBERS = 100  # that a key stands for, with the layers without parameters


@dataclasses.dataclass(frozen=True)
class Match:
    """The network that a state dict is of, as jsr.models.create takes it.

    Attributes:
      model: its id.
      scale: SR size over LR size.
      fields: what differs from the variant's own.
      assumed: fields that no tensor tells and that were taken from the published networks, as texts that begin with the
        field.
    """

    model: str
    scale: int
    fields: dict
    assumed: tuple[str, ...] = ()


def recognise(found):
    """Finds the state dict in a checkpoint that belongs to a network of the zoo.

    Args:
      found: {prefix: jsr.convert.wrappers.StateDict}.

    Returns:
      (prefix, Match): the first where averaged parameters stand before plain ones of the same network, but for those
      whose rules name what their authors take: `TAKES = {model id: "params"}`; or (None, None).

    Raises:
      UserError: several, and nothing says which.
    """
    matches = {}
    for prefix, state_dict in found.items():
        if not any(prefix.startswith(outer) for outer in matches) and (match := identify(state_dict.tensors)):
            matches[prefix] = match
    if not matches:
        return None, None
    prefix, match = next(iter(matches.items()))
    others = {other: its for other, its in matches.items() if other != prefix}
    if any(its != match for its in others.values()) or others and not found[prefix].ema:
        raise UserError("holds several networks: " + ", ".join(f"{prefix} ({its.model} x{its.scale})" for prefix, its
                                                               in matches.items()) + "; choose one by --prefix")
    taken = getattr(rules_of(match), "TAKES", {}).get(match.model)
    return next((other for other in others if taken and other.endswith(f"{taken}.")), prefix), match


def rules_of(match):
    """The module of jsr/convert/rules for the network of a Match."""
    return importlib.import_module(f"jsr.convert.rules.{match.model.partition('/')[0]}")


def identify(state_dict):
    """The Match of a state dict {key: array}, or None where no file of jsr/convert/rules knows it.

    Each of them that can tell has `identify(state_dict)`, which returns None or (scale, fields, assumed), with every
    field that the state dict tells. Where an array has another number of axes than in every such network, or an axis of
    no length, they may raise what Python raises then.
    """
    for stem in RULES:
        rules = importlib.import_module(f"jsr.convert.rules.{stem}")
        try:
            found = rules.identify(state_dict) if hasattr(rules, "identify") else None
            match = Match(*variant(stem, found[0], found[1]), tuple(found[2])) if found else None
        except (ArithmeticError, LookupError, ValueError):
            continue
        if match:
            return match
    return None


def count(state_dict, prefix):
    """The number of indices that follow `prefix` in the keys: one more than the largest, 0 without any.

    A ValueError where so many layers could not be of so many keys.
    """
    rest = (key.removeprefix(prefix).partition(".")[0] for key in state_dict if key.startswith(prefix))
    found = max((int(number) + 1 for number in rest if number.isdecimal()), default=0)
    if found > _MOST_NUMBERS * len(state_dict):
        raise ValueError(f"{prefix}{found - 1} of {len(state_dict)} keys")
    return found


def shuffled_scale(state_dict, prefix):
    """The scale of convolutions and pixel shuffles, `<prefix>0.weight`, `<prefix>2.weight`...; 1 without any."""
    kernels = (state_dict.get(f"{prefix}{number}.weight") for number in range(count(state_dict, prefix)))
    return math.prod(math.isqrt(kernel.shape[0] // kernel.shape[1]) for kernel in kernels if kernel is not None)


def variant(stem, scale, fields):
    """The row of VARIANTS that leaves the fewest fields to override; a word, as a kind of block, counts twice.

    Args:
      stem: stem of the network's file.
      scale: SR size over LR size.
      fields: {name: value} of the network.

    Returns:
      (id, scale, fields that differ from the row's); of equal rows one that is published at the scale.
    """
    left = {}
    for model_id in models.list_models(f"{stem}/*"):
        if scale in models.card(model_id).allowed_scales:
            own = models.create(model_id, scale=scale)
            left[model_id] = {name: value for name, value in fields.items() if getattr(own, name) != value}
    if not left:
        return stem, scale, fields
    words = {i: sum(isinstance(value, str) for value in fields.values()) for i, fields in left.items()}
    model_id = min(left, key=lambda i: (len(left[i]) + words[i], scale not in models.card(i).scales))
    return model_id, scale, left[model_id]

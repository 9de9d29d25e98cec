"""Which network of the zoo a state dict is of, from its keys and shapes."""

import dataclasses
import importlib
import math
from pathlib import Path

from jsr import models

RULES = tuple(sorted(p.stem for p in (Path(__file__).parent / "rules").glob("[!_]*.py")))


@dataclasses.dataclass(frozen=True)
class Identity:
    """A network, as jsr.models.create takes it.

    Attributes:
      model: its id.
      scale: SR size over LR size.
      fields: what differs from the variant's own.
      assumed: what a state dict does not tell and the published networks decided, as texts that begin with the field.
    """

    model: str
    scale: int
    fields: dict
    assumed: tuple[str, ...] = ()


def identify(state_dict):
    """The Identity of a state dict {key: array}, or None where no file of jsr/convert/rules knows it.

    Each of them that can tell has `identify(state_dict)`, which returns None or (scale, fields, assumed), with every
    field that the state dict tells.
    """
    for stem in RULES:
        rules = importlib.import_module(f"jsr.convert.rules.{stem}")
        if hasattr(rules, "identify") and (found := rules.identify(state_dict)):
            scale, fields, assumed = found
            return Identity(*_variant(stem, scale, fields), tuple(assumed))
    return None


def count(state_dict, prefix):
    """How many numbers follow `prefix` in the keys: one more than the largest, 0 without any."""
    rest = (key.removeprefix(prefix).partition(".")[0] for key in state_dict if key.startswith(prefix))
    return max((int(number) + 1 for number in rest if number.isdigit()), default=0)


def shuffled_scale(state_dict, prefix):
    """The scale of convolutions and pixel shuffles, `<prefix>0.weight`, `<prefix>2.weight`...; 1 without any."""
    kernels = (state_dict.get(f"{prefix}{number}.weight") for number in range(count(state_dict, prefix)))
    return math.prod(math.isqrt(kernel.shape[0] // kernel.shape[1]) for kernel in kernels if kernel is not None)


def _variant(stem, scale, fields):
    """(id, scale, fields) with the variant that leaves the fewest fields to override."""
    left = {}
    for model_id in models.list_models(f"{stem}/*"):
        if scale in models.card(model_id).allowed_scales:
            own = models.create(model_id, scale=scale)
            left[model_id] = {name: value for name, value in fields.items() if getattr(own, name) != value}
    if not left:
        return stem, scale, fields
    model_id = min(left, key=lambda i: len(left[i]))
    return model_id, scale, left[model_id]

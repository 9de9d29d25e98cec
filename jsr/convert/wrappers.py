"""Finds state dicts inside wrappers of trainings and compilers: dicts in dicts, prefixes of names."""

from collections.abc import Mapping
import dataclasses
import math
import re
from typing import Any

from jsr.errors import UserError

# Names under which training scripts keep a network, those to take first in front.
_WRAPPERS = ("params", "state_dict", "model_state_dict", "model", "network", "net", "net_g", "netg", "generator", "g",
             "module", "_orig_mod")
_AVERAGED = {"ema", "swa", "avg", "averaged", "shadow", "polyak"}  # parts of names of averaged parameters
_COUNTERS = {"total_ops", "total_params", "n_averaged", "step_counter", "initted"}  # of thop, SWA, MMagic, ema_pytorch
_OTHERS = ("optim", "sched", "lr_", "loops", "callbacks", "scaler")  # how names begin of what is no network
_DEEPEST = 8  # dicts inside one another


@dataclasses.dataclass(frozen=True)
class StateDict:
    """The state dict of a checkpoint, without its wrappers.

    Attributes:
      tensors: {key: array}.
      ema: whether they are averaged parameters, by the name that they have there.
      left_out: what else it holds: how many tensors of other names, and the names of the rest, numbers with values.
    """

    tensors: dict[str, Any]
    ema: bool = False
    left_out: tuple[str, ...] = ()


def state_dicts(checkpoint: Any) -> dict[str, StateDict]:
    """The state dicts inside what training scripts save around them.

    Args:
      checkpoint: nested mappings; anything with a shape is a tensor.

    Returns:
      {names of the dicts on the way, with a dot behind each: StateDict}, without the counters of tools; averaged
      parameters (`params_ema`, `ema_state_dict`, `swa_model`...) first, then those of known names.

    Raises:
      UserError: there are no arrays where they should be.
    """
    found, seen = {}, set()

    def walk(content, names, beside):
        if not isinstance(content, Mapping) or len(names) > _DEEPEST or id(content) in seen:
            return
        seen.add(id(content))
        kept = {key: value for key, value in content.items() if isinstance(key, str) and hasattr(value, "shape")
                and not _is_counter(key, value)}
        if kept:
            rest = tuple(dict.fromkeys(_shown(key, value) for key, value in content.items() if key not in kept))
            ema = "n_averaged" in content or any(map(is_averaged, names))
            found["".join(f"{name}." for name in names)] = StateDict(kept, ema, (*beside, *rest))
        for name, inner in content.items():
            if isinstance(name, str) and not name.lower().startswith(_OTHERS):
                walk(inner, (*names, name), (*beside, *(_shown(key, value) for key, value in content.items()
                                                        if key != name)))

    walk(checkpoint, (), ())
    if not found:
        if not isinstance(checkpoint, Mapping) or not checkpoint:
            raise UserError(f"not a state dict, but {type(checkpoint).__name__}; save the model's state_dict()")
        odd = [str(key) for key in checkpoint]
        raise UserError(f"not a state dict: {', '.join(odd[:5])}{f' and {len(odd) - 5} more' if len(odd) > 5 else ''} "
                        f"{'is no tensor' if len(odd) == 1 else 'are no tensors'}; save the model's state_dict()")
    return {names: found[names] for names in sorted(found, key=lambda names: (not found[names].ema, _rank(names)))}


def unwrap(checkpoint: Any) -> StateDict:
    """Finds the state dict inside the wrappers that training scripts save.

    Args:
      checkpoint: nested mappings; averaged parameters (`params_ema`, `ema_state_dict`...) go before the plain ones.

    Returns:
      StateDict, without the counters of tools, and without the prefix "module." where all keys have it.

    Raises:
      UserError: there are no arrays where they should be.
    """
    found = next(iter(state_dicts(checkpoint).values()))
    if all(key.startswith("module.") for key in found.tensors):
        return dataclasses.replace(found, tensors={key.removeprefix("module."): value
                                                   for key, value in found.tensors.items()})
    return found


def networks(found: Mapping[str, StateDict], prefix: str | None = None, *,
             any_name: bool = False) -> dict[str, StateDict]:
    """The state dicts that may be a network's, without what trainings and compilers put before the tensors' names.

    Args:
      found: {names of dicts: StateDict}, as `state_dicts` returns them.
      prefix: the one that is wanted, names of dicts and words before tensors' names; None finds them.
      any_name: takes words that are no usual ones for such a prefix, too.

    Returns:
      {prefix: StateDict}: as found, "" behind the names of dicts, first; averaged parameters before plain ones.

    Raises:
      UserError: no tensor's name begins with `prefix`.
    """
    if prefix is None:
        return {names + words: _part(outer, tensors, words)
                for names, outer in found.items() for words, tensors in _parts(outer.tensors, any_name).items()}
    for wanted in (f"{prefix}.", prefix):
        for names, outer in found.items():
            kept = {(names + key).removeprefix(wanted): value for key, value in outer.tensors.items()
                    if (names + key).startswith(wanted)}
            if kept:
                return {prefix: _part(outer, kept, prefix)}
    names = [names + key for names, outer in found.items() for key in outer.tensors]
    raise UserError(f"--prefix {prefix}: no tensor's name begins with it ({', '.join(names[:3])}, ...)")


def is_averaged(name: str) -> bool:
    """Whether a name is one of averaged parameters, as in params_ema, ema_state_dict, g-ema, netEma, swa_model."""
    return not _AVERAGED.isdisjoint(re.split("[^a-z]+", re.sub("([a-z])([A-Z])", r"\1 \2", name).lower()))


def _part(outer, tensors, words):
    """A StateDict of some tensors of another, which had words before their names there."""
    others = len(outer.tensors) - len(tensors)
    return StateDict(tensors, outer.ema or is_averaged(words),
                     (*[f"{others} tensors of other names"] * bool(others), *outer.left_out))


def _parts(tensors, any_name, levels=_DEEPEST):
    """{words before tensors' names: the tensors without them}: itself, "", first."""
    groups = {}
    for key, value in tensors.items():
        head, dot, rest = key.partition(".")
        groups.setdefault(head + dot, {})[rest] = value
    found = {"": tensors}
    for head in sorted(groups, key=lambda head: (not is_averaged(head), head)):
        known = len(groups) == 1 or is_averaged(head) or head[:-1].lower() in _WRAPPERS
        if head.endswith(".") and levels and (known or any_name):
            inner = _parts(groups[head], any_name and known, levels - 1)
            found |= {head + deeper: tensors for deeper, tensors in inner.items()}
    return found


def _rank(names):
    """The priority of a state dict, by the names of the dicts around it."""
    known = [name for name in names.lower().split(".") if name in _WRAPPERS]
    return [_WRAPPERS.index(name) for name in known] or ([] if not names else [len(_WRAPPERS)])


def _is_counter(key, value):
    return key.rpartition(".")[2] in _COUNTERS and math.prod(value.shape) == 1


def _shown(key, value):
    """The words for something that is no tensor of a network: its name, that of its tool, or with its value."""
    if hasattr(value, "shape") and isinstance(key, str):
        return key.rpartition(".")[2]
    return f"{key} {value:g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(key)

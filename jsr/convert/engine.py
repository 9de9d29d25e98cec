"""The conversion of state dicts by rules, strict in both directions.

Every key of the state dict is used, or ignored by name; every variable is filled exactly once; shapes must agree.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import fnmatch
import importlib
import importlib.util
from typing import Any

from flax import traverse_util
import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from jsr.errors import UserError

# What a PyTorch layer's tensors are here: {its suffix: (collection, leaf, axes of numpy.transpose; None keeps them)}.
LAYOUTS = {
    "conv": {"weight": ("params", "kernel", (2, 3, 1, 0)), "bias": ("params", "bias", None)},  # OIHW to HWIO
    "kernel": {"": ("params", "", (2, 3, 1, 0))},  # a convolution's kernel, as a parameter of its own
    "transposed_conv": {"weight": ("params", "kernel", (2, 3, 0, 1)), "bias": ("params", "bias", None)},  # IOHW to HWIO
    "weight_norm_conv": {"weight_v": ("params", "kernel", (2, 3, 1, 0)), "bias": ("params", "bias", None),
                         "weight_g": ("params", "magnitude", (2, 3, 1, 0))},
    "weight_norm_transposed_conv": {"weight_v": ("params", "kernel", (2, 3, 0, 1)), "bias": ("params", "bias", None),
                                    "weight_g": ("params", "magnitude", (2, 3, 0, 1))},
    "linear": {"weight": ("params", "kernel", (1, 0)), "bias": ("params", "bias", None)},
    "norm": {"weight": ("params", "scale", None), "bias": ("params", "bias", None),
             "running_mean": ("batch_stats", "mean", None), "running_var": ("batch_stats", "var", None)},
    "tensor": {"": ("params", "", None)},  # a parameter of its own
    "channels": {"": ("params", "", (0, 2, 3, 1))},  # one that is shaped as an image, NCHW to NHWC
}

@dataclasses.dataclass(frozen=True)
class Rules:
    """The mapping between one kind of state dict and one network's variables.

    Attributes:
      rows: (PyTorch module or parameter, path of the submodule or parameter here, key of LAYOUTS), as in
        ("body.0.conv1", "body_0/conv1", "conv"). A layer without a bias, say, lacks it on both sides.
      constants: keys whose values the network has as arithmetic: written as they are, and checked on reading.
      copies: {key: key in `rows` that it repeats}, a parameter that a module has twice: written as copies, and
        checked on reading.
      ignore: shell patterns of keys that carry nothing on reading, constants among them.
    """

    rows: Sequence[tuple[str, str, str]]
    constants: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    copies: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ignore: Sequence[str] = ()


def formats(model: nn.Module) -> dict[str, Rules]:
    """{name: Rules} of the state dicts known for a network.

    Raises:
      UserError: there are none.
    """
    stem = type(model).__module__.rpartition(".")[2]
    name = f"jsr.convert.rules.{stem}"
    if importlib.util.find_spec(name) is None:
        raise UserError(f"{stem}: has no conversion rules; they would be in jsr/convert/rules/{stem}.py")
    return {key: make(model) for key, make in importlib.import_module(name).FORMATS.items()}


def official(model: nn.Module, variables: Mapping[str, Any]) -> tuple[str, Rules] | None:
    """The (name, Rules) by which a network's variables, arrays or abstract, become a state dict of official names.

    None where the network has no rules, or not in this variant and form.
    """
    try:
        name, rules = next(iter(formats(model).items()))
        _plan(rules, _flat(variables))
    except ValueError:
        return None
    return name, rules


def detect(state_dict: Mapping[str, Any], formats: Mapping[str, Rules]) -> str:
    """The name among `formats`, {name: Rules}, that shares most modules with a state dict."""
    return max(formats, key=lambda name: known(state_dict, formats[name]))


def known(state_dict: Mapping[str, Any], rules: Rules) -> int:
    """The number of a state dict's keys that rules have a use for."""
    sources = {source for source, _, _ in rules.rows}
    return sum(key in sources or key.rpartition(".")[0] in sources for key in state_dict)


def to_jax(state_dict: Mapping[str, np.ndarray], rules: Rules, abstract: Mapping[str, Any]) -> dict[str, Any]:
    """Converts a state dict.

    Args:
      state_dict: {key: numpy array}.
      rules: Rules.
      abstract: the network's variables, from jsr.models.abstract.

    Returns:
      Variables of numpy arrays, of the abstract ones' structure and dtypes.

    Raises:
      UserError: keys that no rule uses, missing keys, other shapes, other constants; all of them in one line.
      ValueError: the rules do not fit the network.
    """
    leaves = _flat(abstract)
    plan = _plan(rules, leaves)
    ignored = {key for key in state_dict if any(fnmatch.fnmatchcase(key, pattern) for pattern in rules.ignore)}
    used = {*plan, *rules.constants, *rules.copies, *ignored}
    unknown = [key for key in state_dict if key not in used]
    missing = [key for key in plan if key not in state_dict]
    filled, wrong = {}, []
    for key, (path, axes) in plan.items():
        if key in state_dict:
            value = _transpose(state_dict[key], axes)
            if not jnp.issubdtype(value.dtype, jnp.floating) and jnp.issubdtype(leaves[path].dtype, jnp.floating):
                wrong.append(f"{key} is of {value.dtype}, not of floats")
            elif value.shape == leaves[path].shape:
                filled[path] = np.ascontiguousarray(value, leaves[path].dtype)
            else:
                expected = _transpose(np.empty(leaves[path].shape, bool), _inverse(axes)).shape
                wrong.append(f"{key} is {state_dict[key].shape}, not {expected}")
    for key, value in rules.constants.items():
        if key in state_dict and key not in ignored and not _same(state_dict[key], value):
            wrong.append(f"{key} has other values than the network's" if value.size > 16 else
                         f"{key} is {np.ravel(state_dict[key]).tolist()}, the network has {value.ravel().tolist()}")
    wrong += [f"{key} is not {original}, which it repeats" for key, original in rules.copies.items()
              if key in state_dict and original in state_dict and not _same(state_dict[key], state_dict[original])]
    problems = [f"{label}: {_some(keys)}" for label, keys in (
        ("keys that it has no use for", unknown), ("missing keys", missing), ("wrong", wrong)) if keys]
    if problems:
        raise UserError("the state dict does not fit this network (other variant, scale or fields?); "
                        + "; ".join(problems))
    return traverse_util.unflatten_dict(filled, sep="/")


def to_torch(variables: Mapping[str, Any], rules: Rules) -> dict[str, np.ndarray]:
    """The inverse of `to_jax`: {key: numpy array}, with the constants and copies that PyTorch's strict loader expects.

    Raises:
      ValueError: the rules do not fit the network.
    """
    leaves = _flat(variables)
    converted = {key: np.ascontiguousarray(_transpose(np.asarray(leaves[path]), _inverse(axes)))
                 for key, (path, axes) in _plan(rules, leaves).items()}
    copies = {key: np.array(converted[original]) for key, original in rules.copies.items()}
    return converted | copies | {key: np.array(value) for key, value in rules.constants.items()}


def _flat(variables) -> dict[str, Any]:
    """{path: leaf} of nested dicts."""
    return traverse_util.flatten_dict(variables, sep="/")


def _plan(rules, leaves):
    """{key of the state dict: (path of the leaf, axes)}: each leaf once, or ValueError."""
    plan, taken = {}, set()
    for source, target, layout in rules.rows:
        found = {}
        for suffix, (collection, leaf, axes) in LAYOUTS[layout].items():
            path = "/".join(part for part in (collection, target, leaf) if part)
            if path in leaves:
                found[".".join(part for part in (source, suffix) if part)] = path, axes
        if not found:
            raise ValueError(f"rule {source} -> {target} ({layout}): the network has nothing there")
        repeated = [path for path, _ in found.values() if path in taken] + [key for key in found if key in plan]
        if repeated:
            raise ValueError(f"rule {source} -> {target} ({layout}): an earlier rule has {_some(repeated)} already")
        taken.update(path for path, _ in found.values())
        plan |= found
    if rest := sorted(leaves.keys() - taken):
        raise ValueError(f"no rule fills {_some(rest)}")
    return plan


def _transpose(array, axes):
    # A rank that does not fit comes out with a shape that does not fit, which is then reported by name.
    return array if axes is None or array.ndim != len(axes) else array.transpose(axes)


def _inverse(axes):
    return None if axes is None else tuple(np.argsort(axes))


def _same(a, b):
    """Equal but for the rounding of the type that `a` has."""
    rounding = jnp.finfo(a.dtype).eps if jnp.issubdtype(a.dtype, jnp.floating) else 0
    tolerance = max(1e-4, float(rounding)) * np.abs(b).max()
    return a.shape == b.shape and np.allclose(a.astype(np.float64), b, rtol=0, atol=tolerance)


def _some(items, most=5):
    items = list(items)
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")

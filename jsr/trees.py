"""Trees of dicts and lists: dataclasses as JSON has them, trees as one flat dict, the keys that differ, mistakes
in one from a file, and the check sum of one with arrays.
"""

from collections.abc import Mapping
import dataclasses
import hashlib
import json
from typing import Any

import numpy as np


def plain(config: Any) -> Any:
    """A dataclass or ConfigDict, with all it holds, as dicts and lists that JSON can write."""
    if dataclasses.is_dataclass(config):
        return {field.name: plain(getattr(config, field.name)) for field in dataclasses.fields(config)}
    if hasattr(config, "keys"):  # a dict, or a ConfigDict, which is no Mapping
        return {key: plain(config[key]) for key in config}
    if isinstance(config, (list, tuple)):
        return [plain(value) for value in config]
    return config


def flat(tree, prefix=""):
    """Dicts and lists of them as one dict, {"stages.0.steps": 200}; an empty dict has no entry."""
    if isinstance(tree, dict):
        items = tree.items()
    elif isinstance(tree, list) and any(isinstance(value, dict) for value in tree):
        items = enumerate(tree)
    else:
        return {prefix[:-1]: tree}
    return {key: value for name, node in items for key, value in flat(node, f"{prefix}{name}.").items()}


def different(before, now):
    """The keys, sorted, whose values two flat dicts do not share."""
    return sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))


def wrong(value, schema, name=""):
    """The mistake in a tree that was read from JSON, "" if there is none: the first place and its value.

    Args:
      value: the tree.
      schema: a type or several; [schema of each entry]; {key: schema}, where a key that ends in "?" may be missing and
        further keys may be there, which {"*": schema} is for; or a function that says whether a value is right.
      name: name of the tree, for the message.
    """
    if isinstance(schema, dict):
        if not isinstance(value, dict):
            return f"{name or 'it'} is no object"
        for key, inner in schema.items():
            if key == "*":
                if found := next(filter(None, (wrong(entry, inner, f"{name}.{ascii(own)[1:-1]:.60}")
                                               for own, entry in value.items())), ""):
                    return found
                continue
            own, place = key.rstrip("?"), f"{name}.{key.rstrip('?')}".lstrip(".")
            if own not in value and own == key:
                return f"{place} is missing"
            if own in value and (found := wrong(value[own], inner, place)):
                return found
        return ""
    if isinstance(schema, list):
        if not isinstance(value, list):
            return f"{name} is no list"
        return next(filter(None, (wrong(entry, schema[0], f"{name}[{at}]") for at, entry in enumerate(value))), "")
    kinds = schema if isinstance(schema, tuple) else (schema,)
    if isinstance(schema, type | tuple):
        right = isinstance(value, schema) and (not isinstance(value, bool) or bool in kinds)
    else:
        right = schema(value)
    return "" if right else f"{name} is {ascii(value):.60}"


def digest(leaves: Mapping[str, Any], about: Any) -> str:
    """The SHA-256 of arrays and their descriptions, in hexadecimal.

    Args:
      leaves: {name: array}; names, types and shapes count.
      about: anything that JSON can hold.
    """
    found = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(leaves):
        value = np.asarray(leaves[name], order="C")
        found.update(f"\n{name} {value.dtype.name} {value.shape}\n".encode())
        found.update(value.reshape(-1).view(np.uint8))
    return found.hexdigest()

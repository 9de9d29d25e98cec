"""Trees of dicts and lists: dataclasses as JSON has them, trees as one flat dict, and the keys that differ."""

import dataclasses
from typing import Any


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

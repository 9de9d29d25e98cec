"""Recipes as trees of dicts and lists: an entry set from text, the tree as JSON has it and back, as one flat dict."""

import ast
import dataclasses

from ml_collections import ConfigDict

from jsr.errors import UserError, nearest


def set_value(config, key, text, known=lambda config, nodes, walked, key: {}):
    """Sets `config`'s entry at `key` ("data.train.dataset", "stages[0].steps" or "stages.0.steps") from text.

    The text is read as the type that the entry has; anything goes where it is None. What is the player's is found at
    the stage too ("stages[0].learning_rate"), where it has but one.

    Args:
      config: a ConfigDict.
      key: place of the entry.
      text: its new value.
      known: function of (config, the dicts and lists on the way, their keys, key) to what the last of them may hold
        besides, {key: default}; a new entry has the type of its default.

    Raises:
      UserError: an unknown key (the nearest is named) or text of another type.
    """
    *parents, last = parts(key)
    nodes, walked = [config], []
    for part in parents:
        nodes, walked = _with_player(nodes, walked, part, key)
        index = _index(nodes[-1], part, key, walked)
        nodes, walked = [*nodes, nodes[-1][index]], [*walked, str(index)]
    nodes, walked = _with_player(nodes, walked, last, key)
    node, others = nodes[-1], known(config, nodes, walked, key)
    index = _index(node, last, key, walked, others)
    value = _parse(text, others[index] if index in others else node[index], key)
    if isinstance(node, tuple):
        raise UserError(f"--config.{key}: sits in a tuple, which cannot be changed; make it a list in the config")
    if isinstance(node, ConfigDict):
        with node.ignore_type(), node.unlocked():
            node[index] = value
    else:
        node[index] = value


def parts(key):
    """The keys on the way to an entry: ["stages", "0", "steps"] of "stages[0].steps"."""
    return key.replace("[", ".").replace("]", "").split(".")


def _with_player(nodes, walked, part, key):
    """The way to a stage goes on to its player, where a key is the player's; UserError where there are several."""
    node = nodes[-1]
    if not isinstance(node, ConfigDict) or "players" not in node or part in node or part not in node.players[0]:
        return nodes, walked
    if len(node.players) > 1:
        place = f"stages[{walked[-1]}].players"
        raise UserError(f"--config.{key}: the stage has {len(node.players)} players; say which: {place}[0].{part} to "
                        f"{place}[{len(node.players) - 1}].{part}")
    return [*nodes, node.players, node.players[0]], [*walked, "players", "0"]


def _index(node, part, key, walked, known=()):
    walked = ".".join(walked)
    if isinstance(node, (list, tuple)):
        if part.lstrip("-").isdigit() and -len(node) <= int(part) < len(node):
            return int(part)
        raise UserError(f"--config.{key}: {walked} has {len(node)} entries, 0 to {len(node) - 1}, not {part!r}")
    if not isinstance(node, (ConfigDict, dict)):
        raise UserError(f"--config.{key}: {walked} is a value, without keys of its own")
    if part not in node and part not in known:
        names = {*node, *known, *(node.players[0] if "players" in node else ())}
        raise UserError(f"--config.{key}: unknown key {part!r}; {nearest(part, names)}")
    return part


def _parse(text, old, key):
    try:
        if isinstance(old, str):
            return text
        if isinstance(old, bool):
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        if isinstance(old, int):
            return _as_int(text)
        if isinstance(old, float):
            return float(text)
        value = _literal(text)
        if old is not None and not isinstance(value, (list, tuple) if isinstance(old, (list, tuple)) else dict):
            raise ValueError
    except (ValueError, KeyError, SyntaxError):
        raise UserError(f"--config.{key}={text}: expects a value of type {type(old).__name__}, like {old!r}") from None
    return _revived(value)


def _as_int(text):
    value = float(text) if "e" in text.lower() else int(text)
    if value != int(value):
        raise ValueError
    return int(value)


def _literal(text):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def plain(config):
    """A recipe, a ConfigDict or a dataclass, with all it holds, as dicts and lists that JSON can write."""
    if dataclasses.is_dataclass(config):
        return {field.name: plain(getattr(config, field.name)) for field in dataclasses.fields(config)}
    if isinstance(config, (ConfigDict, dict)):
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


def from_plain(data):
    """What `plain` made of a ConfigDict, as JSON gives it back, as a locked ConfigDict again; a copy of all it has."""
    return _revived(data).lock()


def _revived(data):
    if isinstance(data, dict):
        return ConfigDict({key: _revived(value) for key, value in data.items()})
    return [_revived(value) for value in data] if isinstance(data, list) else data

"""Overrides: entries of a recipe's data set from text, `--config.stages[0].steps=200`.

The data are a ConfigDict (ml_collections) here, as track files give them, and nowhere behind this door.
"""

import ast
from collections.abc import Iterable, Mapping
import dataclasses
import typing
from typing import Any

from ml_collections import ConfigDict

from jsr import guests, trees
from jsr.errors import UserError, nearest
from jsr.recipes import schema
from jsr.recipes.mistakes import Mistakes
from jsr.recipes.schema import Recipe


def apply(config: ConfigDict, overrides: Iterable[tuple[str, str]], found: Mistakes) -> None:
    """Sets entries of a recipe's data from (key, text) pairs.

    Unknown keys, of which the nearest are named, and texts of another type are added to the mistakes that are found.
    """
    for key, text in sorted(overrides, key=lambda override: _order(override[0])):
        with found.at(key):
            set_value(config, key, text)


def set_value(config, key, text):
    """Sets `config`'s entry at `key` ("data.train.dataset", "stages[0].steps" or "stages.0.steps") from text.

    The text is parsed to the type of the present value; a None may become anything. Keys of a player are also found at
    the stage ("stages[0].learning_rate"), where it has one player alone.

    Args:
      config: a ConfigDict.
      key: place of the entry.
      text: its new value.

    Raises:
      UserError: an unknown key (the nearest is named) or text of another type.
    """
    *parents, last = parts(key)
    nodes: list[Any] = [config]
    walked: list[str] = []
    for part in parents:
        nodes, walked = _with_player(nodes, walked, part, key)
        if isinstance(nodes[-1], ConfigDict) and part not in nodes[-1]:  # a row that lists only what it sets
            _fill(nodes[-1], part, known(config, nodes, walked, key))
        index = _index(nodes[-1], part, key, walked)
        nodes, walked = [*nodes, typing.cast(Any, nodes[-1])[index]], [*walked, str(index)]
    nodes, walked = _with_player(nodes, walked, last, key)
    node, others = nodes[-1], known(config, nodes, walked, key)
    index = _index(node, last, key, walked, others)
    old = others[index] if index in others else node[index]
    if index == "crop" and isinstance(old, (int, list)):  # a side, or [height, width]
        old = [] if text.lstrip()[:1] in ("[", "(") else 1
    value = _parse(text, old, key)
    if isinstance(node, tuple):
        raise UserError(f"--config.{key}: is in a tuple, which cannot be changed; make it a list in the recipe")
    if isinstance(node, ConfigDict):
        with node.ignore_type(), node.unlocked():
            node[index] = value
    else:
        node[index] = value


def _fill(node, part, defaults):
    if part in defaults:
        with node.unlocked():  # a part of it is set next
            node[part] = _revived(defaults[part])


def parts(key):
    """The keys on the way to an entry: ["stages", "0", "steps"] of "stages[0].steps"."""
    return key.replace("[", ".").replace("]", "").split(".")


def _with_player(nodes: list[Any], walked, part, key):
    """The way to a stage goes on to its player, where a key is the player's; UserError where there are several."""
    node = nodes[-1]
    players: Any = node.get("players", ()) if isinstance(node, ConfigDict) else ()
    if not players or part in node or part not in players[0]:
        return nodes, walked
    if len(players) > 1:
        place = f"stages[{walked[-1]}].players"
        raise UserError(f"--config.{key}: the stage has {len(players)} players; name one: {place}[0].{part} to "
                        f"{place}[{len(players) - 1}].{part}")
    return [*nodes, players, players[0]], [*walked, "players", "0"]


def _index(node: Any, part, key, walked, known=()):
    walked = ".".join(walked)
    if isinstance(node, (list, tuple)):
        if part.lstrip("-").isdigit() and -len(node) <= int(part) < len(node):
            return int(part)
        which = f"{len(node)} entries, 0 to {len(node) - 1}" if node else "no entries"
        raise UserError(f"--config.{key}: {walked} has {which}, not {part!r}")
    if not isinstance(node, (ConfigDict, dict)):
        raise UserError(f"--config.{key}: {walked} is a value, without keys of its own")
    if part not in node and part not in known:
        players: Any = node.get("players", ())
        names = {*node, *known, *(its for player in players[:1] for its in player)}
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
    except (ValueError, KeyError, SyntaxError, TypeError, OverflowError, RecursionError, MemoryError):
        raise UserError(f"--config.{key}={text}: must have a value of type {type(old).__name__}, like "
                        f"{schema.shown(trees.plain(old))}") from None
    return _revived(value)


def _as_int(text):
    value = float(text) if "e" in text.lower() else int(text)
    if value != int(value):
        raise ValueError
    return int(value)


def _literal(text):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return text


def _order(key):
    """Overrides are taken in this order: a whole before its parts, a function's name before what the function takes."""
    way = parts(key)
    return len(way), way[-1] not in ("name", "fn")


def known(config: Any, nodes: list[Any], walked: list[str], key: str) -> dict[str, Any]:
    """The possible keys of a dict that lists only a recipe's own keys, {key: default, or a value of its type}."""
    match walked:
        case ["networks", _, "fields"] | ["members", _, "networks", _, "fields"]:
            return _fields(nodes[-2])
        case ["stages", _, "begin", _, "fields"]:
            return _fields(config.networks[nodes[-2].net])
        case ["data", "eval", "set"] | ["data", "train", _, "set"] | ["stages", _, "data", _, "set"]:
            from jsr import degradations

            if not nodes[-2].get("degrade"):
                raise UserError(f"--config.{key}: sets a parameter of a degradation, but none is named "
                                f"(--config.{'.'.join(walked[:-1])}.degrade=...)")
            # Of numbers there may be ranges and lists
            return {name: default if isinstance(default, str) else None
                    for name, default in degradations.parameters(nodes[-2].degrade).items()}
        case ["stages", _, "players", _, "optimizer" | "schedule" as what]:
            from jsr import optim

            return {"name": ""} | optim.arguments(what, nodes[-1].name)
        case ["stages", _, "players", _, "losses", _]:
            from jsr import losses

            return {"fn": "", "pred": "", "target": "", "weight": 1.0} | losses.defaults(nodes[-1]["fn"])
    kind = _kind_at(walked)
    return trees.plain({name: schema.stand_in(its) for name, its in schema.types_of(kind).items()}
                       | schema.defaults(kind)) if kind else {}


def _kind_at(walked) -> type | None:
    """The class of the schema at a place in a recipe; None where there is another thing."""
    kind: Any = Recipe
    for part in walked:
        if dataclasses.is_dataclass(kind):
            kind = schema.types_of(kind).get(part)
        else:
            inner = typing.get_args(kind) or (None,)
            kind = inner[-1] if typing.get_origin(kind) is dict else inner[0]
    return kind if isinstance(kind, type) and dataclasses.is_dataclass(kind) else None


def _fields(net):
    """The fields of a recipe's network that a recipe may set, and their defaults."""
    from jsr import models

    if guests.is_network(net.model):
        guests.bring(net.model)
    module = models.create(net.model, scale=net.scale)
    return {field.name: getattr(module, field.name) for field in dataclasses.fields(module)
            if field.name not in ("scale", "dtype", "parent", "name")}


def from_plain(data: Mapping[str, Any]) -> ConfigDict:
    """Plain data of a ConfigDict, read back from JSON, as a locked ConfigDict again; a copy of all it has."""
    return _revived(data).lock()


def _revived(data: Any) -> Any:
    if isinstance(data, dict):
        return ConfigDict({key: _revived(value) for key, value in data.items()})
    return [_revived(value) for value in data] if isinstance(data, list) else data

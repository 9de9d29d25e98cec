"""Configs: a track file, one of its recipes, and overrides from the command line.

`configs/aim22_t1.py:srmui` names a file and a recipe. The file is looked for as given and then, so that an installed
jsr works outside its checkout, among the package's own configs; there `aim22_t1` alone is enough.
"""

import ast
import dataclasses
import difflib
import importlib.util
from pathlib import Path

from ml_collections import ConfigDict

from jsr.errors import UserError

PACKAGE_CONFIGS = Path(__file__).parent / "_configs"


def nearest(name, names):
    """What an error message says after an unknown name: those that it begins, the closest known one, or all of them."""
    names = [str(n) for n in names]
    begun = [n for n in names if n.startswith(f"{name}_")]
    close = begun or difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else f"known: {', '.join(sorted(names))}"


def tracks():
    """The names of the package's own track files, sorted."""
    return sorted(p.stem for p in PACKAGE_CONFIGS.glob("[!_]*.py") if p.stem != "common")


def load(spec, overrides=()):
    """Loads a config.

    Args:
      spec: `FILE[:RECIPE]`, as in "configs/aim22_t1.py:srmui" or "aim22_t1:srmui".
      overrides: (key, text) pairs as in ("stages[0].steps", "200").

    Returns:
      A locked ConfigDict.

    Raises:
      UserError: no such file, recipe or key, or a value of the wrong type.
    """
    file, _, recipe = spec.partition(":")
    module = import_file(find(file))
    try:
        config = module.get_config(recipe) if recipe else module.get_config()
    except AttributeError as e:
        if hasattr(module, "get_config"):
            raise
        raise UserError(f"{file}: has no function get_config(recipe)") from e
    for key, text in sorted(overrides, key=lambda override: _order(override[0])):
        set_value(config, key, text)
    return config.lock()


def find(file):
    """The path of a config file: as given, else among the package's own; UserError names the nearest track."""
    for path in (Path(file), PACKAGE_CONFIGS / Path(file).name, PACKAGE_CONFIGS / f"{file}.py"):
        if path.is_file() and path.stem not in ("__init__", "common"):
            return path
    raise UserError(f"{file}: no such config file; {nearest(Path(file).stem, tracks())}")


def import_file(path):
    """The module in the Python file `path`."""
    spec = importlib.util.spec_from_file_location(f"jsr_config_{path.stem}", path)
    if spec is None:
        raise UserError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def set_value(config, key, text):
    """Sets `config`'s entry at `key` ("data.train.dataset", "stages[0].steps" or "stages.0.steps") from text.

    The text is read as the type that the entry has; anything goes where it is None. Dicts that list only what a recipe
    sets, as a network's fields, also take the other keys that their function knows, of the type of its default. What is
    the player's is found at the stage too ("stages[0].learning_rate"), where it has but one.

    Raises:
      UserError: an unknown key (the nearest is named) or text of another type.
    """
    *parents, last = _parts(key)
    nodes, walked = [config], []
    for part in parents:
        nodes, walked = _with_player(nodes, walked, part, key)
        index = _index(nodes[-1], part, key, walked)
        nodes, walked = [*nodes, nodes[-1][index]], [*walked, str(index)]
    nodes, walked = _with_player(nodes, walked, last, key)
    node, known = nodes[-1], _known(config, nodes, walked, key)
    index = _index(node, last, key, walked, known)
    value = _parse(text, known[index] if index in known else node[index], key)
    if isinstance(node, tuple):
        raise UserError(f"--config.{key}: sits in a tuple, which cannot be changed; make it a list in the config")
    if isinstance(node, ConfigDict):
        with node.ignore_type(), node.unlocked():
            node[index] = value
    else:
        node[index] = value


def _parts(key):
    return key.replace("[", ".").replace("]", "").split(".")


def _order(key):
    """Overrides are taken in this order: a whole before its parts, a function's name before what the function takes."""
    parts = _parts(key)
    return len(parts), parts[-1] not in ("name", "fn")


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


def _known(config, nodes, walked, key):
    """{key: default} of what a dict that lists only what a recipe sets may hold; {} of other entries."""
    match walked:
        case ["networks", name, "fields"]:
            return _fields(config.networks[name])
        case ["stages", _, "begin", _, "fields"]:
            return _fields(config.networks[nodes[-2].net])
        case ["data", "train", _] | ["stages", _, "data", _]:
            from jsr.data import mix

            return mix.DEFAULTS
        case ["data", "eval", "set"] | ["data", "train", _, "set"] | ["stages", _, "data", _, "set"]:
            from jsr import degradations

            if not nodes[-2].get("degrade"):
                raise UserError(f"--config.{key}: sets a parameter of a degradation, but none is named "
                                f"(--config.{'.'.join(walked[:-1])}.degrade=...)")
            # Of numbers there may be ranges and lists
            return {name: default if isinstance(default, str) else None
                    for name, default in degradations.parameters(nodes[-2].degrade).items()}
        case ["stages", _, "players", _, "optimizer" | "schedule" as what]:
            from jsr.training import optim

            return {"name": ""} | optim.arguments(what, nodes[-1].name)
        case ["stages", _, "players", _, "losses", _]:
            from jsr import losses

            return {"fn": "", "pred": "", "target": "", "weight": 1.0} | losses.defaults(nodes[-1]["fn"])
    return {}


def _fields(net):
    """The fields of a recipe's network that a recipe may set, and their defaults."""
    from jsr import models

    module = models.create(net.model, scale=net.scale)
    return {field.name: getattr(module, field.name) for field in dataclasses.fields(module)
            if field.name not in ("scale", "dtype", "parent", "name")}


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
    """A ConfigDict, with all it holds, as dicts and lists that JSON can write."""
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
    """What `plain` made of a ConfigDict, as JSON gives it back, as a locked ConfigDict again; a copy of all it holds."""
    return _revived(data).lock()


def _revived(data):
    if isinstance(data, dict):
        return ConfigDict({key: _revived(value) for key, value in data.items()})
    return [_revived(value) for value in data] if isinstance(data, list) else data

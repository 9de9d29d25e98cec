"""Configs: a track file, one of its recipes, and overrides from the command line.

`configs/aim22_t1.py:srmui` names a file and a recipe. The file is looked for as given and then, so that an installed
jsr works outside its checkout, among the package's own configs; there `aim22_t1` alone is enough.
"""

import ast
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
    for key, text in overrides:
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

    The text is read as the type that the entry has; anything goes where it is None.

    Raises:
      UserError: an unknown key (the nearest is named) or text of another type.
    """
    *parents, last = key.replace("[", ".").replace("]", "").split(".")
    node, walked = config, ""
    for part in parents:
        node, walked = node[_index(node, part, key, walked)], f"{walked}{part}."
    index = _index(node, last, key, walked)
    value = _parse(text, node[index], key)
    if isinstance(node, tuple):
        raise UserError(f"--config.{key}: sits in a tuple, which cannot be changed; make it a list in the config")
    if isinstance(node, ConfigDict):
        with node.ignore_type():
            node[index] = value
    else:
        node[index] = value


def _index(node, part, key, walked):
    if isinstance(node, (list, tuple)):
        if part.lstrip("-").isdigit() and -len(node) <= int(part) < len(node):
            return int(part)
        raise UserError(f"--config.{key}: {walked[:-1]} has {len(node)} entries, 0 to {len(node) - 1}, not {part!r}")
    if not isinstance(node, ConfigDict):
        raise UserError(f"--config.{key}: {walked[:-1]} is a value, without keys of its own")
    if part not in node:
        raise UserError(f"--config.{key}: unknown key {part!r}; {nearest(part, node.keys())}")
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
    return ConfigDict(value) if isinstance(value, dict) else value


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


def from_plain(data):
    """What `plain` made of a ConfigDict, as JSON gives it back, as a locked ConfigDict again; a copy of all it holds."""
    return _revived(data).lock()


def _revived(data):
    if isinstance(data, dict):
        return ConfigDict({key: _revived(value) for key, value in data.items()})
    return [_revived(value) for value in data] if isinstance(data, list) else data

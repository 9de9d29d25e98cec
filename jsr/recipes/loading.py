"""A track file, one of its recipes, and overrides from the command line.

`configs/aim22_t1.py:srmui` names a file and a recipe. The file is looked for as given and then, so that an installed
jsr works outside its checkout, among the package's own configs; there `aim22_t1` alone is enough.
"""

from collections.abc import Iterable
import dataclasses
import importlib.util
from pathlib import Path
from types import ModuleType

from ml_collections import ConfigDict

from jsr import places, trees
from jsr.errors import UserError, nearest


def tracks() -> list[str]:
    """The names of the package's own track files, sorted."""
    return sorted(p.stem for p in places.CONFIGS.glob("[!_]*.py"))


def load(spec: str, overrides: Iterable[tuple[str, str]] = ()) -> ConfigDict:
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
        trees.set_value(config, key, text, known)
    return config.lock()


def find(file: str | Path) -> Path:
    """The path of a config file: as given, else among the package's own; UserError names the nearest track."""
    for path in (Path(file), places.CONFIGS / Path(file).name, places.CONFIGS / f"{file}.py"):
        if path.is_file():
            return path
    raise UserError(f"{file}: no such config file; {nearest(Path(file).stem, tracks())}")


def import_file(path: Path) -> ModuleType:
    """The module in the Python file `path`."""
    spec = importlib.util.spec_from_file_location(f"jsr_config_{path.stem}", path)
    if spec is None:
        raise UserError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def all_recipes() -> list[tuple[str, str, ConfigDict]]:
    """[(track, name, ConfigDict)] of every recipe in `configs/`, sorted by track, in the order of its table."""
    found = []
    for track in tracks():
        table = import_file(places.CONFIGS / f"{track}.py").RECIPES
        found += [(track, name, load(f"{track}:{name}")) for name in table]
    return found


def _order(key):
    """Overrides are taken in this order: a whole before its parts, a function's name before what the function takes."""
    parts = trees.parts(key)
    return len(parts), parts[-1] not in ("name", "fn")


def known(config: ConfigDict, nodes: list, walked: list[str], key: str) -> dict[str, object]:
    """What a dict that lists only what a recipe sets may hold, {key: default}: see `jsr.trees.set_value`."""
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

"""A track file, one of its recipes, and overrides from the command line.

`configs/aim22_t1.py:srmui` names a file and a recipe. The file is looked for as given and then, so that an installed
jsr works outside its checkout, among the package's own configs; there `aim22_t1` alone is enough. A track file is
Python, and runs when it is loaded.
"""

from collections.abc import Iterable, Mapping
import importlib.util
import json
from pathlib import Path
import traceback
from types import ModuleType

from ml_collections import ConfigDict

from jsr import guests, places, trees
from jsr.errors import UserError, nearest
from jsr.recipes import overrides as override
from jsr.recipes import schema
from jsr.recipes.schema import Recipe


def tracks() -> list[str]:
    """The names of the package's own track files, sorted."""
    return sorted(p.stem for p in places.CONFIGS.glob("[!_]*.py"))


def load(spec: str, overrides: Iterable[tuple[str, str]] = ()) -> Recipe:
    """Loads a recipe.

    Args:
      spec: `FILE[:RECIPE]`, as in "configs/aim22_t1.py:srmui" or "aim22_t1:srmui".
      overrides: (key, text) pairs as in ("stages[0].steps", "200").

    Raises:
      UserError: no such file or recipe, a file that cannot be run, or mistakes in the recipe: a line each.
    """
    config = template(spec)
    _bring(config)
    recipe = _changed(config, overrides)
    _bring(recipe)
    return checked(recipe)


def checked(recipe: Recipe) -> Recipe:
    """The recipe itself; raises UserError for what it names that does not exist: a line each, with the key's place."""
    from jsr.recipes import check  # networks, and so JAX

    return check.checked(recipe)


def template(spec: str) -> ConfigDict:
    """The plain data of a recipe, as its file gives them, to change and to make another recipe of.

    Raises:
      UserError: no such file or recipe, or a file that cannot be run.
    """
    file, _, name = spec.partition(":")
    path = find(file)
    return _of_module(import_file(path), path, file, name)


def _of_module(module, path, file, name):
    if not hasattr(module, "get_config"):
        raise UserError(f"{file}: has no function get_config(recipe), which gives the recipe of that name")
    with _told(path):
        data = module.get_config(name) if name else module.get_config()
    if not isinstance(data, (Mapping, ConfigDict)):
        raise UserError(f"{file}: get_config gives {type(data).__name__}, not a recipe; make one by jsr.recipes.recipe")
    with _told(path):  # keys that are no text, or have dots
        data = trees.plain(data)
        data["recipe"] = data.get("recipe") or ":".join(filter(None, (path.stem, name)))
        return override.from_plain(data).unlock()


def changed(recipe: Recipe, overrides: Iterable[tuple[str, str]]) -> Recipe:
    """A recipe with other values; raises UserError for keys and values that cannot be."""
    return _changed(override.from_plain(trees.plain(recipe)).unlock(), overrides)


def read_json(path: Path) -> Recipe:
    """The recipe that a run has written down; raises UserError where the file is damaged."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(data, dict):
            data = {key: value for key, value in data.items() if key not in schema.RETIRED}
        return schema.read(data)
    except FileNotFoundError as e:
        raise UserError(f"{path}: no such file") from e
    except (OSError, ValueError) as e:
        raise UserError(f"{path}: a damaged file ({e}); put it back, or remove the run") from e


def _changed(config: ConfigDict, overrides):
    override.apply(config, overrides)
    return schema.read(config)


def find(file: str | Path) -> Path:
    """The path of a track file: as given, else among the package's own; UserError names the nearest track."""
    for path in (Path(file), places.CONFIGS / Path(file).name, places.CONFIGS / f"{file}.py"):
        if path.is_file():
            return path
    raise UserError(f"{file}: no such config file; {nearest(Path(file).stem, tracks())}")


def import_file(path: Path) -> ModuleType:
    """The module in the Python file `path`; raises UserError with its line where it cannot be run."""
    spec = importlib.util.spec_from_file_location(f"jsr_config_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    with _told(path):
        spec.loader.exec_module(module)
    return module


class _told:
    """Turns whatever a Python file raises into a UserError that names its line."""

    def __init__(self, path):
        self._path = path

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is None or isinstance(error, (UserError, KeyboardInterrupt)):
            return
        lines = [frame.lineno for frame in traceback.extract_tb(trace) if frame.filename == str(self._path)]
        if isinstance(error, SyntaxError) and error.filename == str(self._path):
            lines.append(error.lineno)
        where = f"{self._path}, line {lines[-1]}" if lines else f"{self._path}"
        words = str(error.msg if isinstance(error, SyntaxError) else error).partition("\n")[0]
        raise UserError(f"{where}: {kind.__name__}: {words}") from error


def all_recipes() -> list[tuple[str, str, Recipe]]:
    """[(track, name, Recipe)] of every recipe in `configs/`, sorted by track, in the order of its table."""
    found = []
    for track in tracks():
        path = places.CONFIGS / f"{track}.py"
        module = import_file(path)
        found += [(track, name, checked(schema.read(_of_module(module, path, track, name))))
                  for name in module.RECIPES]
    return found


def _bring(data):
    """Imports the guests that a recipe names: it is Python, or words of the user's own command."""
    guests.bring(*dict.fromkeys(_guests_in(trees.plain(data))))


def _guests_in(node):
    if isinstance(node, list):
        for each in node:
            yield from _guests_in(each)
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _guests_in(value)
            if isinstance(value, str) and (key == "model" and guests.is_network(value)
                                           or key in ("fn", "degrade", "dataset") and guests.is_function(value)):
                yield value

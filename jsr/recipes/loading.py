"""A track file, one of its recipes, and overrides from the command line.

`configs/aim22_t1.py:srmui` names a file and a recipe. The file is looked for as given and then, so that an installed
jsr works outside its checkout, among the package's own configs; there `aim22_t1` alone is enough. A track file is
Python, and runs when it is loaded.
"""

from collections.abc import Callable, Iterable, Mapping
import contextlib
import functools
import importlib.util
import inspect
from pathlib import Path
import re
import traceback
from types import ModuleType

from ml_collections import ConfigDict

from jsr import guests, places, trees
from jsr.errors import UserError, nearest
from jsr.files import from_json
from jsr.recipes import overrides as override
from jsr.recipes import schema
from jsr.recipes.mistakes import Mistakes
from jsr.recipes.schema import Recipe

_REMEDY = "put it back, or remove the run"


def tracks() -> list[str]:
    """The names of the package's own track files, sorted."""
    return sorted(p.stem for p in places.CONFIGS.glob("[!_]*.py"))


def load(spec: str, overrides: Iterable[tuple[str, str]] = (),
         more: Callable[[Recipe, Mistakes], None] | None = None) -> Recipe:
    """Loads a recipe.

    Args:
      spec: `FILE[:RECIPE]`, as in "configs/aim22_t1.py:srmui" or "aim22_t1:srmui".
      overrides: (key, text) pairs as in ("stages[0].steps", "200").
      more: adds to the mistakes those that do not show in the recipe alone.

    Raises:
      UserError: no such file or recipe, a file that cannot be run, or mistakes in the recipe: a line each.
    """
    from jsr.recipes import check  # networks, and so JAX

    config = template(spec)
    _bring(config, Mistakes())  # an override may replace what cannot be brought
    found, further = Mistakes(), Mistakes(libraries=more is not None)
    override.apply(config, overrides, found)
    _bring(config, found)
    recipe = schema.read_further(config, found)
    with contextlib.suppress(*([Exception] if found.lines else [])):  # what stands for wrong values may not fit
        check.look(recipe, further)
        if more and not found.lines:
            more(recipe, further)
    wrong = [_place(line) for line in found.lines]
    found.lines += [line for line in further.lines if not any(_rests_on(_place(line), place) for place in wrong)]
    found.done()
    return recipe


# Parts of a recipe that cannot be judged where others are wrong
_RESTS_ON = {"data": ("networks", "chain", "data", "stages"), "ensemble": ("networks", "chain", "stages"),
             "members": ("networks", "chain", "data", "stages", "members"),
             "stages": ("networks", "chain"), "chain": ("networks",), "networks": ("networks",)}


def _place(line):
    """The place that a mistake is at: "stages[0].batch"; "" for the whole recipe, or another thing."""
    found = re.match(r"--config\.([^:=]*)", line)
    return found[1] if found else ""


def _rests_on(place, wrong):
    """Whether a message about one place in a recipe may follow from a mistake at another."""
    if not wrong or f"{place}.".startswith((f"{wrong}.", f"{wrong}[")) or wrong.startswith((f"{place}.", f"{place}[")):
        return True
    section, other = (re.split(r"[.\[]", its)[0] for its in (place, wrong))
    together = section == "stages" and place.rpartition(".")[0] == wrong.rpartition(".")[0]
    return together or other in _RESTS_ON.get(section, ())


def checked(recipe: Recipe) -> Recipe:
    """The recipe itself; UserError names everything in it that does not exist, a line each, with the key's place."""
    from jsr.recipes import check  # networks, and so JAX

    return check.checked(recipe)


def template(spec: str) -> ConfigDict:
    """A recipe's plain data, as in its file, to be changed into another recipe.

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
    if inspect.iscoroutine(data):
        data.close()
        raise UserError(f"{file}: get_config is async; make it a function that gives a recipe")
    if not isinstance(data, (Mapping, ConfigDict)):
        raise UserError(f"{file}: get_config gives {type(data).__name__}, not a recipe; make one by jsr.recipes.recipe")
    with _told(path):  # keys that are no text, or have dots
        data = trees.plain(data)
        data["recipe"] = data.get("recipe") or ":".join(filter(None, (path.stem, name)))
        return override.from_plain(data).unlock()


def changed(recipe: Recipe, overrides: Iterable[tuple[str, str]]) -> Recipe:
    """A recipe with changed values; raises UserError for impossible keys and values."""
    return _changed(override.from_plain(trees.plain(recipe)).unlock(), overrides)


def read_json(path: Path) -> Recipe:
    """Reads the recipe in a run's folder; raises UserError if the file is damaged."""
    with from_json(path, _REMEDY) as data:
        data = {key: value for key, value in data.items() if key not in schema.RETIRED}
        for net in data.get("networks", {}).values():
            for key in schema.RETIRED_OF_NETS:
                net.pop(key, None)
        try:
            return schema.read(data)
        except UserError as e:
            raise UserError(f"{path}: a damaged file ({'; '.join(str(e).splitlines())}); {_REMEDY}") from e


def _changed(config: ConfigDict, overrides):
    found = Mistakes()
    override.apply(config, overrides, found)
    found.done()
    return schema.read(config)


def find(file: str | Path) -> Path:
    """The path of a track file, as given or among the package's own; UserError names the nearest track."""
    for path in (Path(file), places.CONFIGS / Path(file).name, places.CONFIGS / f"{file}.py"):
        if path.is_file():
            return path
    raise UserError(f"{file}: no such config file; {nearest(Path(file).stem, tracks())}")


def import_file(path: Path) -> ModuleType:
    """Imports the Python file `path`; a UserError names the line where it fails."""
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


@functools.cache
def all_recipes() -> tuple[tuple[str, str, Recipe], ...]:
    """(track, name, Recipe) of every recipe in `configs/`, sorted by track, in the order of its table.

    They are read once a process; `load` reads a file anew each time.
    """
    found = []
    for track in tracks():
        path = places.CONFIGS / f"{track}.py"
        module = import_file(path)
        found += [(track, name, checked(schema.read(_of_module(module, path, track, name))))
                  for name in module.RECIPES]
    return tuple(found)


def _bring(data, found):
    """Imports the guests that a recipe names: it is Python, or words of the user's own command."""
    for place, name in _guests_in(trees.plain(data), ""):
        with found.at(place):
            guests.bring(name)


def _guests_in(node, place):
    """(place, name) of the guests in plain data."""
    if isinstance(node, list):
        for number, each in enumerate(node):
            yield from _guests_in(each, f"{place}[{number}]")
    elif isinstance(node, dict):
        for key, value in node.items():
            its = f"{place}.{key}".lstrip(".")
            yield from _guests_in(value, its)
            if isinstance(value, str) and (key == "model" and guests.is_network(value)
                                           or key in ("fn", "degrade", "dataset") and guests.is_function(value)):
                yield its, value

"""Networks, losses, degradations and datasets from other packages, named by the place where their module has them.

A guest's name has a dot: "mypkg.mynet/base" is a network, "mypkg.losses:mine" a function. There is no registry. Naming
imports nothing: a module is used where it has been imported, by `bring` (`--import` of the commands, and whatever a
recipe names, which is Python anyway) or by the program that uses jsr. So no model file decides what code runs.
"""

import hashlib
import importlib
import inspect
import os
from pathlib import Path
import sys

from jsr.errors import UserError, nearest

_brought = []  # names of modules, for the processes that this one starts


def is_network(name):
    """Whether the name of a network is a guest's: its module has a dot."""
    return "." in module_name(name)


def is_function(name):
    """Whether the name of a loss, degradation, codec or dataset is a guest's: it has a colon after a dot."""
    return ":" in name and "." in module_name(name)


def module_name(name):
    """The module of a guest's name: "mypkg.mynet" of "mypkg.mynet/base" and of "mypkg.mynet:mine"."""
    return name.replace(":", "/").partition("/")[0]


def module(name):
    """The imported module of a guest's name; raises UserError that names the option where nobody has imported it."""
    path = module_name(name)
    if not all(part.isidentifier() for part in path.split(".")):
        raise UserError(f"{name}: is no name of a module of Python's, such as mypkg.mynet")
    if path not in sys.modules:
        raise UserError(f"{name}: belongs to another package, which only you can let in: --import {path}, or in Python "
                        f"`import {path}` first")
    return sys.modules[path]


def attribute(name, kind, words):
    """The thing that a guest's name "mypkg.losses:mine" stands for.

    Args:
      name: as above.
      kind: type that it must be of, or a function that says whether it can be.
      words: words for the thing that it must be.

    Raises:
      UserError: there is none, or it is another thing.
    """
    found, wanted = module(name), name.partition(":")[2]
    if not hasattr(found, wanted):
        raise UserError(f"{name}: {module_name(name)} has no {wanted!r}; "
                        f"{nearest(wanted, [its for its in vars(found) if not its.startswith('_')])}")
    its = getattr(found, wanted)
    if not (isinstance(its, kind) if isinstance(kind, type) else kind(its)):
        raise UserError(f"{name}: is {'a function' if inspect.isfunction(its) else f'of type {type(its).__name__}'}, "
                        f"but must be {words}")
    return its


def takes(number):
    """Whether something is a function that can be called with `number` arguments, and whose others have defaults."""
    def fits(its):
        try:
            inspect.signature(its).bind(*range(number))
        except (TypeError, ValueError):  # it cannot be called, or does not say how
            return False
        return True

    return fits


def bring(*names):
    """Imports modules by their dotted names; the current folder is not searched.

    Raises:
      UserError: one cannot be imported.
    """
    for name in names:
        path, before = module_name(name), list(sys.path)
        # Python puts the current folder first where it runs `-m jsr`: a file that happens to lie there is no guest
        sys.path[:] = before[1:] if before and before[0] in ("", os.getcwd()) else before
        try:
            importlib.import_module(path)
        except (Exception, SystemExit) as e:  # whatever the code of others raises
            words = str(e).partition("\n")[0]
            raise UserError(f"{path}: cannot be imported ({type(e).__name__}: {words}); install its package, or put "
                            "its folder on PYTHONPATH") from e
        finally:
            sys.path[:] = before
        if path not in _brought:
            _brought.append(path)


def code():
    """{module: hash of its file} of those that `bring` has imported."""
    files = {name: getattr(sys.modules[name], "__file__", None) for name in _brought}
    return {name: hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12] for name, path in files.items() if path}


class Brought:
    """The guests of this process as something to pickle: where it is read, they are imported again."""

    def __reduce__(self):
        return _bring_again, tuple(_brought)


def _bring_again(*names):
    bring(*names)
    return Brought()

"""Completion in the shell: commands, options, choices, tracks, names of models, files.

argcomplete asks for it through the environment, by a process of its own for each TAB, which therefore imports the one
command alone.
"""

import argparse
import importlib
import os

from jsr import places


def _tracks():
    return [path.stem for path in places.CONFIGS.glob("*.py") if not path.stem.startswith("_")]


def _models():
    from jsr import weights

    return list(weights.files())


_NAMES = {"recipe": _tracks, "config": _tracks, "model": _models, "source": _models,
          "sources": _models}  # by the arguments' dest; files are taken besides


def complete(commands, first_line):
    """Answers the shell and ends the process.

    Args:
      commands: names of all.
      first_line: from the name of a command to its line in the overview.
    """
    import argcomplete

    begun = os.environ["COMP_LINE"].encode()[:int(os.environ["COMP_POINT"])].decode(errors="replace").split()
    parser = argparse.ArgumentParser(prog="jsr")
    parser.add_argument("--version", action="store_true", help="the version")
    chosen = parser.add_subparsers()
    for name in commands:
        its = chosen.add_parser(name, help=first_line(name))
        if name in begun[1:2]:
            importlib.import_module(f"jsr.cli.{name}").add_arguments(its)
            its.add_argument("--import", metavar="MODULE", action="append", help="lets in a guest")
            _name(its)
    argcomplete.autocomplete(parser, exclude=["--config.KEY"])


def _name(parser):
    """Gives the arguments of a parser, and of those within it, the names that they take."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for within in action.choices.values():
                _name(within)
        elif action.dest in _NAMES and not action.choices:
            action.completer = _Names(_NAMES[action.dest])


class _Names:
    """A completer of argcomplete's: names, and files.

    Args:
      names: function without arguments that gives the names.
    """

    def __init__(self, names):
        self._names = names

    def __call__(self, prefix, **others):
        from argcomplete.completers import FilesCompleter

        return [name for name in self._names() if name.startswith(prefix)] + list(FilesCompleter()(prefix, **others))

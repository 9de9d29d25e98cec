"""Print a recipe: every key with its present value, unit and meaning.

    jsr config aim22_t1:quick                        # a table
    jsr config my/recipe.py --config.seed=1 --json   # the recipe as JSON, as a run's config.json has it
    jsr config --schema                              # JSON schema of recipes, for editors

A track file is Python, and this command runs it. `jsr train RECIPE` trains the recipe shown.
"""

import dataclasses
import json

from rich.table import Table

from jsr import recipes, terminal
from jsr.errors import UserError
from jsr.recipes import schema
from jsr.trees import plain


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("config", nargs="?", metavar="FILE[:RECIPE]", help="track file and one of its recipes")
    parser.add_argument("--config.KEY", dest="_", metavar="VALUE", help="override an entry of the recipe")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--schema", action="store_true", help="print the JSON schema of all recipes instead")


def run(args):
    """Prints the recipe or the schema; returns the exit status."""
    if args.schema:
        print(json.dumps(schema.json_schema(), indent=1))
        return 0
    if not args.config:
        raise UserError("name a recipe, as in aim22_t1:quick; jsr zoo lists them")
    recipe = recipes.load(args.config, args.overrides)
    if args.json:
        print(json.dumps(plain(recipe), indent=1))
        return 0
    table = Table(box=None)
    for heading in ("key", "value", "unit, range", "meaning"):
        table.add_column(heading, no_wrap=heading == "key", overflow="fold")
    for row in _rows(recipe, ""):
        table.add_row(*row)
    terminal.console().print(table)
    return 0


def _rows(node, place):
    """(key, value, unit and range, meaning) of all keys of a dataclass of the schema, those within it after it."""
    for field in dataclasses.fields(node):
        value, meaning = getattr(node, field.name), schema.about(type(node), field.name)
        inner = list(_within(value, f"{place}{field.name}"))
        shown = "" if inner else json.dumps(plain(value))
        yield f"{place}{field.name}", shown, ", ".join(filter(None, (meaning.unit, meaning.range()))), meaning.text
        for key, each in inner:
            yield from _rows(each, f"{key}.")


def _within(value, place):
    """(place, dataclass) of each dataclass in a value."""
    if dataclasses.is_dataclass(value):
        yield place, value
    elif isinstance(value, dict):
        yield from ((f"{place}.{name}", each) for name, each in value.items() if dataclasses.is_dataclass(each))
    elif isinstance(value, tuple):
        yield from ((f"{place}[{n}]", each) for n, each in enumerate(value) if dataclasses.is_dataclass(each))

"""Recipes: how one is written (`recipe`, `stage`, `player`, `source`), found and loaded.

A track file holds a table of them, and is data: `configs/aim22_t1.py` is one to read first.
"""

from jsr.recipes.loading import all_recipes, changed, checked, find, import_file, load, read_json, template, tracks
from jsr.recipes.schema import Recipe, read
from jsr.recipes.writing import pick, player, recipe, source, stage

__all__ = ["Recipe", "all_recipes", "changed", "checked", "find", "import_file", "load", "pick", "player",
           "read", "read_json", "recipe", "source", "stage", "template", "tracks"]

"""Recipes: how one is written (`recipe`, `stage`, `player`, `source`), found and loaded.

A track file holds a table of them, and is data: `configs/aim22_t1.py` is one to read first.
"""

from jsr.recipes.loading import all_recipes, find, import_file, known, load, tracks
from jsr.recipes.writing import pick, player, recipe, source, stage

__all__ = ["all_recipes", "find", "import_file", "known", "load", "pick", "player", "recipe", "source", "stage",
           "tracks"]

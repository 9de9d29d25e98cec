"""The folders of track files and dataset builders, in any kind of install, and the user's cache."""

import os
from pathlib import Path

PACKAGE = Path(__file__).parent


def _place(name):
    """The folder `_name` inside the package, as wheels have it; else `name` beside it, as a checkout has it."""
    inside = PACKAGE / f"_{name}"
    return inside if inside.is_dir() else PACKAGE.parent / name


CONFIGS = _place("configs")
TFDS_BUILDERS = _place("tfds_builders")


def cache(name):
    """A folder of jsr's in the user's cache, a Path, which need not exist; RuntimeError for a user without a home."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "jsr", name)

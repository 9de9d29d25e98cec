"""Where the track files and the dataset builders are, whatever the install."""

from pathlib import Path

PACKAGE = Path(__file__).parent


def _place(name):
    """The folder `_name` inside the package, as wheels have it; else `name` beside it, as a checkout has it."""
    inside = PACKAGE / f"_{name}"
    return inside if inside.is_dir() else PACKAGE.parent / name


CONFIGS = _place("configs")
TFDS_BUILDERS = _place("tfds_builders")

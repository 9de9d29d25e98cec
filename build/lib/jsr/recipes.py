"""All recipes of the package's track files."""

from jsr import config


def all_recipes():
    """[(track, name, ConfigDict)] of every recipe in `configs/`, sorted by track, in the order of its table."""
    found = []
    for track in config.tracks():
        table = config.import_file(config.PACKAGE_CONFIGS / f"{track}.py").RECIPES
        found += [(track, name, config.load(f"{track}:{name}")) for name in table]
    return found

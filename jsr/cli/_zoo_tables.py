"""The tables of a recipe's parts that `jsr zoo` prints: the names that a recipe may use, with a line on each."""

import ast

from jsr import augment, degradations, losses, metrics, optim, places
from jsr.datasets import build, folders
from jsr.degradations.resize import RESIZES


def _documented(functions):
    return {name: fn.__doc__.partition("\n")[0] for name, fn in functions.items()}


def _degradation(protocol):
    steps = (f"{step['fn']}({', '.join(f'{key}={_values(value)}' for key, value in step.items() if key != 'fn')})"
             for step in protocol.steps)
    return f"x{protocol.scale}{', clips' if protocol.video else ''}: {' > '.join(steps)}"


def _values(value):
    if isinstance(value, range):
        return f"{value[0]}-{value[-1]}"
    return "|".join(map(str, value)) if isinstance(value, tuple) else value


def _dataset(name):
    file = places.TFDS_BUILDERS / name / f"{name}_dataset_builder.py"
    return ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))).partition("\n")[0].removeprefix(f"{name}: ")


def tables(what):
    """[(heading, {name: one line})] of losses, codecs, datasets, metrics, augmentations or schedules."""
    return {
        "losses": lambda: [("loss", _documented(losses.LOSSES))],
        "codecs": lambda: [
            ("codec", _documented({name: codec.encode for name, codec in degradations.CODECS.items()})),
            ("resize", _documented(RESIZES)),
            ("degradation", {name: _degradation(row) for name, row in degradations.PROTOCOLS.items()})],
        "datasets": lambda: [("dataset", {name: _dataset(name) for name in build.names()}),
                             ("folder that you fill", folders.FOLDERS)],
        "metrics": lambda: [("metric", _documented(metrics.METRICS | metrics.CLIP_METRICS)),
                            ("profile", {name: profile.about for name, profile in metrics.PROFILES.items()}),
                            ("score by weights", {f"{metric}[{name}]": about for metric, its in
                                                  metrics.PERCEPTUAL.items() for name, about in its.items()})],
        "augmentations": lambda: [("augmentation", _documented(augment.AUGMENTATIONS))],
        "schedules": lambda: [("schedule", _documented(optim.SCHEDULES))],
    }[what]()

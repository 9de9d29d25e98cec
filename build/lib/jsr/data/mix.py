"""What a recipe says of its training data, opened: datasets, how they are degraded, how much of each is taken."""

import dataclasses
from fractions import Fraction
import hashlib
import json
import math

from jsr import degradations, evaluation
from jsr.config import nearest, plain
from jsr.data import clips, pipeline, sources
from jsr.data.cut import WHOLE, Cut
from jsr.errors import UserError

# Of a row; `jsr._configs.common.source` says what they mean.
DEFAULTS = {"dataset": "", "split": "train", "degrade": "", "set": {}, "files": "", "repeat": 1, "weight": 0.0,
            "steps": [], **dataclasses.asdict(WHOLE)}
_OPENED = ("dataset", "split", "files", *dataclasses.asdict(WHOLE))  # of the keys, what records a row has


def open_sources(config, announce=lambda line: None):
    """{(dataset, split, files, shrink, tiles, detail): source} of all rows that a recipe and its stages take samples from.

    Args:
      config: a recipe.
      announce: called with lines for the user.

    Raises:
      UserError: see `jsr.data.sources.open_source`, and rows with wrong keys.
    """
    rows = {}  # of the same records: how many others a worker's memory must hold beside them
    for stage in config.stages:
        found = _rows(config, stage)
        for row in found:
            rows[_key(row)] = max(rows.get(_key(row), 0), len(found))
    return {key: _opened(config, *key, pipeline.CACHE_BYTES // number, announce) for key, number in rows.items()}


def _opened(config, dataset, split, files, shrink, tiles, detail, memory, announce):
    try:
        form = Cut(shrink, tiles, detail)
    except UserError as e:
        raise UserError(f"{dataset}: {e} (--config.data.train[0]...)") from e
    return sources.open_source(dataset, split, config.data.data_dir or None, files, form, memory, announce)


def stage_rows(config, stage, opened, *, scale):
    """The rows of a mix, [jsr.data.pipeline.Row], from which a stage takes its samples: its own, or the recipe's.

    Args:
      config: a recipe.
      stage: one of its stages; `frames` decides whether samples are crops of images or windows of clips.
      opened: see `open_sources`.
      scale: HR size over LR size.

    Raises:
      UserError: a mistake in the rows or in the stage.
    """
    rows = _rows(config, stage)
    weights = [float(row["weight"]) for row in rows]
    if min(weights) < 0 or 0 in weights and any(weights):
        raise UserError(f"{_where(stage)}: weights {', '.join(f'{weight:g}' for weight in weights)}; give every row one "
                        "above 0, or none")
    if not any(weights):
        weights = [len(opened[_key(row)]) * _repeat(row, stage) for row in rows]
    elif any(row["repeat"] != 1 for row in rows):
        raise UserError(f"{_where(stage)}: has both repeat and weight; a row's weight alone is its share of samples")
    spans = [_span(row, stage) for row in rows]
    _check_gaps(spans, stage)
    if not stage.frames:
        _check_sizes(rows, opened, stage, scale)
    transforms = [_transform(row, stage, scale, len(rows), number) for number, row in enumerate(rows)]
    return [pipeline.Row(opened[_key(row)], transform, Fraction(weight), span)
            for row, transform, weight, span in zip(rows, transforms, weights, spans, strict=True)]


def described(config):
    """The rows of a recipe and of its stages, with their licences, for a model file: [{dataset, ..., licence}]."""
    rows = [row for stage in config.stages for row in _rows(config, stage)]
    unlike = [row for number, row in enumerate(rows) if row not in rows[:number]]
    return [{**row, "licence": sources.licence(row["dataset"])} for row in unlike]


def fixed(row, where):
    """What a row sets of its degradation, as `jsr.degradations.draw` takes it (see `jsr.degradations.settings`).

    Args:
      row: with the keys dataset, degrade and set.
      where: its place in the recipe, "data.train[0]".

    Raises:
      UserError: a value that is none, or no degradation.
    """
    chosen = plain(row["set"])
    if chosen and not row["degrade"]:
        raise UserError(f"{where}.set: sets {', '.join(chosen)} of a degradation, but names none ({where}.degrade)")
    return degradations.settings(row["degrade"], chosen, f"{where}.set.") if chosen else {}


def data_hash(config, opened):
    """A short hash of what records a recipe trains and is evaluated on: names and sizes, not where they lie.

    Args:
      config: a recipe.
      opened: see `open_sources`.
    """
    found = [source.identity for source in [*opened.values(), _validation_source(config)]]
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:16]


def _validation_source(config):
    data = config.data.eval
    return sources.open_source(data.dataset, data.split, config.data.data_dir or None)


def validation_count(config):
    """How many pairs there are."""
    return len(_validation_source(config))


def validation_pairs(config):
    """The pairs that a recipe is evaluated on, as `jsr.evaluation.eval_pairs` yields them."""
    data, source = config.data.eval, _validation_source(config)
    scale = math.prod(config.networks[name].scale for name in config.chain)
    return evaluation.eval_pairs(source, scale=scale, degrade=data.degrade, fixed=fixed(data, "data.eval"))


def _rows(config, stage):
    rows = plain(stage.data or config.data.train)
    for row in rows:
        if not isinstance(row, dict):
            raise UserError(f"{_where(stage)}: {row!r} is no row; give {{'dataset': ...}}")
        for key in row.keys() - DEFAULTS.keys():
            raise UserError(f"{_where(stage)}: unknown key {key!r}; {nearest(key, DEFAULTS)}")
    rows = [DEFAULTS | row for row in rows]
    if not rows or not all(row["dataset"] for row in rows):
        raise UserError(f"{_where(stage)}: names no dataset (--config.data.train[0].dataset=...)")
    return rows


def _where(stage):
    return "data of the stage" if stage.data else "data.train"


def _key(row):
    return tuple(row[key] for key in _OPENED)


def _check_sizes(rows, opened, stage, scale):
    """Names what is smaller than the crop, of sources that know the sizes of their images without reading them."""
    side, small = stage.crop // scale, {}
    for source in (opened[key] for key in dict.fromkeys(map(_key, rows))):
        if sizes := getattr(source, "sizes", None):
            small |= {name: size for name, size in zip(source.names, sizes, strict=True) if min(size) // scale < side}
    if small:
        name, (height, width) = next(iter(small.items()))
        more = f", and so are {len(small) - 1:,} more" if len(small) > 1 else ""
        raise UserError(f"{name}: {width}x{height} is smaller than the crop of {stage.crop}{more}; use a smaller one "
                        "(--config.stages[0].crop=...) or remove them")


def _repeat(row, stage):
    if not isinstance(row["repeat"], int) or row["repeat"] < 1:
        raise UserError(f"{_where(stage)}: repeats {row['dataset']} {row['repeat']} times; use 1 or more")
    return row["repeat"]


def _span(row, stage):
    steps = row["steps"]
    if steps and not (len(steps) == 2 and 0 <= steps[0] < steps[1]):
        raise UserError(f"{_where(stage)}: steps {steps} of {row['dataset']}; give [first, last), or [] for always")
    return tuple(steps) or None


def _check_gaps(spans, stage):
    step = 0
    while step < stage.steps:
        ends = [span[1] if span else stage.steps for span in spans if span is None or span[0] <= step < span[1]]
        if not ends:
            raise UserError(f"{_where(stage)}: no row takes part at step {step} of the stage's {stage.steps}; mend the "
                            "rows' steps")
        step = max(ends)


def _transform(row, stage, scale, count, number):
    cut = dict(crop=stage.crop, scale=scale, degrade=row["degrade"],
               fixed=fixed(row, f"{'data' if stage.data else 'data.train'}[{number}]"))
    derive = pipeline.derived_keys(stage)
    if not stage.frames:
        return pipeline.PairedCrops(**cut, derive=derive, cache_bytes=pipeline.CACHE_BYTES // count)
    if derive:
        raise UserError(f"a loss compares with {derive[0]!r}, which no batch of clips has; "
                        f"{nearest(derive[0], ['lr', 'hr'])}")
    return clips.ClipWindows(**cut, frames=stage.frames, cache_bytes=clips.CACHE_BYTES // count)

"""The training data of a recipe, opened: datasets, how they are degraded, how much of each is taken."""

from fractions import Fraction
import hashlib
import json

from jsr import degradations, models
from jsr.data import clips, pipeline, sources
from jsr.datasets.cut import Cut
from jsr.errors import UserError, nearest
from jsr.trees import plain


def open_sources(recipe, announce=lambda line: None):
    """The records of all rows that a recipe and its stages sample from: {`key` of a row: source}.

    Args:
      recipe: Recipe.
      announce: called with lines for the user.

    Raises:
      UserError: see `jsr.data.sources.open_source` and `open_pairs`: a line for all that is missing, damaged or smaller
        than the crop.
    """
    rows, others, least = {}, {}, {}  # of the same records: rows beside them in a worker's memory, the largest crop
    for stage in recipe.stages:
        found = recipe.rows(stage)
        for row in found:
            rows[key(row)] = row
            others[key(row)] = max(others.get(key(row), 0), len(found))
            least[key(row)] = max(least.get(key(row), 1), 1 if stage.frames else stage.crop)
    opened, problems = {}, []
    for its, row in rows.items():
        try:
            opened[its] = _opened(recipe, row, pipeline.CACHE_BYTES // others[its], announce, least[its])
        except UserError as e:
            problems += str(e).splitlines()
    try:
        validation_source(recipe, announce)
    except UserError as e:
        problems += str(e).splitlines()
    if problems:
        raise UserError("\n".join(dict.fromkeys(problems)))
    return opened


def _opened(recipe, row, memory, announce, least):
    data_dir = recipe.data.data_dir or None
    if row.hr:
        return sources.open_pairs(row.hr, row.lr, recipe.scale, data_dir, row.files, announce, least)
    return sources.open_source(row.dataset, row.split, data_dir, row.files, Cut(row.shrink, row.tiles, row.detail),
                               memory, announce, least)


def key(row):
    """What decides which records a row has, hashable."""
    return row.dataset, row.hr, row.lr, row.split, row.files, row.shrink, row.tiles, row.detail


def stage_rows(recipe, stage, opened):
    """The rows of a mix, [jsr.data.pipeline.Row], from which a stage takes its samples: its own, or the recipe's.

    Args:
      recipe: Recipe.
      stage: one of its stages; `frames` decides whether samples are crops of images or windows of clips.
      opened: see `open_sources`.

    Raises:
      UserError: rows that do not fit the stage.
    """
    rows = recipe.rows(stage)
    weights = [row.weight for row in rows]
    if not any(weights):
        weights = [len(opened[key(row)]) * row.repeat for row in rows]
    fields = recipe.fields_at(recipe.stages.index(stage))
    networks = {name: models.create(net.model, scale=net.scale, **fields[name])
                for name, net in recipe.networks.items() if name in recipe.chain}
    derive = pipeline.derived_keys(stage, networks)
    transforms = [_transform(row, stage, recipe.scale, len(rows), number, derive) for number, row in enumerate(rows)]
    return [pipeline.Row(opened[key(row)], transform, Fraction(weight), tuple(row.steps) or None)
            for row, transform, weight in zip(rows, transforms, weights, strict=True)]


def described(recipe):
    """The rows of a recipe and of its stages, with their licences, for a model file: [{dataset, ..., licence}]."""
    rows = [plain(row) for stage in recipe.stages for row in recipe.rows(stage)]
    unlike = [row for number, row in enumerate(rows) if row not in rows[:number]]
    return [{**row, "licence": sources.licence(row["dataset"])} for row in unlike]


def fixed(row, where):
    """What a row sets of its degradation, as `jsr.degradations.draw` takes it (see `jsr.degradations.settings`).

    Args:
      row: Source or Validation of a recipe.
      where: its place in the recipe, "data.train[0]".

    Raises:
      UserError: a value that is none.
    """
    return degradations.settings(row.degrade, row.set, f"{where}.set.") if row.set else {}


def identities(recipe, opened):
    """What tells other records from those that a recipe trains and is evaluated on: JSON, as jsr.data.sources says.

    Args:
      recipe: Recipe.
      opened: see `open_sources`.
    """
    return [source.identity for source in [*opened.values(), validation_source(recipe)]]


def data_hash(records):
    """A short hash of `identities`: names and sizes, not where they lie."""
    return hashlib.sha256(json.dumps(records).encode()).hexdigest()[:16]


def validation_source(recipe, announce=lambda line: None):
    """The records that a recipe is evaluated on, opened; `announce` is called with lines for the user."""
    data = recipe.data.eval
    data_dir = recipe.data.data_dir or None
    if data.hr:
        return sources.open_pairs(data.hr, data.lr, recipe.scale, data_dir, announce=announce)
    return sources.open_source(data.dataset, data.split, data_dir, announce=announce)


def _transform(row, stage, scale, count, number, derive):
    cut = dict(crop=stage.crop, scale=scale, degrade=row.degrade,
               fixed=fixed(row, f"{'data' if stage.data else 'data.train'}[{number}]"))
    if not stage.frames:
        return pipeline.PairedCrops(**cut, derive=derive, cache_bytes=pipeline.CACHE_BYTES // count)
    if derive:
        raise UserError(f"a loss compares with {derive[0]!r}, which no batch of clips has; "
                        f"{nearest(derive[0], ['lr', 'hr'])}")
    return clips.ClipWindows(**cut, frames=stage.frames, cache_bytes=clips.CACHE_BYTES // count)

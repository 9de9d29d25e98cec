"""The training data of a recipe, opened: datasets, their degradations and their shares."""

from fractions import Fraction
import hashlib
import json
import math
import os
from pathlib import Path

from jsr import challenges, degradations, guests, models
from jsr.chain import chain_frames, takes_quality
from jsr.data import clips, pipeline, sources
from jsr.data.kept import FOLDER
from jsr.datasets.build import default_data_dir
from jsr.datasets.cut import Cut
from jsr.degradations import degrade_device
from jsr.errors import UserError, nearest
from jsr.recipes.check import first_idle_step
from jsr.recipes.mistakes import Mistakes
from jsr.trees import plain

EVAL = "data.eval"  # key of the records of validation among those that are opened


def places(recipe):
    """(place, row) of all rows that a recipe and its stages sample from, in order."""
    if any(not stage.data for stage in recipe.stages):
        yield from ((f"data.train[{number}]", row) for number, row in enumerate(recipe.data.train))
    for index, stage in enumerate(recipe.stages):
        yield from ((f"stages[{index}].data[{number}]", row) for number, row in enumerate(stage.data))


def look(recipe, found):
    """Adds what shows to be wrong with the data of a recipe, without opening them, to the mistakes that are found."""
    for place, row in [*places(recipe), (EVAL, recipe.data.eval)]:
        with found.at(place):
            for name, wrong in sources.amiss(**plain(row), data_dir=recipe.data.data_dir or None):
                found.add(f"{place}.{name}", wrong)


def open_sources(recipe, announce=lambda line: None):
    """The records of all rows that a recipe and its stages sample from, and last those that it is evaluated on.

    Args:
      recipe: Recipe.
      announce: called with lines for the user.

    Returns:
      {`key` of a row: source}, and EVAL: source; None of a row that is left out, see `jsr.data.sources.absence`.

    Raises:
      UserError: see `jsr.data.sources.open_source` and `open_pairs`: a line for all that is missing or damaged; a
        stage none of whose rows is there, or none at some of its steps.
    """
    # Of the same records: rows beside them in a worker's memory, the largest crop, whether they are clips
    rows, others, least, of_clips = {}, {}, {}, {}
    for index, stage in enumerate(recipe.stages):
        found = recipe.rows(stage)
        for row in found:
            rows[key(row)] = row
            others[key(row)] = max(others.get(key(row), 0), len(found))
            of_clips[key(row)] = bool(stage.frames)
            crop = (1, 1) if stage.frames else stage.crop_hw, f"stages[{index}].crop"
            least[key(row)] = max(least.get(key(row), crop), crop, key=lambda its: math.prod(its[0]))
    missing = Mistakes(libraries=True)
    look(recipe, missing)
    wrong = {key(row) for place, row in places(recipe) if missing.within(place)}
    first, opened = {key(row): place for place, row in reversed([*places(recipe)])}, {}
    for its, row in rows.items():
        if its in wrong:
            continue
        if absence := sources.absence(row.dataset, recipe.data.data_dir):
            announce(absence)
            opened[its] = None
            continue
        with missing.at(first[its] if guests.is_function(row.dataset) else None):
            opened[its] = _opened(recipe, row, pipeline.CACHE_BYTES // others[its], announce, *least[its],
                                  of_clips[its])
    if not missing.within(EVAL):
        with missing.at(EVAL if guests.is_function(recipe.data.eval.dataset) else None):
            opened[EVAL] = validation_source(recipe, announce)
    _look_left(recipe, opened, missing)
    missing.done()
    for name in dict.fromkeys(row.degrade for row in rows.values() if row.degrade):
        if degradations.sees_whole(name):
            announce(_of_whole_images(name, _place(recipe)))
    return opened


def _look_left(recipe, opened, missing):
    """Adds the stages that the rows which are there do not suffice for."""
    for index, stage in enumerate(recipe.stages):
        rows, numbers = recipe.rows(stage), present(recipe, stage, opened)
        absent = [number for number in range(len(rows)) if number not in numbers]
        step = first_idle_step([rows[number] for number in numbers], stage.steps)
        if absent and step is not None:
            place = f"{f'stages[{index}].data' if stage.data else 'data.train'}[{absent[0]}].dataset"
            missing.add(place, f"{sources.absence(rows[absent[0]].dataset, recipe.data.data_dir)}, and step {step} of "
                               "the stage has no other row; put the images there, or name what you have")


def _of_whole_images(name, folder):
    first = next(part for part in (folder, *folder.parents) if part.exists())
    if os.access(first, os.W_OK):
        return f"{name} compresses whole images, each when it is first used, and they are kept in {folder}"
    return (f"{name} compresses whole images, for every crop anew since nothing can be kept in {folder}; have its "
            "permissions changed, or choose another folder (--config.data.data_dir=...)")


def _opened(recipe, row, memory, announce, least, crop, clips):
    data_dir = recipe.data.data_dir or None
    if row.hr:
        return sources.open_pairs(row.hr, row.lr, recipe.scale, data_dir, row.files, announce, least, crop, clips)
    return sources.open_source(row.dataset, row.split, data_dir, row.files, Cut(row.shrink, row.tiles, row.detail),
                               memory, announce, least, crop, clips)


def key(row):
    """The hashable key of everything that decides a row's records."""
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
    numbers = present(recipe, stage, opened)
    rows = [recipe.rows(stage)[number] for number in numbers]
    weights = [row.weight for row in rows]
    if not any(weights):
        weights = [len(opened[key(row)]) * row.repeat for row in rows]
    transforms = [transform(recipe, stage, number) for number in numbers]
    return [pipeline.Row(opened[key(row)], transform, Fraction(weight), tuple(row.steps) or None)
            for row, transform, weight in zip(rows, transforms, weights, strict=True)]


def present(recipe, stage, opened):
    """The numbers of a stage's rows that are not left out; `opened` as in `open_sources`."""
    return [number for number, row in enumerate(recipe.rows(stage)) if opened.get(key(row), row) is not None]


def described(recipe, opened):
    """The rows of a recipe and of its stages, with their licences, for a model file: [{dataset, ..., licence}].

    Args:
      recipe: Recipe.
      opened: see `open_sources`; rows that are left out are none.
    """
    rows = [plain(recipe.rows(stage)[number]) for stage in recipe.stages for number in present(recipe, stage, opened)]
    unlike = [row for number, row in enumerate(rows) if row not in rows[:number]]
    return [{**row, "licence": sources.licence(row["dataset"])} for row in unlike]


def codecs(recipe, opened):
    """{place of a row: the codecs of its LR images}, of the first record's where they are stored.

    Args:
      recipe: Recipe.
      opened: see `open_sources`.
    """
    found = {}
    for place, row in places(recipe):
        if row.degrade:
            found[place] = degradations.codecs(degradations.draw(row.degrade, **fixed(row, place)))
        elif key(row) in opened:
            found[place] = degradations.codecs(json.loads(opened[key(row)][0].get("degradation") or "{}"))
    return {place: text for place, text in found.items() if text}


def fixed(row, where):
    """A row's settings of its degradation, as `jsr.degradations.draw` takes them (see `jsr.degradations.settings`).

    Args:
      row: Source or Validation of a recipe.
      where: its place in the recipe, "data.train[0]".

    Raises:
      UserError: a value that is none.
    """
    return degradations.settings(row.degrade, row.set, f"{where}.set.") if row.set else {}


def identities(opened):
    """Identities of the records that a recipe trains on and is evaluated on: JSON, see jsr.data.sources.

    Args:
      opened: see `open_sources`; None stands for a row that is left out.
    """
    return [None if source is None else source.identity for source in opened.values()]


def data_hash(records):
    """A short hash of `identities`: names and sizes, not where they lie."""
    return hashlib.sha256(json.dumps(records).encode()).hexdigest()[:16]


def validation_source(recipe, announce=lambda line: None):
    """The records that a recipe is evaluated on, opened; `announce` is called with lines for the user."""
    data = recipe.data.eval
    data_dir, video = recipe.data.data_dir or None, challenges.protocol(recipe.protocol).video
    if data.hr:
        return sources.open_pairs(data.hr, data.lr, recipe.scale, data_dir, announce=announce, clips=video)
    return sources.open_source(data.dataset, data.split, data_dir, announce=announce, clips=video)


def transform(recipe, stage, number):
    """The transform from records of row `number` of a stage to samples; UserError if it does not fit the stage."""
    rows, scale = recipe.rows(stage), recipe.scale
    row, derive = rows[number], derived(recipe, stage)
    cut = dict(crop=stage.crop_hw, scale=scale, degrade=row.degrade,
               fixed=fixed(row, f"{'data' if stage.data else 'data.train'}[{number}]"))
    if not stage.frames:
        keep = _place(recipe) if row.degrade and degradations.sees_whole(row.degrade) else None
        return pipeline.PairedCrops(**cut, flip_rotate=row.flip_rotate, keep=keep, derive=derive,
                                    form=device_form(recipe, stage), cache_bytes=pipeline.CACHE_BYTES // len(rows))
    named = pipeline.derived_keys(stage)
    if named:
        raise UserError(f"a loss compares with {named[0]!r}, which no batch of clips has; "
                        f"{nearest(named[0], ['lr', 'hr'])}")
    if derive:
        taker = takes_quality(_networks(recipe, stage))[0]
        raise UserError(f"the network {taker} must be told the JPEG quality of an image, which clips do not have; "
                        "take one that is not")
    middle = isinstance(chain_frames(_networks(recipe, stage)), int)
    return clips.ClipWindows(**cut, frames=stage.frames, middle=middle, cache_bytes=clips.CACHE_BYTES // len(rows))


def device_form(recipe, stage):
    """The jsr.degradations.degrade_device.Form by which the device degrades a stage's samples; None: the host does.

    Raises:
      UserError: the device cannot.
    """
    if recipe.data.degrade_on == "host":
        return None
    where, size = "data" if stage.data else "data.train", tuple(side // recipe.scale for side in stage.crop_hw)
    if stage.frames or not all(row.degrade for row in recipe.rows(stage)):
        what = "samples of clips" if stage.frames else "LR images that are stored"
        raise UserError(f"the device degrades images, and a stage has {what}; leave it to the host")
    forms = {row.degrade: degrade_device.form(row.degrade, size, **fixed(row, f"{where}[{number}]"))
             for number, row in enumerate(recipe.rows(stage))}
    if len(set(forms.values())) > 1:
        raise UserError(f"the device degrades all samples of a stage alike, and {' and '.join(forms)} are of different "
                        "kinds; leave it to the host")
    return next(iter(forms.values()))


def _place(recipe):
    """The folder in which LR files of whole images are kept."""
    return Path(recipe.data.data_dir or default_data_dir()) / FOLDER


def batch_shapes(recipe, stage, count):
    """{"lr", "hr": shape} of a batch of `count` samples of a stage, as networks and losses see them."""
    size = tuple(side // recipe.scale for side in stage.crop_hw)
    frames = (stage.frames,) * bool(stage.frames)
    of_hr = () if isinstance(chain_frames(_networks(recipe, stage)), int) else frames
    return {"lr": (count, *frames, *size, 3), "hr": (count, *of_hr, *stage.crop_hw, 3)}


def derived(recipe, stage):
    """The keys of a stage's batches besides lr and hr, for its losses and networks: keys of pipeline.DERIVED."""
    return pipeline.derived_keys(stage, _networks(recipe, stage))


def _networks(recipe, stage):
    """{name: module} of the chain during a stage."""
    fields = recipe.fields_at(recipe.stages.index(stage))
    return {name: models.create(net.model, scale=net.scale, **fields[name])
            for name, net in recipe.networks.items() if name in recipe.chain}

"""Checks that all names in a recipe exist: networks and their fields, losses, optimizers, degradations, a protocol.

All of it is told by the recipe alone, in milliseconds. What needs files or the shapes of the networks' parameters is
checked as a training begins (jsr.training.check).
"""

from collections.abc import Callable
import dataclasses
import json
import re

from jsr import augment, challenges, degradations, losses, models, optim
from jsr.chain import chain_frames
from jsr.errors import UserError, nearest
from jsr.recipes import schema
from jsr.recipes.mistakes import Mistakes
from jsr.recipes.schema import Recipe
from jsr.trees import plain

_TAKEN = ("lr", "hr", "mask")  # names of images, which losses compare with
_LEAST_WEIGHT = 1e-6  # of a row of data: shares are met to a millionth
_LONGEST_NAME = 200  # of a recipe, which names the folder of its runs


def checked(recipe: Recipe) -> Recipe:
    """The recipe itself; raises UserError for what is wrong in it: a line each, with the key's place."""
    found = Mistakes()
    look(recipe, found)
    found.done()
    return recipe


def look(recipe: Recipe, found: Mistakes) -> None:
    """Adds a recipe's mistakes to those found so far."""
    _check_name(recipe.recipe, found)
    _check_networks(recipe, found)
    scale = None if found.within("networks", "chain") else recipe.scale
    with found.at("protocol"):
        challenges.of(recipe.protocol, "")
    if recipe.protocol in challenges.PROTOCOLS:
        with found.at("ranking"):
            challenges.of(recipe.protocol, recipe.ranking)
        with found.at("entry"):
            challenges.published(recipe.protocol, recipe.entry)
    if not recipe.data.train:
        found.add("data.train", "names no dataset (--config.data.train=[{'dataset': ...}])")
    if not found.within("networks", "chain"):
        _check_frames(recipe, found)
    for place, row in _data_rows(recipe):
        _check_data_row(scale, place, row, found)
        if place != "data.eval" and recipe.protocol in challenges.PROTOCOLS:
            _check_kept_out(recipe.protocol, place, row, found)
    if len(recipe.input_hw) != 2 or min(recipe.input_hw) < 1:
        found.add("input_hw", f"{list(recipe.input_hw)}; give [height, width]")
    if any(tile < 1 for tile in recipe.ensemble.tiles):
        found.add("ensemble.tiles", f"{list(recipe.ensemble.tiles)}; give sides of 1 or more")
    if any(0 < tile <= 2 * recipe.ensemble.overlap for tile in recipe.ensemble.tiles):
        found.add("ensemble.overlap", f"{recipe.ensemble.overlap} px at both ends leave nothing of tiles of "
                                      f"{min(recipe.ensemble.tiles)}; give less")
    elif recipe.ensemble.overlap and not recipe.ensemble.tiles:
        found.add("ensemble.overlap", "is of tiles, but ensemble.tiles names none; name some, or give 0")
    if not recipe.stages:
        found.add("stages", "has none: nothing would be trained")
    elif scale and 0 < recipe.ensemble.tlc < (least := max(recipe.stages[-1].crop_hw, default=0) // scale):
        found.add("ensemble.tlc", f"{recipe.ensemble.tlc} is smaller than the LR crop that was trained with; give "
                                  f"{least * 3 // 2}, 1.5 times as much as that, or 0")
    for number in range(len(recipe.stages)):
        _check_stage(recipe, scale, number, f"stages[{number}]", found)
    _check_transforms(recipe.ensemble, found)
    if all(schema.about(schema.Member, "copies").holds(its.copies) for its in recipe.members):
        _check_members(recipe, scale, found)
    if not found.within("members"):
        of_members(recipe, look, found)


def of_members(recipe: Recipe, look: Callable[[Recipe, Mistakes], None], found: Mistakes) -> None:
    """Adds mistakes of a recipe's members that the recipe itself does not have, at the members' places.

    Args:
      recipe: Recipe.
      look: adds what is wrong in the recipe of a run to mistakes.
      found: the mistakes that are found; those of the recipe itself are among them.
    """
    for number, member in enumerate(recipe.members):
        own = tuple([f"networks.{name}" for name in member.networks] + ["stages"] * bool(member.stages))
        if own:
            its = Mistakes(libraries=found.libraries)
            look(dataclasses.replace(recipe, members=(member,)).runs[0], its)
            for line in its.lines:
                if line not in found.lines:
                    text = line.removeprefix("--config.")
                    found.add(None, f"--config.members[{number}]{'.' if text.startswith(own) else ': '}{text}")


def _check_transforms(ensemble, found):
    names = ensemble.transforms
    if unknown := [name for name in names if name not in schema.TRANSFORMS]:
        found.add("ensemble.transforms", f"no flip or turn {unknown[0]!r}; {nearest(unknown[0], schema.TRANSFORMS)}")
    elif len(set(names)) < len(names):
        found.add("ensemble.transforms", f"{list(names)} names one twice; give each once")
    elif names and not ensemble.self:
        found.add("ensemble.transforms", "names flips and turns, but ensemble.self is False; make it True or name none")


def _check_members(recipe, scale, found):
    """Members are averaged: their networks are the recipe's by name, of its scale, and none is trained twice."""
    for number, member in enumerate(recipe.members):
        for name in member.networks:
            if name not in recipe.networks:
                found.add(f"members[{number}].networks", f"no network {name!r}; {nearest(name, recipe.networks)}")
    if sum(its.copies for its in recipe.members) == 1:
        found.add("members", "is one network, of which there is nothing to average; give two, or [] for the recipe's")
    if found.within("members", "networks", "chain"):
        return
    names, first = [f"members[{number}]" for number, its in enumerate(recipe.members) for _ in range(its.copies)], {}
    for name, run in zip(names, recipe.runs, strict=False):
        if run.scale != scale:
            found.add(name, f"is for x{run.scale}, the recipe for x{scale}; members that are averaged have one scale")
        twin = first.setdefault(json.dumps(plain(run), sort_keys=True), name)
        if twin is not name:
            found.add(name, f"is the network of {twin} once more; give it another seed ({name}.seed), or leave it out")


def _check_name(name, found):
    """Checks a recipe's name, which names a folder and a folder in it."""
    for part in name.split(":"):
        if name and (part.strip(". ") == "" or re.search(r"[/\\\x00-\x1f]", part) or len(part) > _LONGEST_NAME):
            found.add("recipe", f"{schema.shown(name)} names the folder of its runs, <track>:<name>; give two words of "
                                f"at most {_LONGEST_NAME} letters each, without / and not dots alone")
            return


def _check_networks(recipe, found):
    for name, net in recipe.networks.items():
        if not re.fullmatch(r"[A-Za-z_]\w*", name) or name in _TAKEN:
            found.add("networks", f"a network cannot be called {name!r}; use letters, digits and _, and none of "
                                  f"{', '.join(_TAKEN)}")
        if own := [field for field in ("scale", "dtype") if field in net.fields]:
            found.add(f"networks.{name}.fields", f"{own[0]} is no field to set here; the recipe's "
                                                 f"{'dtype' if own[0] == 'dtype' else f'networks.{name}.scale'} is it")
            continue
        with found.at(f"networks.{name}"):
            models.create(net.model, scale=net.scale, **net.fields)
        for field, values in net.search.items():
            with found.at(f"networks.{name}.search.{field}"):
                check_values(net, field, values)
    if not recipe.chain:
        found.add("networks", "has none; name the network to train")
    for number, name in enumerate(recipe.chain):
        if name not in recipe.networks:
            found.add(f"chain[{number}]", f"no network {name!r}; {nearest(name, recipe.networks)}")
        elif name in recipe.chain[:number]:
            found.add(f"chain[{number}]", f"{name} stands in the chain twice; give the second a name of its own")


def _check_frames(recipe, found):
    """Clips go where clips are taken: networks, samples, the protocol that judges, what makes LR clips."""
    networks = {name: models.create(net.model, scale=net.scale, **net.fields) for name, net in recipe.networks.items()
                if name in recipe.chain}
    with found.at("chain"):
        frames = chain_frames(networks)
        for number, stage in enumerate(recipe.stages):
            if frames and not stage.frames:
                found.add(f"stages[{number}].frames", f"0 is for images, but the network takes clips; give "
                                                      f"{7 if frames == 'all' else frames}")
            elif isinstance(frames, int) and stage.frames != frames:
                found.add(f"stages[{number}].frames", f"{stage.frames}, but the network sees {frames} at once; give "
                                                      f"{frames}")
    if recipe.protocol not in challenges.PROTOCOLS:
        return
    video = challenges.PROTOCOLS[recipe.protocol].video
    if not video and any(stage.frames for stage in recipe.stages):
        clips = [name for name, row in challenges.PROTOCOLS.items() if row.video]
        found.add("protocol", f"{recipe.protocol} judges images, and the samples are clips; take {' or '.join(clips)}")
    elif (name := recipe.data.eval.degrade) in degradations.PROTOCOLS and degradations.protocol(name).video != video:
        kinds = ("clips", "images") if video else ("images", "clips")
        found.add("data.eval.degrade", f"{name} makes {kinds[1]}, and the protocol {recipe.protocol} judges "
                                       f"{kinds[0]}; take another degradation, or another protocol")


def check_values(net: schema.Net, field: str, values: object) -> None:
    """Raises UserError where the values of a field that a search tries are no list, or not of the field's."""
    if not isinstance(values, (list, tuple)) or not values:
        raise UserError(f"{schema.shown(values)}; give a list of values, [16, 24]")
    for value in values:
        models.create(net.model, scale=net.scale, **(net.fields | {field: value}))


def _data_rows(recipe):
    """(place, row) of all rows of data, the validation's last."""
    yield from ((f"data.train[{n}]", row) for n, row in enumerate(recipe.data.train))
    for number, stage in enumerate(recipe.stages):
        yield from ((f"stages[{number}].data[{n}]", row) for n, row in enumerate(stage.data))
    yield "data.eval", recipe.data.eval


def _check_data_row(scale, place, row, found):
    if row.hr or row.lr:
        _check_pairs(place, row, found)
    elif not row.dataset:
        found.add(f"{place}.dataset", "names no dataset")
    if getattr(row, "flip_rotate", False) and not row.degrade:
        found.add(f"{place}.flip_rotate", f"turns images before they are degraded, but {place}.degrade names nothing "
                                          "that does so; have the stage turn both (--config.stages[0].augment="
                                          "['flip_rotate'])")
    if row.set and not row.degrade:
        found.add(f"{place}.set", f"sets {', '.join(row.set)} of a degradation, but {place}.degrade names none")
    elif row.degrade:
        try:
            made = degradations.protocol(row.degrade).scale
        except UserError as e:
            found.add(f"{place}.degrade", e)
            return
        if scale not in (None, made):
            found.add(f"{place}.degrade", f"{row.degrade} makes LR images for x{made}, the networks are for x{scale}")
        with found.at(place):
            degradations.settings(row.degrade, row.set, "set.")
    steps = getattr(row, "steps", ())
    if steps and not (len(steps) == 2 and 0 <= steps[0] < steps[1]):
        found.add(f"{place}.steps", f"{list(steps)}; give [first, last), or [] for always")


def _check_kept_out(protocol, place, row, found):
    """Datasets that the rules of a challenge keep out of training, by the names of datasets and folders."""
    for name in challenges.PROTOCOLS[protocol].kept_out:
        for key in ("dataset", "hr", "lr"):
            words = (re.sub(r"[^a-z0-9]", "", part.lower()) for part in re.split(r"[/\\]", getattr(row, key)))
            if any(re.match(rf"{name}(?!\d)", word) for word in words):
                found.add(f"{place}.{key}", f"{getattr(row, key)}: {name.upper()} is for evaluation alone, by the "
                                            f"rules of {protocol}; train on others")


def _check_pairs(place, row, found):
    """Checks that a row of the user's own HR and LR folders has no keys that do not go with them."""
    for missing, other in (("hr", "lr"), ("lr", "hr")):
        if not getattr(row, missing):
            found.add(f"{place}.{missing}", f"names no folder, but {place}.{other} does; give both")
    if row.dataset:
        found.add(f"{place}.dataset", f"{row.dataset}, but {place}.hr and lr name folders; leave one out "
                                      f"(--config.{place}.dataset=)")
    if row.degrade:
        found.add(f"{place}.degrade", f"makes LR images, but {place}.lr has them; leave one out "
                                      f"(--config.{place}.degrade=)")
    for name in ("shrink", "tiles", "detail"):
        if getattr(row, name, None) not in (None, schema.defaults(schema.Source)[name]):
            found.add(f"{place}.{name}", "is for folders without LR images; leave it out")


def _check_stage(recipe, scale, index, place, found):
    stage = recipe.stages[index]
    twice = "twice " if stage.frames else ""  # clips have chroma of half the size
    if len(stage.crop_hw) != 2:
        found.add(f"{place}.crop", f"{list(stage.crop_hw)}; give a side, or [height, width]")
    elif odd := [side for side in dict.fromkeys(stage.crop_hw) if scale and side % (2 * scale if twice else scale)]:
        found.add(f"{place}.crop", f"{odd[0]} is not a multiple of {twice}the scale {scale}")
    if stage.batch % stage.accumulate:
        found.add(f"{place}.accumulate", f"a batch of {stage.batch} is not {stage.accumulate} equal parts")
    _check_mix(recipe, stage, f"{place}.data" if stage.data else "data.train", found)
    if any(row.flip_rotate and row.degrade for row in recipe.rows(stage)):
        if stage.frames:
            found.add(f"{place}.frames", "makes samples of clips, which no row of data can flip_rotate; leave that to "
                                         f"the stage (--config.{place}.augment=['flip_rotate'])")
        elif {"flip", "flip_rotate"} & {row if isinstance(row, str) else row.get("name") for row in stage.augment}:
            found.add(f"{place}.augment", "turns once more what a row of data has turned before it was degraded "
                                          f"(flip_rotate); leave it out (--config.{place}.augment=[])")
    for number in range(len(stage.begin)):
        _check_begin(recipe, index, number, f"{place}.begin[{number}]", found)
    with found.at(f"{place}.augment"):
        augment.check_rows(stage.augment)
    if not stage.players:
        found.add(f"{place}.players", "has none: nothing would be trained")
    updated = [name for player in stage.players for name in player.nets]
    for number, player in enumerate(stage.players):
        _check_player(recipe, stage, player, f"{place}.players[{number}]", updated, found)


def _check_mix(recipe, stage, place, found):
    """Checks that the rows of a stage's data agree where they must."""
    rows = recipe.rows(stage)
    weights = [row.weight for row in rows]
    if any(weights) and not all(weights):
        shown = ", ".join(f"{weight:g}" for weight in weights)
        found.add(place, f"weights {shown}; give every row one above 0, or none")
    elif any(weights) and any(row.repeat != 1 for row in rows):
        found.add(place, "has both repeat and weight; a row's weight alone is its share of samples")
    elif any(weights) and min(weights) < _LEAST_WEIGHT * max(1, *weights):
        found.add(place, f"the weight {min(weights):g} is less than a millionth of {max(1, *weights):g}, of which "
                         "nothing is ever drawn; leave the row out, or give it more")
    if any(len(row.steps) not in (0, 2) or list(row.steps) != sorted(row.steps) for row in rows):
        return
    step = first_idle_step(rows, stage.steps)
    if rows and step is not None:
        found.add(place, f"no row takes part at step {step} of the stage's {stage.steps}; mend the rows' steps")


def first_idle_step(rows, steps):
    """The first of a stage's steps in which none of its rows of data takes part; None where there is no such step."""
    step = 0
    while step < steps:
        ends = [row.steps[1] if row.steps else steps for row in rows
                if not row.steps or row.steps[0] <= step < row.steps[1]]
        if not ends:
            return step
        step = max(ends)
    return None


def _check_begin(recipe, index, number, place, found):
    row = recipe.stages[index].begin[number]
    if row.net not in recipe.trained or row.net not in recipe.networks:
        found.add(f"{place}.net", f"no network {row.net!r} is trained; {nearest(row.net, recipe.trained)}")
        return
    net, stage = recipe.networks[row.net], recipe.stages[index]
    fields = recipe.fields_at(index - 1)[row.net]
    for other in stage.begin[:number]:
        fields |= other.fields if other.net == row.net else {}
    with found.at(f"{place}.fields"):
        before, after = (models.create(net.model, scale=net.scale, **its) for its in (fields, fields | row.fields))
        if before == after:
            found.add(f"{place}.fields", f"changes nothing of {row.net}, for {row.carry} to begin with; give the "
                                         "fields that the network has from here on")


def _check_player(recipe, stage, player, place, updated, found):
    for name in () if player.nets == recipe.chain and len(stage.players) == 1 else dict.fromkeys(player.nets):
        if name not in recipe.networks:
            found.add(f"{place}.nets", f"no network {name!r}; {nearest(name, recipe.networks)}")
        elif updated.count(name) > 1:
            found.add(f"{place}.nets", f"{name} is updated twice; one player may update a network")
    if player.every > stage.steps:
        found.add(f"{place}.every", f"{player.every}, but the stage has {stage.steps} steps; give at most these")
    if not player.losses:
        found.add(f"{place}.losses", "has none: nothing would be learnt; give rows {fn, pred, target, weight}")
    for number, row in enumerate(player.losses):
        with found.at(f"{place}.losses[{number}]"):
            losses.check_rows([row])
            _check_nets_of(row, recipe)
    if player.losses and not any(row.get("weight", 1) for row in player.losses):
        found.add(f"{place}.losses", "all weights are 0: nothing would be learnt; give one more")
    with found.at(place):
        optim.check(player, stage.steps)


def _check_nets_of(row, recipe):
    """Raises UserError where a loss asks for a network that the recipe does not have."""
    for key in losses.keys([row]):
        its = losses.parse(key)
        nets = [its.net] if its.net else [its.of] if its.path else []
        for net in nets:
            if net not in recipe.networks:
                raise UserError(f"compares with {key!r}, but there is no network {net!r}; "
                                f"{nearest(net, recipe.networks)}")

"""What a recipe names must exist: networks and their fields, losses, optimizers, degradations, a protocol.

All of it is told by the recipe alone, in milliseconds. What needs the data or the networks' parameters is checked as a
training begins (jsr.training.check).
"""

import contextlib
import re

from jsr import augment, challenges, degradations, device, losses, models, optim
from jsr.errors import MissingLibrary, UserError, nearest
from jsr.recipes import schema
from jsr.recipes.schema import Recipe

_TAKEN = ("lr", "hr", "mask")  # names of images, which losses compare with


def checked(recipe: Recipe) -> Recipe:
    """The recipe itself; raises UserError for what is wrong in it: a line each, with the key's place."""
    problems = mistakes(recipe)
    if problems:
        raise UserError("\n".join(problems))
    return recipe


def mistakes(recipe: Recipe) -> list[str]:
    """What is wrong in a recipe: a line each."""
    found = _Lines()
    _check_networks(recipe, found)
    scale = None if found.lines else recipe.scale
    with found.at("protocol"):
        challenges.of(recipe.protocol, "")
    if recipe.protocol in challenges.PROTOCOLS:
        with found.at("ranking"):
            challenges.of(recipe.protocol, recipe.ranking)
        with found.at("entry"):
            challenges.published(recipe.protocol, recipe.entry)
    if not recipe.data.train:
        found.add("data.train", "names no dataset (--config.data.train=[{'dataset': ...}])")
    for place, row in _data_rows(recipe):
        _check_data_row(scale, place, row, found)
    if len(recipe.input_hw) != 2 or min(recipe.input_hw) < 1:
        found.add("input_hw", f"{list(recipe.input_hw)}; give [height, width]")
    if any(tile < 1 for tile in recipe.ensemble.tiles):
        found.add("ensemble.tiles", f"{list(recipe.ensemble.tiles)}; give sides of 1 or more")
    if not recipe.stages:
        found.add("stages", "has none: nothing would be trained")
    for number, stage in enumerate(recipe.stages):
        _check_stage(recipe, stage, f"stages[{number}]", found)
    return found.lines


class _Lines:
    """Mistakes as they are found, each with its place."""

    def __init__(self):
        self.lines = []

    def add(self, place, text):
        """Adds one."""
        self.lines += [f"--config.{place}: {line}" for line in str(text).splitlines()]

    @contextlib.contextmanager
    def at(self, place):
        """Adds what the block raises as UserError."""
        try:
            yield
        except MissingLibrary:  # other machines have it: it is said as a training begins
            pass
        except UserError as e:
            self.add(place, e)
        except Exception as e:  # whatever a value that cannot be makes of the code that takes it
            device.check_settings()  # or JAX cannot compute at all
            self.add(place, f"cannot be ({type(e).__name__}: {str(e).partition(chr(10))[0]})")


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
    if not recipe.chain:
        found.add("networks", "has none; name the network to train")
    for number, name in enumerate(recipe.chain):
        if name not in recipe.networks:
            found.add(f"chain[{number}]", f"no network {name!r}; {nearest(name, recipe.networks)}")
        elif name in recipe.chain[:number]:
            found.add(f"chain[{number}]", f"{name} stands in the chain twice; give the second a name of its own")


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


def _check_pairs(place, row, found):
    """What a row of the user's own HR and LR folders may not have besides."""
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


def _check_stage(recipe, stage, place, found):
    if stage.batch % stage.accumulate:
        found.add(f"{place}.accumulate", f"a batch of {stage.batch} is not {stage.accumulate} equal parts")
    _check_mix(recipe, stage, f"{place}.data" if stage.data else "data.train", found)
    for number, row in enumerate(stage.begin):
        _check_begin(recipe, row, f"{place}.begin[{number}]", found)
    with found.at(f"{place}.augment"):
        augment.check_rows(stage.augment)
    if not stage.players:
        found.add(f"{place}.players", "has none: nothing would be trained")
    updated = [name for player in stage.players for name in player.nets]
    for number, player in enumerate(stage.players):
        _check_player(recipe, stage, player, f"{place}.players[{number}]", updated, found)


def _check_mix(recipe, stage, place, found):
    """What the rows of a stage's data must have in common."""
    rows = recipe.rows(stage)
    weights = [row.weight for row in rows]
    if any(weights) and not all(weights):
        shown = ", ".join(f"{weight:g}" for weight in weights)
        found.add(place, f"weights {shown}; give every row one above 0, or none")
    elif any(weights) and any(row.repeat != 1 for row in rows):
        found.add(place, "has both repeat and weight; a row's weight alone is its share of samples")
    step = 0
    while rows and step < stage.steps:
        ends = [row.steps[1] if len(row.steps) == 2 else stage.steps for row in rows
                if len(row.steps) != 2 or row.steps[0] <= step < row.steps[1]]
        if not ends:
            found.add(place, f"no row takes part at step {step} of the stage's {stage.steps}; mend the rows' steps")
            return
        step = max(ends)


def _check_begin(recipe, row, place, found):
    if row.net not in recipe.trained or row.net not in recipe.networks:
        found.add(f"{place}.net", f"no network {row.net!r} is trained; {nearest(row.net, recipe.trained)}")
        return
    net = recipe.networks[row.net]
    with found.at(f"{place}.fields"):
        models.create(net.model, scale=net.scale, **{**net.fields, **row.fields})


def _check_player(recipe, stage, player, place, updated, found):
    for name in () if player.nets == recipe.chain and len(stage.players) == 1 else dict.fromkeys(player.nets):
        if name not in recipe.networks:
            found.add(f"{place}.nets", f"no network {name!r}; {nearest(name, recipe.networks)}")
        elif updated.count(name) > 1:
            found.add(f"{place}.nets", f"{name} is updated twice; one player may update a network")
    if not player.losses:
        found.add(f"{place}.losses", "has none: nothing would be learnt; give rows {fn, pred, target, weight}")
    for number, row in enumerate(player.losses):
        with found.at(f"{place}.losses[{number}]"):
            losses.check_rows([row])
    with found.at(place):
        optim.check(player, stage.steps)



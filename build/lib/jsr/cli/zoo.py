"""List the networks and the recipes, or explain one network: counts, files, recipes that use it.

--json prints the recipes of published methods as a JSON list, an object each:
  id               of the method in the catalogue
  recipe, config   "aim22_t1:edsr", and what jsr.main takes: "configs/aim22_t1.py:edsr"
  title            one line
  inferred         what the source does not state and we chose
  params           parameters as trained, of the different networks, each once
  params_deployed  the same after re-parameterisation
  gmacs            convolution and matrix multiply-accumulates for one LR image of input_hw, deployed, in 1e9, all copies
  hook_gmacs       the same as the tool of NTIRE 2023 counts its "FLOPs" (jsr.counts)
  input_hw         [height, width] of that image
  networks         [{model, scale, copies, params, params_deployed, gmacs}], each at the size that reaches it
  model_mb         of the deployed parameters in float32, all copies, in 2^20 bytes, as the reports count them
  published        {params_M, gmacs, runtime_ms, model_mb} as printed, null where the report is silent; its GMACs are
                   hook_gmacs, its model_mb is that of a whole submission
"""

import functools
import json
from pathlib import Path
import sys

from rich.console import Console
from rich.table import Table

import jsr
from jsr import challenges, counts, models, reparam
from jsr.cli import _progress
from jsr.config import plain
from jsr.recipes import all_recipes
from jsr.training import stages

DEFAULT_HW = 192, 192


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("id", nargs="?", help="a network, as in edsr or edsr/full; without it, all are listed")
    parser.add_argument("--json", action="store_true", help="print the recipes of published methods as JSON")


def run(args):
    """Prints the listing; returns the exit status."""
    ids = _ids(args.id)
    recipes = [(track, name, config) for track, name, config in all_recipes()
               if args.id is None or any(models.resolve(net.model) in ids for net in config.networks.values())]
    if args.json:
        published = [config for _, _, config in recipes if config.id]
        print(json.dumps([catalogue_row(config) for config in _in_turn("recipes", published)], indent=2))
        return 0
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 160)
    if args.id is None:
        console.print(_overview(_in_turn("networks", ids)))
    else:
        console.print(models.card(args.id).title, style="bold")
        console.print(_card_table(args.id), "", _count_table(ids), sep="\n")
    console.print("", _recipe_table(_in_turn("recipes", recipes)) if recipes else "no recipe uses it", sep="\n")
    return 0


def _in_turn(what, items):
    """The items of a list, with a progress bar while they are worked on: counting all takes about a minute."""
    with _progress.bar(what) as progress:
        for done, item in enumerate(items, 1):
            yield item
            progress("counting", done, len(items))


def catalogue_row(config):
    """What --json says of a recipe, see above, with the networks in the form of its last stage."""
    height, width = input_hw = tuple(config.input_hw)
    networks, different, hooked, size, last = [], {}, 0, 0, stages.fields_at(config, len(config.stages) - 1)
    for name in config.chain:
        net = plain(config.networks[name])
        fields = json.dumps({key: value for key, value in last[name].items() if key != "deploy"}, sort_keys=True)
        trained, found = _count(net["model"], net["scale"], fields, height, width)
        networks.append(dict(model=net["model"], scale=net["scale"], copies=net["copies"], params=trained,
                             params_deployed=found.params, gmacs=found.macs / 1e9))
        different[models.resolve(net["model"]), net["scale"], fields] = trained, found.params
        hooked += net["copies"] * found.hook_macs / 1e9
        size += net["copies"] * found.params * 4 / 2**20
        height, width = height * net["scale"], width * net["scale"]
    track, _, name = config.recipe.partition(":")
    params, deployed = map(sum, zip(*different.values()))
    return dict(
        id=config.id, recipe=config.recipe, config=f"configs/{track}.py:{name}", title=config.title,
        inferred=list(config.inferred), params=params, params_deployed=deployed,
        gmacs=sum(net["copies"] * net["gmacs"] for net in networks), hook_gmacs=hooked, input_hw=list(input_hw),
        networks=networks, model_mb=size, published=_published(plain(config.report)))


def _published(report):
    """What a recipe's report prints of the counts and the time of an image."""
    return {"params_M": report.get("params_M"), "gmacs": report.get("macs_G"),
            "runtime_ms": challenges.runtime_ms(report), "model_mb": report.get("model_mb")}


@functools.cache
def _count(model_id, scale, fields, height, width):
    """(parameters as trained, jsr.counts.Counts as deployed) of a network for an LR image of height x width.

    `fields` are JSON. A network that takes multiples of a size is counted at the next one.
    """
    model = models.create(model_id, scale=scale, **json.loads(fields))
    card = models.card(model)
    height, width = (-(-side // card.padding.multiple) * card.padding.multiple for side in (height, width))
    deployed = reparam.deployed(model)
    found = counts.tally(deployed, card.lr_shape(height, width))
    if deployed == model:
        return found.params, found
    return counts.count_params(models.abstract(model_id, scale=scale, **json.loads(fields))), found


def _ids(wanted):
    if wanted is None:
        return models.list_models()
    full = models.resolve(wanted)
    return [full] if "/" in wanted else models.list_models(f"{full.partition('/')[0]}/*")


def _overview(ids):
    """A line a network, with the counts of its deployed form at its largest scale."""
    table = _table("network", "scales", ">parameters", f">GMACs at {DEFAULT_HW[0]}x{DEFAULT_HW[1]}", "")
    for model_id in ids:
        card = models.card(model_id)
        _, found = _count(model_id, card.scales[-1], "{}", *DEFAULT_HW)
        table.add_row(model_id, " ".join(f"x{scale}" for scale in card.scales), f"{found.params:,}",
                      f"{found.macs / 1e9:,.2f}", card.title)
    return table


def _count_table(ids):
    """A line a network and scale."""
    table = _table("network", "scale", ">parameters as trained", ">as deployed", f">GMACs at {DEFAULT_HW[0]}x{DEFAULT_HW[1]}")
    for model_id in ids:
        for scale in models.card(model_id).scales:
            trained, found = _count(model_id, scale, "{}", *DEFAULT_HW)
            table.add_row(model_id, f"x{scale}", f"{trained:,}", f"{found.params:,}", f"{found.macs / 1e9:,.2f}")
    return table


def _recipe_table(recipes):
    """A line a recipe; of published entries with the counts of the deployed form, beside those that were published."""
    table = _table("recipe", "networks", ">k parameters", ">published", ">hooks' GMACs", ">published",
                   ">published ms", ">MB", ">published", "")
    for _, _, config in recipes:
        figures = _figures(catalogue_row(config)) if config.id else [""] * 7
        networks = " > ".join(config.networks[name].model for name in config.chain)
        table.add_row(config.recipe, networks, *figures, config.title)
    return table


def _figures(row):
    said = row["published"]
    published = ["" if value is None else f"{value:,.10g}" for value in (
        said["params_M"] and said["params_M"] * 1e3, said["gmacs"], said["runtime_ms"], said["model_mb"])]
    return [f"{row['params_deployed'] / 1e3:,.1f}", published[0], f"{row['hook_gmacs']:,.4f}", *published[1:3],
            f"{row['model_mb']:,.1f}", published[3]]


def _card_table(model_id):
    card, stem = models.card(model_id), model_id.partition("/")[0]
    padding = card.padding
    sizes = f"multiples of {padding.multiple}, by {padding.mode} padding{', always' if padding.always else ''}"
    table = Table.grid(padding=(0, 2))
    for row in (("paper", card.paper), ("code", card.code or "none public"), ("task", card.task),
                ("made for", ", ".join(f"x{scale}" for scale in card.allowed_scales)),
                ("sizes", "any" if padding.multiple == 1 else sizes), *_places(stem)):
        table.add_row(*row)
    return table


def _table(*columns):
    """A table without lines; a heading's ">" aligns its column to the right, only a column without heading wraps."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        justify = "right" if column.startswith(">") else "left"
        table.add_column(column.lstrip(">"), justify=justify, no_wrap=column != "")
    return table


def _places(stem):
    """(what, path) of a network's files; an installed jsr has no tests beside it."""
    package = Path(jsr.__file__).parent
    places = {"network": package / "models" / f"{stem}.py", "conversion": package / "convert" / "rules" / f"{stem}.py",
              "test": package.parent / "tests" / "models" / f"test_{stem}.py",
              "golden": package.parent / "tests" / "golden" / f"{stem}.npz"}
    here = Path.cwd()
    return [(what, str(path.relative_to(here) if path.is_relative_to(here) else path))
            for what, path in places.items() if path.exists()]

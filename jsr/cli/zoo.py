"""List the networks and the published methods, or explain one by any of its names.

  jsr zoo                       every network, every recipe, and the published methods that are not built yet
  jsr zoo edsr                  a network: card, counts, files, recipes that use it
  jsr zoo casr                  a team, a published method or an id of the catalogue; case and punctuation do not count,
                                several hits are listed
  jsr zoo --scale 4 --max_params 100e3
  jsr zoo --has weights         networks with shipped or public weights, and the names of these weights
  jsr zoo losses                the names that a recipe may use, with a line on each; also codecs, datasets, metrics,
                                augmentations and schedules

--json prints the published methods as a JSON list, one object each:
  id               id of the method in the catalogue
  title            one line
  challenge        challenge whose table has the method, for example "aim22_t1"
  team, method     names as printed
  section          section of the report that describes it, "" where unknown
  published        {params_M, gmacs, runtime_ms, model_mb} as printed, null where the report is silent; its gmacs are
                   hook_gmacs, its model_mb is the size of a whole submission
  printed          line of the challenge's table, {column: figure as printed}
  kept             {published: {limit: whether the published figure is within}}, and the same for "ours"; limits are
                   model_mb and runtime_ms, if the challenge names them and the figure is known
and for methods that have a recipe
  recipe, config   "aim22_t1:edsr", and the value of --config: "configs/aim22_t1.py:edsr"
  inferred         our choices where the source says nothing
  left_out         statements of the source that the recipe does not follow
  data             names of the datasets that it trains on
  to_fill          {name: which images} of the datasets without a builder: the user fills a folder of that name below
                   the folder of datasets; without it the recipe trains on the others
  params           parameters as trained, of the different networks, each once
  params_deployed  the same after re-parameterisation
  gmacs            convolution and matrix multiply-accumulates for an LR image of input_hw, deployed, in 1e9, once
                   through each network of an ensemble
  passes           number of passes of an image through networks: over networks of an ensemble, flips and turns, and
                   sizes of tiles
  hook_gmacs       the same as the tool of NTIRE 2023 counts its "FLOPs" (jsr.analysis.counts)
  input_hw         [height, width] of that image; for networks of clips, of each of five frames
  networks         [{model, scale, copies, params, params_deployed, gmacs}], each at the size that reaches it; copies
                   is the number of networks of this form in an ensemble
  model_mb         size of the deployed parameters in float32, all copies, in 2^20 bytes, as the reports count it
  to_pytorch       "official": `jsr convert MODEL.safetensors MODEL.pth` writes a state dict of official names;
                   "written": there are no such names, `jsr convert MODEL.safetensors FOLDER` writes code and weights
"""

import collections
import difflib
import json
import math
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

import jsr
from jsr import catalogue, challenges, model_file, models, terminal, weights
from jsr.analysis import counted
from jsr.catalogue import LISTED_HW
from jsr.cli import _progress
from jsr.datasets import folders
from jsr.errors import UserError
from jsr.weights import public

PARTS = "losses", "codecs", "datasets", "metrics", "augmentations", "schedules"
_LISTED = f"{LISTED_HW[0]}x{LISTED_HW[1]}"
_MOST_CARDS = 2  # of network files; more are listed
_TO_PYTORCH = {"official": "official: a state dict of the original's names (jsr convert MODEL.safetensors MODEL.pth)",
               "written": "written: code and weights, in a folder (jsr convert MODEL.safetensors FOLDER)"}
# columns of the tables that an entry's page has elsewhere
_SHOWN = {"id", "team", "method", "description", "section", "runtime_s", "runtime_ms", "model_mb", "params_m", "macs_g",
          "flops_g"}


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("name", nargs="*", help="network, team, method, recipe, id, or one of the tables above")
    parser.add_argument("--task", help="only networks for this task, for example restoration")
    parser.add_argument("--scale", type=int, metavar="N", help="only networks of this scale")
    parser.add_argument("--max_params", type=float, metavar="N", help="only networks of at most N parameters, deployed")
    parser.add_argument("--has", choices=("weights",), help="only networks with shipped or public weights")
    parser.add_argument("--json", action="store_true", help="print the published methods as JSON")
    parser.add_argument("--recount", action="store_true",
                        help="count all networks anew and write the package's table of counts; needed after changes")


def run(args):
    """Prints the listing; returns the exit status."""
    query, console = " ".join(args.name), terminal.console()
    if args.recount:
        counted.write(_in_turn(catalogue.counted_keys()))
        return 0
    if query.lower() in PARTS:
        _print_parts(console, query.lower())
        return 0
    everything = catalogue.entries()
    ids, found = _named(query, everything) if query else (models.list_models(), everything)
    using = [entry for entry in everything if entry not in found and set(entry.networks) & set(ids)]
    ids = [model_id for model_id in ids if _fits(args, *_of_network(model_id, args.scale))]
    found, using = ([entry for entry in entries if _fits(args, *_of_entry(entry))] for entries in (found, using))
    if args.has:
        trained = _weights(args.scale)
        ids = [model_id for model_id in ids if trained.of_networks[model_id]]
        found, using = ([entry for entry in entries if entry.recipe and trained.of_recipes[entry.recipe.recipe]]
                        for entries in (found, using))
    if args.json:
        shown = [entry for entry in everything if entry.id and entry in [*found, *using]]
        print(json.dumps([_json_row(entry) for entry in shown], indent=2))
        return 0
    if not query:
        console.print(_overview(ids, args.scale, names=trained.of_networks if args.has else None), "",
                      _entry_table(found), sep="\n")
        return 0
    single = found[0] if len(found) == 1 else None
    if single:
        _print_entry(console, single)
        console.print()
        ids = list(dict.fromkeys([*single.networks, *ids]))
    _print_networks(console, ids, args.scale)
    listed = using if single else [*found, *using]
    if listed:
        console.print(*[""] * bool(ids), _entry_table(listed), sep="\n")
    elif ids and not single:
        console.print("", "no recipe uses it", sep="\n")
    return 0


class _Weights(NamedTuple):
    """Names of models with weights, {id of the network: [name]} and {recipe: [name]}; [] of all others."""

    of_networks: dict
    of_recipes: dict


def _weights(scale=None):
    """The _Weights that are shipped or public, of all scales or of one."""
    found = _Weights(collections.defaultdict(list), collections.defaultdict(list))
    for name in weights.PURPOSES:
        meta, _ = model_file.describe(weights.SHIPPED / f"{name}.safetensors")
        if scale in (None, math.prod(net["scale"] for net in meta["networks"])):
            found.of_recipes[meta["recipe"]].append(name)
            for net in meta["networks"]:
                found.of_networks[net["model"]].append(name)
    for row in public.models().values():
        if scale in (None, row.scale):
            found.of_networks[row.network].append(row.name)
    return found


def _named(query, everything):
    """(ids of the networks, entries) of that name; UserError names the nearest where there is neither."""
    names = {model_id: (model_id, models.card(model_id).title.partition(",")[0]) for model_id in models.list_models()}
    ids = [model_id for model_id, its_names in names.items() if catalogue.matches(query, its_names)]
    found = [entry for entry in everything if catalogue.matches(query, entry.names)]
    if not ids and not found:
        known = [*models.STEMS, *names, *(name for entry in everything for name in entry.names), *PARTS]
        by_letters = {name.casefold(): name for name in reversed(known)}
        close = difflib.get_close_matches(query.casefold(), by_letters, n=1)
        hint = f"did you mean {by_letters[close[0]]!r}?" if close else "`jsr zoo` lists all there are"
        raise UserError(f"{query}: no network, team, method, recipe or id of that name; {hint}")
    return ids, found


def _of_network(model_id, scale):
    """(task, scales, function to parameters as deployed) of a network."""
    card = models.card(model_id)
    return card.task, card.scales, lambda: _count(model_id, scale or card.scales[-1]).params_deployed


def _of_entry(entry):
    """The same of an entry; nobody knows the parameters of one that is not built."""
    return entry.task, [entry.scale], lambda: (
        catalogue.figures(entry.recipe)["params_deployed"] if entry.recipe else float("inf"))


def _fits(args, task, scales, params):
    return (args.task in (None, task) and (args.scale is None or args.scale in scales)
            and (args.max_params is None or params() <= args.max_params))


def _count(model_id, scale):
    return counted.count(model_id, scale, "{}", *LISTED_HW)


def _in_turn(keys):
    """The keys, with a progress bar while each is worked on."""
    with _progress.bar("networks") as progress:
        for done, key in enumerate(keys, 1):
            yield key
            progress("counting", done, len(keys))


def _json_row(entry):
    """The object of an entry in --json, see above."""
    row = dict(id=entry.id, title=entry.title, challenge=entry.challenge, team=entry.team, method=entry.method,
               section=entry.section, published=entry.published, printed=entry.row,
               kept={who: challenges.kept(entry.protocol, found) for who, found in catalogue.limited(entry).items()})
    if entry.recipe is None:
        return row
    track, _, name = entry.recipe.recipe.partition(":")
    return row | dict(recipe=entry.recipe.recipe, config=f"configs/{track}.py:{name}",
                      inferred=list(entry.recipe.inferred), left_out=list(entry.recipe.left_out),
                      data=catalogue.datasets(entry.recipe),
                      to_fill=catalogue.to_fill(entry.recipe), **catalogue.figures(entry.recipe))


def _print_parts(console, what):
    from jsr.cli import _zoo_tables  # it imports what codecs and datasets need

    for heading, rows in _zoo_tables.tables(what):
        table = _table(heading, "")
        for row in rows.items():
            table.add_row(*row)
        console.print(table, "", sep="\n")


def _print_entry(console, entry):
    """An entry's page: what it is, how to train it, and our figures beside the report's."""
    console.print(entry.title, style="bold")
    facts = Table.grid(padding=(0, 2))
    rows = [("team", entry.team), ("method", entry.method), ("id", entry.id)] if entry.id else []
    rows.append(("challenge", entry.protocol.title))
    if entry.section:
        rows.append(("report", f"section {entry.section}" if entry.section[0].isdigit() else entry.section))
    if entry.recipe is None:
        rows.append(("recipe", "not built yet"))
    else:
        track, _, name = entry.recipe.recipe.partition(":")
        rows += [("recipe", entry.recipe.recipe), ("train", f"python -m jsr.main --config=configs/{track}.py:{name}"),
                 ("networks", entry.shown_networks),
                 ("passes", f"{entry.recipe.passes} for an image"),
                 ("to PyTorch", _TO_PYTORCH[catalogue.figures(entry.recipe)["to_pytorch"]]),
                 ("data", ", ".join(catalogue.datasets(entry.recipe))),
                 *_lines("to fill", [f"{folders.path_of(name)}: {which}"
                                     for name, which in catalogue.to_fill(entry.recipe).items()]),
                 *_lines("inferred", entry.recipe.inferred), *_lines("left out", entry.recipe.left_out)]
    limits = [f"{who}: {text}" for who, figures in catalogue.limited(entry).items()
              if (text := challenges.verdict(entry.protocol, figures))]
    rows += _lines("limits", limits)
    for row in rows:
        facts.add_row(*row)
    console.print(facts, "", _figure_table(entry), sep="\n")


def _lines(what, texts):
    """Rows of a page: the texts below each other, beside the word for all."""
    return [(what if number == 0 else "", text) for number, text in enumerate(texts)]


def _figure_table(entry):
    """A line a figure: ours, and what the report prints."""
    said = entry.published
    published = {"parameters, M": said["params_M"], "GMACs as hooks count": said["gmacs"], "ms": said["runtime_ms"],
                 "MB": said["model_mb"], **{key: value for key, value in entry.row.items() if key not in _SHOWN}}
    ours = {}
    if entry.recipe:
        found = catalogue.figures(entry.recipe)
        height, width = found["input_hw"]
        ours = {"parameters as trained": f"{found['params']:,}",
                "parameters, M": f"{found['params_deployed'] / 1e6:,.6f}",
                f"GMACs at {height}x{width}": f"{found['gmacs']:,.4f}",
                "GMACs as hooks count": f"{found['hook_gmacs']:,.4f}", "MB": f"{found['model_mb']:,.1f}"}
    table = _table("", ">ours", "published")
    for name in dict.fromkeys([*ours, *published]):
        value = published.get(name)
        if name in ours or value not in (None, ""):
            table.add_row(name, ours.get(name, ""), _printed(value))
    return table


def _printed(value):
    return "" if value is None else value if isinstance(value, str) else f"{value:,.10g}"


def _print_networks(console, ids, scale):
    """The cards of few networks, a listing of many."""
    stems = {}
    for model_id in ids:
        stems.setdefault(model_id.partition("/")[0], []).append(model_id)
    if len(stems) > _MOST_CARDS:
        console.print(_overview(ids, scale))
        return
    trained = _weights(scale)
    for i, its_ids in enumerate(stems.values()):
        console.print(*[""] * (i > 0), models.card(its_ids[0]).title, style="bold", sep="\n")
        names = [name for model_id in its_ids for name in trained.of_networks[model_id]]
        console.print(_card_table(its_ids[0], names), "", _count_table(its_ids, scale), sep="\n")


def _overview(ids, scale, names=None):
    """A line a network: counts of its deployed form at `scale`, by default its largest, and its title or `names`."""
    table = _table("network", "scales", ">parameters", f">GMACs at {_LISTED}", "")
    for model_id in ids:
        card = models.card(model_id)
        found = _count(model_id, scale or card.scales[-1])
        table.add_row(model_id, " ".join(f"x{its_scale}" for its_scale in card.scales), f"{found.params_deployed:,}",
                      f"{found.macs / 1e9:,.2f}", card.title if names is None else " ".join(names[model_id]))
    return table


def _count_table(ids, wanted):
    """A line a network and scale."""
    table = _table("network", "scale", ">parameters as trained", ">as deployed", f">GMACs at {_LISTED}")
    for model_id in ids:
        for scale in models.card(model_id).scales:
            if wanted in (None, scale):
                found = _count(model_id, scale)
                table.add_row(model_id, f"x{scale}", f"{found.params:,}", f"{found.params_deployed:,}",
                              f"{found.macs / 1e9:,.2f}")
    return table


def _entry_table(entries):
    """A line an entry: counts of the deployed form beside the report's, or that it is not built yet."""
    headings = ("recipe or id", "networks", ">k params", ">report", ">hooks' GMACs", ">report", ">report: ms", ">MB",
                ">report", ">dB", "section", "")
    rows = []
    for entry in entries:
        ours, networks, name = [""] * 3, "not built yet", entry.id
        if entry.recipe:
            found, name = catalogue.figures(entry.recipe), entry.recipe.recipe
            networks = entry.shown_networks
            ours = [f"{found['params_deployed'] / 1e3:,.1f}", f"{found['hook_gmacs']:,.4f}",
                    f"{found['model_mb']:,.1f}{challenges.excess(entry.protocol, 'model_mb', found['model_mb'])}"]
        said = entry.published
        scores = [value for key, value in entry.row.items() if key.startswith("psnr[rgb]")]
        rows.append((name, networks, ours[0], _printed(said["params_M"] and said["params_M"] * 1e3), ours[1],
                     _printed(said["gmacs"]),
                     _printed(said["runtime_ms"]) + challenges.excess(entry.protocol, "runtime_ms", said["runtime_ms"]),
                     ours[2], _printed(said["model_mb"]),
                     "/".join(scores), entry.section, entry.title))
    filled = [i for i in range(len(headings)) if any(row[i] for row in rows)]
    table = _table(*(headings[i] for i in filled))
    for row in rows:
        table.add_row(*(row[i] for i in filled))
    return table


def _card_table(model_id, names):
    card, stem = models.card(model_id), model_id.partition("/")[0]
    padding = card.padding
    sizes = f"multiples of {padding.multiple}, by {padding.mode} padding{', always' if padding.always else ''}"
    table = Table.grid(padding=(0, 2))
    for row in (("paper", card.paper), ("code", card.code or "none public"), ("task", card.task),
                ("made for", ", ".join(f"x{scale}" for scale in card.allowed_scales)),
                ("to PyTorch", _TO_PYTORCH["official" if _count(model_id, card.scales[-1]).official else "written"]),
                *([("clips", _clips(card.frames))] if card.video else []),
                ("sizes", "any" if padding.multiple == 1 else sizes),
                *([("weights", " ".join(names))] if names else []), *_places(stem)):
        table.add_row(*row)
    return table


def _clips(frames):
    return "whole, of any length" if frames == "all" else f"{frames} frames, of which the middle one is given"


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

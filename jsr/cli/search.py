"""Search the fields of a recipe's network, such as depth and width, that score best within a budget.

    jsr search --config=ais24:lanczospp --try num_feat=24,28,32 --max_gmacs 1.25
    jsr search --config=ais24 --try num_feat=8,16 --try num_block=1,2 --steps 1000 --config.data.eval.dataset=Set14
    jsr search --config=aim20_x4:baidu_drn_gpnas --strategy gp --trials 16    # the space that the recipe names

The search trains combinations of values within the budget on the recipe's first stage. `halving` trains all for a
while, the better half for twice as long, and so on. `gp`, for many combinations, trains only some: a Gaussian process
over the scores so far chooses each next one as the most promising. The same command resumes an interrupted search.
"""

import ast
from pathlib import Path

from rich.console import Console
from rich.table import Table

from jsr import challenges, metrics, recipes, results, terminal
from jsr.errors import UserError


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("--config", required=True, metavar="FILE[:RECIPE]",
                        help="a track file and one of its recipes")
    parser.add_argument("--config.KEY", dest="_", metavar="VALUE", help="override an entry of the recipe")
    parser.add_argument("--try", dest="choices", metavar="FIELD=A,B,...", action="append", default=[],
                        help="field of the network and its values; adds to the recipe's fields "
                             "(networks.NAME.search) or replaces one of them; repeatable")
    parser.add_argument("--net", help="network of the recipe; by default its only one, or the only one that names "
                                      "values to try")
    parser.add_argument("--strategy", choices=("halving", "gp"), default="halving",
                        help="successive halving, or a Gaussian process (default: %(default)s)")
    parser.add_argument("--trials", type=int, default=20, metavar="N",
                        help="number of trainings of --strategy gp (default: %(default)s)")
    parser.add_argument("--max_gmacs", type=float, metavar="G",
                        help="limit of multiply-accumulates, in 1e9, at the recipe's input size")
    parser.add_argument("--steps", type=int, default=2000, metavar="N",
                        help="steps of a training in the first round (default: %(default)s)")
    parser.add_argument("--workdir", type=Path,
                        help="folder of the search's runs (default: runs/<track>/<recipe>_search)")


def run(args):
    """Searches and prints each round's table and the best fields; returns the exit status."""
    from jsr.training import loop, search

    recipe = recipes.load(args.config, args.overrides).runs[0]
    track, _, name = recipe.recipe.partition(":")
    net = args.net or _only(recipe.chain) or _only([name for name in recipe.chain if recipe.networks[name].search])
    if net not in recipe.chain:
        raise UserError(f"{recipe.recipe}: name the network to search: --net {', '.join(recipe.chain)}")
    if args.steps < 1 or args.trials < 1:
        raise UserError(f"--{'steps' if args.steps < 1 else 'trials'}: must be at least 1")
    choices = recipe.networks[net].search | dict(map(_choice, args.choices))
    if not choices:
        raise UserError(f"{recipe.recipe}: the recipe names no values to try; give some: --try num_feat=16,24,32")
    found = search.candidates(recipe, net, choices, max_gmacs=args.max_gmacs)
    ranking = metrics.label(challenges.of(recipe.protocol, recipe.ranking).ranking)
    shown, console = terminal.console(), Console(stderr=True)
    workdir = args.workdir or Path("runs") / track / f"{name}_search"
    by_process = args.strategy == "gp" and search.can_explore()
    if args.strategy == "gp" and not by_process:
        console.print(f"--strategy gp needs {search.GP_LIBRARY}; successive halving runs instead", highlight=False,
                      markup=False, soft_wrap=True)
    score = search.trainer(recipe, net, workdir, console)
    try:
        with results.only_one(workdir, "search"):
            if by_process:
                rows = search.explore(found, score, steps=args.steps, trials=args.trials, seed=recipe.seed)
                shown.print(_table(rows, ranking))
            else:
                rows = search.halve(found, score, steps=args.steps,
                                    on_round=lambda rows: shown.print(_table(rows, ranking)))
    except loop.Interrupted as e:
        console.print("stopped; the same command resumes", highlight=False)
        return 128 + e.signal
    shown.print(f"--config.networks.{net}.fields=\"{rows[0]['fields']}\"")
    return 0


def _only(names):
    return names[0] if len(names) == 1 else None


def _choice(text):
    field, sign, values = text.partition("=")
    if not sign or not values:
        raise UserError(f"--try {text}: must be FIELD=A,B,... for example num_feat=16,24,32")
    try:
        return field, list(ast.literal_eval(f"[{values}]"))
    except (ValueError, SyntaxError):
        return field, values.split(",")  # words


def _table(rows, ranking):
    by = f", LR by {rows[0]['codecs']}" if rows[0]["codecs"] else ""
    table = Table(title=f"{rows[0]['steps']} steps{by}", box=None)
    for heading in ("fields", "parameters", "GMACs", ranking):
        table.add_column(heading, justify="left" if heading == "fields" else "right")
    for row in rows:
        fields = ", ".join(f"{key} = {value}" for key, value in row["fields"].items())
        table.add_row(fields, f"{row['params']:,}", f"{row['gmacs']:.3f}", f"{row['score']:.4f}")
    return table

"""The entries of a challenge by its own rules, beside other libraries.

Times the deployed network of every published entry of a challenge: its input size, batch 1, its numbers of warm-up
calls and repeats. Weights are fresh, gains the published ones. Each row is written as it is done; the same command
again goes on.
"""

import time

from jsr import results as verdicts
from jsr.cli._output import foretell
from jsr.cli.benchmark import _arguments
from jsr.cli.benchmark._figures import measured, table
from jsr.errors import UserError

_IN_TERMINAL = {"entry", "GMACs", "memory, MB", "XLA, ms", "fastest, ms", "p99", "whole, s", "runtime", "published ms",
                "score", "published score", "fastest peer", "XLA / it", "ours / it"}  # all columns go to files


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("--protocol", type=_arguments.words, default=["ntire23_x2", "ntire23_x3", "ais24"],
                        metavar="NAME[,NAME]",
                        help="ntire23_x2, ntire23_x3, ais24, aim22_t1, ntire24 (default: the first three)")
    parser.add_argument("--recipes", type=_arguments.words, default=[], metavar="NAME[,NAME]",
                        help="entries to measure, for example casr,rvsr (default: all)")
    parser.add_argument("--size", type=_arguments.sizes, default=[None], metavar="HxW",
                        help="height x width of the LR image (default: the challenge's)")
    parser.add_argument("--rounds", type=_arguments.number(int),
                        help="timed rounds (default: as many as the challenge had)")
    parser.add_argument("--max_seconds", type=_arguments.number(float), default=60.0,
                        help="longest time for an entry's rounds, whose number is reduced to fit (default: 60)")
    parser.add_argument("--runtimes", type=_arguments.names_of(*_arguments.RUNTIMES), default=_arguments.RUNTIMES,
                        metavar="auto|none|NAME[,NAME]",
                        help="runtimes of `jsr upscale` in which jsr's network is timed too; it is exported for "
                        "them, which takes minutes if it is large (default: auto, all)")
    parser.add_argument("--again", action="store_true", help="measure again the entries that --out has already")
    _arguments.add_compared(parser)
    _arguments.add_out(parser)


def run(args):
    """Measures the entries that --out does not have yet, prints a table, writes --out; returns the exit status."""
    if args.dry_run:
        foretell({args.out: verdicts.REPLACE if args.out.exists() else verdicts.WRITE} if args.out else {})
        return 0
    return measured(args, _measure)


def _measure(args, session):
    import jax

    from jsr.timing import gain_plot, rows

    if len(args.size) > 1:
        raise UserError("--size: one for all entries, as in 540x960; without it, each challenge's own")
    announce, show = session.announce, session.console.print
    entries, size = rows.entries(args.protocol, args.recipes), args.size[0]
    dtype = args.dtype or ("float32" if jax.default_backend() == "cpu" else "float16")
    results, begin = rows.Results(args.out, session.report, overwrite=args.overwrite), time.perf_counter()
    asked = dict(dtype=dtype, wanted=list(args.peers), runtimes=list(args.runtimes), rounds=args.rounds)
    found = [results.find(recipe=config.recipe, size=rows.size_of(config, size), **asked) for config in entries]
    kept = [] if args.again else [row for row in found if row]
    to_do = [config for config in entries if config.recipe not in {row["recipe"] for row in kept}]
    announce(f"{dtype}, at most {args.max_seconds:g} s of rounds an entry; {len(kept)} of {len(entries)} entries are "
             "measured already")
    for number, config in enumerate(to_do):
        label = f"{number + 1}/{len(to_do)} {config.recipe}"
        if number:
            left = (time.perf_counter() - begin) / number * (len(to_do) - number)
            announce(f"{label}: about {left / 60:.0f} min left")
        row = rows.measure(config, size=size, max_seconds=args.max_seconds, **asked,
                           announce=lambda line, label=label: announce(f"{label}: {line}"))
        results.add(row)
        kept.append(row)
    shown = [index for index, column in enumerate(gain_plot.COLUMNS) if column.lstrip(">") in _IN_TERMINAL]
    show(table(f"{dtype}; gains are the published ones, times this machine's",
               [gain_plot.COLUMNS[index] for index in shown],
               [[gain_plot.cells(row)[index] for index in shown] for row in kept]))
    for key, what in (("jax_ratio", "XLA"), ("ratio", "the fastest runtime of `jsr upscale`")):
        ratios = [row[key] for row in kept if row.get(key)]
        if ratios:
            show(f"{what} / the fastest peer: {rows.geometric_mean(ratios):.2f}, geometric mean of {len(ratios)}")
    return results.rows

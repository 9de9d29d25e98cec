"""Time of a recipe's training step, without loading data."""

from rich.filesize import decimal

from jsr.cli.benchmark import _arguments
from jsr.cli.benchmark._figures import measured, table, times


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    _arguments.add_recipe(parser)
    parser.add_argument("--steps", type=_arguments.number(int), default=20, help="timed steps (default: 20)")
    parser.add_argument("--peers", type=_arguments.names_of("torch", "torch_compile"), default=(),
                        metavar="auto|none|PEER[,PEER]",
                        help="plain PyTorch loops to compare with: torch, torch_compile; auto is both (default: none)")
    _arguments.add_out(parser)


def run(args):
    """Measures, prints tables, writes --out; returns the exit status."""
    return measured(args, _measure)


def _measure(args, session):
    from jsr import recipes
    from jsr.timing import training

    config, show = recipes.load(args.config, args.overrides), session.console.print
    row = training.measure_step(config, steps=args.steps, wanted=args.peers,
                                announce=lambda line: session.announce(f"{config.recipe}: {line}"))
    workers = config.data.num_workers
    session.announce(f"{config.recipe}: its pipeline, {workers} workers")
    pipeline = training.measure_pipeline(config, workers, seconds=args.seconds)
    wait = training.waiting(row["patches_per_s"], pipeline["patches_per_s"])
    show(table(
        f"{config.recipe}: step of {row['params']:,} parameters on {'x'.join(map(str, row['lr_shape']))}",
        [">median ms", ">best", ">p90", ">patches/s", ">compile s", ">memory"],
        [(*times(row), f"{row['patches_per_s']:,.1f}", f"{row['trace_s'] + row['compile_s']:.1f}",
          decimal(row["memory"]["peak_bytes"]))]))
    if args.peers:
        show(table("the same step as a plain loop, without augmentation, average and checks",
                   ["", ">median ms", ">best", ">p90", ">ours / its", ">losses differ by", "note"],
                   [_cells(peer) for peer in row["rows"]]))
    show(f"the pipeline gives {pipeline['patches_per_s']:,.0f} patches/s with {workers} workers: the step "
         f"would wait for data {wait:.0%} of its time (each measured alone)")
    return [{"recipe": config.recipe, **row, "pipeline": pipeline, "data_wait": wait}]


def _cells(row):
    timed = ("", "", "") if row["median_ms"] is None else times(row)
    ratio, error = (form.format(row[key]) if row[key] is not None else ""
                    for key, form in (("ratio", "{:.2f}"), ("loss_error", "{:.1e}")))
    return row["name"], *timed, ratio, error, row["note"]

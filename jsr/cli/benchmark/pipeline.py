"""Patches/s of a recipe's input pipeline, by number of workers."""

from jsr.cli.benchmark import _arguments
from jsr.cli.benchmark._figures import measured, table


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    _arguments.add_recipe(parser)
    parser.add_argument("--workers", type=_arguments.counts, default=[0, 1, 2], metavar="N[,N...]",
                        help="worker processes; 0 loads in the main process (default: 0,1,2)")
    _arguments.add_out(parser)


def run(args):
    """Measures, prints a table, writes --out; returns the exit status."""
    return measured(args, _measure)


def _measure(args, session):
    from jsr import recipes
    from jsr.timing import training

    config, rows = recipes.load(args.config, args.overrides), []
    for num_workers in args.workers:
        session.announce(f"{config.recipe}: {num_workers} workers")
        rows.append(training.measure_pipeline(config, num_workers, seconds=args.seconds))
    stage = config.stages[0]
    datasets = dict.fromkeys(row.dataset for row in stage.data or config.data.train)
    session.console.print(table(
        f"{config.recipe}, {', '.join(datasets)}: HR crops of {stage.crop}, batch {stage.batch}",
        [">workers", ">patches/s", ">a worker", ">MB/s", ">first batch s"],
        [(str(row["workers"]), f"{row['patches_per_s']:,.0f}", f"{row['patches_per_s_per_worker']:,.0f}",
          f"{row['megabytes_per_s']:.1f}", f"{row['first_batch_s']:.2f}") for row in rows]))
    return rows

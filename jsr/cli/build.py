"""Prepare a dataset: download or find its images, degrade them, write the records.

What an interrupted build has finished is used by the next; a dataset that is there already and whole is left alone.
"""

from rich.console import Console
from rich.filesize import decimal

from jsr.cli import _progress
from jsr.data.build import build, names


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("dataset", metavar="DATASET[/CONFIG]",
                        help=f"one of {', '.join(names())}; config: hr (the default) or a degradation, as in aim22_t1")
    parser.add_argument("--data_dir",
                        help="where datasets are; $JSR_DATA_DIR, $TFDS_DATA_DIR or ~/tensorflow_datasets by default")
    parser.add_argument("--manual_dir", help="folder with the source images or archives that you have already")
    parser.add_argument("--num_workers", type=int, help="processes; one a CPU by default")
    parser.add_argument("--force", action="store_true", help="build anew what is there")


def run(args):
    """Builds, prints what was built and where; returns the exit status."""
    console = Console(soft_wrap=True, highlight=False, markup=False)
    with _progress.bar() as progress:
        built = build(args.dataset, data_dir=args.data_dir, manual_dir=args.manual_dir, num_workers=args.num_workers,
                      force=args.force, announce=console.print, progress=progress)
    for name, sizes in built.cropped.items():
        console.print(f"{name}: cropped from {sizes} (height x width), multiples of the scale")
    counts = " + ".join(f"{count} {split}" for split, count in built.counts.items())
    console.print(f"{built.name}: {counts} images, {len(built.cropped)} of them cropped, {decimal(built.size)} in "
                  f"{built.path}{'' if built.is_new else ' (was there already)'}")
    return 0

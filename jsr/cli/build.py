"""Prepare a dataset: download or find its images, degrade them, write the records.

  jsr build div2k/aim22_t1
  jsr build image_folder/ntire24 --manual_dir photos --data_dir datasets
  jsr build image_folder/ntire24 --data_dir datasets --show
  jsr build image_folder/hr --manual_dir photos --shrink 2 --tiles 320 --detail 3
  jsr build image_folder/ais24 --manual_dir photos --each qp

Photographs straight from a camera are soft, and many are too large for memory: --shrink makes them smaller until the
traces of sensor and JPEG are gone, --tiles cuts them, --detail leaves out most of the flat tiles. --each stores every
image once for each value of a drawn parameter, for example at the five QPs of ais24. The dataset keeps these settings:
jsr refuses others unless --overwrite builds the dataset anew, and keeps the old one until the new one is whole.

On a cluster, --beam prepares the images by a runner of Apache Beam (an extra, `beam`); this machine and all workers
must share the folders --data_dir and --manual_dir. The dataset is the same to the last byte.

A build uses the finished work of an interrupted one; a dataset that is there already and whole is left alone.

--show also writes a picture of the first records: HR, LR, and the steps that made the LR image. It is
image_folder-ntire24-train.png in the current folder (-2 and so on where another file has that name).
"""

import itertools
import json
from pathlib import Path

from rich.filesize import decimal

from jsr import shards, terminal
from jsr.cli import _output, _progress
from jsr.data.sources import open_source
from jsr.datasets.build import build, find, foresee, names
from jsr.datasets.show import contact_sheet
from jsr.degradations import codecs
from jsr.errors import UserError
from jsr.files import atomic_write
from jsr.images import png_bytes

_SETTINGS = ("keyint", "shrink", "tiles", "detail", "each")
_CROPS_NAMED = 20


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("dataset", metavar="DATASET[/CONFIG]",
                        help=f"one of {', '.join(names())}; config: hr (the default) or a degradation such as aim22_t1")
    parser.add_argument("--data_dir",
                        help="folder of datasets; $JSR_DATA_DIR, $TFDS_DATA_DIR or ~/tensorflow_datasets by default")
    parser.add_argument("--manual_dir", help="folder of the source images or archives that you have already")
    parser.add_argument("--shard", metavar="I/N",
                        help=f"prepare {shards.HELP}. The command without --shard then makes the dataset")
    parser.add_argument("--num_workers", type=int, help="number of processes; one per core by default")
    parser.add_argument("--beam", metavar="RUNNER[,OPTION=VALUE...]", default="",
                        help="prepare by a runner of Apache Beam, for example FlinkRunner,flink_master=HOST:8081")
    parser.add_argument("--keyint", metavar="N", type=int,
                        help="encode HR clips anew, lossless, with a key frame every N frames: training reads them "
                             "faster")
    parser.add_argument("--shrink", metavar="FACTOR", type=float,
                        help="make images smaller by this factor, for example 2 or 2.5")
    parser.add_argument("--tiles", metavar="N", type=int, help="cut images into tiles of N px and more a side")
    parser.add_argument("--detail", metavar="LEVELS", type=float,
                        help="keep only one in eight of the tiles whose mean second difference is below this, for "
                             "example 3")
    parser.add_argument("--each", metavar="PARAMETER",
                        help="make an LR image for each value of this parameter, for example of ais24's qp")
    parser.add_argument("--show", action="store_true", help="also write a picture of the first records")
    parser.add_argument("--split", help="split that --show shows, such as validation or train[40:]; the first by "
                        "default")
    parser.add_argument("--count", metavar="N", type=int, default=8, help="number of records that --show shows; 8 by "
                        "default")
    _output.add_arguments(parser, "a dataset that is")


def run(args):
    """Builds a dataset and prints its counts and place; returns the exit status."""
    console = terminal.console()
    unit = find(args.dataset)[0].UNIT
    shard = shards.of(args.shard) if args.shard is not None else None
    for option in ("beam", "overwrite", "show"):
        if shard and getattr(args, option):
            raise UserError(f"--shard {args.shard}: cannot be combined with --{option}; leave one of them out")
    if args.show and (unit != "images" or args.count < 1):
        raise UserError(f"--show: shows one image or more, not {args.count} {unit}")
    if args.dry_run:
        _output.foretell(dict([foresee(args.dataset, data_dir=args.data_dir, overwrite=args.overwrite)]))
        return 0
    with _progress.bar(unit) as progress:
        built = build(args.dataset, data_dir=args.data_dir, manual_dir=args.manual_dir, num_workers=args.num_workers,
                      beam=args.beam, overwrite=args.overwrite, shard=shard, announce=console.print, progress=progress,
                      **{name: getattr(args, name) for name in _SETTINGS})
    if built is None:
        return _output.ended("jsr build", [], f"{args.dataset}: shard {shard} is prepared; once all are, the same "
                             "command without --shard makes the dataset", console)
    for name, sizes in list(built.cropped.items())[:_CROPS_NAMED]:
        console.print(f"{name}: cropped from {sizes} (height x width), multiples of the scale")
    counts = " + ".join(f"{count} {split}" for split, count in built.counts.items())
    unread = "; its sources were not read, --overwrite builds anew" if args.manual_dir else ""
    old = f" (was there already{unread})"
    first = open_source(built.name, next(iter(built.counts)), args.data_dir)[0]
    made_by = codecs(json.loads(first.get("degradation") or "{}"))
    done = (f"{built.name}: {counts} {unit}, {len(built.cropped)} of them cropped, "
            f"{f'LR by {made_by}, ' if made_by else ''}{decimal(built.size)} in {built.path}"
            f"{'' if built.is_new else old}")
    if args.show:
        split = args.split or next(iter(built.counts))
        png = png_bytes(contact_sheet(open_source(built.name, split, args.data_dir), args.count))
        sheet = _free(f"{built.name.replace('/', '-')}-{split.partition('[')[0]}", png)
        with atomic_write(sheet, replace=False) as file:
            file.write(png)
        console.print(f"{sheet}: the first records of {split}")
    return _output.ended("jsr build", [], done, console)


def _free(name, content):
    """The first of name.png, name-2.png... that is not taken by a file of other content."""
    paths = (Path(f"{name}-{number}.png" if number > 1 else f"{name}.png") for number in itertools.count(1))
    return next(path for path in paths if not path.exists() or path.read_bytes() == content)

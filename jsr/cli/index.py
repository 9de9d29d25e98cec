"""Make a database of video frames, where a refinement network finds its references.

  jsr train aim22_t2:noah_engine '--config.data.train[0].dataset=VIDEOS'      the engine: features, autoencoder
  jsr index VIDEOS --out DB --engine runs/aim22_t2/noah_engine
  jsr index VIDEOS --out DB                                                  goes on, with the engine that DB has

The command stores one frame in every few of each video, at any depth of the folder: its features, which the engine
computes from the frame made smaller by 4, and the frame itself as the engine's latents. DB holds these in shards, the
engine, and an HNSW index (USearch) over the features. The same command again adds new videos, and resumes where it was
stopped, even by a kill: at most the last shard is made again. Videos that cannot be read are named, a line each, and
the others go on; the exit status is then 1.
"""

from pathlib import Path

from jsr import listing, results, terminal
from jsr.cli import _output, _progress
from jsr.retrieval import build


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("videos", metavar="VIDEOS", type=Path, help="folder of videos")
    parser.add_argument("-o", "--out", metavar="DB", type=Path, required=True, help="folder of the database")
    parser.add_argument("--engine", metavar="RUN", type=Path,
                        help="folder of a run of aim22_t2:noah_engine; by default the engine in DB")
    parser.add_argument("--every", metavar="N", type=int, default=build.EVERY,
                        help=f"frames between stored frames, one of them counted; {build.EVERY} by default")


def run(args):
    """Makes or continues a database; returns the exit status."""
    console = terminal.console()
    passed = listing.PassedOver()
    with results.locked(args.out / ".index.lock",
                        busy=lambda: f"{args.out}: another `jsr index` is writing there; wait until it ends"):
        with _progress.bar("videos") as progress:
            made, added, errors = build.build(args.videos, args.out, engine_path=args.engine, every=args.every,
                                              passed=passed, progress=progress)
    done = f"{len(made):,} frames of {len(made.videos):,} videos in {args.out}, {made.nbytes / 1e6:,.1f} MB"
    done += f"; {added:,} videos are new" if added else "; nothing is new"
    return _output.ended("jsr index", [*passed.errors, *errors], done, console, passed)

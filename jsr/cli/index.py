"""Make a database of frames from a folder of videos, in which a refinement network finds its references.

  jsr train aim22_t2:noah_engine '--config.data.train[0].dataset=VIDEOS'      the engine: features, autoencoder
  jsr index VIDEOS --out DB --engine runs/aim22_t2/noah_engine
  jsr index VIDEOS --out DB                                                  goes on, with the engine that DB has

Of every video, at any depth of the folder, one frame in every few is stored: its features, found by the engine from the
frame made smaller by 4, and the frame itself as the engine's latents. DB holds shards of them, the engine, and an HNSW
index (USearch) over the features. The same command again adds what is new, and goes on where it was stopped, by a kill
too: at most the last shard is made again. Videos that cannot be read are named, a line each, and the others go on; the
exit status is then 1.
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
                        help="folder of a run of aim22_t2:noah_engine; DB's own where it has one")
    parser.add_argument("--every", metavar="N", type=int, default=build.EVERY,
                        help=f"frames from one that is stored to the next; {build.EVERY} by default")


def run(args):
    """Makes or continues a database; returns the exit status."""
    console = terminal.console()
    passed = listing.PassedOver()
    with results.locked(args.out / ".index.lock",
                        busy=lambda: f"{args.out}: another `jsr index` is at work there; wait for its end"):
        with _progress.bar("videos") as progress:
            made, added, errors = build.build(args.videos, args.out, engine_path=args.engine, every=args.every,
                                              passed=passed, progress=progress)
    done = f"{len(made):,} frames of {len(made.videos):,} videos in {args.out}, {made.nbytes / 1e6:,.1f} MB"
    done += f"; {added:,} videos are new" if added else "; nothing is new"
    return _output.ended("jsr index", [*passed.errors, *errors], done, console, passed)

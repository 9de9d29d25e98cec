"""Degrade a folder of HR images exactly as a challenge's organisers did.

Writes one LR file an image and manifest.json with what made each. Files that are there already and still right are
kept; the exit status is 1 when some image could not be degraded.
"""

from rich.console import Console

from jsr.cli import _progress
from jsr.degradations import PROTOCOLS
from jsr.degradations.folder import MANIFEST, degrade_folder


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("hr_dir", metavar="HR_DIR", help="folder of HR images")
    parser.add_argument("--out", metavar="DIR", required=True, help="folder of the LR files")
    parser.add_argument("--protocol", metavar="NAME", required=True, help=f"one of {', '.join(PROTOCOLS)}")
    parser.add_argument("--num_workers", type=int, help="processes; one a CPU by default")


def run(args):
    """Degrades, names the bad files on stderr; returns the exit status."""
    with _progress.bar() as progress:
        manifest, errors = degrade_folder(args.hr_dir, args.out, args.protocol, num_workers=args.num_workers,
                                          progress=progress)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for name, entry in manifest["files"].items():
        if entry["cropped"]:
            console.print(f"{name}: cropped from {entry['source_height']}x{entry['source_width']} to "
                          f"{entry['hr_height']}x{entry['hr_width']} (height x width)")
    console.print(f"{len(manifest['files'])} LR images in {args.out}, their parameters in {MANIFEST}")
    stderr = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    for error in errors:
        stderr.print(f"jsr degrade: {error}")
    return 1 if errors else 0

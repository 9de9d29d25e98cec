"""Degrade a folder of HR images, or clips, exactly as a challenge's organisers did.

  jsr degrade DIV2K_valid_HR --out lr --protocol aim22_t1
  jsr degrade Set5 --out lr --protocol bicubic_x4
  jsr degrade DIV2K_valid_HR --out lr31 --protocol ais24 --set qp=31
  jsr degrade photos --out lr --protocol ntire24 --set quality=60-100
  jsr degrade LDV3 --out lr --protocol aim22_t2 --set encoder=hm
  jsr degrade photos --protocol ntire24 --explain steps

The command mirrors the folder, at any depth: it writes one LR file per image, and manifest.json with the steps that
made each. Files that exist already and are still right are kept; a file in the way that was not made from the same
image, or was changed since, stays and is named. Other files of the folder are counted. The exit status is 1 when an
image could not be degraded, and the last line says so. Random parameters of a protocol are drawn from the file's name,
so that they are the same every time.

--explain instead writes one picture per image, with all steps of the chain side by side, and prints the steps.
"""

import ast
from pathlib import Path

from jsr import challenges, listing, results, shards, terminal
from jsr.cli import _output, _progress
from jsr.degradations import PROTOCOLS, codecs, explain, parameters, settings
from jsr.degradations.degrade_folder import MANIFEST, degrade_folder, foresee
from jsr.errors import UserError


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("hr_dir", metavar="HR_DIR", type=Path, help="folder of HR images, or clips")
    parser.add_argument("-o", "--out", metavar="DIR", help="folder of the LR files")
    parser.add_argument("--protocol", metavar="NAME", required=True, help=f"one of {', '.join(PROTOCOLS)}")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[],
                        help="parameter of the protocol, for example quality=40, quality=60-100, qp=31, encoder=9d")
    parser.add_argument("--explain", metavar="DIR", type=Path, help="folder for pictures of the steps")
    parser.add_argument("--shard", metavar="I/N", help=shards.HELP)
    parser.add_argument("--num_workers", type=int, help="number of processes; one per core by default")
    _output.add_arguments(parser, "files that are")


def run(args):
    """Degrades a folder and names bad files on stderr; returns the exit status."""
    if bool(args.out) == bool(args.explain):
        raise UserError("name the output: --out DIR for LR files, or --explain DIR for pictures of the steps")
    challenge = challenges.PROTOCOLS.get(args.protocol)
    if challenge and not challenge.degradation:
        raise UserError(f"--protocol {args.protocol}: its LR images are photographs, like its HR images, and nothing "
                        "degraded them; take the challenge's own pairs, or another protocol's degradation")
    fixed = chosen(args.protocol, args.set)
    shard = shards.of(args.shard) if args.shard is not None else None
    if shard and args.explain:
        raise UserError("--explain: shows only some images and takes no --shard; leave one of them out")
    console = terminal.console()
    passed, done = listing.PassedOver(), ""
    if args.explain and args.dry_run:
        _output.settled(args, *explain.places(args.hr_dir, args.explain))
        return 0
    if args.explain:
        errors = explain.explain_folder(args.hr_dir, args.explain, args.protocol, fixed=fixed, say=console.print,
                                        overwrite=args.overwrite, passed=passed)
        done = f"steps: {args.explain}"
    elif args.dry_run:
        found, errors = foresee(args.hr_dir, args.out, args.protocol, fixed=fixed, overwrite=args.overwrite,
                                passed=passed, shard=shard)
        _output.foretell(found)
    else:
        with _progress.bar() as progress:
            manifest, errors = degrade_folder(args.hr_dir, args.out, args.protocol, fixed=fixed,
                                              num_workers=args.num_workers, overwrite=args.overwrite,
                                              passed=passed, shard=shard, progress=progress)
        for name, entry in manifest["files"].items():
            if entry["cropped"]:
                console.print(f"{name}: cropped from {entry['source_height']}x{entry['source_width']} to "
                              f"{entry['hr_height']}x{entry['hr_width']} (height x width)")
        what = "clips" if PROTOCOLS[args.protocol].video else "images"
        if manifest["files"]:
            made_by = {codecs(entry["degradation"]) for entry in manifest["files"].values()} - {""}
            made_by = f" by {' and '.join(sorted(made_by))}" if made_by else ""
            done = f"{len(manifest['files'])} LR {what} in {args.out}{made_by}, their parameters in "
            done += results.of_shard(Path(MANIFEST), shard).name
    return _output.ended("jsr degrade", [*passed.errors, *errors], done, console, passed)


def chosen(protocol, texts):
    """The parameters of a protocol that the texts of --set choose, as jsr.degradations.draw takes them."""
    known = parameters(protocol)
    return settings(protocol, dict(_pair(text, known) for text in texts), "--set ")


def _pair(text, known):
    """("qp", 31) of "qp=31"; a parameter that is text, as encoder="9", stays so."""
    key, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set {text}: must be KEY=VALUE")
    try:
        return key, value if isinstance(known.get(key), str) else ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value

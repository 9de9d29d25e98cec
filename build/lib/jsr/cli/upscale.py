"""Upscale, or restore, pictures of any format and size, and keep all else about them.

  jsr upscale photo.jpg --out photo_x4.jpg --model edsr.safetensors
  jsr upscale holiday "scans/**/*.tif" --out better --model hat.safetensors --format png
  jsr upscale holiday --out better --model a.safetensors b.safetensors --self_ensemble
  jsr upscale holiday --out restored --recipe ntire24:quick

Grey stays grey, 16 bit stays 16 bit, alpha, profile, EXIF, XMP and resolution are kept, the EXIF orientation is applied.
Folders are mirrored. upscaled.json in the output folder holds the settings and what became of each file; the same command
again goes on where it was interrupted and leaves finished files alone. A file that cannot be upscaled gets one line on
stderr, the rest goes on, and the exit status is 1.

Pictures too large for memory go through in tiles. The summary says whether the result is exact, that is, what the whole
picture at once would have given, or approximate.
"""

import argparse
import collections
from pathlib import Path
import time

from rich.console import Console

from jsr import config
from jsr.cli import _progress
from jsr.errors import UserError


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("inputs", metavar="INPUT", nargs="+", help="picture, folder, or pattern in quotes")
    parser.add_argument("--out", metavar="PATH", type=Path, required=True, help="folder; for one picture also a file")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", metavar="FILE", nargs="+",
                       help="model file, .safetensors; the outputs of several are averaged")
    which.add_argument("--recipe", metavar="TRACK:NAME",
                       help="that of the recipe's run in runs/, as in ntire24:fbcnn: its best, or its last")
    parser.add_argument("--weights", metavar="W", nargs="+", type=float, help="of the models in that average")
    parser.add_argument("--self_ensemble", action=argparse.BooleanOptionalAction, default=None,
                        help="average the outputs for the eight flips and turns; by default as the model file says")
    parser.add_argument("--tile", metavar="N[,N...]", default="auto", type=_tile,
                        help="side of tiles, LR px; auto by default; the outputs for several sides are averaged")
    parser.add_argument("--tlc", metavar="N", type=int,
                        help="networks that look at the mean of the whole picture get that of N LR px around each pixel, "
                             "1.5 times the crops trained on; by default as the model file says, 0 is never")
    parser.add_argument("--overlap", metavar="N", type=int,
                        help="LR px around each tile; by default as far as the network sees, where that is affordable")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32", help="of the computation")
    parser.add_argument("--runtime", metavar="NAME", default="auto",
                        help="what computes on a CPU: jax, onnxruntime, openvino, or, by default, auto, which tries those "
                             "that are installed where there is much to do")
    parser.add_argument("--format", metavar="NAME", help="of the output files; by default that of each input")
    parser.add_argument("--quality", metavar="Q", type=int, help="of lossy formats, 1 to 100")
    parser.add_argument("--input_quality", metavar="Q", type=float,
                        help="JPEG quality, 1 to 100, that networks which can be told restore for, as FBCNN; by default "
                             "they estimate it. Lower removes more, of the picture too")
    parser.add_argument("--overwrite", action="store_true", help="replace files in the way, do finished ones again")


def run(args):
    """Upscales, names what failed on stderr; returns the exit status."""
    from jsr.inference import folder, upscaler
    from jsr.inference.chain import use_compile_cache

    suffix = _suffix(args.format)
    if args.quality is not None and not 1 <= args.quality <= 100:
        raise UserError(f"--quality {args.quality}: must be from 1 to 100")
    models = args.model or [_run_of(args.recipe)]
    jobs, errors = folder.plan(args.inputs, args.out, suffix=suffix)
    use_compile_cache()
    network = upscaler.load(*models, weights=args.weights, self_ensemble=args.self_ensemble, tile=args.tile,
                            overlap=args.overlap, dtype=None if args.dtype == "float32" else args.dtype,
                            runtime=args.runtime, tlc=args.tlc, input_quality=args.input_quality)
    settings = {"models": [folder.digest(path) for path in models], "weights": args.weights,
                "self_ensemble": args.self_ensemble, "tile": args.tile, "overlap": args.overlap, "dtype": args.dtype,
                "runtime": args.runtime, "tlc": args.tlc, "input_quality": args.input_quality,
                "quality": args.quality}
    start = time.monotonic()
    single = len(jobs) == 1 and jobs[0].target == args.out
    with _progress.bar(unit="Mpx") as progress:
        entries, failed = folder.upscale_files(
            jobs, network, settings, out=None if single else args.out, quality=args.quality, overwrite=args.overwrite,
            progress=lambda files, done, total: progress("upscaling", done / 1e6, total / 1e6,
                                                         f", {files} of {len(jobs)} files done"))
    _summary(entries, network, time.monotonic() - start, args.out)
    stderr = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    for error in (*errors, *failed):
        stderr.print(f"jsr upscale: {error}")
    return 1 if errors or failed else 0


def _run_of(recipe):
    """The model file that a run of a recipe has left where runs lie by default; UserError where there is none."""
    track, _, name = config.load(recipe).recipe.partition(":")
    files = [Path("runs", track, name, kept) for kept in ("best.safetensors", "last.safetensors")]
    found = next((file for file in files if file.exists()), None)
    if found is None:
        raise UserError(f"{recipe}: no run in {files[0].parent}; train it (python -m jsr.main --config={recipe}), or name a "
                        "model file with --model")
    return found


def _tile(text):
    sides = text.split(",")
    if text != "auto" and not all(side.isdecimal() for side in sides):
        raise argparse.ArgumentTypeError(f"{text!r} is neither auto nor a number of px, or several with commas")
    return text if text == "auto" else int(text) if len(sides) == 1 else [int(side) for side in sides]


def _suffix(name):
    """".jpg" of "jpeg", "JPG" or ".jpg"; UserError where the format cannot be written."""
    from jsr import pictures

    if name is None:
        return None
    name = name.lower().removeprefix(".")
    if name in pictures.WRITABLE:
        return pictures.WRITABLE[name].extensions[0]
    for form in pictures.WRITABLE.values():
        if f".{name}" in form.extensions:
            return f".{name}"
    raise UserError(f"--format {name}: cannot be written; choose one of {', '.join(pictures.WRITABLE)}")


def _summary(entries, network, seconds, out):
    console = Console(soft_wrap=True, highlight=False, markup=False)
    done = {target: entry for target, entry in entries.items() if "error" not in entry and "skipped" not in entry}
    for target, entry in done.items():
        for note in entry["notes"]:
            console.print(f"{entry['source']}: {note}")
    skipped = sum("skipped" in entry for entry in entries.values())
    compiling = sum(chain.compile_seconds for chain in network.chains)
    if done:
        pixels = sum(entry["height"] * entry["width"] * entry["frames"] for entry in done.values()) / 1e6
        working = max(seconds - compiling, 1e-9)
        console.print(f"x{network.scale}: {len(done)} pictures, {pixels:.2f} Mpx in {working:.1f} s, "
                      f"{pixels / working:.3f} Mpx/s; {sum(chain.programs for chain in network.chains)} programs compiled or "
                      f"read in {compiling:.1f} s")
        for how, count in collections.Counter(_how(entry) for entry in done.values()).items():
            console.print(f"{count} {how}")
        for line in dict.fromkeys(line for chain in network.chains for line in _runtimes(chain.runner)):
            console.print(line)
    if skipped:
        console.print(f"{skipped} were finished before")
    if done or skipped:
        console.print(f"results: {out}")


def _runtimes(runner):
    """What computed a chain, where it was not JAX as a matter of course."""
    if runner.name != "auto":
        return [f"runtime: {runner.name}"]
    return [f"runtime: {race.winner}, " + " against ".join(
        f"{seconds * 1000:.0f} ms{'' if name == race.winner else f' of {name}'}"
        for name, seconds in sorted(race.medians().items(), key=lambda row: row[1])) + f" a tile of {height}x{width}"
        for (height, width), race in runner.races.items()]


def _how(entry):
    tile = " and of ".join("x".join(map(str, size)) for size in (entry["tile"], *entry["averaged_tiles"]))
    return {"whole": "whole",
            "exact": f"in tiles of {tile} that overlap by {entry['overlap']} px, exact: as the whole picture",
            "approximate": f"in tiles of {tile} that overlap by {entry['overlap']} px, approximate: the networks see "
                           "farther than the tiles overlap, or divide what they get into parts",
            }[entry["tiling"]]

"""Upscale, or restore, pictures of any format and size, and keep all else about them.

  jsr upscale photo.jpg --out photo_x4.jpg --model edsr.safetensors
  jsr upscale holiday "scans/**/*.tif" --out better --model hat.safetensors --format png
  jsr upscale holiday --out better --model a.safetensors b.safetensors --self_ensemble
  jsr upscale holiday --out restored --recipe ntire24:quick
  curl https://example.org/a.png | jsr upscale - -o - -m runs/aim22_t1/quick > b.png

Grey stays grey, 16 bit stays 16 bit, alpha, profile, EXIF, XMP and resolution are kept, the EXIF orientation is
applied. Folders are mirrored. upscaled.json in the output folder holds the settings and what became of each file; the
same command again goes on where it was interrupted and leaves finished files alone. Files in the way that were not made
of the very same picture, or were changed since, stay and are named. What a folder holds besides pictures is counted.
A file that cannot be upscaled gets one line on stderr, the rest goes on, and the exit status is 1; it is 0 where all is
done and 2 for a mistake in the command line, and the last line says which.

Pictures too large for memory go through in tiles. The summary says whether the result is exact, that is, what the whole
picture at once would have given, or approximate.
"""

import argparse
import collections
import contextlib
from pathlib import Path
import shutil
import sys
import tempfile
import time

from rich.console import Console

from jsr import recipes
from jsr.cli import _output, _progress
from jsr.errors import UsageError, UserError
from jsr.files import is_stream, writing

_NAMED = 3  # files of one note that are named
_STDOUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("inputs", metavar="INPUT", nargs="*",
                        help="picture, folder, or pattern in quotes; - is standard input")
    parser.add_argument("-o", "--out", metavar="PATH",
                        help="folder; for one picture also a file, or - for standard output")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("-m", "--model", metavar="FILE", nargs="+",
                       help="model file, .safetensors, a run's folder, or a name of `jsr models`; the outputs of "
                            "several are averaged").fits = _looks_like_a_model
    which.add_argument("--recipe", metavar="TRACK:NAME",
                       help="the model file of a recipe's run in runs/, as in ntire24:fbcnn: its best, or its last")
    parser.add_argument("--weights", metavar="W", nargs="+", type=float, help="weights of the models in that average")
    parser.add_argument("--self_ensemble", action=argparse.BooleanOptionalAction, default=None,
                        help="average the outputs for the eight flips and turns; by default as the model file says")
    parser.add_argument("--tile", metavar="N[,N...]", default="auto", type=_tile,
                        help="side of tiles, LR px; auto by default; the outputs for several sides are averaged")
    parser.add_argument("--tlc", metavar="N", type=int,
                        help="test-time local converter: means over the whole picture become means over windows of "
                             "N LR px, about 1.5 times the training crop; by default as the model file says, 0 is off")
    parser.add_argument("--overlap", metavar="N", type=int,
                        help="LR px around each tile; by default as far as the network sees, where that is affordable")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32",
                        help="dtype of the computation")
    parser.add_argument("--runtime", metavar="NAME", default="auto",
                        help="runtime on a CPU: jax, onnxruntime, openvino, or, by default, auto, which times the "
                             "installed ones where there is much to do")
    parser.add_argument("--format", metavar="NAME", help="format of the output files; by default each input's own")
    parser.add_argument("--quality", metavar="Q", type=int, help="quality of lossy formats, 1 to 100")
    parser.add_argument("--input_quality", metavar="Q", type=float,
                        help="JPEG quality, 1 to 100, for networks that take one, for example FBCNN; by default they "
                             "estimate it. A lower one removes more artefacts, and more detail")
    parser.add_argument("--alpha", choices=("transparency", "separate"), default="transparency",
                        help="separate keeps colours under alpha 0, as textures need, whose alpha is no transparency")
    parser.add_argument("--keep_dates", action="store_true", help="give the results the dates of their sources")
    _output.add_arguments(parser, "files that are")


def run(args):
    """Upscales, names what failed on stderr; returns the exit status."""
    _check(args)
    with tempfile.TemporaryDirectory(prefix="jsr-") as scratch:
        piped = _Pipes(args.inputs, args.out, _suffix(args.format), Path(scratch))
        status = _upscale(args, piped)
        piped.hand_on()
    return status


def _check(args):
    """Raises UsageError for what is missing of a command line, all of it at once, and for what is out of range."""
    missing = [text for given, text in (
        (args.inputs, "what to upscale: a picture or a folder"),
        (args.out, "where to: --out PATH"),
        (args.model or args.recipe, "with what: --model FILE (a run leaves one in runs/, `jsr convert` makes one of "
                                    "PyTorch weights), or --recipe TRACK:NAME")) if not given]
    if missing:
        raise UsageError(f"say {'; '.join(missing)}")
    if args.quality is not None and not 1 <= args.quality <= 100:
        raise UserError(f"--quality {args.quality}: must be from 1 to 100")


def _upscale(args, piped):
    """Does the work on files; returns the exit status."""
    from jsr import model_file
    from jsr.device import check_settings, use_compile_cache
    from jsr.inference import upscale_folder, upscaler

    stdout = Console(soft_wrap=True, highlight=False, markup=False, stderr=piped.to_stdout)
    models = [model_file.find(path) for path in args.model or [_run_of(args.recipe)]]
    jobs, errors, passed = upscale_folder.find_jobs(piped.inputs, piped.out, suffix=_suffix(args.format))
    settings = {"models": [upscale_folder.digest(path) for path in models], "weights": args.weights,
                "self_ensemble": args.self_ensemble, "tile": args.tile, "overlap": args.overlap, "dtype": args.dtype,
                "runtime": args.runtime, "tlc": args.tlc, "input_quality": args.input_quality,
                "quality": args.quality, "alpha": args.alpha}
    single = len(jobs) == 1 and jobs[0].target == piped.out
    where = {"out": None if single else piped.out, "overwrite": args.overwrite}
    if args.dry_run:
        found, failed = upscale_folder.foresee(jobs, settings, **where)
        _output.foretell({piped.shown(target): may for target, may in found.items()})
        done = ""
    else:
        check_settings()
        use_compile_cache()
        network = upscaler.load(*models, weights=args.weights, self_ensemble=args.self_ensemble, tile=args.tile,
                                overlap=args.overlap, dtype=None if args.dtype == "float32" else args.dtype,
                                runtime=args.runtime, tlc=args.tlc, input_quality=args.input_quality,
                                separate_alpha=args.alpha == "separate")
        start = time.monotonic()
        with _progress.bar(unit="Mpx") as progress:
            entries, failed = upscale_folder.upscale_files(
                jobs, network, settings, **where, quality=args.quality, keep_dates=args.keep_dates,
                progress=lambda files, done, total: progress("upscaling", done / 1e6, total / 1e6,
                                                             f", {files} of {len(jobs)} files done"))
        for line in _summary(entries, network, time.monotonic() - start):
            stdout.print(piped.shown(line))
        done = "" if all("error" in entry for entry in entries.values()) else f"results: {args.out}"
    return _output.ended("jsr upscale", map(piped.shown, (*errors, *failed)), done, stdout, passed)


class _Pipes:
    """Files that stand for pipes: what is read from one, and what is written to one.

    Attributes:
      inputs, out: of the command line, with the files in the places of pipes.
      to_stdout: whether the result goes to standard output, where nothing else may be printed then.
    """

    def __init__(self, inputs, out, suffix, scratch):
        self._names = {}
        self.inputs = [self._read(text, scratch) if text == "-" or is_stream(text) else text for text in inputs]
        self.to_stdout = out in _STDOUT
        self.out = Path(out)
        self._sink = out if self.to_stdout or is_stream(out) else None
        if self._sink:
            if len(inputs) > 1 or Path(self.inputs[0]).is_dir():
                raise UsageError(f"--out {out}: takes one picture, not several")
            if self.to_stdout and sys.stdout.isatty():
                raise UsageError(f"--out {out}: is the terminal; send it into a file or another command")
            self.out = scratch / f"out{suffix or _ending(self.inputs[0])}"
            self._names[str(self.out)] = out

    def shown(self, text):
        """A text with the names that the person gave."""
        text = str(text)
        for file, name in self._names.items():
            text = text.replace(file, name)
        return text

    def hand_on(self):
        """Sends the result, where there is one, into the pipe that it is for."""
        if self._sink and self.out.exists():
            with open(self.out, "rb") as file:
                if self.to_stdout:
                    sys.stdout.flush()
                    shutil.copyfileobj(file, sys.stdout.buffer)
                    return
                with writing(self._sink), open(self._sink, "wb") as sink:
                    shutil.copyfileobj(file, sink)

    def _read(self, text, scratch):
        if text == "-" and sys.stdin.isatty():
            raise UsageError("-: is the terminal; send a picture into it, as in `jsr upscale - < photo.jpg`")
        file = scratch / f"stdin{len(self._names) or ''}"
        with open(file, "wb") as copy, contextlib.ExitStack() as opened:
            shutil.copyfileobj(sys.stdin.buffer if text == "-" else opened.enter_context(open(text, "rb")), copy)
        named = file.with_suffix(_ending(file))
        file.rename(named)
        self._names[str(named)] = text
        return str(named)


def _ending(path):
    """The ending of a picture by its content, or .png where that cannot be written or is no picture."""
    from jsr import pictures

    with contextlib.suppress(UserError), pictures.open_picture(path) as picture:
        if picture.format in pictures.WRITABLE:
            return pictures.WRITABLE[picture.format].extensions[0]
    return ".png"


def _looks_like_a_model(text):
    """Whether a word behind --model and a model file is one more, not a picture."""
    from jsr import model_file

    return model_file.is_named(text)


def _run_of(recipe):
    """The model file that a run of a recipe has left where runs lie by default; UserError where there is none."""
    from jsr import model_file

    track, _, name = recipes.load(recipe).recipe.partition(":")
    folder = Path("runs", track, name)
    try:
        return model_file.find(folder)
    except UserError:
        raise UserError(f"{recipe}: no run in {folder}; train it (python -m jsr.main --config={recipe}), "
                        "or name a model file with --model") from None


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


def _summary(entries, network, seconds):
    """Lines about what was done."""
    done = {target: entry for target, entry in entries.items() if "error" not in entry and "skipped" not in entry}
    sources = collections.defaultdict(list)
    for entry in done.values():
        for note in entry["notes"]:
            sources[note].append(entry["source"])
    for note, files in sources.items():
        more = f" and {len(files) - _NAMED} more, {len(files)} in all" if len(files) > _NAMED else ""
        yield f"{', '.join(files[:_NAMED])}{more}: {note}"
    skipped = sum("skipped" in entry for entry in entries.values())
    compiling = sum(chain.compile_seconds for chain in network.chains)
    if done:
        pixels = sum(entry["height"] * entry["width"] * entry["frames"] for entry in done.values()) / 1e6
        working = max(seconds - compiling, 1e-9)
        yield (f"x{network.scale}: {len(done)} pictures, {pixels:.2f} Mpx in {working:.1f} s, "
               f"{pixels / working:.3f} Mpx/s; {sum(chain.programs for chain in network.chains)} programs "
               f"compiled or read in {compiling:.1f} s")
        for how, count in collections.Counter(_how(entry) for entry in done.values()).items():
            yield f"{count} {how}"
        yield from dict.fromkeys(line for chain in network.chains for line in _runtimes(chain.runner))
    if skipped:
        yield f"{skipped} were finished before"


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

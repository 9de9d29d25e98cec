"""Upscale, or restore, pictures and clips of any format and size, and keep everything else about them.

  jsr upscale photo.jpg                                 # photo_x2.jpg, twice as wide and as high
  jsr upscale *.jpg --scale 4                           # photo_x4.jpg...
  jsr upscale photo.jpg --scale 1                       # photo_restored.jpg, without the traces of JPEG
  jsr upscale holiday --width 3000 --out better         # the whole folder, its names kept
  jsr upscale holiday "scans/**/*.tif" --out better --model hat.safetensors --format png
  jsr upscale holiday --out better --model a.safetensors b.safetensors --self_ensemble
  jsr upscale holiday --out restored --recipe ntire24:quick
  curl https://example.org/a.png | jsr upscale - -o - > b.png
  jsr upscale clip.mkv --out better.mkv                 # frames; sound, subtitles and all else are copied
  jsr upscale clip.mov --start 1:30 --end 1:45 --crf 14 --container mkv

Without --model and --recipe, jsr uses its own networks: "x2" up to x2, "x4" beyond it, or "x4-avif" for AVIF files, and
"restore" for --scale 1. For a size in between, exact bicubic resampling follows; shrinking needs no network. Copied
unchanged are pictures that have the requested size, and at --scale 1 JPEG files of quality 88 or more and pictures
without traces of JPEG.

Without --out, results go beside the pictures; their names say what was done, and their metadata (XMP) what made them:
the same command again leaves them alone and does not upscale them. With --out, folders are mirrored, and upscaled.json
in the output folder holds the settings and the result for each file; the same command again resumes where it was
interrupted. Either way a file that was not made from the very same picture, or was changed since, stays and is named.
Files of a folder that are no pictures are counted.

Grey stays grey and 16 bit stays 16 bit; alpha, profile, EXIF, XMP and resolution are kept, and the EXIF orientation is
applied. A file that cannot be upscaled gets one line on stderr, and the rest go on. The exit status is 0 if all is
done, 1 if a file failed, 2 for a mistake in the command line, and the last line says which.

The frames of clips go through the network one after the other; every other stream is copied packet by packet. Times,
chapters, attachments, tags, rotation, the shape of pixels, the pixel format and HDR data stay as they are, and so do by
default codec and container, where they can be written. Matrix and range follow the tags, or the size where tags are
missing, and a line on each clip names them. Finished segments lie in a hidden folder beside the result until it is
whole: the same command resumes after an interruption.

Pictures too large for memory go through in tiles. The summary says whether the result is exact, that is, equal to the
result for the whole picture at once, or approximate.
"""

import argparse
import collections
import contextlib
import dataclasses
from fractions import Fraction
import functools
import math
import os
from pathlib import Path
import shutil
import stat
import sys
import tempfile
import time

from jsr import command_line, results, shards, terminal
from jsr.cli import _output, _progress
from jsr.errors import UsageError, UserError
from jsr.files import is_stream, writing

_NAMED = 3  # files of one note that are named
_OTHERWISE = ("otherwise: --scale 4, --scale 1 to restore JPEG files, --width 3000, --model FILE, --out FOLDER; "
              "`jsr help upscale` says more")
_SIZES = ("scale", "width", "height", "longest", "megapixels")
_LARGEST = 16  # scale that may be asked for
_PART = 1 << 24  # bytes of a pipe that are read at a time
_STDOUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("inputs", metavar="INPUT", nargs="*",
                        help="picture, folder, or pattern in quotes; - is standard input")
    parser.add_argument("-o", "--out", metavar="PATH",
                        help="folder; for one picture also a file, or - for standard output; by default beside each "
                             "picture, for example photo_x2.jpg")
    size = parser.add_argument_group("size of the result (default: x2, or the scale of the --model)",
                                     "Give one option; only --width and --height go together, as a box that the result "
                                     "fits into. Proportions are kept. Smaller sizes are made by resampling alone")
    size.add_argument("--scale", metavar="X", type=float,
                      help="result's size over the picture's, up to 16, also 1.5 and the like; 1 restores JPEG files")
    for name, what in (("width", "width"), ("height", "height"), ("longest", "longer side")):
        size.add_argument(f"--{name}", metavar="PX", type=int, help=f"{what}, px")
    size.add_argument("--megapixels", metavar="MPX", type=float, help="width times height, in 1,000,000 px")
    parser.add_argument("--strength", metavar="S", type=float, default=1.0,
                        help="share of the network's result, 0 to 1; the rest is plain bicubic enlargement, or at x1 "
                             "the picture itself (default: 1)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("-m", "--model", metavar="FILE", nargs="+",
                       help="model file, .safetensors, a run's folder, or a name of `jsr models`; the outputs of "
                            "several are averaged; by default x2, x4, x4-avif or restore, by size and file"
                       ).fits = _looks_like_a_model
    which.add_argument("--recipe", metavar="TRACK:NAME",
                       help="recipe whose run in runs/ has the model file, for example ntire24:fbcnn: the best, or the "
                            "last")
    parser.add_argument("--weights", metavar="W", nargs="+", type=float, help="weights of the models in that average")
    parser.add_argument("--members", metavar="N", type=int,
                        help="number of an ensemble's networks to use, from the first; 1 is fastest; all by default")
    parser.add_argument("--self_ensemble", action=argparse.BooleanOptionalAction, default=None,
                        help="average the outputs for the eight flips and turns; by default as the model file says")
    parser.add_argument("--tile", metavar="N[,N...]", default="auto", type=_tile,
                        help="side of tiles, LR px; auto by default; the outputs for several sides are averaged; rows "
                             "takes each picture whole and splits its rows over all local devices")
    parser.add_argument("--tlc", metavar="N", type=int,
                        help="test-time local converter: replace means over the whole picture by means over windows of "
                             "N LR px, about 1.5 times the training crop; by default as the model file says, 0 is off")
    parser.add_argument("--overlap", metavar="N", type=int,
                        help="LR px around each tile; by default as far as the network sees, if that is affordable")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32",
                        help="dtype of the computation")
    parser.add_argument("--runtime", metavar="NAME", default="auto",
                        help="runtime on a CPU: jax, onnxruntime, openvino, or, by default, auto, which times the "
                             "installed ones for large jobs")
    parser.add_argument("--format", metavar="NAME", help="format of the output files; by default each input's own")
    parser.add_argument("--quality", metavar="Q", type=int, help="quality of lossy formats, 1 to 100")
    parser.add_argument("--input_quality", metavar="Q", type=float,
                        help="JPEG quality, 1 to 100, for networks that take one; by default the file's, or an "
                             "estimate. A lower quality removes more artefacts, and more detail")
    parser.add_argument("--alpha", choices=("transparency", "separate"), default="transparency",
                        help="separate keeps colours under alpha 0, for textures whose alpha is not transparency")
    film = parser.add_argument_group("clips")
    film.add_argument("--codec", metavar="NAME", help="encoder, as libx265, or codec, as hevc; by default the "
                                                      "clip's own, or H.264, or HEVC for 10 bits")
    film.add_argument("--crf", metavar="N", type=int, help="constant rate factor, 0 is best; by default chosen so that "
                                                           "the result is 42 dB from the network's frames")
    film.add_argument("--preset", metavar="NAME", help="speed of the encoder, as slow (default: medium or similar)")
    film.add_argument("--container", metavar="NAME", help="mkv, mp4, mov or webm; by default the clip's own, or mkv")
    film.add_argument("--start", metavar="T", type=_time, help="time of the first frame, such as 90, 1:30 or 0:01:30.5")
    film.add_argument("--end", metavar="T", type=_time, help="time of the first frame that is left out")
    film.add_argument("--stream", metavar="N", type=int, help="index of the video stream to upscale")
    film.add_argument("--without", metavar="N", type=int, nargs="+", default=(), help="indices of streams to leave out")
    film.add_argument("--deinterlace", action="store_true",
                      help="make each interlaced frame a whole frame; their number stays")
    film.add_argument("--sdr", action="store_true", help="refuse HDR clips, whose codes otherwise go through unchanged")
    film.add_argument("--frames", action="store_true",
                      help="write a folder of pictures for each clip, of --format, PNG by default")
    film.add_argument("--fps", metavar="N", type=_rate,
                      help="frames per second, such as 24 or 30000/1001, of a clip made of a folder of pictures "
                           "(default: 25)")
    film.add_argument("--windows", action="store_true",
                      help="show recurrent networks windows of 30 frames instead of whole scenes, whose features take "
                           "much disk space")
    film.add_argument("--preview", action="store_true", help="write one frame of each clip first, as PNG beside it")
    parser.add_argument("--shard", metavar="I/N", help=shards.HELP)
    parser.add_argument("--keep_dates", action="store_true", help="give the results the dates of their sources")
    _output.add_arguments(parser, "files that are")


def run(args):
    """Upscales the inputs and names failures on stderr; returns the exit status."""
    size = _size(args)
    with tempfile.TemporaryDirectory(prefix="jsr-") as scratch:
        piped = _Pipes(args, Path(scratch))
        return _upscale(args, size, piped)


def _size(args):
    """The size that is asked for, {option: value}; raises UserError for what is missing or out of range."""
    if not args.inputs:
        raise UsageError("name a picture or a folder to upscale")
    for name in ("quality", "input_quality"):
        if (value := getattr(args, name)) is not None and not 1 <= value <= 100:
            raise UserError(f"--{name} {value:g}: must be from 1 to 100")
    size = {name: getattr(args, name) for name in _SIZES if getattr(args, name) is not None}
    if len(size) > 1 and size.keys() != {"width", "height"}:
        raise UsageError(f"{' and '.join(f'--{name}' for name in size)}: give one size; only --width and --height go "
                         "together")
    for name, value in size.items():
        if not 0 < value < math.inf:
            raise UserError(f"--{name} {value:g}: must be above 0")
    if size.get("scale", 1) > _LARGEST:
        raise UserError(f"--scale {args.scale:g}: must be at most {_LARGEST}; 2 is twice as wide and as high")
    return size


def _upscale(args, size, piped):
    """Does the work on files; returns the exit status."""
    with command_line.importing():
        from jsr import clips, model_file
        from jsr.device import check_settings, use_compile_cache
        from jsr.inference import choice, upscale_folder
        from jsr.inference.settings import Settings

    stdout = terminal.console(stderr=piped.to_stdout)
    check_settings()
    use_compile_cache()
    settings = Settings(size=size, **{field.name: getattr(args, field.name) for field in dataclasses.fields(Settings)
                                      if field.name != "size"})
    start, models, name = time.monotonic(), [], ""
    shard = shards.of(args.shard) if args.shard is not None else None
    if args.model or args.recipe:
        models = [model_file.find(path) for path in args.model or [_run_of(args.recipe)]]
        name = ", ".join(Path(word).name or word for word in args.model or [args.recipe])
    networks, named = settings.networks(models, name)
    if any(map(model_file.is_foreign, models)):
        for line in (line for chain in networks[name].chains for line in chain.meta.get("notes", ())):
            stdout.print(line)

    wishes = clips.Wishes(codec=args.codec, crf=args.crf, preset=args.preset, start=args.start, end=args.end,
                          stream=args.stream, without=tuple(args.without), deinterlace=args.deinterlace, sdr=args.sdr,
                          frames=(_suffix(args.format) or ".png") if args.frames else "", rate=args.fps,
                          windows=args.windows)
    choose = functools.partial(choice.choose, size=choice.Size(**size), named=named, input_quality=args.input_quality,
                               wishes=wishes)
    jobs, errors, passed = upscale_folder.find_jobs(
        piped.inputs, piped.out, suffix=_suffix(args.format), clip_suffix=_clip_suffix(args.container),
        frames=args.frames, choose=choose, shard=shard)
    if shard:
        stdout.print(f"shard {shard}: {len(jobs):,} file{'s' * (len(jobs) != 1)}")
    its = dataclasses.asdict(settings)
    beside = piped.out is None
    single = len(jobs) == 1 and not beside and jobs[0].target == piped.out
    where = {"out": None if single else piped.out, "mark": beside, "overwrite": args.overwrite, "shard": shard}
    if args.dry_run:
        found, failed = upscale_folder.foresee(jobs, networks, its, **where)
        _output.foretell({piped.shown(target): may for target, may in found.items()})
        done = ""
    else:
        if job := upscale_folder.first_of_network(jobs):
            first = networks[job.plan.network]  # options that do not fit are one error, before anything is written
            for line in _forecast(first, job, jobs):
                stdout.print(piped.shown(line))
        if args.preview:
            free = [job for job in jobs if args.overwrite or job.target and not job.target.exists()]
            errors += _preview(free, networks, args.input_quality, lambda line: stdout.print(piped.shown(line)))
        film = jobs[0].plan.before if len(jobs) == 1 and jobs[0].plan and jobs[0].plan.clip else None
        unit, size_of = ("frames", math.prod(film)) if film else ("Mpx", 1e6)
        held = results.only_shard((where["out"] or Path()) / upscale_folder.MANIFEST, shard if where["out"] else None)
        with held, command_line.terminable(), _progress.bar(unit=unit) as progress:
            entries, failed = upscale_folder.upscale_files(
                jobs, networks, its, **where, input_quality=args.input_quality,
                separate_alpha=args.alpha == "separate", quality=args.quality, keep_dates=args.keep_dates,
                progress=lambda files, done, total: progress("upscaling", done / size_of, total / size_of,
                                                             f", {files} of {len(jobs)} files done"))
        for line in _summary(entries, networks, time.monotonic() - start):
            stdout.print(piped.shown(line))
        made = [target for target, entry in entries.items() if "error" not in entry]
        if beside and not (named or size) and any("skipped" not in entries[target] for target in made):
            stdout.print(_OTHERWISE)
        place = args.out or (made[0] if len(made) == 1 else "beside the pictures")
        done = f"results: {place}" if made else ""
    piped.hand_on()  # before it is said that all is done
    said = dict.fromkeys(piped.shown(e) for e in (*errors, *failed))  # a preview fails as its clip does
    return _output.ended("jsr upscale", said, done, stdout, passed)


class _Pipes:
    """Files that stand for pipes, for input and for output.

    Attributes:
      inputs, out: places on the command line, with files instead of pipes; out may be None.
      to_stdout: whether the result goes to standard output, where nothing else may be printed then.
    """

    def __init__(self, args, scratch):
        inputs, out, self._names = args.inputs, args.out, {}
        streams = [text for text in inputs if text == "-" or is_stream(text)]
        if out is None and streams:
            raise UsageError(f"{streams[0]}: is a pipe, so that nothing lies beside it; name the output: --out -, or a "
                             "file")
        self.inputs = [self._read(text, scratch) if text in streams else text for text in inputs]
        self.to_stdout = out in _STDOUT
        self.out = out and Path(out)
        self._sink = out if out and (self.to_stdout or is_stream(out)) else None
        if self._sink:
            if len(inputs) > 1 or Path(self.inputs[0]).is_dir():
                raise UsageError(f"--out {out}: takes one picture, not several")
            if self.to_stdout and sys.stdout.isatty():
                raise UsageError(f"--out {out}: is the terminal; redirect it into a file or another command")
            self.out = scratch / f"out{_sink_ending(out, self.inputs[0], args)}"
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
                    sys.stdout.buffer.flush()
                    return
                with writing(self._sink), open(self._sink, "wb") as sink:
                    shutil.copyfileobj(file, sink)

    def _read(self, text, scratch):
        if text == "-" and sys.stdin.isatty():
            raise UsageError("-: is the terminal; send a picture into it, as in `jsr upscale - < photo.jpg`")
        file = scratch / f"stdin{len(self._names) or ''}"
        with open(file, "wb") as copy, contextlib.ExitStack() as opened:
            _copy(sys.stdin.buffer if text == "-" else opened.enter_context(open(text, "rb")), copy, text)
        named = file.with_suffix(_ending(file))
        file.rename(named)
        self._names[str(named)] = text
        return str(named)


def _copy(stream, file, name):
    """Copies a pipe into a file; UserError of a device, and of a pipe that gives more than half of the disk's room."""
    if name != "-" and stat.S_ISCHR(os.stat(name).st_mode):
        raise UserError(f"{name}: is a device, which never ends; name a picture, or send one through a pipe")
    room = shutil.disk_usage(file.name).free // 2
    while part := stream.read(_PART):
        if file.tell() + len(part) > room:
            raise UserError(f"{name}: gives more than {room / 1e9:.0f} GB, half of what the disk has free; save it to "
                            "a file first")
        file.write(part)


def _sink_ending(out, path, args):
    """The ending of a result that goes into a pipe; UserError where its container has to be written with going back."""
    from jsr import clips

    if not clips.is_clip(path):
        return _suffix(args.format) or _ending(path)
    ending = _clip_suffix(args.container) or (Path(out).suffix if clips.container_of(out) else "") or ".mkv"
    if clips.CONTAINERS[clips.container_of(f"a{ending}")].seeks:
        raise UserError(f"--out {out}: {ending[1:]} cannot be written into a pipe, since its writer goes back in the "
                        "file for the index; choose --container mkv")
    return ending


def _clip_suffix(name):
    from jsr import clips

    return None if name is None else clips.ending(name)


def _time(text):
    from jsr import clips

    try:
        return clips.seconds(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90, 1:30 or 0:01:30.5") from None


def _rate(text):
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of frames a second such as 24 or 30000/1001")
    return rate


def _preview(jobs, networks, input_quality, say):
    """Writes one frame of each clip's result; returns [UserError] of those that cannot be."""
    from jsr.inference import upscale_folder

    errors = []
    for job in jobs:
        if job.plan and job.plan.clip:
            try:
                say(f"preview: {upscale_folder.preview(job, networks, input_quality)}")
            except UserError as e:
                errors.append(e)
    return errors


def _ending(path):
    """The ending of a picture or clip by its content; .png where a picture cannot be written, or it is neither."""
    from jsr import clips, pictures

    with contextlib.suppress(UserError), pictures.open_picture(path) as picture:
        if picture.format in pictures.WRITABLE:
            return pictures.WRITABLE[picture.format].extensions[0]
        return ".png"
    with contextlib.suppress(UserError):
        clips.inspect(path)
        return ".mkv"
    return ".png"


def _looks_like_a_model(text):
    """Whether a word behind --model and a model file is one more, not a picture."""
    from jsr import model_file

    return model_file.is_named(text)


def _run_of(recipe):
    """The model file that a run of a recipe has left where runs lie by default; UserError where there is none."""
    from jsr import model_file, recipes

    track, _, name = recipes.load(recipe).recipe.partition(":")
    folder = Path("runs", track, name)
    try:
        return model_file.find(folder)
    except UserError as e:
        if folder.exists():  # an ensemble whose members are not all trained, or a run that has just begun
            raise UserError(f"{recipe}: {e}") from None
        raise UserError(f"{recipe}: no run in {folder}; train it (python -m jsr.main --config={recipe}), "
                        "or name a model file with --model") from None


def _tile(text):
    sides = text.split(",")
    named = text in ("auto", "rows")
    if not named and not all(side.isdecimal() for side in sides):
        raise argparse.ArgumentTypeError(f"{text!r} is neither auto nor a number of px, nor several with commas, nor "
                                         "rows")
    return text if named else int(text) if len(sides) == 1 else [int(side) for side in sides]


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


def _forecast(upscaler, first, jobs):
    """Lines, before the first picture, on the time that an ensemble's passes will take; none of a single pass."""
    height, width = first.plan.before
    if upscaler.takes_clips:
        return
    counts = upscaler.passes(height, width)
    if math.prod(counts) == 1:
        return
    words = [f"{count} {what}" for count, what in zip(counts, ("networks", "flips and turns", "tilings"), strict=True)
             if count > 1]
    pixels = math.prod(first.plan.before) * first.plan.frames * len(jobs)
    seconds = upscaler.seconds(height, width) * pixels / (height * width)
    long = f"{seconds / 3600:.1f} h" if seconds >= 6000 else f"{seconds / 60:.0f} min"
    advice = "; --members 1 takes one network" if counts[0] > 1 else ""
    yield (f"{math.prod(counts)} passes a picture ({', '.join(words)}), about "
           f"{f'{seconds:.2g} s' if seconds < 100 else long} in all{advice}")


def _summary(entries, networks, seconds):
    """Lines about the work done."""
    done = {target: entry for target, entry in entries.items() if "error" not in entry and "skipped" not in entry}
    sources = collections.defaultdict(list)
    for entry in done.values():
        for note in (entry["did"], *entry["notes"]):
            sources[note].append(entry["source"])
    for note, files in sources.items():
        more = f" and {len(files) - _NAMED} more, {len(files)} in all" if len(files) > _NAMED else ""
        yield f"{', '.join(files[:_NAMED])}{more}: {note}"
    skipped = sum("skipped" in entry for entry in entries.values())
    chains = [chain for upscaler in networks.loaded.values() for chain in upscaler.chains]
    if made := [entry for entry in done.values() if "copied" not in entry]:
        yield _speed(made, networks, chains, seconds)
        for how, count in collections.Counter(_how(entry) for entry in made if "tiling" in entry).items():
            yield f"{count} {how}"
        yield from dict.fromkeys(line for chain in chains for line in _runtimes(chain.runner))
    if skipped:
        yield f"{skipped} were finished before"


def _speed(made, networks, chains, seconds):
    """The number of pictures and their time, without preparing where only one network was used."""
    pixels = sum(entry["height"] * entry["width"] * entry["frames"] for entry in made) / 1e6
    films = sum("encoder" in entry for entry in made)
    what = "clip" if films == len(made) else "file" if films else "picture"
    head = f"{len(made)} {what}{'s' * (len(made) > 1)}, {pixels:.2f} Mpx in"
    preparing = networks.seconds + sum(chain.compile_seconds for chain in chains)
    programs = sum(chain.programs for chain in chains)
    compiled = f"{programs} program{'s' * (programs > 1)} compiled or read"
    if len(networks.loaded) > 1:
        return f"{head} {seconds:.1f} s, {compiled} meanwhile"
    working = max(seconds - preparing, 1e-9)
    ready = f"; {compiled} in {preparing:.1f} s" if programs else ""
    return f"{head} {working:.1f} s, {pixels / working:.3f} Mpx/s{ready}"


def _runtimes(runner):
    """The runtime that computed a chain, unless it was the default, JAX."""
    if runner.name != "auto":
        return [f"runtime: {runner.name}"]
    return [f"runtime: {race.winner}, " + " against ".join(
        f"{seconds * 1000:.0f} ms{'' if name == race.winner else f' of {name}'}"
        for name, seconds in sorted(race.medians().items(), key=lambda row: row[1])) + f" a tile of {height}x{width}"
        for (height, width), race in runner.races.items()]


def _how(entry):
    tile = " and of ".join("x".join(map(str, size)) for size in (entry["tile"], *entry["averaged_tiles"]))
    return {"whole": "whole",
            "exact": f"in tiles of {tile} that overlap by {entry['overlap']} px, exact: equal to the whole picture",
            "approximate": f"in tiles of {tile} that overlap by {entry['overlap']} px, approximate: the networks see "
                           "farther than the tiles overlap, or divide their input into parts",
            }[entry["tiling"]]

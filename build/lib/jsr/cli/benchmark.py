"""Measure input pipeline, training step, upscaling, JPEG, fused blocks, beside what one would use instead.

Figures are of repeated, synchronised runs; compiling is measured apart. They are worth as much as the machine was idle:
its load averages are printed with them, and the best run beside the median. What else runs slows libraries unequally,
PyTorch most, since its threads wait for each other. `taskset -c 0 jsr benchmark ...` gives one core to all alike.

  jsr benchmark pipeline --config=configs/aim22_t1.py:edsr --workers 0,1,2,4
  jsr benchmark loaders photographs/ --rounds 9
  jsr benchmark jpeg --size 48x48,128x128
  jsr benchmark step --config=aim22_t1 --config.stages[0].batch=16 --peers auto
  jsr benchmark upscale edsr/baseline --scale 4 --size 180x320,360x640 --out edsr.json
  jsr benchmark blocks --block ecb --features 32
  jsr benchmark upscale runs/aim22_t1/quick/best.safetensors --peers none

--out writes JSON: {format, command, date, machine, versions, load_average_after, what, results}, with what the tables
show and more; times end in _s or _ms, sizes are [height, width].
"""

import argparse
import json
from pathlib import Path
import re
import shlex
import tempfile
import time

from rich.filesize import decimal
from rich.table import Table

from jsr import terminal
from jsr.config import nearest
from jsr.errors import UserError, is_out_of_memory
from jsr.files import atomic_write

FORMAT = 1


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    whats = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    pipeline = whats.add_parser("pipeline", help="patches/s of a recipe's input pipeline, by number of workers")
    loaders = whats.add_parser("loaders", help="patches/s of one core for AIM 2022, Track 1, beside loaders of PNG files",
                               description="Patches/s of one core, without workers, for AIM 2022 compressed SR, Track 1 "
                               "(HR crops of 256 px): ours, and loaders of whole PNG files and of sub-images of 480 px.")
    loaders.add_argument("folder", nargs="?", type=Path, help="photographs, of 480 px and more; without it three made-up "
                         "pictures of 2040x1356")
    loaders.add_argument("--rounds", type=_number(int), default=5, help="timed batches of 16 of each (default: 5)")
    step = whats.add_parser("step", help="time of a recipe's training step, without the loading of data")
    for recipe in (pipeline, step):
        recipe.add_argument("--config", required=True, metavar="FILE[:RECIPE]",
                            help="a track file and one of its recipes, whose first stage is measured")
        recipe.add_argument("--config.KEY", dest="_", metavar="VALUE", help="overrides an entry of the recipe")
        recipe.add_argument("--seconds", type=_number(float), default=5.0,
                            help="to measure each pipeline for (default: 5)")
    pipeline.add_argument("--workers", type=_counts, default=[0, 1, 2], metavar="N[,N...]",
                          help="worker processes; 0 loads in the main process (default: 0,1,2)")
    step.add_argument("--steps", type=_number(int), default=20, help="timed steps (default: 20)")
    step.add_argument("--peers", type=_names_of("torch", "torch_compile"), default=(), metavar="auto|none|PEER[,PEER]",
                      help="compare with the plain loop of torch, torch_compile; auto is both (default: none)")
    upscale = whats.add_parser("upscale", help="time of a network for an image, beside other libraries")
    upscale.add_argument("model", help="a network, as in edsr/baseline, with fresh weights; or a model file")
    upscale.add_argument("--scale", type=int, help="of a network named by its id (default: 4)")
    upscale.add_argument("--size", type=_sizes, default=[(180, 320)], metavar="HxW[,HxW...]",
                         help="height x width of the LR image (default: 180x320)")
    upscale.add_argument("--repeats", type=_number(int), default=10, help="timed rounds (default: 10)")
    challenge = whats.add_parser(
        "challenge", help="the entries of a challenge by its own rules, beside other libraries",
        description="Times the deployed network of every published entry of a challenge: its input size, batch 1, its "
        "numbers of warm-up calls and repeats. Weights are fresh, gains the published ones. Each row is written as it "
        "is done; the same command again goes on.")
    challenge.add_argument("--protocol", type=_words, default=["ntire23_x2", "ntire23_x3", "ais24"],
                           metavar="NAME[,NAME]",
                           help="ntire23_x2, ntire23_x3, ais24, aim22_t1, ntire24 (default: the first three)")
    challenge.add_argument("--recipes", type=_words, default=[], metavar="NAME[,NAME]",
                           help="some entries, as in casr,rvsr")
    challenge.add_argument("--size", type=_sizes, default=[None], metavar="HxW",
                           help="of the LR image (default: the challenge's)")
    challenge.add_argument("--rounds", type=_number(int), help="timed rounds (default: as many as the challenge had)")
    challenge.add_argument("--max_seconds", type=_number(float), default=60.0,
                           help="for an entry's rounds, which are fewer where they would take longer (default: 60)")
    challenge.add_argument("--runtimes", type=_names_of(*_ALL_RUNTIMES), default=_ALL_RUNTIMES,
                           metavar="auto|none|NAME[,NAME]",
                           help="ours is timed in these runtimes of `jsr upscale` too; for them a network is "
                           "exported, which takes minutes if it is large (default: auto, all)")
    challenge.add_argument("--again", action="store_true", help="measure anew what is in --out already")
    for compared in (upscale, challenge):
        compared.add_argument("--peers", type=_names_of(*_ALL_PEERS), default=_ALL_PEERS, metavar="auto|none|PEER[,PEER]",
                              help=f"compare with {', '.join(_ALL_PEERS)}; auto is all (default: auto)")
        compared.add_argument("--dtype", choices=("float32", "float16", "bfloat16"),
                              help="of the computation (default: float32; for a challenge on an accelerator float16)")
    picture = whats.add_parser("picture", help="draws gain against latency, from files of `jsr benchmark challenge`")
    picture.add_argument("files", nargs="+", type=Path, metavar="FILE", help="JSON that --out of `challenge` wrote")
    picture.add_argument("--table", type=Path, metavar="FILE", help="also write the tables, as markdown")
    picture.add_argument("--out", type=Path, required=True, metavar="FILE.svg", help="the picture")
    jpeg = whats.add_parser("jpeg", help="images/s compressed and decoded in JAX on this device, beside Pillow")
    jpeg.add_argument("--size", type=_sizes, default=[(48, 48), (128, 128)], metavar="HxW[,HxW...]",
                      help="height x width of the images (default: 48x48,128x128)")
    jpeg.add_argument("--batch", type=_number(int), default=16, help="images at a time (default: 16)")
    jpeg.add_argument("--repeats", type=_number(int), default=10, help="timed rounds (default: 10)")
    blocks = whats.add_parser("blocks", help="a gradient step through re-parameterised blocks: branches, fused, PyTorch's")
    blocks.add_argument("--block", default="ecb", help="name in jsr/layers/rep.py (default: ecb)")
    blocks.add_argument("--features", type=_number(int), default=32, help="in and out (default: 32)")
    blocks.add_argument("--depth", type=_number(int), default=3, help="blocks (default: 3)")
    blocks.add_argument("--size", type=_sizes, default=[(64, 64)], metavar="HxW[,HxW...]", help="of the input (default: 64x64)")
    blocks.add_argument("--batch", type=_number(int), default=16, help="inputs (default: 16)")
    blocks.add_argument("--repeats", type=_number(int), default=10, help="timed rounds (default: 10)")
    for what in (pipeline, loaders, step, upscale, challenge, jpeg, blocks):
        what.add_argument("--out", type=Path, metavar="FILE", help="write the figures as JSON")


def run(args):
    """Measures, prints tables, writes --out; returns the exit status."""
    console, notes = terminal.console(), terminal.console(stderr=True)
    if args.what == "picture":
        return _picture(args, console)
    from jsr.benchmark import timing

    report = {"format": FORMAT, "command": shlex.join(["jsr", "benchmark", args.what, *args.words]),
              **timing.surroundings(), "what": args.what}
    machine = report["machine"]
    try:
        results = _challenge(args, console, notes.print, report) if args.what == "challenge" else \
            _RUNS[args.what](args, console, notes.print)
    except Exception as e:
        if not is_out_of_memory(e):
            raise
        raise UserError("out of memory; measure a smaller --size, or a smaller batch "
                        "(--config.stages[0].batch=...)") from e
    after = timing.surroundings()["machine"]["load_average"]
    console.print(f"{', '.join(machine['devices'])}; {machine['cores']} CPU core(s), {machine['cpu']}; "
                  f"load average {_load(machine['load_average'])} before, {_load(after)} after")
    if args.out:
        with atomic_write(args.out, "w") as file:
            json.dump({**report, "load_average_after": after, "results": results}, file, indent=1)
        console.print(f"wrote {args.out}")
    return 0


def _pipeline(args, console, announce):
    from jsr import config as configs
    from jsr.benchmark import training

    config, rows = configs.load(args.config, args.overrides), []
    for num_workers in args.workers:
        announce(f"{config.recipe}: {num_workers} workers")
        rows.append(training.measure_pipeline(config, num_workers, seconds=args.seconds))
    stage = config.stages[0]
    datasets = dict.fromkeys(row.dataset for row in stage.data or config.data.train)
    console.print(_table(
        f"{config.recipe}, {', '.join(datasets)}: HR crops of {stage.crop}, batch {stage.batch}",
        [">workers", ">patches/s", ">a worker", ">MB/s", ">first batch s"],
        [(str(row["workers"]), f"{row['patches_per_s']:,.0f}", f"{row['patches_per_s_per_worker']:,.0f}",
          f"{row['megabytes_per_s']:.1f}", f"{row['first_batch_s']:.2f}") for row in rows]))
    return rows


def _loaders(args, console, announce):
    from jsr import images
    from jsr.benchmark import loaders

    announce("preparing the photographs in each form")
    photographs = ([images.read_rgb(path) for path in images.list_images(args.folder)] if args.folder else
                   [loaders.made_up(seed) for seed in range(3)])
    with tempfile.TemporaryDirectory() as folder:
        rows = loaders.measure(photographs, folder, rounds=args.rounds)
    console.print(_table(
        f"{len(photographs)} photographs, e.g. {photographs[0].shape[1]}x{photographs[0].shape[0]}: CPU time of one thread",
        ["", ">median patches/s", ">best", ">on the fly / this", ">disk"],
        [(row["name"], f"{row['patches_per_s']:,.0f}", f"{row['best_patches_per_s']:,.0f}", f"{row['ratio']:.1f}",
          decimal(row["bytes"])) for row in rows]))
    return rows


def _step(args, console, announce):
    from jsr import config as configs
    from jsr.benchmark import training

    config = configs.load(args.config, args.overrides)
    row = training.measure_step(config, steps=args.steps, wanted=args.peers,
                                announce=lambda line: announce(f"{config.recipe}: {line}"))
    workers = config.data.num_workers
    announce(f"{config.recipe}: its pipeline, {workers} workers")
    pipeline = training.measure_pipeline(config, workers, seconds=args.seconds)
    wait = training.waiting(row["patches_per_s"], pipeline["patches_per_s"])
    console.print(_table(
        f"{config.recipe}: step of {row['params']:,} parameters on {'x'.join(map(str, row['lr_shape']))}",
        [">median ms", ">best", ">p90", ">patches/s", ">compile s", ">memory"],
        [(*_times(row), f"{row['patches_per_s']:,.1f}", f"{row['trace_s'] + row['compile_s']:.1f}",
          decimal(row["memory"]["peak_bytes"]))]))
    if args.peers:
        console.print(_table("the same step as a plain loop, without augmentation, average and checks",
                             ["", ">median ms", ">best", ">p90", ">ours / its", ">losses differ by", "note"],
                             [_step_cells(cells) for cells in row["rows"]]))
    console.print(f"the pipeline gives {pipeline['patches_per_s']:,.0f} patches/s with {workers} workers: the step "
                  f"would wait for data {wait:.0%} of its time (each measured alone)")
    return [{"recipe": config.recipe, **row, "pipeline": pipeline, "data_wait": wait}]


def _step_cells(row):
    times = ("", "", "") if row["median_ms"] is None else _times(row)
    ratio, error = (form.format(row[key]) if row[key] is not None else ""
                    for key, form in (("ratio", "{:.2f}"), ("loss_error", "{:.1e}")))
    return row["name"], *times, ratio, error, row["note"]


def _upscale(args, console, announce):
    from jsr.benchmark import upscaling

    name, networks, variables = _network(args.model, args.scale)
    results = []
    for height, width in args.size:
        label = f"{name} at {height}x{width}"
        row = upscaling.measure(networks, variables, (height, width), wanted=args.peers, rounds=args.repeats,
                                dtype=args.dtype or "float32", announce=lambda line: announce(f"{label}: {line}"))
        padded = "" if row["size"] == row["padded_size"] else " (padded to {}x{})".format(*row["padded_size"])
        console.print(_table(
            f"{label}{padded}: {row['params']:,} parameters, {row['gmacs']:,.2f} GMACs",
            ["", ">median ms", ">best", ">p90", ">GMAC/s", ">ours / its", ">largest error", "note"],
            [_upscale_cells(cells) for cells in row["rows"]]))
        console.print(f"jsr (jax): traced in {row['trace_s']:.1f} s, compiled in {row['compile_s']:.1f} s; memory "
                      f"{decimal(row['memory']['peak_bytes'])}; image to the device and back "
                      f"{row['transfer']['median_ms']:.2f} ms, not counted above", "", sep="\n")
        results.append({"model": name, **row})
    return results


def _upscale_cells(row):
    error = "" if row["max_abs_error"] is None else f"{row['max_abs_error']:.1e}"
    if row["median_ms"] is None:
        return row["name"], "", "", "", "", "", error, row["note"]
    ratio = "" if row["name"] == "jsr (jax)" else f"{row['ratio']:.2f}"
    return row["name"], *_times(row), f"{row['gmacs_per_s']:.1f}", ratio, error, row["note"]


def _challenge(args, console, announce, report):
    """Measures the entries that --out does not have yet; returns all its rows."""
    import jax

    from jsr.benchmark import picture, rows

    if len(args.size) > 1:
        raise UserError("--size: one for all entries, as in 540x960; without it, each challenge's own")
    entries, size = rows.entries(args.protocol, args.recipes), args.size[0]
    dtype = args.dtype or ("float32" if jax.default_backend() == "cpu" else "float16")
    results, begin = rows.Results(args.out, report, again=args.again), time.perf_counter()
    asked = dict(dtype=dtype, wanted=list(args.peers), runtimes=list(args.runtimes), rounds=args.rounds)
    found = [results.find(recipe=config.recipe, size=rows.size_of(config, size), **asked) for config in entries]
    kept = [] if args.again else [row for row in found if row]
    to_do = [config for config in entries if config.recipe not in {row["recipe"] for row in kept}]
    announce(f"{dtype}, at most {args.max_seconds:g} s of rounds an entry; {len(kept)} of {len(entries)} entries are "
             "measured already")
    for number, config in enumerate(to_do):
        label = f"{number + 1}/{len(to_do)} {config.recipe}"
        if number:
            left = (time.perf_counter() - begin) / number * (len(to_do) - number)
            announce(f"{label}: about {left / 60:.0f} min left")
        row = rows.measure(config, size=size, max_seconds=args.max_seconds, **asked,
                           announce=lambda line: announce(f"{label}: {line}"))
        results.add(row)
        kept.append(row)
    shown = [index for index, column in enumerate(picture.COLUMNS) if column.lstrip(">") in _IN_TERMINAL]
    console.print(_table(f"{dtype}; gains are the published ones, times this machine's",
                         [picture.COLUMNS[index] for index in shown],
                         [[picture.cells(row)[index] for index in shown] for row in kept]))
    for key, what in (("jax_ratio", "XLA"), ("ratio", "the fastest runtime of `jsr upscale`")):
        ratios = [row[key] for row in kept if row.get(key)]
        if ratios:
            console.print(f"{what} / the fastest peer: {rows.geometric_mean(ratios):.2f}, geometric mean of "
                          f"{len(ratios)}")
    return results.rows


_IN_TERMINAL = {"entry", "GMACs", "memory, MB", "XLA, ms", "fastest, ms", "p99", "whole, s", "runtime", "published ms", "score",
                "published score", "fastest peer", "XLA / it", "ours / it"}  # all columns go to files


def _picture(args, console):
    from jsr.benchmark import picture, rows

    files = [rows.read(path) for path in args.files]
    written = {args.out: picture.svg(files)}
    if args.table:
        written[args.table] = picture.markdown(files)
    for path, text in written.items():
        with atomic_write(path, "w") as file:
            file.write(text)
        console.print(f"wrote {path}")
    return 0


def _jpeg(args, console, announce):
    from jsr.benchmark import codecs

    results = []
    for size in args.size:
        announce(f"JPEG of {args.batch} images of {size[0]}x{size[1]}")
        row = codecs.measure_jpeg(args.batch, size, rounds=args.repeats)
        console.print(_table(
            f"JPEG quality {row['quality']}, {row['subsampling']}, there and back: {args.batch} images of "
            f"{size[0]}x{size[1]}; {row['differing']} values differ; compiled in {row['compile_s']:.1f} s",
            ["", ">images/s", ">median ms", ">best", ">p90"],
            [(cells["name"], f"{cells['images_per_s']:,.0f}", *_times(cells)) for cells in row["rows"]]))
        results.append(row)
    return results


def _blocks(args, console, announce):
    from jsr.benchmark import blocks
    from jsr.layers import rep

    if args.block not in rep.BLOCKS:
        raise UserError(f"no block {args.block!r}; {nearest(args.block, rep.BLOCKS)}")
    results = []
    for size in args.size:
        what = f"{args.depth} {args.block} of {args.features} features on {args.batch}x{size[0]}x{size[1]}"
        announce(what)
        try:
            row = blocks.measure_blocks(args.block, features=args.features, depth=args.depth, batch=args.batch, size=size,
                                        rounds=args.repeats)
        except ValueError as e:
            raise UserError(f"{args.block}: cannot be measured here: {e}") from e
        fused = next(cells for cells in row["rows"] if cells["name"] == "jsr, fused")
        console.print(_table(
            f"gradient of {what}, {row['params']:,} parameters",
            ["", ">median ms", ">best", ">p90", ">fused / it", ">largest difference"],
            [(cells["name"], *_times(cells), f"{fused['median_ms'] / cells['median_ms']:.3f}", f"{cells['error']:.1e}")
             for cells in row["rows"]]))
        results.append(row)
    return results


_RUNS = {"pipeline": _pipeline, "loaders": _loaders, "step": _step, "upscale": _upscale, "jpeg": _jpeg, "blocks": _blocks}


def _network(model, scale):
    """(name for titles, {name: module}, {name: variables}) of an id or a model file, in deployed form."""
    import jax

    from jsr import models, reparam
    from jsr.inference import model_file

    if model.endswith(".safetensors") or Path(model).is_file():
        if scale:
            raise UserError(f"--scale is for networks named by their ids; {model} has its own")
        return model, *model_file.fused(*model_file.load(model))[1:3]
    scale = scale or 4
    network = reparam.deployed(models.create(model, scale=scale))
    return f"{models.resolve(model)} x{scale}", {"sr": network}, {"sr": models.init(network, jax.random.key(0))}


_ALL_PEERS = "torch", "torch_compile", "onnxruntime", "openvino"
_ALL_RUNTIMES = "onnxruntime", "openvino"


def _words(text):
    return text.split(",")


def _names_of(*known):
    """The type of an argument that names some of the known ones, of peers or runtimes."""
    choices = {"auto": known, "none": (), **{name: (name,) for name in known}}

    def names(text):
        words = _words(text)
        if unknown := [word for word in words if word not in choices]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is unknown; there are {', '.join(choices)}")
        return tuple(dict.fromkeys(name for word in words for name in choices[word]))

    return names


def _sizes(text):
    found = [re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", part) for part in text.split(",")]
    if not all(found):
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH, as in 180x320, or several with commas between")
    return [(int(match[1]), int(match[2])) for match in found]


def _counts(text):
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = [-1]
    if min(found) < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers of workers, as in 0,1,2")
    return found


def _number(kind):
    def positive(text):
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    positive.__name__ = kind.__name__  # argparse says "invalid int value"
    return positive


def _times(row):
    return tuple(f"{row[key]:,.2f}" for key in ("median_ms", "best_ms", "p90_ms"))


def _load(averages):
    return "unknown" if averages is None else f"{averages[0]:.1f}"


def _table(title, columns, rows):
    """A table without lines; a heading's ">" aligns its column to the right."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left")
    for row in rows:
        table.add_row(*row)
    return table

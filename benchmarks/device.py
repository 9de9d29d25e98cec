"""Measures jsr on an accelerator in under ten minutes, from a checkout that need not be installed.

    pip install "jax[cuda13]" flax optax numpy pillow ml-collections        # "jax[tpu]" on a TPU
    python benchmarks/device.py --out h100.json

Every part runs in a process of its own, one after the other: the device has all its memory again, peak memory is the
part's own, and what hangs or crashes takes one part along. The file of results is written anew after every row, so that
a stop loses one row. What does not fit into --minutes is listed as skipped.
"""

import argparse
from collections.abc import Callable
import contextlib
import dataclasses
import datetime
import functools
import importlib
import importlib.util
import json
import math
import os
from pathlib import Path
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # before an installed jsr

FORMAT = 1
NEEDS = ("jax", "flax", "optax", "numpy", "PIL", "ml_collections")  # beside the standard library and jsr
GRACE_S = 45  # after its time a part may still end the row it is at
TRACKS = ("ais24", "ntire23_x3", "ntire23_x2")
TOP_KERNELS = 20


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of the measurement.

    Attributes:
      about: one line for --help and the summary.
      rows: function of `small` to {name of the row: function without arguments that measures it}. A row is plain data,
        with `text`, one line for people.
      share: of all the time, at most.
      xla_flags: added to XLA_FLAGS.
    """

    about: str
    rows: Callable[[bool], dict[str, Callable]]
    share: float
    xla_flags: str = ""


# ---- what is measured; imports of JAX and jsr are inside, the process that starts the others has none ----------------


def environment(small):
    """Rows: devices, versions, settings and driver; peak rates that plain programs reach."""

    def machine():
        import jax
        from jax.extend import backend as backends

        from jsr.timing import timing

        devices = [{"id": each.id, "platform": each.platform, "kind": each.device_kind,
                    "memory_stats": each.memory_stats()} for each in jax.local_devices()]
        backend = backends.get_backend()
        found = timing.surroundings()
        return {**found, "devices": devices, "platform_version": backend.platform_version,
                "versions": found["versions"] | _versions("optax", "ml-collections", "jax-cuda13-plugin",
                                                          "jax-cuda12-plugin", "nvidia-cudnn-cu13", "libtpu"),
                "variables": {name: value for name, value in os.environ.items()
                              if name.startswith(("XLA_", "JAX_", "LIBTPU_", "TPU_", "NVIDIA_TF32", "CUDA_VISIBLE"))},
                "matmul_precision": jax.config.jax_default_matmul_precision,
                "nvidia_smi": _nvidia_smi(), "revision": _revision(),
                "text": f"{len(devices)} x {devices[0]['kind']}, jax {jax.__version__}, "
                        f"{backend.platform_version.partition(chr(10))[0]}"}

    def product(dtype):
        import jax
        import jax.numpy as jnp

        side = 256 if small else 8192
        ones = jnp.ones((side, side), dtype)
        seconds = _queued_s(jax.jit(lambda a: a @ a / side), ones, 3 if small else 20)
        rate = 2 * side**3 / seconds / 1e12
        return {"side": side, "tflop_per_s": rate, "text": f"{rate:.3g} TFLOP/s in products of {side} x {side}"}

    def copying():
        import jax
        import jax.numpy as jnp

        size = 2**20 if small else 2**28
        seconds = _queued_s(jax.jit(lambda a: a + 1), jnp.zeros(size), 3 if small else 20)
        rate = 8 * size / seconds / 1e9
        return {"bytes": 4 * size, "gb_per_s": rate, "text": f"{rate:.3g} GB/s read and written"}

    return {"machine": machine, "copying": copying,
            **{f"product {dtype}": functools.partial(product, dtype) for dtype in ("float32", "float16", "bfloat16")}}


def train(small):
    """Rows: `aim22_t1:quick`'s network and step on made-up pictures, on the CPU and on the device."""
    import jax

    run, kept = _quick(small), {}

    def measured(where, precision):
        row, losses = run(jax.devices(*where)[0], precision)
        if not where:
            row |= _beside(row, losses, kept)
        else:
            kept["cpu"] = row, losses
        return row

    return {"cpu": lambda: measured(("cpu",), None), "device": lambda: measured((), None),
            "device, highest precision": lambda: measured((), "highest")}


def deterministic(small):
    """Row: the same training twice on the device, its operations deterministic by XLA's flag."""
    import jax

    def twice():
        run = _quick(small)
        first, again = (run(jax.devices()[0], None)[0] for _ in range(2))
        equal = first["sha256"] == again["sha256"] and first["losses"] == again["losses"]
        return {**first, "bit_equal": equal, "text": f"{'bit-equal' if equal else 'DIFFERENT'} after "
                f"{len(first['losses'])} steps, twice; parameters {first['sha256'][:16]}"}

    return {"twice": twice}


def twins(small):
    """Rows: JPEG and resizes on the device beside the host's, value by value and in pictures/s."""
    from jsr.degradations import jpeg, resize_device

    sizes = [(40, 56), (17, 33)] if small else [(256, 256), (127, 93), (64, 48), (17, 301), (8, 8)]
    resizes = {(32, 48): (8, 12)} if small else {
        (256, 256): (64, 64), (252, 255): (84, 85), (128, 96): (64, 48), (64, 48): (256, 192), (97, 61): (33, 120)}
    batch, size, count = (4, (64, 64), 4) if small else (64, (512, 512), 16)
    rows = {f"jpeg {name}": functools.partial(_jpeg_equal, name, sizes, count) for name in jpeg.SUBSAMPLINGS}
    rows |= {name: functools.partial(_resize_equal, name, resizes, count) for name in resize_device.RESIZES}
    return rows | {"jpeg throughput": lambda: _jpeg_speed(batch, size),
                   "pillow_bicubic throughput": lambda: _resize_speed("pillow_bicubic", batch, size)}


def profile(small):
    """Rows: kernels by time of one inference and of one training step."""
    config = _entry("ais24", "casr")
    return {"inference": lambda: _inference_kernels(config, (27, 48) if small else (540, 960)),
            "training step": lambda: _step_kernels("edsr", small)}


def tracks(small):
    """Rows: the real-time tracks' entries, deployed, at the challenge's size, batch 1, by its rules of timing."""
    from jsr.timing import rows

    configs = sorted(rows.entries(TRACKS), key=lambda config: rows.published(config)["runtime_ms"])
    dtypes = ("float16", "float32", "bfloat16")  # the last after all others
    wanted = [(config, dtype) for group in (dtypes[:2], dtypes[2:]) for config in configs for dtype in group]
    if small:
        wanted = [(config, dtype) for config, dtype in wanted if config.recipe == "ais24:casr"]
    return {f"{config.recipe} {dtype}": functools.partial(_entry_row, config, dtype, small) for config, dtype in wanted}


def steps(small):
    """Rows: one training step each, in growing order of memory, so that the peak of the process is the row's."""
    return {name: functools.partial(_step_row, name, small) for name in STEPS}


STEPS = {  # recipe and overrides
    "ecb, fused": ("ais24:quick", {}),
    "ecb, branches": ("ais24:quick", {"stages[0].fused": "False"}),
    "edsr": ("aim22_t1:edsr", {}),
    "rrdbnet": ("aim22_t1:edsr", {"networks.sr.model": "rrdbnet/b23", "stages[0].batch": "4"}),
    "hat": ("aim22_t1:cvlab", {}),
}
PARTS = {  # the dearest last
    "environment": Part("devices, versions, driver, memory, XLA's flags, rates of plain programs", environment, 0.1),
    "train": Part("the network and step of aim22_t1:quick on made-up pictures, beside the CPU's", train, 0.2),
    "deterministic": Part("the same training twice with deterministic operations: bit-equal?", deterministic, 0.1,
                          "--xla_gpu_deterministic_ops=true"),
    "twins": Part("JPEG and resizes on the device: equal to the host's, and how fast", twins, 0.2),
    "profile": Part(f"the {TOP_KERNELS} dearest kernels of an inference and of a training step", profile, 0.15),
    "tracks": Part("deployed networks of the real-time tracks at the challenges' sizes; published fastest first",
                   tracks, 0.5),
    "steps": Part("a training step of ECB, EDSR, RRDBNet and HAT: time, compilation, peak memory", steps, 1.0),
}


# ---- training on made-up pictures -----------------------------------------------------------------------------------


def pictures(count, height, width, seed=0):
    """Made-up pictures of gradients, edges, textures and strokes as of text: uint8 (count, height, width, 3)."""
    import numpy as np

    return np.stack([_picture(np.random.default_rng((seed, index)), height, width) for index in range(count)])


def _picture(rng, height, width):
    import numpy as np
    from PIL import Image, ImageDraw

    y, x = np.mgrid[:height, :width] / max(height, width)
    image = sum(rng.uniform(-60, 60, 3) * each[..., None] for each in (x, y, x * y)) + rng.uniform(80, 180, 3)
    angle, period = rng.uniform(0, math.pi), rng.uniform(0.02, 0.2)  # texture on one side of an edge
    wave = np.sin((x * math.cos(angle) + y * math.sin(angle)) * 2 * math.pi / period)
    side = x * rng.normal() + y * rng.normal() > rng.normal() * 0.3
    image = image + (wave * side)[..., None] * rng.uniform(10, 50, 3) + rng.normal(0, 2, (height, width, 3))
    picture = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for _ in range(4):
        left, top = rng.uniform(0, width), rng.uniform(0, height)
        corners = [(left + rng.uniform(0, width / 3), top + rng.uniform(0, height / 3)) for _ in range(3)]
        draw.polygon(corners, fill=tuple(map(int, rng.integers(0, 256, 3))))
    for _ in range(int(rng.integers(1, 4))):  # lines of letter-like strokes
        size, colour = int(rng.integers(5, 14)), tuple(map(int, rng.integers(0, 256, 3)))
        base = int(rng.integers(0, max(height - size, 1)))
        for left in range(2, width - size, size):
            ends = [(left + rng.uniform(0, 0.7) * size, base + rng.uniform(0, 1) * size) for _ in range(3)]
            draw.line(ends, fill=colour, width=1 + size // 8)
    return np.asarray(picture)


def _quick(small):
    """Function of (device, matmul precision or None) to (row, losses) of a training of `aim22_t1:quick`'s step."""
    import hashlib

    import jax
    import numpy as np

    from jsr import evaluation, metrics
    from jsr.chain import run_chain
    from jsr.degradations.enlarge import enlarge
    from jsr.training import stages
    from jsr.training import state as states
    from jsr.training.step import make_step

    count, steps = (4, 12) if small else (64, 300)
    config = _recipe("aim22_t1:quick", {"stages[0].steps": str(steps)}, small)
    stage, scale, key = config.stages[0], config.networks["sr"].scale, jax.random.key(config.seed)
    plan = stages.plan_of(config, 0)
    networks = plan.networks
    lr, hr, batches = _made_up(config, count, steps)
    with jax.default_device(_host()):  # the same start for all
        start = jax.device_get(states.make_state(plan, states.initial_variables(config, key)))
    upscale = jax.jit(lambda variables, lr: run_chain(networks, list(config.chain), variables, lr)[0]["sr"])

    @functools.cache
    def compiled(device, precision):
        begin = time.perf_counter()
        with jax.default_matmul_precision(precision):
            step = jax.jit(make_step(plan))
            lowered = step.lower(*jax.device_put((start, batches[0], key, {}), device))
        return lowered.compile(), time.perf_counter() - begin

    def run(device, precision):
        step, compile_s = compiled(device, precision)
        state, its_key = jax.device_put((start, key), device)
        on_device, window = jax.device_put(batches, device), []
        jax.block_until_ready(step(state, on_device[0], its_key, {}))  # loads and warms up; its result is thrown away
        begin = time.perf_counter()
        for each in on_device:
            state, values = step(state, each, its_key, {})
            window.append(values["loss"])
        jax.block_until_ready(state)
        seconds = time.perf_counter() - begin
        with jax.default_matmul_precision(precision):
            variables = states.eval_variables(config, state)
            sr = np.asarray(upscale(variables, jax.device_put(lr[count:].astype(np.float32) / 255, device)))
        sr = np.rint(np.clip(sr, 0, 1) * 255).astype(np.uint8)

        def psnr(images):
            scores = [metrics.score(ours, its, ["psnr[rgb]"], 0) for ours, its in zip(images, hr[count:], strict=True)]
            return evaluation.mean_scores(scores)["psnr[rgb]"]

        losses = [float(value) for value in jax.device_get(window)]
        digest = hashlib.sha256(b"".join(leaf.tobytes() for leaf in jax.tree.leaves(jax.device_get(variables))))
        row = {"device": f"{device.platform} {device.device_kind}", "precision": precision, "steps": steps,
               "batch": stage.batch, "compile_s": compile_s, "steps_per_s": steps / seconds, "losses": losses,
               "psnr": psnr(sr), "psnr_bicubic": psnr([enlarge(image, scale) for image in lr[count:]]),
               "sha256": digest.hexdigest(), "pictures_sha256": hashlib.sha256(hr.tobytes() + lr.tobytes()).hexdigest()}
        row["text"] = (f"loss {losses[0]:.5f} to {losses[-1]:.5f}, PSNR {row['psnr']:.4f} dB (bicubic "
                       f"{row['psnr_bicubic']:.4f}), {row['steps_per_s']:.1f} steps/s, compiled in {compile_s:.1f} s")
        return row, np.array(losses)

    return run


def _made_up(config, count, steps):
    """(LR pictures, HR pictures, batches) of a recipe with one scale; the last four pictures are in no batch."""
    import numpy as np

    from jsr import degradations

    stage, scale = config.stages[0], config.networks["sr"].scale
    side = 2 * stage.crop
    hr = pictures(count + 4, side, side)
    lr = np.stack([degradations.degrade(config.protocol, image, encoder="pillow").decode() for image in hr])

    def crops(images, places, factor):
        size = stage.crop * factor // scale
        return np.stack([images[index, top * factor:, left * factor:][:size, :size] for index, top, left in places])

    def batch(number):
        rng = np.random.default_rng((config.seed, number))
        grid = stage.crop // scale // 16 + 1  # corners of JPEG's blocks
        places = [(rng.integers(count), *(16 * rng.integers(grid, size=2))) for _ in range(stage.batch)]
        return {"lr": crops(lr, places, 1), "hr": crops(hr, places, scale)}

    return lr, hr, [batch(number) for number in range(steps)]


def _host():
    """The CPU as a device; the first device where JAX was told to leave the CPU out."""
    import jax

    with contextlib.suppress(RuntimeError):
        return jax.devices("cpu")[0]
    return jax.devices()[0]


def _beside(row, losses, kept):
    """{difference from the CPU's run} of a row of `train`; {} where that failed."""
    import numpy as np

    if "cpu" not in kept:
        return {}
    cpu, expected = kept["cpu"]
    apart = np.abs(losses - expected) / np.abs(expected)
    found = {f"loss_difference_{count}": float(apart[:count].max()) for count in (1, 10, 100, len(apart))}
    found["psnr_difference"] = row["psnr"] - cpu["psnr"]
    return {**found, "text": f"{row['text']}; from the CPU: loss {found['loss_difference_1']:.1e} (step 1), "
            f"{apart.max():.1e} (worst), PSNR {found['psnr_difference']:+.4f} dB"}


# ---- twins ----------------------------------------------------------------------------------------------------------


def _jpeg_equal(subsampling, sizes, count):
    import numpy as np

    from jsr.degradations import jpeg, jpeg_device

    quality = np.resize([10, 1, 30, 50, 60, 71, 75, 80, 90, 95, 98, 100, 5, 20, 40, 85], count)
    pairs = []
    for size in sizes:
        images = pictures(count, *size)
        host = [jpeg.decode(jpeg.encode(image, int(q), subsampling=subsampling))
                for image, q in zip(images, quality, strict=True)]
        pairs.append((np.asarray(jpeg_device.jpeg(images, quality, subsampling=subsampling)), np.stack(host)))
    return _equality(pairs) | {"sizes": sizes, "qualities": quality.tolist(), "library": jpeg.library()}


def _resize_equal(name, resizes, count):
    import numpy as np

    from jsr.degradations import resize, resize_device

    pairs = []
    for size, target in resizes.items():
        images = pictures(count, *size)
        pairs.append((np.asarray(resize_device.RESIZES[name](images, target)),
                      np.stack([getattr(resize, name)(image, target) for image in images])))
    return _equality(pairs) | {"resizes": list(resizes.items())}


def _equality(pairs):
    import numpy as np

    differing = sum(int((ours != its).sum()) for ours, its in pairs)
    worst = max(int(np.abs(ours.astype(int) - its).max()) for ours, its in pairs)
    count, values = sum(len(ours) for ours, _ in pairs), sum(ours.size for ours, _ in pairs)
    return {"pictures": count, "values": values, "differing": differing, "worst": worst,
            "text": f"{differing or 'none'} of {values:,} values in {count} pictures differ"
                    + (f", by {worst} at most" if differing else "")}


def _jpeg_speed(batch, size):
    from jsr.timing import codecs

    found = codecs.measure_jpeg(batch, size)
    return found | {"text": _speeds(found["rows"], batch, size)}


def _resize_speed(name, batch, size):
    import jax
    import numpy as np

    from jsr.degradations import resize, resize_device
    from jsr.timing import timing

    images, target = pictures(batch, *size), tuple(side // 4 for side in size)
    on_device = jax.device_put(images)
    seconds = timing.interleaved({
        "jsr": lambda: resize_device.RESIZES[name](on_device, target).block_until_ready(),
        "host": lambda: np.stack([getattr(resize, name)(image, target) for image in images])}, 10)
    rows = [{"name": who, "images_per_s": batch / float(np.median(values)), **timing.spread(values)}
            for who, values in seconds.items()]
    return {"batch": batch, "size": list(size), "rows": rows, "text": _speeds(rows, batch, size)}


def _speeds(rows, batch, size):
    rates = ", ".join(f"{row['name']} {row['images_per_s']:,.0f}/s" for row in rows)
    return f"{batch} of {size[1]}x{size[0]}: {rates}"


# ---- networks and steps ---------------------------------------------------------------------------------------------


def _entry(protocol, name):
    from jsr.timing import rows

    return rows.entries([protocol], [name])[0]


def _deployed(config, dtype):
    """(function of variables and LR image to SR image, its abstract variables) of an entry as it is used."""
    import jax
    import jax.numpy as jnp

    from jsr import models, reparam
    from jsr.chain import run_chain
    from jsr.training import stages

    networks = stages.plan_of(config, len(config.stages) - 1).networks
    networks = {name: reparam.deployed(networks[name]).clone(dtype=jnp.dtype(dtype)) for name in config.chain}
    drawn = jax.eval_shape(lambda: {name: models.init(networks[name], jax.random.key(0)) for name in networks})
    variables = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.dtype(dtype)), drawn)
    return lambda variables, lr: run_chain(networks, list(networks), variables, lr)[0]["sr"], variables


def _entry_row(config, dtype, small):
    import jax
    import jax.numpy as jnp

    from jsr.timing import rows

    size, rounds = ((27, 48), 3) if small else (None, None)
    row = rows.measure(config, size=size, dtype=dtype, rounds=rounds, max_seconds=4)
    if "rows" not in row:
        return row | {"text": row["note"]}
    timed = row["rows"][0]
    call, variables = _deployed(config, dtype)
    lr = jax.ShapeDtypeStruct((1, *row["padded_size"], 3), jnp.dtype(dtype))
    ms, then, prediction = timed["median_ms"], row["published"], _prediction(dtype, call, variables, lr)
    return row | {"prediction": prediction, "text":
                  f"{ms:.3f} ms (p10 {timed['p10_ms']:.3f}, p90 {timed['p90_ms']:.3f}, {timed['rounds']} rounds), "
                  f"{timed['gmacs_per_s'] / 500:.3g} TFLOP/s, {row['memory']['peak_bytes'] / 1e6:.0f} MB, compiled in "
                  f"{row['compile_s']:.1f} s; published {then['runtime_ms']} ms on {then['hardware']}"
                  + _against(prediction, ms)}


def _prediction(dtype, call, *arguments):
    """Least ms on this chip, {floor_ms, separate_ms} (jsr.analysis.counts.Roofline); None of an unknown one."""
    import jax

    from jsr import chips
    from jsr.analysis import counts

    chip = chips.BY_KIND.get(jax.devices()[0].device_kind)
    if chip is None:
        return None
    found = counts.roofline(call, *arguments, flops_per_s=chip.rates[dtype] * 1e12,
                            bytes_per_s=chip.bandwidth * 1e9)
    return {"floor_ms": 1e3 * found.floor, "separate_ms": 1e3 * found.separate}


def _planned(recipe, overrides, batch, dtype):
    """What `jsr plan` said of a step on one such chip, {file, effort, ms, kernels, bytes in all}; None of none.

    Its JSON lies in benchmarks/plans, of another version of XLA perhaps, which the file says.
    """
    import jax

    for path in sorted((ROOT / "benchmarks" / "plans").glob("*.json")):
        made = json.loads(path.read_text())
        if (made["chip"], made["chips"], made["config"], made["overrides"], made.get("batch"), made["dtype"]) == (
                jax.devices()[0].device_kind, 1, recipe, overrides, batch, dtype):
            return {"file": path.name, "effort": made["effort"], "ms": made["estimate"]["ms"],
                    "kernels": made["estimate"]["kernels"], "bytes": made["memory"]["total"]}
    return None


def _against(prediction, ms, planned=None):
    """How a time stands to its predictions, for a row's text."""
    found = "" if prediction is None else (f"; {ms / prediction['floor_ms']:.1f} x the floor, "
                                           f"{ms / prediction['separate_ms']:.1f} x separate layers")
    return found + (f"; {ms / planned['ms']:.2f} x the {planned['ms']:.3g} ms that jsr plan said, at "
                    f"{planned['effort']} effort" if planned else "")


def _recipe(name, overrides, small):
    """A recipe of one network, `sr`; small: of the fields that tests take, and tiny batches."""
    from jsr import recipes

    config = recipes.load(name, overrides.items())
    if small:
        network = config.networks["sr"]
        file = importlib.import_module(f"jsr.models.{network.model.partition('/')[0]}")
        config = recipes.changed(config, {"networks.sr.fields": repr(network.fields | file.SMALL),
                                          "stages[0].crop": "64", "stages[0].batch": "2"}.items())
    return config


def _step(name, small):
    """(config, jitted step, its arguments, the step as a function) of a row of STEPS, on a made-up batch."""
    import jax

    from jsr.training import stages
    from jsr.training import state as states
    from jsr.training.step import make_step

    config = _recipe(*STEPS[name], small)
    stage, scale, plan = config.stages[0], config.scale, stages.plan_of(config, 0)
    hr = pictures(stage.batch, stage.crop, stage.crop)
    key = jax.random.key(config.seed)
    state = states.make_state(plan, states.initial_variables(config, key))
    step = make_step(plan)
    return config, step, jax.device_put((state, {"lr": hr[:, ::scale, ::scale], "hr": hr}, key, {}))


def _step_row(name, small):
    import jax
    import numpy as np

    from jsr.timing import timing

    config, step, (state, *rest) = _step(name, small)
    prediction = _prediction(config.dtype, step, state, *rest)
    planned = _planned(*STEPS[name], config.stages[0].batch, config.dtype)
    begin = time.perf_counter()
    lowered = jax.jit(step, donate_argnums=0).lower(state, *rest)
    traced = time.perf_counter()
    compiled = lowered.compile()
    done = time.perf_counter()
    cost = compiled.cost_analysis() or {}
    seconds, metrics = [], None
    for number in range(3 + (3 if small else 30)):
        begin_step = time.perf_counter()
        state, metrics = jax.block_until_ready(compiled(state, *rest))
        if number >= 3:
            seconds.append(time.perf_counter() - begin_step)
        if sum(seconds) > 10 and len(seconds) >= timing.LEAST_ROUNDS:
            break
    begin_step = time.perf_counter()
    for _ in seconds:  # as training calls it, the next before the last is done
        state, metrics = compiled(state, *rest)
    jax.block_until_ready(state)
    queued_ms = 1e3 * (time.perf_counter() - begin_step) / len(seconds)
    stats, memory = jax.devices()[0].memory_stats() or {}, timing.memory(compiled)
    stage, spread = config.stages[0], timing.spread(np.array(seconds))
    peak = stats.get("peak_bytes_in_use")
    return {"recipe": config.recipe, "model": config.networks["sr"].model, "batch": stage.batch, "crop": stage.crop,
            "dtype": config.dtype, "loss": float(metrics["loss"]),
            "trace_s": traced - begin, "compile_s": done - traced, **spread, "queued_ms": queued_ms,
            "patches_per_s": 1e3 * stage.batch / queued_ms, "memory": memory, "allocator_peak_bytes": peak,
            "flops": cost.get("flops"), "bytes_accessed": cost.get("bytes accessed"), "prediction": prediction,
            "planned": planned,
            "text": f"{stage.batch} crops of {stage.crop}: {queued_ms:.2f} ms queued, {spread['median_ms']:.2f} ms "
                    f"awaited, compiled in {done - traced:.1f} s, planned {memory['peak_bytes'] / 1e9:.3g} GB"
                    + (f", allocated {peak / 1e9:.3g} GB" if peak else "") + _against(prediction, queued_ms, planned)}


# ---- profiles -------------------------------------------------------------------------------------------------------


def _inference_kernels(config, size):
    import jax
    import jax.numpy as jnp

    call, variables = _deployed(config, "float16")
    variables = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.01, leaf.dtype), variables)
    lr = jnp.full((1, *size, 3), 0.5, jnp.float16)
    compiled = jax.jit(call).lower(variables, lr).compile()
    return {"recipe": config.recipe, "dtype": "float16", "size": list(size), **kernels(lambda: compiled(variables, lr))}


def _step_kernels(name, small):
    import jax

    config, step, arguments = _step(name, small)
    compiled = jax.jit(step).lower(*arguments).compile()
    return {"recipe": config.recipe, "dtype": config.dtype, **kernels(lambda: compiled(*arguments))}


def kernels(call, calls=5):
    """What a device computes in a call, by JAX's profiler.

    Args:
      call: function without arguments to arrays; compiled.
      calls: of it that are watched.

    Returns:
      {calls, kernels: in one call, busy_ms: a call, top: [{name, hlo, count, ms, share}] of the TOP_KERNELS kernels
      that take longest, text}; times of kernels that overlap count twice.
    """
    import gzip

    import jax

    jax.block_until_ready(call())
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(calls):
                jax.block_until_ready(call())
        files = list(Path(folder).rglob("*.trace.json.gz"))
        if not files:
            raise RuntimeError("the profiler wrote no .trace.json.gz")
        with gzip.open(files[0], "rt") as file:
            events = json.load(file)["traceEvents"]
    groups = {}
    for event in _device_events(events):
        groups.setdefault(event["name"], []).append(event)
    total = sum(event["dur"] for its in groups.values() for event in its)
    top = [{"name": name, "hlo": its[0].get("args", {}).get("hlo_op"), "count": len(its) / calls,
            "ms": sum(event["dur"] for event in its) / calls / 1e3,
            "share": sum(event["dur"] for event in its) / max(total, 1e-9)} for name, its in groups.items()]
    top = sorted(top, key=lambda row: -row["ms"])[:TOP_KERNELS]
    count, busy = sum(map(len, groups.values())) / calls, total / calls / 1e3
    return {"calls": calls, "kernels": count, "busy_ms": busy, "top": top,
            "text": f"{count:.0f} kernels, {busy:.3f} ms busy: "
                    + ", ".join(f"{row['name'][:40]} {row['share']:.0%}" for row in top[:3])}


def _device_events(events):
    """The events of a trace that are kernels: of a GPU's streams, a TPU's "XLA Ops"; on a CPU what has an `hlo_op`."""
    named = {kind: [event for event in events if event.get("name") == kind] for kind in ("process_name", "thread_name")}
    processes = {event["pid"]: event["args"]["name"] for event in named["process_name"]}
    threads = {(event["pid"], event["tid"]): event["args"]["name"] for event in named["thread_name"]}
    timed = [event for event in events if event.get("ph") == "X" and "dur" in event]
    for prefix in ("Stream", "XLA Ops"):
        found = [event for event in timed if processes.get(event["pid"], "").startswith("/device:")
                 and threads.get((event["pid"], event["tid"]), "").startswith(prefix)]
        if found:
            return found
    return [event for event in timed if "hlo_op" in event.get("args", {})]


# ---- small things ---------------------------------------------------------------------------------------------------


def _queued_s(call, argument, calls):
    """Seconds a call of a jitted function, of some that were put into the queue together."""
    call(argument).block_until_ready()
    begin = time.perf_counter()
    for _ in range(calls):
        result = call(argument)
    result.block_until_ready()
    return (time.perf_counter() - begin) / calls


def _versions(*names):
    from importlib import metadata

    found = {}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _nvidia_smi():
    """[{name, driver_version, ...}] of the GPUs, [] without NVIDIA's tool."""
    fields = ("name", "driver_version", "memory.total", "memory.used", "power.limit", "clocks.max.sm",
              "clocks.max.memory", "temperature.gpu", "persistence_mode", "mig.mode.current")
    try:
        done = subprocess.run(["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader"], timeout=30,
                              capture_output=True, text=True, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [dict(zip(fields, map(str.strip, line.split(",")), strict=True)) for line in done.stdout.splitlines()]


def _revision():
    """The git revision of the checkout, "" where nothing tells."""
    try:
        done = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=ROOT, timeout=30,
                              capture_output=True, text=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


# ---- processes ------------------------------------------------------------------------------------------------------


def work(part, small, seconds):
    """Measures the rows of a part and tells each on the standard output, a line of JSON: the process of one part."""
    begin = time.monotonic()
    with os.fdopen(os.dup(1), "w") as channel:
        os.dup2(2, 1)  # what libraries print goes elsewhere

        def tell(message):
            print(json.dumps(message), file=channel, flush=True)

        rows = PARTS[part].rows(small)
        tell(list(rows))
        for name, measure in rows.items():
            start = time.monotonic()
            if start - begin > seconds:
                tell({"name": name, "skipped": "no time left"})
                continue
            try:
                found = measure()
            except Exception as e:  # of a device that lacks an operation, or memory: the other rows go on
                first = str(e).strip().partition("\n")[0]
                found = {"error": f"{type(e).__name__}: {first[:300]}"}
            tell({"name": name, "seconds": time.monotonic() - start, **found})


def run_part(name, *, small, seconds, on_row):
    """Runs a part in a process of its own.

    Args:
      name: key of PARTS.
      small: sizes of a test.
      seconds: after which no further row begins; GRACE_S later the process is ended.
      on_row: called with each row, {name, seconds, ...}, with `skipped` or `error` where it was not measured.

    Returns:
      What went wrong with the process, one line; "" if nothing.
    """
    environ = dict(os.environ)
    environ["XLA_FLAGS"] = f"{environ.get('XLA_FLAGS', '')} {PARTS[name].xla_flags}".strip()
    environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    command = [sys.executable, __file__, "--worker", name, "--seconds", str(seconds), *(["--small"] if small else [])]
    expected, note = None, ""
    with (tempfile.TemporaryFile("w+") as errors,
          subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environ) as process):
        limit = threading.Timer(seconds + GRACE_S, process.kill)
        limit.start()
        try:
            for line in process.stdout:
                if not line.endswith("\n"):  # the process ended within it
                    break
                message = json.loads(line, parse_constant=lambda name: None)  # JSON has no NaN
                if expected is None:
                    expected = message
                else:
                    expected.remove(message["name"])
                    on_row(message)
            process.wait()
        finally:  # also on Ctrl+C
            late = not limit.is_alive()
            limit.cancel()
            process.kill()
        if expected is None or expected:
            errors.seek(0)
            lines = errors.read().strip().splitlines()
            failed = f"failed ({process.returncode}): {lines[-1][:300] if lines else ''}"
            note = "ended: its time was over" if late else failed
    for row in expected or ():
        on_row({"name": row, "skipped": note})
    return note


def main(argv=None):
    """Runs the parts, each in its process, and writes what they find."""
    parts = "\n".join(f"  {name:14}{part.about}" for name, part in PARTS.items())
    parser = argparse.ArgumentParser(description=__doc__, epilog=f"parts, in this order:\n{parts}",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("device.json"), metavar="FILE",
                        help="results, JSON; must not exist yet (device.json)")
    parser.add_argument("--parts", default=",".join(PARTS), metavar="A,B", help="which parts, by their names (all)")
    parser.add_argument("--minutes", type=float, default=9, metavar="N", help="after which the rest is skipped (9)")
    parser.add_argument("--small", action="store_true", help="tiny sizes: a test of this script, on a CPU too")
    parser.add_argument("--worker", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.worker:
        return work(args.worker, args.small, args.seconds)
    wanted = args.parts.split(",")
    if unknown := [name for name in wanted if name not in PARTS]:
        parser.error(f"--parts: no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    if missing := [name for name in NEEDS if not importlib.util.find_spec(name)]:
        parser.error(f"{missing[0]} is not installed; pip install 'jax[cuda13]' flax optax numpy pillow ml-collections")
    if args.out.exists():
        parser.error(f"--out: {args.out} exists; name another file, results are not overwritten")
    return measure(args, [name for name in PARTS if name in wanted])


def measure(args, wanted):
    """Runs the parts and writes `args.out` after every row; returns the exit status."""
    from jsr.files import atomic_write

    begin, status = time.monotonic(), 0
    results = {"format": FORMAT, "what": "device", "small": args.small, "minutes": args.minutes,
               "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "parts": {}}

    def save():
        results["seconds"] = time.monotonic() - begin
        with atomic_write(args.out, "w") as file:
            json.dump(results, file, indent=1)

    def on_row(name, row):
        results["parts"][name]["rows"].append(row)
        save()
        print(f"{time.monotonic() - begin:5.0f} s  {name}: {_line(row)}", flush=True)

    def stop(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        for name in wanted:
            left = args.minutes * 60 - (time.monotonic() - begin)
            seconds = min(left, PARTS[name].share * args.minutes * 60)
            part = results["parts"][name] = {"about": PARTS[name].about, "note": "", "rows": []}
            if left > 0:
                part["note"] = run_part(name, small=args.small, seconds=seconds, on_row=functools.partial(on_row, name))
            else:
                part["note"] = "skipped: no time left"
            save()
    except KeyboardInterrupt:
        part["note"], status = "stopped", 130
        save()
    print(f"\n{summary(results)}\n{args.out}: {time.monotonic() - begin:.0f} s in all")
    return status


def _line(row):
    """A row for people."""
    found = row.get("text") or " ".join(f"{key}: {row[key]}" for key in ("skipped", "error") if key in row)
    return f"{row['name']}: {found}"


def summary(results):
    """The results of `measure` as text: a paragraph a part, first what was measured, then what was not."""
    blocks = []
    for name, part in results["parts"].items():
        done = [row for row in part["rows"] if "text" in row]
        skipped = [row["name"] for row in part["rows"] if "skipped" in row]
        failed = [f"  {_line(row)}" for row in part["rows"] if "error" in row]
        blocks.append("\n".join([f"{name}: {part['about']}", *(f"  {_line(row)}" for row in done), *failed,
                                 *([f"  skipped: {', '.join(skipped)}"] if skipped else []),
                                 *([f"  {part['note']}"] if part["note"] else [])]))
    return "\n\n".join(blocks)


if __name__ == "__main__":
    sys.exit(main())

"""Plans: a training step, or a deployed network, compiled for absent accelerators: memory, traffic, least times.

What is compiled is what would run. XLA needs no device for that, only its compiler: for TPUs the package libtpu, for
NVIDIA GPUs the packages of jax[cuda13]; neither a driver. Figures are the compiler's and peak rates', not measured.
"""

import collections
import contextlib
import dataclasses
import importlib.util
import math
import os
import re
import time

import jax
import jax.numpy as jnp
import numpy as np

from jsr import chips, hlo, models, reparam, sharding
from jsr.errors import UserError, install, is_out_of_memory, nearest
from jsr.export.pixels import on_pixels
from jsr.training import check, memory, stages
from jsr.training import state as states

FORMAT = 1
DEAREST = 10
EFFORTS = {"full": 0.0, "quick": -1.0}  # XLA's exec_time_optimization_effort
# Nothing can be tried out without a device, and where nothing is tried some matrix products have no tiles in Triton.
_OPTIONS = {"cuda": {"xla_gpu_enable_triton_gemm": False}, "tpu": {}}
_PACKAGES = {"cuda": ("jax_plugins.xla_cuda13", "cuda"), "tpu": ("libtpu", "tpu")}  # module, extra
_VERSIONS = ("jax", "jaxlib", "libtpu", "jax-cuda13-plugin", "nvidia-cudnn-cu13")


@dataclasses.dataclass(frozen=True)
class Target:
    """Devices that need not be there.

    Attributes:
      text: as it was given.
      chip: jsr.chips.Chip.
      devices: to compile for, in the order of their hosts.
    """

    text: str
    chip: chips.Chip
    devices: tuple

    @property
    def hosts(self):
        """Number of machines."""
        return len({device.process_index for device in self.devices})


def target(text):
    """The Target of a text: "v5e:16x16" (the shape of a TPU slice), "h100:4x8" (hosts x GPUs), "h200:1".

    Raises:
      UserError: an unknown chip or shape, or a package that compiles for it is missing.
    """
    name, _, shape = text.lower().partition(":")
    known = [name for name, chip in chips.CHIPS.items() if chip.platform == "tpu" or chip.target is not None]
    if name not in known:
        raise UserError(f"--on {text}: no chip {name!r}; {nearest(name, known)}")
    if not re.fullmatch(r"\d+(x\d+){0,2}", shape) or not all(map(int, shape.split("x"))):
        raise UserError(f"--on {text}: give the number of chips, for example v5e:16x16, h100:4x8 (hosts x GPUs) or "
                        "h200:1")
    chip, sides = chips.CHIPS[name], [int(side) for side in shape.split("x")]
    if chip.platform == "cuda" and len(sides) > 2:
        raise UserError(f"--on {text}: GPUs are hosts x GPUs, as in h100:4x8")
    module, extra = _PACKAGES[chip.platform]
    if not _is_there(module):
        raise UserError(f"--on {text}: compiling for it needs {module.partition('.')[0]}: {install(extra)}")
    try:
        with _quiet():
            return Target(text, chip, tuple(_topology(name, chip, sides).devices))
    except Exception as e:  # whatever the compiler makes of a shape that there is not
        raise UserError(f"--on {text}: {str(e).strip().partition(chr(10))[0] or type(e).__name__}; choose another "
                        "shape") from e


def _is_there(module):
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _topology(name, chip, sides):
    from jax.experimental import topologies

    if chip.platform == "cuda":
        hosts, gpus = ([1, *sides])[-2:]
        return topologies.get_topology_desc(platform="cuda", topology_name="", target_config=chips.gpu_target(chip),
                                            topology=f"1x{hosts}x{gpus}")
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # there is no cloud to ask
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")  # a lock is for those who use a TPU
    if math.prod(sides) == 1:
        flat = name in ("v5e", "v6e")
        return topologies.get_topology_desc(platform="tpu", topology_name=f"{name}:{'1x1' if flat else '1x1x1'}",
                                            chips_per_host_bounds=(1, 1, 1))
    return topologies.get_topology_desc(platform="tpu", topology_name=f"{name}:{'x'.join(map(str, sides))}")


@contextlib.contextmanager
def _quiet():
    """Sends what libraries write on the standard error, of drivers and clouds that are not there, nowhere."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def of_step(recipe, index, on, *, effort="full"):
    """Plans memory, traffic and time of a stage's training step.

    Args:
      recipe: Recipe; its batch is that of all chips together.
      index: number of the stage.
      on: Target.
      effort: key of EFFORTS; quick compiles in a fraction of the time, has the same collectives and kinds, and is
        pessimistic about time and memory on TPUs.

    Returns:
      Plain data: {recipe, stage, batch, crop (height and width, px), mesh, state, per_chip (samples), accumulate,
      parameters, format, what, on, chip, chips, dtype, effort, compile_cpu_s, versions, collectives: [{op, count,
      bytes}] a step, flops and flops_ms (at the peak rate) a chip, estimate: {ms of a step, kernels, launching_ms,
      bytes (that its instructions read and write in the chip's memory), by (whose estimate it is), kinds: {kind:
      {count, ms}}, dearest: [{ms, count, kind, module, op, shape}]}, memory: bytes a chip of all that
      jsr.training.memory.Memory has, their total and the chip's, fits, largest_per_chip: samples that would fit if
      memory grows in proportion, loader: {samples_per_s, bytes_per_s, hosts} that keep up with the estimate}.

    Raises:
      UserError: the batch does not divide, or the step does not fit.
    """
    mesh = sharding.make_mesh(on.devices, recipe.mesh)
    sharding.check_batch(recipe.stages[index].batch, mesh)
    recipe = check.fitted(recipe, mesh)  # as training does
    plan, stage = stages.plan_of(recipe, index), recipe.stages[index]
    batch = {key: jax.ShapeDtypeStruct((stage.batch, *leaf.shape[1:]), leaf.dtype,
                                       sharding=sharding.batched(mesh, len(leaf.shape)))
             for key, leaf in check.batch_of(recipe, stage).items()}
    sharding.check_rows(batch, mesh)
    state = states.abstract(plan, mesh)
    every = check.abstract_variables(plan)
    frozen = {name: _laid(every[name], sharding.replicated(mesh)) for name in states.frozen(recipe)}
    key = jax.ShapeDtypeStruct((), jax.random.key(0).dtype, sharding=sharding.replicated(mesh))
    compiled, seconds = _compile(memory.build(plan, state), (state, batch, key, frozen, np.int32(0)), on, effort)
    found = memory.needed(compiled, state, batch, frozen)
    made = _report(compiled, on, recipe.dtype, effort, seconds)
    share = stage.batch // mesh.shape[sharding.DATA]
    held = found.parameters + found.average + found.optimizer + found.frozen
    growing = (found.temporaries + found.batches) / share
    rate = stage.batch / made["estimate"]["ms"] * 1e3
    crops = sum(math.prod(leaf.shape[1:]) * leaf.dtype.itemsize for leaf in batch.values())
    return {"recipe": recipe.recipe, "stage": index, "batch": stage.batch, "crop": list(stage.crop_hw),
            "mesh": dict(mesh.shape), "state": recipe.state, "per_chip": share, "accumulate": stage.accumulate,
            "parameters": sum(math.prod(leaf.shape) for name in recipe.trained
                              for leaf in jax.tree.leaves(every[name]["params"])), **made,
            "memory": {**dataclasses.asdict(found), "total": found.total, "chip": on.chip.memory},
            "fits": found.total <= on.chip.memory,
            "largest_per_chip": max(int((on.chip.memory - held) / growing), 0),
            "loader": {"samples_per_s": rate, "bytes_per_s": rate * crops, "hosts": on.hosts}}


def of_deployed(recipe, size, on, *, effort="full", kernels="xla"):
    """Plans memory and time of a recipe's deployed chain, uint8 LR image to uint8 SR image, its rows over all chips.

    Args:
      recipe: Recipe; its dtype is what networks and parameters have.
      size: (height, width) of the LR image.
      on, effort: see `of_step`.
      kernels: see jsr.export.pixels.on_pixels.

    Returns:
      Plain data, as in `of_step` but for a batch and its loader; deployed is the size, kernels are as given, images_ms
      the time in which LR and SR pass through memory once.

    Raises:
      UserError: a size whose rows do not divide; it does not fit; there are no such kernels, or several chips for them.
    """
    if kernels != "xla" and len(on.devices) > 1:
        raise UserError(f"--on {on.text}: kernels = {kernels} is for one chip")
    mesh, dtype = sharding.make_mesh(on.devices, {sharding.DATA: 1, sharding.ROWS: -1}), jnp.dtype(recipe.dtype)
    networks = stages.plan_of(recipe, len(recipe.stages) - 1).networks
    networks = {name: reparam.deployed(networks[name]).clone(dtype=dtype) for name in recipe.chain}
    drawn = jax.eval_shape(lambda: {name: models.init(networks[name], jax.random.key(0)) for name in networks})
    variables = _laid(jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), drawn),
                      sharding.replicated(mesh))
    rows = sharding.batched(mesh, 4)
    lr = jax.ShapeDtypeStruct((1, *size, 3), np.uint8, sharding=rows)
    sharding.check_rows({"the image": lr}, mesh)
    call = jax.jit(lambda variables, lr: on_pixels(
        networks, variables, dtype=np.uint8, kernels=kernels, platform=on.chip.platform)(lr), out_shardings=rows)
    compiled, seconds = _compile(call, (variables, lr), on, effort)
    made, stats = _report(compiled, on, recipe.dtype, effort, seconds), compiled.memory_analysis()
    parameters = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables))
    image = math.prod(size) * 3 * (1 + recipe.scale**2) // len(on.devices)
    total = parameters * dtype.itemsize + image + stats.temp_size_in_bytes
    return {"recipe": recipe.recipe, "deployed": list(size), "kernels": kernels, "mesh": dict(mesh.shape),
            "parameters": parameters, **made,
            "memory": {"parameters": parameters * dtype.itemsize, "images": image,
                       "temporaries": stats.temp_size_in_bytes, "total": total, "chip": on.chip.memory},
            "fits": total <= on.chip.memory, "images_ms": image / on.chip.bandwidth / 1e6}


def _laid(tree, its):
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=its), tree)


def _compile(call, arguments, on, effort):
    """(the compiled program, CPU seconds of compiling)."""
    lowered, begin = call.lower(*arguments), time.process_time()
    before = jax.config.jax_exec_time_optimization_effort
    jax.config.update("jax_exec_time_optimization_effort", EFFORTS[effort])
    try:
        with _quiet():
            return lowered.compile(_OPTIONS[on.chip.platform]), time.process_time() - begin
    except Exception as e:
        if not is_out_of_memory(e):
            raise
        line = next((line for line in str(e).splitlines() if "memory" in line), str(e).partition("\n")[0])
        raise UserError(f"--on {on.text}: it does not fit: {line.strip()}; use a smaller batch or crop, or more "
                        "chips") from e
    finally:
        jax.config.update("jax_exec_time_optimization_effort", before)


def _report(compiled, on, dtype, effort, compile_s):
    """The facts in the text of a compiled program: a dict with collectives and estimate."""
    from importlib import metadata

    text, versions = compiled.as_text(), {}
    for name in _VERSIONS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    found = hlo.instructions(text)
    spent = [1e3 * one.times * (_exchange_s(one, on) if one.kind == hlo.REDUCTIONS else
                                hlo.seconds(one, on.chip, dtype)) for one in found]
    kinds = collections.defaultdict(lambda: [0, 0.0])
    for one, ms in zip(found, spent, strict=True):
        kinds[one.kind][0] += one.times
        kinds[one.kind][1] += ms
    launches = sum(one.times for one in found)
    launching = 0.0 if on.chip.clock else 1e3 * launches * hlo.LAUNCH_S
    cost = compiled.cost_analysis() or {}
    flops = sum(one.times * one.flops for one in found) if not on.chip.clock else cost.get("flops", 0.0)
    dearest = sorted(zip(spent, found, strict=True), key=lambda row: -row[0])[:DEAREST]
    return {"format": FORMAT, "what": "plan", "on": on.text, "chip": on.chip.kind, "chips": len(on.devices),
            "dtype": dtype, "effort": effort, "compile_cpu_s": round(compile_s, 1), "versions": versions,
            "collectives": [{"op": op, "count": count, "bytes": size} for op, count, size in hlo.collectives(text)],
            "flops": flops, "flops_ms": flops / on.chip.rates[dtype] / 1e9,
            "estimate": {"ms": sum(spent) + launching, "kernels": launches, "launching_ms": launching,
                         "bytes": sum(one.times * one.bytes for one in found),
                         "by": "cycles that XLA estimates" if on.chip.clock else "bytes and FLOPs at peak rates, and "
                         f"{hlo.LAUNCH_S * 1e6:g} us a kernel",
                         "kinds": {kind: {"count": count, "ms": ms} for kind, (count, ms) in
                                   sorted(kinds.items(), key=lambda row: -row[1][1])},
                         "dearest": [{"ms": ms, "count": one.times, "kind": one.kind, "module": one.module,
                                      "op": one.op, "shape": re.sub(r"\{[^}]*\}", "", one.shape)[:80]}
                                     for ms, one in dearest]}}


def _exchange_s(one, on):
    """Least time of a collective over all chips, s: an all-reduce sends what it reduces twice."""
    link = chips.BETWEEN_HOSTS if on.chip.platform == "cuda" and on.hosts > 1 else on.chip.link
    passes = 2 if one.op.startswith("all-reduce") else 1
    return passes * (1 - 1 / len(on.devices)) * hlo.size(one.shape) / (link * 1e9)


def lines(made):
    """A plan in words, a line each."""
    from rich.filesize import decimal

    estimate, of = made["estimate"], made["memory"]
    what = f"{made['deployed'][1]}x{made['deployed'][0]} px" if "deployed" in made else (
        f"{made['batch']} crops of {made['crop'][0]}, {made['per_chip']} a chip")
    yield (f"{made['recipe']} on {made['on']} ({made['chips']} x {made['chip']}), {made['dtype']}, {what}; compiled in "
           f"{made['compile_cpu_s']:.0f} CPU s, effort {made['effort']}")
    parts = ", ".join(f"{name} {decimal(value)}" for name, value in of.items()
                      if value and name not in ("total", "chip"))
    yield (f"memory a chip: {decimal(of['total'])} of {decimal(of['chip'])} ({parts})"
           + ("" if made["fits"] else ": DOES NOT FIT"))
    if "largest_per_chip" in made:
        yield f"samples a chip that would fit, in proportion: {made['largest_per_chip']}"
    yield "collectives: " + (", ".join(f"{row['count']} {row['op']} of {decimal(row['bytes'])}"
                                       for row in made["collectives"]) or "none") + (
        f" (parameters: {decimal(4 * made['parameters'])})" if "batch" in made else "")
    yield (f"time, by {estimate['by']}: {estimate['ms']:.3g} ms ({estimate['kernels']} kernels, "
           f"{decimal(estimate['bytes'])}; arithmetic alone {made['flops_ms']:.3g} ms)")
    for kind, row in estimate["kinds"].items():
        yield f"  {row['ms']:9.3f} ms  {row['count']:6} {kind}"
    yield f"the {len(estimate['dearest'])} dearest:"
    for row in estimate["dearest"]:
        yield f"  {row['ms']:9.3f} ms  {row['kind']}: {row['module'] or row['op']}  {row['shape']}"
    if "loader" in made:
        loader = made["loader"]
        yield (f"the loader must give {loader['samples_per_s']:,.0f} samples/s, {loader['bytes_per_s'] / 1e6:,.0f} MB/s"
               + (f", on {loader['hosts']} hosts together" if loader["hosts"] > 1 else ""))

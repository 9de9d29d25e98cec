"""Time of a network for an image, beside the same network in other libraries."""

import functools
import math
import time

import jax
import jax.numpy as jnp
import numpy as np

from jsr import models
from jsr.analysis import counts
from jsr.chain import run_chain
from jsr.device import free_memory
from jsr.layers.padding import pad_to_multiple
from jsr.parallel import cores
from jsr.timing import peers, timing

# Of a peer's largest error over our largest value, by the dtype of the computation: above, it is not the same function
BOUNDS = {"float32": 1e-3, "float16": 1e-2, "bfloat16": 6e-2}
OURS = "jsr (jax)"
TRANSFERS = 10  # timed at most: images of 4K take longer to copy than to compute


def measure(networks, variables, size, *, wanted=(), runtimes=(), rounds=10, dtype="float32", warm_up=2,
            max_seconds=math.inf, announce=lambda line: None):
    """Times a chain of networks on one random image: batch 1, on the device from input to output.

    The image is padded as for upscaling. Timed is the compiled program alone; what precedes and follows it, copying to
    and from the device, is measured apart. Peers get the same padded image in their own layout, and are timed in the
    same rounds, see timing.interleaved; one whose output is not ours is not timed.

    Args:
      networks: {name: module} in the order in which an image passes them.
      variables: {name: Flax collections}.
      size: (height, width) of the image, px.
      wanted: keys of peers.PEERS.
      runtimes: keys of jsr.inference.runtimes.OTHERS, to be timed as ours too, in float32 alone.
      rounds, warm_up, max_seconds: as for timing.interleaved.
      dtype: dtype of image, parameters and computation, a key of BOUNDS.
      announce: called with a line before each long step.

    Returns:
      {size, padded_size, dtype, params, gmacs, hook_gmacs, activations, trace_s, compile_s, transfer: spread, memory,
      rows}. The counts are jsr.analysis.counts.Counts's, in 1e9; `memory` is timing.memory and allocator_peak_bytes,
      the most that this process had on the device. A row is {name, note, max_abs_error, gmacs_per_s, ratio, and
      timing.spread}, the first OURS, others of ours "jsr (onnxruntime)" and the like; the times are None of what was
      not timed, and `note` says why. `ratio` is the time of OURS over the row's, the median over the rounds.

    Raises:
      MemoryError: the program needs more than is free.
    """
    lr = _image(networks, size)
    announce("compiling")
    compiled, on_device, spent = _compiled(networks, variables, lr, dtype)
    memory = timing.memory(compiled)
    if memory["peak_bytes"] > free_memory():
        raise MemoryError(f"it takes {memory['peak_bytes']:,} bytes, {free_memory():,} are free")
    ours = peers.Contender(OURS, lambda: compiled(*on_device).block_until_ready(),
                           lambda sr: np.asarray(sr, np.float32))
    sr = ours.call()

    timed, rows = [ours], {OURS: _row(OURS)}
    for what, find in _searches(networks, variables, lr, dtype, wanted, runtimes):
        announce(f"preparing {what}")
        found, why_not = _found(find)
        if why_not:
            rows[what] = _row(what, why_not)
        for contender in found:
            row = rows[contender.name] = _compared(contender, ours.to_numpy(sr), BOUNDS[dtype])
            if not row["note"]:
                timed.append(contender)

    announce(f"timing {', '.join(contender.name for contender in timed)}: {rounds} rounds")
    seconds = timing.interleaved({contender.name: contender.call for contender in timed}, rounds, warm_up=warm_up,
                                 max_seconds=max_seconds)
    found = chain_counts(networks, lr.shape)
    for name, values in seconds.items():
        rows[name] |= timing.spread(values) | {"gmacs_per_s": found.macs / 1e9 / float(np.median(values)),
                                               "ratio": float(np.median(seconds[OURS] / values))}
    return {"size": list(size), "padded_size": list(lr.shape[-3:-1]), "dtype": dtype, "params": found.params,
            "gmacs": found.macs / 1e9, "hook_gmacs": found.hook_macs / 1e9, "activations": found.activations, **spent,
            "memory": memory | _allocated(),
            "transfer": timing.spread(_transfers(lr, sr, min(len(seconds[OURS]), TRANSFERS))),
            "rows": list(rows.values())}


def chain_counts(networks, shape):
    """The Counts of a chain {name: module} for an input of `shape`, (N, H, W, C), each network at its own size."""
    found = []
    for model in networks.values():
        found.append(counts.tally(model, shape))
        *lead, height, width, channels = shape
        shape = (*lead, height * model.scale, width * model.scale, channels)
    return counts.Counts(*map(sum, zip(*found, strict=True)))


def _image(networks, size):
    """A random image, or clip, for the first network: float32 multiples of 1/255, padded."""
    card = models.card(next(iter(networks.values())))
    image = np.random.default_rng(0).integers(0, 256, card.lr_shape(*size), np.uint8)
    return pad_to_multiple(image.astype(np.float32) / 255, card.padding)


def _compiled(networks, variables, lr, dtype):
    """(the compiled chain, its arguments on the device, {trace_s, compile_s})."""
    if dtype != "float32":
        networks = {name: module.clone(dtype=jnp.dtype(dtype)) for name, module in networks.items()}
    on_device = jax.device_put(jax.tree.map(lambda leaf: np.asarray(leaf, jnp.dtype(dtype)), (variables, lr)))
    begin = time.perf_counter()
    run = jax.jit(lambda variables, lr: run_chain(networks, list(networks), variables, lr)[0]["sr"])
    lowered = run.lower(*on_device)
    traced = time.perf_counter()
    compiled = lowered.compile()
    return compiled, on_device, {"trace_s": traced - begin, "compile_s": time.perf_counter() - traced}


def _searches(networks, variables, lr, dtype, wanted, runtimes):
    """(what, function to (contenders, why there are none)) of all that is to be timed beside us."""
    threads = cores()

    @functools.cache
    def graph(its_dtype):
        from jsr.onnx_graph.write import chain_to_onnx

        return chain_to_onnx(networks, variables, dtype=jnp.dtype(its_dtype), nchw=True, size=lr.shape[1:3])

    @functools.cache
    def our_graph(size):
        from jsr.onnx_graph.write import chain_to_onnx

        return chain_to_onnx(networks, variables, size=size)

    for runtime in runtimes if dtype == "float32" else ():
        yield f"jsr ({runtime})", functools.partial(peers.ours, runtime, our_graph, lr)
    for peer in wanted:
        yield peer, functools.partial(peers.contenders, peer, graph, lr, threads=threads, dtype=dtype)


def _found(find):
    """(contenders, why there are none): found by a search, or a library that cannot express the network."""
    try:
        return find()
    except Exception as e:  # of classes of its own, whatever of the network the exporter or the library lacks
        return [], brief(e)


def _allocated():
    """{allocator_peak_bytes} of the device since this process began, None where its allocator does not count."""
    return {"allocator_peak_bytes": (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")}


def _row(name, note=""):
    fields = ("rounds", "best_ms", "median_ms", "p10_ms", "p90_ms", "p99_ms", "gmacs_per_s", "ratio", "max_abs_error")
    return {"name": name, "note": note, **dict.fromkeys(fields)}


def _compared(contender, expected, bound):
    """A peer's row after one call: with its error, and with a note where that is too large, or where it fails."""
    try:
        error = float(np.abs(contender.to_numpy(contender.call()) - expected).max())
    except Exception as e:  # of a foreign library, whatever it is; torch.compile compiles here
        return _row(contender.name, f"not timed: {brief(e)}")
    bound *= float(np.abs(expected).max())  # fresh weights may give small values only, or products of many
    note = "" if error <= bound else f"not timed: its output is up to {error:.2g} off, it is another function"
    return _row(contender.name, note) | {"max_abs_error": error if np.isfinite(error) else None}  # JSON has no NaN


def brief(error):
    """An exception in one line."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:160]}"


def _transfers(lr, sr, rounds):
    """Seconds of copying the input to the device and the output back, as an array (rounds,)."""
    seconds, lr = [], np.asarray(lr, sr.dtype)
    for _ in range(rounds):
        fresh = jnp.copy(sr).block_until_ready()  # JAX keeps what it once copied back
        seconds.append(timing.seconds_of(
            lambda fresh=fresh: (jax.device_put(lr).block_until_ready(), np.asarray(fresh))))
    return np.array(seconds)

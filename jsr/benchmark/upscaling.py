"""How long a network takes for an image, beside the same network in other libraries."""

import time

import jax
import jax.numpy as jnp
import numpy as np

from jsr import counts, models
from jsr.benchmark import peers, timing
from jsr.layers.padding import pad_to_multiple
from jsr.training.step import run_chain

BOUND = 1e-3  # of a peer's largest error, of values in [0, 1]: above, it is not the same function


def measure(networks, variables, size, *, wanted=(), rounds=10, announce=lambda line: None):
    """Times a chain of networks on one random image: batch 1, float32, on the device from input to output.

    The image is padded as for upscaling. Timed is the compiled program alone; what precedes and follows it, copying to
    and from the device, is measured apart. Peers get the same padded image in their own layout, and are timed in the
    same rounds, see timing.interleaved; one whose output is not ours is not timed.

    Args:
      networks: {name: module} in the order in which an image passes them.
      variables: {name: Flax collections}.
      size: (height, width) of the image, px.
      wanted: keys of peers.PEERS.
      rounds: timed calls of each.
      announce: called with a line before each long step.

    Returns:
      {size, padded_size, params, gmacs, trace_s, compile_s, transfer: spread, memory: timing.memory, rows}. A row is
      {name, note, max_abs_error, gmacs_per_s, ratio, and timing.spread}; the times are None of a peer that was not
      timed, and `note` says why. `ratio` is our time over the peer's, the median over the rounds.
    """
    lr = _image(networks, size)
    announce("compiling")
    chain, on_device = list(networks), jax.device_put((variables, lr))
    begin = time.perf_counter()
    lowered = jax.jit(lambda variables, lr: run_chain(networks, chain, variables, lr)[0]["sr"]).lower(*on_device)
    traced = time.perf_counter()
    compiled = lowered.compile()
    done = time.perf_counter()
    ours = peers.Contender("jsr", lambda: compiled(*on_device).block_until_ready(), np.asarray)
    sr = ours.call()

    timed, rows = [ours], {"jsr": _row("jsr")}
    for peer in wanted:
        announce(f"preparing {peer}")
        found, why_not = peers.contenders(peer, networks, variables, lr, threads=timing.cores())
        if why_not:
            rows[peer] = _row(peer, why_not)
        for contender in found:
            row = rows[contender.name] = _compared(contender, ours.to_numpy(sr))
            if not row["note"]:
                timed.append(contender)

    announce(f"timing {', '.join(contender.name for contender in timed)}: {rounds} rounds")
    seconds = timing.interleaved({contender.name: contender.call for contender in timed}, rounds)
    params, macs = _counts(networks, lr.shape)
    for name, values in seconds.items():
        rows[name] |= timing.spread(values) | {"gmacs_per_s": macs / 1e9 / float(np.median(values)),
                                               "ratio": float(np.median(seconds["jsr"] / values))}
    return {"size": list(size), "padded_size": list(lr.shape[-3:-1]), "params": params, "gmacs": macs / 1e9,
            "trace_s": traced - begin, "compile_s": done - traced, "memory": timing.memory(compiled),
            "transfer": timing.spread(_transfers(lr, sr, rounds)), "rows": list(rows.values())}


def _image(networks, size):
    """A random image, or clip, for the first network: float32 multiples of 1/255, padded."""
    card = models.card(next(iter(networks.values())))
    image = np.random.default_rng(0).integers(0, 256, card.lr_shape(*size), np.uint8)
    return pad_to_multiple(image.astype(np.float32) / 255, card.padding)


def _row(name, note=""):
    fields = ("rounds", "best_ms", "median_ms", "p10_ms", "p90_ms", "gmacs_per_s", "ratio", "max_abs_error")
    return {"name": name, "note": note, **dict.fromkeys(fields)}


def _compared(contender, expected):
    """A peer's row after one call: with its error, and with a note where that is too large."""
    error = float(np.abs(contender.to_numpy(contender.call()) - expected).max())
    bound = BOUND * min(1.0, float(np.abs(expected).max()))  # fresh weights may give small values only
    note = "" if error <= bound else f"not timed: its output is up to {error:.2g} off, it is another function"
    return _row(contender.name, note) | {"max_abs_error": error if np.isfinite(error) else None}  # JSON has no NaN


def _counts(networks, shape):
    """(parameters, multiply-accumulates) of a chain for an input of `shape`."""
    params, macs = 0, 0
    for model in networks.values():
        found = counts.count(model, shape)
        params, macs = params + found[0], macs + found[1]
        *lead, height, width, channels = shape
        shape = (*lead, height * model.scale, width * model.scale, channels)
    return params, macs


def _transfers(lr, sr, rounds):
    """Seconds of copying the input to the device and the output back, as an array (rounds,)."""
    seconds = []
    for _ in range(rounds):
        fresh = jnp.copy(sr).block_until_ready()  # JAX keeps what it once copied back
        seconds.append(timing.seconds_of(lambda: (jax.device_put(lr).block_until_ready(), np.asarray(fresh))))
    return np.array(seconds)

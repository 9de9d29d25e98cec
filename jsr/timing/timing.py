"""Clocks, and the facts that a figure needs beside it: machine, versions, load."""

import datetime
from importlib import metadata
import math
import os
from pathlib import Path
import platform
import shlex
import time

import jax
import numpy as np

import jsr
from jsr.parallel import cores

LIBRARIES = ("jax", "jaxlib", "flax", "grain", "numpy", "pillow", "torch", "onnx", "onnxruntime", "openvino")
LONG_S = 1.0  # a call of this length does not feel who computed before it
LEAST_ROUNDS = 3  # however short the time is
WARM_UP_SHARE = 0.1  # of the time for all rounds, for what each function runs beforehand, after its first two calls


def seconds_of(call, clock=time.perf_counter):
    """The seconds of a function without arguments that returns when its work is done, by the wall or another clock."""
    begin = clock()
    call()
    return clock() - begin


def interleaved(calls, rounds, clock=time.perf_counter, *, warm_up=2, max_seconds=math.inf):
    """Times functions in turn, so that whatever else the machine does meets all of them.

    The order moves on by one every round. Short calls run once untimed before each timed one: by then the threads that
    the last library left spinning sleep, and the caches are its own.

    Args:
      calls: {name: function without arguments that returns when its work is done}.
      rounds: timed calls of each.
      clock: clock of the seconds; time.process_time leaves other programs out.
      warm_up: calls of each beforehand, 2 or more.
      max_seconds: for all rounds together: there are fewer where they would take longer, but never less than
        LEAST_ROUNDS; the warm-up is cut short likewise.

    Returns:
      {name: float64 array (rounds,)}, seconds; entries of one round are neighbours in time.
    """
    names, seconds = list(calls), {name: [] for name in calls}
    warm = {name: _warm(call, warm_up, WARM_UP_SHARE * max_seconds) for name, call in calls.items()}
    turns = {name: 1 if warm[name] > LONG_S else 2 for name in names}
    affordable = max_seconds / max(sum(turns[name] * warm[name] for name in names), 1e-9)
    for index in range(min(rounds, max(LEAST_ROUNDS, math.floor(min(affordable, rounds))))):
        first = index % len(names)
        for name in names[first:] + names[:first]:
            if turns[name] == 2:
                calls[name]()
            seconds[name].append(seconds_of(calls[name], clock))
    return {name: np.array(values) for name, values in seconds.items()}


def _warm(call, times, limit_s):
    """Calls a function some times, after the second only for so long; returns the seconds of the last call."""
    call()
    last = total = seconds_of(call)
    for _ in range(times - 2):
        if total > limit_s:
            break
        last = seconds_of(call)
        total += last
    return last


def spread(seconds):
    """{rounds, best_ms, median_ms, p10_ms, p90_ms, p99_ms} of an array of seconds.

    The best is near the median of an idle machine; far below the median, it says that this one was busy.
    """
    names = {"best_ms": 0, "median_ms": 50, "p10_ms": 10, "p90_ms": 90, "p99_ms": 99}
    figures = np.percentile(seconds, list(names.values())) * 1e3
    return {"rounds": len(seconds), **dict(zip(names, figures.tolist(), strict=True))}


def memory(compiled):
    """{arguments_bytes, output_bytes, temporary_bytes, peak_bytes} that a compiled JAX function plans for.

    The peak is their sum, donated arguments counted once: an upper bound of what is alive at a time on one device,
    without the program itself.
    """
    stats = compiled.memory_analysis()
    parts = {"arguments_bytes": stats.argument_size_in_bytes, "output_bytes": stats.output_size_in_bytes,
             "temporary_bytes": stats.temp_size_in_bytes}
    return {**parts, "peak_bytes": sum(parts.values()) - stats.alias_size_in_bytes}


def head(words, what):
    """The head of a file of figures: {format, command, date, machine, versions, what}, see `surroundings`.

    Args:
      words: words of the command line that made the file.
      what: name of the measurement.
    """
    return {"format": 1, "command": shlex.join(words), **surroundings(), "what": what}


def surroundings():
    """{date, machine: {platform, cpu, cores, load_average, devices}, versions} of this moment, in plain types."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {"platform": platform.platform(terse=True), "cpu": _cpu(), "cores": cores(),
                    "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
                    "devices": [f"{device.platform} {device.device_kind}" for device in jax.devices()]},
        "versions": {"python": platform.python_version(), "jsr": jsr.__version__,
                     **{name: _version(name) for name in LIBRARIES}}}


def _cpu():
    """The processor's name; where Linux does not tell it, what Python knows."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None

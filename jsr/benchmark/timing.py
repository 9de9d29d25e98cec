"""Clocks, and what must stand beside a figure for it to mean something."""

import datetime
from importlib import metadata
import os
from pathlib import Path
import platform
import time

import jax
import numpy as np

LIBRARIES = ("jsr", "jax", "jaxlib", "flax", "grain", "numpy", "pillow", "torch", "onnx", "onnxruntime")
LONG_S = 1.0  # a call of this length does not feel who computed before it


def seconds_of(call, clock=time.perf_counter):
    """The seconds of a function without arguments that returns when its work is done, by the wall or another clock."""
    begin = clock()
    call()
    return clock() - begin


def interleaved(calls, rounds, clock=time.perf_counter):
    """Times functions in turn, so that whatever else the machine does meets all of them.

    Each is called twice beforehand, and the order moves on by one every round. Short calls run once untimed before
    each timed one: by then the threads that the last library left spinning sleep, and the caches are its own.

    Args:
      calls: {name: function without arguments that returns when its work is done}.
      rounds: timed calls of each.
      clock: what gives the seconds; time.process_time leaves out what other programs take.

    Returns:
      {name: float64 array (rounds,)}, seconds; entries of one round are neighbours in time.
    """
    names, seconds = list(calls), {name: [] for name in calls}
    is_long = {}
    for name, call in calls.items():
        call()
        is_long[name] = seconds_of(call) > LONG_S
    for index in range(rounds):
        first = index % len(names)
        for name in names[first:] + names[:first]:
            if not is_long[name]:
                calls[name]()
            seconds[name].append(seconds_of(calls[name], clock))
    return {name: np.array(values) for name, values in seconds.items()}


def spread(seconds):
    """{rounds, best_ms, median_ms, p10_ms, p90_ms} of an array of seconds.

    The best is what the median would be on an idle machine; far below the median it says that this one was busy.
    """
    best, p10, median, p90 = np.percentile(seconds, (0, 10, 50, 90)) * 1e3
    return {"rounds": len(seconds), "best_ms": float(best), "median_ms": float(median), "p10_ms": float(p10),
            "p90_ms": float(p90)}


def memory(compiled):
    """{arguments_bytes, output_bytes, temporary_bytes, peak_bytes} that a compiled JAX function plans for.

    The peak is their sum, donated arguments counted once: an upper bound of what is alive at a time on one device,
    without the program itself.
    """
    stats = compiled.memory_analysis()
    parts = {"arguments_bytes": stats.argument_size_in_bytes, "output_bytes": stats.output_size_in_bytes,
             "temporary_bytes": stats.temp_size_in_bytes}
    return {**parts, "peak_bytes": sum(parts.values()) - stats.alias_size_in_bytes}


def cores():
    """The CPU cores that this process may use: `taskset` limits them for every library alike."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def surroundings():
    """{date, machine: {platform, cpu, cores, load_average, devices}, versions} of this moment, in plain types."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {"platform": platform.platform(terse=True), "cpu": _cpu(), "cores": cores(),
                    "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
                    "devices": [f"{device.platform} {device.device_kind}" for device in jax.devices()]},
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}}}


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

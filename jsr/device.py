"""The devices at hand: the free memory, and the cache of compiled programs."""

import math
import os
from pathlib import Path

import jax


def use_compile_cache():
    """Keeps compiled programs on disk for the next process: in JAX_COMPILATION_CACHE_DIR or the user's cache folder."""
    if jax.config.jax_compilation_cache_dir is None:
        try:
            folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "jsr", "xla")
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # what lies there is run
        except (OSError, RuntimeError):
            return  # no home, or one that cannot be written, only costs time
        if not os.access(folder, os.W_OK):  # JAX would warn of every program
            return
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def free_memory():
    """Bytes that are free on the first device."""
    device = jax.devices()[0]
    stats = device.memory_stats() or {}
    if device.platform != "cpu" and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    return min(_machine_memory(), _container_memory())


def _machine_memory():
    """Bytes that programs may still take; infinite where nothing tells."""
    try:
        import psutil
    except ImportError:  # a checkout that is not installed, as benchmarks/device.py runs in
        return math.inf
    return psutil.virtual_memory().available


def _container_memory():
    """Bytes that the limit of a Linux container (cgroup 2) leaves free; infinite without one."""
    try:
        limit, used = (Path("/sys/fs/cgroup", name).read_text() for name in ("memory.max", "memory.current"))
        return int(limit) - int(used)
    except (OSError, ValueError):  # none, or "max"
        return math.inf

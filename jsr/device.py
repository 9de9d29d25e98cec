"""The devices at hand: whether JAX is set to use them, the free memory, and the cache of compiled programs."""

import contextlib
import math
import os
from pathlib import Path

import jax
from jax._src import xla_bridge  # alone tells whether a backend works, without starting it

from jsr import places
from jsr.errors import UserError


def check_settings():
    """Raises UserError for settings of JAX, in the environment or else, with which nothing here can be computed."""
    if jax.config.jax_disable_jit:
        raise UserError("JAX_DISABLE_JIT is set, but jsr runs only compiled programs; unset it")
    if jax.config.jax_numpy_dtype_promotion != "standard":
        raise UserError(f"JAX_NUMPY_DTYPE_PROMOTION={jax.config.jax_numpy_dtype_promotion}: networks mix types, which "
                        "this forbids; unset it")
    try:
        jax.devices()
    except Exception as e:  # RuntimeError, AssertionError and others, by platform
        named = jax.config.jax_platforms
        what = f"JAX_PLATFORMS={named}: there is no such device here" if named else "JAX finds no device"
        reason = str(e).strip().partition("\n")[0].partition(" (set JAX_PLATFORMS")[0]
        raise UserError(f"{what}{f' ({reason})' if reason else ''}; unset it, or install what the device needs") from e


@contextlib.contextmanager
def usual_settings():
    """Has this thread compute under JAX's own settings of types, shapes, transfers and compiling for a while.

    A program that calls jsr may forbid itself what networks do: mixing types and ranks, moving arrays implicitly.
    """
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"), jax.transfer_guard("allow"), \
            jax.disable_jit(False):
        yield


def check_fork():
    """Raises UserError in a child that was forked from a process in which JAX has worked, where it would hang."""
    if _forked_from:
        raise UserError(f"this process was forked from process {_forked_from[0]}, which had used JAX: JAX would hang "
                        'here. Start processes by "spawn" (multiprocessing.get_context("spawn"), '
                        'DataLoader(..., multiprocessing_context="spawn")), or load the model only in the child')


_forked_from: list[int] = []  # the parent's number, where this process is such a child


def _note_fork():
    if xla_bridge.backends_are_initialized():
        _forked_from[:] = [os.getppid()]


if hasattr(os, "register_at_fork"):  # not on Windows, which forks nothing
    os.register_at_fork(after_in_child=_note_fork)


def use_compile_cache():
    """Keeps compiled programs on disk for the next process: in JAX_COMPILATION_CACHE_DIR or the user's cache folder."""
    if jax.config.jax_compilation_cache_dir is None:
        try:
            folder = places.cache("xla")
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # what lies there is run
        except (OSError, RuntimeError):
            return  # no home, or one that cannot be written, only costs time
        if not os.access(folder, os.W_OK):  # JAX would warn of every program
            return
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def free_memory():
    """Bytes that are free on the first device of this process."""
    device = jax.local_devices()[0]
    stats = device.memory_stats() or {}
    if device.platform != "cpu" and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    return machine_memory()


def machine_memory():
    """Bytes of main memory that programs may still take; infinite where nothing tells."""
    try:
        import psutil
    except ImportError:  # a checkout that is not installed, as benchmarks/device.py runs in
        return math.inf
    return min(psutil.virtual_memory().available, _container_memory())


def _container_memory():
    """Bytes that the limit of a Linux container (cgroup 2) leaves free; infinite without one."""
    try:
        limit, used = (Path("/sys/fs/cgroup", name).read_text() for name in ("memory.max", "memory.current"))
        return int(limit) - int(used)
    except (OSError, ValueError):  # none, or "max"
        return math.inf

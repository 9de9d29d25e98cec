"""A chain of trained networks as one function of an image, compiled once a shape."""

import math
import os
from pathlib import Path
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import psutil

from jsr import models
from jsr.inference.receptive_field import receptive_field
from jsr.layers.padding import Padding, crop_to, pad_to
from jsr.training.step import run_chain

class Chain:
    """Networks that an image passes one after the other, with their parameters on the device.

    Safe to call from several threads. Every new shape is compiled once; see `compile_seconds`.

    Args:
      networks: {name: module} in order.
      variables: {name: Flax collections}.
      meta: the model file's metadata, {} for networks that never were in one.

    Attributes:
      networks, meta: as given.
      scale: SR size over LR size of all together.
      padding: the sizes that they take (jsr.layers.padding.Padding).
      compile_seconds: spent on compiling so far.
    """

    def __init__(self, networks, variables, *, meta=None):
        self.networks, self.meta, self.compile_seconds = networks, meta or {}, 0.0
        self.scale = math.prod(module.scale for module in networks.values())
        self.padding = _padding(networks)
        self._variables = jax.device_put(variables)
        self._jit = jax.jit(lambda variables, lr: run_chain(networks, list(networks), variables, lr)[0]["sr"])
        self._compiled, self._lock, self._fields = {}, threading.Lock(), {}

    @property
    def variables(self):
        """{name: Flax collections} of arrays."""
        return self._variables

    def with_variables(self, variables):
        """The same chain with other parameters; what was compiled is shared."""
        other = object.__new__(Chain)
        other.__dict__ = self.__dict__ | {"_variables": jax.device_put(variables)}
        return other

    def with_dtype(self, dtype):
        """The same chain, computing in another dtype; parameters stay as they are."""
        return Chain({name: module.clone(dtype=dtype) for name, module in self.networks.items()}, self._variables,
                     meta=self.meta)

    def __call__(self, lr, size=None):
        """Runs an image of any size, padded as the networks need it.

        Args:
          lr: float32 array (H, W, 3) in [0, 1].
          size: (height, width) to pad it to, of sizes that the networks take; None is as they take a whole image.

        Returns:
          Float32 device array (H * scale, W * scale, 3), not clipped.
        """
        height, width = lr.shape[:2]
        size = size or [self.padding.target(side) for side in (height, width)]
        padded = pad_to(jnp.asarray(lr)[None], *size, self.padding.mode)
        sr = self.compiled(*padded.shape[1:3])(self._variables, padded)
        return crop_to(sr, height * self.scale, width * self.scale)[0]

    def compiled(self, height, width):
        """The program for padded images of that size (jax.stages.Compiled)."""
        shape = (1, height, width, 3)
        with self._lock:
            if shape not in self._compiled:
                start = time.perf_counter()
                lr = jax.ShapeDtypeStruct(shape, jnp.float32)
                self._compiled[shape] = self._jit.lower(self._variables, lr).compile()
                self.compile_seconds += time.perf_counter() - start
            return self._compiled[shape]

    @property
    def shapes(self):
        """How many shapes were compiled."""
        return len(self._compiled)

    def memory(self, height, width):
        """Bytes that running a padded image of that size takes on the device besides the parameters."""
        found = self.compiled(height, width).memory_analysis()
        return found.temp_size_in_bytes + found.output_size_in_bytes

    def reach(self, limit):
        """How far, LR px, the networks see from a pixel, or None where it is farther than `limit`.

        None too where a network divides the image into parts of a grid that follows its size, and says so by an
        attribute `grid_follows_size`.
        """
        with self._lock:
            if limit not in self._fields:
                self._fields[limit] = self._trace(limit)
            return self._fields[limit]

    def _trace(self, limit):
        if any(getattr(module, "grid_follows_size", False) for module in self.networks.values()):
            return None  # however near a network sees, a tile's grid is not that of the image
        abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), self._variables)
        found = receptive_field(self._jit, abstract, multiple=self.padding.multiple, limit=limit)
        return max(found.rows, found.columns) if found else None


def use_compile_cache():
    """Keeps compiled programs on disk for the next process: in JAX_COMPILATION_CACHE_DIR, or the user's cache folder."""
    if jax.config.jax_compilation_cache_dir is None:
        home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        folder = home / "jsr" / "xla"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # what lies there is run
        except OSError:
            return  # a home that cannot be written only costs time
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def free_memory():
    """Bytes that are free on the first device."""
    device = jax.devices()[0]
    stats = device.memory_stats() or {}
    if device.platform != "cpu" and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    return min(psutil.virtual_memory().available, _container_memory())


def _container_memory():
    """Bytes that the limit of a Linux container (cgroup 2) leaves free; infinite without one."""
    try:
        limit, used = (Path("/sys/fs/cgroup", name).read_text() for name in ("memory.max", "memory.current"))
        return int(limit) - int(used)
    except (OSError, ValueError):  # none, or "max"
        return math.inf


def _padding(networks):
    """Of the first network; the multiple is one that suits those after it too, whose input is larger."""
    cards = [models.card(module).padding for module in networks.values()]
    multiple, scale = 1, 1
    for module, card in zip(networks.values(), cards):
        multiple = math.lcm(multiple, card.multiple // math.gcd(card.multiple, scale))
        scale *= module.scale
    return Padding(multiple=multiple, mode=cards[0].mode, always=cards[0].always and multiple > 1)

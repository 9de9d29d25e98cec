"""A chain of trained networks as one function of an image, compiled once a shape."""

import contextlib
import functools
import hashlib
import inspect
import logging
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np

from jsr.analysis.receptive_field import receptive_field
from jsr.chain import (
    chain_channels,
    chain_frames,
    chain_open_multiple,
    chain_padding,
    chain_scale,
    run_chain,
    takes_quality,
    told,
)
from jsr.device import usual_settings
from jsr.errors import UserError
from jsr.inference import runtimes
from jsr.layers.padding import crop_to, pad_to
from jsr.layers.pool import local_means

_PROGRAMS = 64  # compiled ones that are kept; each takes some 5 MB
_PROBE = 128  # side of the image on which other runtimes are compared, and whose memory tells that of others, px


class Chain:
    """Networks that an image passes one after the other, with their parameters on the device.

    Safe to call from several threads. Every new shape is compiled once, see `compile_seconds`; of old ones the programs
    that were used last are kept, so that a process that meets ever new sizes does not grow.

    Args:
      networks: {name: module} in order.
      variables: {name: Flax collections}.
      meta: the model file's metadata, {} for networks that never were in one.
      runtime: one of jsr.inference.runtimes.NAMES.
      tlc: TLC window, LR px: global means become means over windows of this side (jsr.layers.pool); 0 is off.

    Attributes:
      networks, meta: as given.
      estimator: name of the first network that estimates the JPEG quality of its input, or None.
      runner: jsr.inference.runtimes.Runner.
      scale: SR size over LR size of all together.
      frames: frames of a clip that they see at once, None of networks for images (jsr.models.Card).
      padding: the sizes that they take (jsr.layers.padding.Padding).
      channels: (of LR, of SR), see jsr.chain.chain_channels.

    """

    @usual_settings()
    def __init__(self, networks, variables, *, meta=None, runtime="jax", tlc=0):
        self.networks, self.meta = networks, meta or {}
        self.scale, self.padding = chain_scale(networks), chain_padding(networks)
        self.frames, self.channels = chain_frames(networks), chain_channels(networks)
        self.estimator = next((name for name in networks if getattr(networks[name], "estimates_quality", False)), None)
        self._variables = jax.device_put(variables)
        self._tlc, self._conditions = tlc, {}
        self._jit = jax.jit(functools.partial(_forward, networks, tlc))
        self._estimate = jax.jit(functools.partial(_estimate, networks, self.estimator))
        self._compiled, self._seconds, self._counts = {}, {}, {}
        self._lock, self._fields = threading.Lock(), {}
        self._probe = -(-_PROBE // self.padding.multiple) * self.padding.multiple
        self.runner = self._runner(runtime)

    def __reduce__(self):
        """What another process needs to make the same chain; it compiles for itself."""
        return _again, (self.networks, jax.device_get(self._variables), self.meta, self.runner.name, self._tlc,
                        self._conditions)

    @property
    def variables(self):
        """{name: Flax collections} of arrays."""
        return self._variables

    def digest(self):
        """SHA-256 of networks, parameters and what they were told."""
        found = hashlib.sha256(repr((self.networks, self._tlc, self.runner.name)).encode())
        for path, leaf in jax.tree_util.tree_leaves_with_path((self._variables, self._conditions)):
            found.update(repr((jax.tree_util.keystr(path), leaf.shape, str(leaf.dtype))).encode())
            found.update(np.ascontiguousarray(leaf).data)
        return found.hexdigest()

    @usual_settings()
    def with_variables(self, variables):
        """The same chain with other parameters, in the same runtime; what JAX compiled is shared."""
        other = object.__new__(Chain)
        other.__dict__ = self.__dict__ | {"_variables": jax.device_put(variables)}
        other.runner = other._runner(self.runner.name)
        return other

    @usual_settings()
    def with_dtype(self, dtype):
        """The same chain, computing in another dtype; parameters stay as they are.

        In place of bfloat16 it is float32 for networks that say so (`needs_float32`, jsr.models).
        """
        kept = {name for name, module in self.networks.items()
                if dtype == jnp.bfloat16 and getattr(module, "needs_float32", False)}
        for name in kept:
            logging.getLogger(__name__).warning("%s is computed in float32: bfloat16 has too few digits for it",
                                                type(self.networks[name]).__name__)
        other = Chain({name: module.clone(dtype=jnp.float32 if name in kept else dtype)
                       for name, module in self.networks.items()}, self._variables,
                      meta=self.meta, runtime=self.runner.name if dtype == jnp.float32 else "jax", tlc=self._tlc)
        other._conditions = self._conditions
        return other

    @property
    def takes_quality(self):
        """Whether one of the networks must be told the JPEG quality of its images, and was not (`told`)."""
        return bool(takes_quality(self.networks)) and not self._conditions

    @usual_settings()
    def told(self, quality):
        """The same chain for images of a JPEG quality, 1..100; what was compiled is shared.

        Networks that estimate the quality take this one instead.

        Raises:
          UserError: the quality is out of range; none of the networks can be told it; the runtime is not JAX.
        """
        if not 1 <= quality <= 100:
            raise UserError(f"input quality {quality}: must be from 1 to 100")
        names = takes_quality(self.networks) + [
            name for name, module in self.networks.items() if getattr(module, "estimates_quality", False)
            and "qf_input" in inspect.signature(type(module).__call__).parameters]
        if not names:
            types = ", ".join(type(module).__name__ for module in self.networks.values())
            raise UserError(f"input quality {quality}: {types} cannot be told the quality of a picture; FBCNN can")
        if self.runner.name in runtimes.OTHERS:
            raise UserError("networks are told the quality of a picture by jax alone; choose --runtime jax")
        other = object.__new__(Chain)
        other.__dict__ = self.__dict__ | {"_conditions": jax.device_get(told(names, quality))}
        other.runner = other._runner("jax")
        return other

    @usual_settings()
    def __call__(self, lr, size=None):
        """Runs an image of any size, padded as the networks need it.

        Args:
          lr: float32 array (H, W, C) in [0, 1], of `channels`.
          size: (height, width) to pad it to, of sizes that the networks take; None is as they take a whole image.

        Returns:
          Float32 NumPy array (H * scale, W * scale, C), not clipped.
        """
        height, width = lr.shape[:2]
        rows, columns = size or [self.padding.target(side) for side in (height, width)]
        lr = jnp.asarray(lr) if self.runner.name == "jax" else np.asarray(lr)
        sr = np.asarray(self.runner(pad_to(lr[None], rows, columns, self.padding.mode)))
        return crop_to(sr, height * self.scale, width * self.scale)[0]  # a view, where JAX would copy

    @usual_settings()
    def clip(self, lr, wanted=None):
        """Runs a whole clip through networks for clips, all of it at once or one window after the other.

        Beyond its ends a window shows the first or the last frame again.

        Args:
          lr: float32 array (T, H, W, 3) in [0, 1].
          wanted: indices of the frames whose SR is wanted, all by default.

        Returns:
          Float32 array (len(wanted), H * scale, W * scale, 3), not clipped.
        """
        wanted = range(len(lr)) if wanted is None else wanted
        height, width = lr.shape[1:3]
        rows, columns = (self.padding.target(side) for side in (height, width))
        padded = pad_to(np.asarray(lr), rows, columns, self.padding.mode)
        if not isinstance(self.frames, int):
            sr = self._run_clip(padded)[list(wanted)]
        else:
            around = np.arange(self.frames) - self.frames // 2
            sr = np.concatenate([self._run_clip(padded[np.clip(t + around, 0, len(lr) - 1)]) for t in wanted])
        return crop_to(sr, height * self.scale, width * self.scale)

    def _run_clip(self, lr):
        """The SR frames of a clip (T, H, W, 3) that the networks take as it is."""
        sr = np.asarray(self.program((1, *lr.shape))(self._variables, lr[None], self._conditions))
        return sr.reshape(-1, *sr.shape[-3:])

    @usual_settings()
    def quality(self, lr):
        """The JPEG quality that the chain's `estimator` sees in an image: a float of 1..100 or so.

        Args:
          lr: float32 array (H, W, 3) in [0, 1].
        """
        height, width = (self.padding.target(side) for side in lr.shape[:2])
        qf = self._estimate(self._variables, pad_to(np.asarray(lr)[None], height, width, self.padding.mode))
        return 100 * (1 - float(qf[0, 0]))

    def compiled(self, height, width):
        """The program for padded images of that size (jax.stages.Compiled)."""
        return self.program((1, height, width, self.channels[0]))

    @usual_settings()
    def program(self, shape):
        """The program for padded LR arrays of a shape (jax.stages.Compiled)."""
        key = (shape, bool(self._conditions))
        with self._lock:
            if key not in self._compiled:
                start = time.perf_counter()
                lr = jax.ShapeDtypeStruct(shape, jnp.float32)
                self._compiled[key] = self._jit.lower(self._variables, lr, self._conditions).compile()
                self._seconds[key] = self._seconds.get(key, 0) + time.perf_counter() - start
                self._counts[key] = self._counts.get(key, 0) + 1
            self._compiled[key] = self._compiled.pop(key)  # the newest is last
            while len(self._compiled) > _PROGRAMS:
                del self._compiled[next(iter(self._compiled))]
            return self._compiled[key]

    @property
    def compile_seconds(self):
        """Spent on compiling so far, and on making other runtimes ready."""
        return sum(self._seconds.values()) + self.runner.open_seconds

    @property
    def programs(self):
        """How many were compiled, one a shape, or made ready in other runtimes."""
        return sum(self._counts.values()) + self.runner.opened

    def memory(self, height, width):
        """Bytes that running a padded image of that size takes on the device besides the parameters.

        In another runtime than JAX it is what JAX would take, scaled from an image of moderate size.
        """
        if self.runner.name in runtimes.OTHERS and height * width > self._probe**2:
            return self.memory(self._probe, self._probe) * height * width // self._probe**2
        found = self.compiled(height, width).memory_analysis()
        return found.temp_size_in_bytes + found.output_size_in_bytes

    @usual_settings()
    def reach(self, limit):
        """How far, LR px, the networks see from a pixel, or None where it is farther than `limit`.

        None too where a network divides the image into parts of a grid that follows its size, and says so by an
        attribute `grid_follows_size`.
        """
        with self._lock:
            if limit not in self._fields:
                self._fields[limit] = self._trace(limit)
            return self._fields[limit]

    def _runner(self, runtime):
        def in_jax(padded):
            return self.compiled(*padded.shape[1:3])(self._variables, padded, self._conditions)

        def to_onnx():
            if self._tlc:
                raise UserError("means of windows (tlc) are computed by jax alone")
            from jsr.onnx_graph.write import chain_to_onnx  # which imports this module
            return chain_to_onnx(self.networks, jax.device_get(self._variables)).SerializeToString()

        return runtimes.Runner(runtime, in_jax, to_onnx, channels=self.channels[0], probe=self._probe,
                               multiple=chain_open_multiple(self.networks))

    def _trace(self, limit):
        if any(getattr(module, "grid_follows_size", False) for module in self.networks.values()):
            return None  # however near a network sees, a tile's grid is not that of the image
        abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), self._variables)
        found = receptive_field(self._jit, abstract, multiple=self.padding.multiple, limit=limit,
                                lr_shape=lambda height, width: (1, height, width, self.channels[0]))
        return max(found.rows, found.columns) if found else None


def _again(networks, variables, meta, runtime, tlc, conditions):
    """The Chain that was pickled."""
    made = Chain(networks, variables, meta=meta, runtime=runtime, tlc=tlc)
    made._conditions = conditions
    return made


def _forward(networks, tlc, variables, lr, conditions=None):
    with local_means(tlc, *lr.shape[1:3]) if tlc else contextlib.nullcontext():
        return run_chain(networks, list(networks), variables, lr, conditions=conditions)[0]["sr"]


def _estimate(networks, estimator, variables, lr):
    """`qf` of an image; what else the networks make is never computed."""
    outputs, _ = run_chain(networks, list(networks), variables, lr)
    return outputs["qf" if estimator == list(networks)[-1] else f"{estimator}/qf"]

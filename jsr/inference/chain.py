"""A chain of trained networks as one function of an image, compiled once a shape."""

import contextlib
import functools
import hashlib
import inspect
import logging
import queue
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np

from jsr import models, sharding
from jsr.analysis.counts import live_bytes
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
# XLA's own order of work on the CPU keeps the attention of several layers at once: GRL takes 2.6 GB at 144x144, and 0.7
# by this one, which gives the same bits and is as fast
_CPU_OPTIONS = {"xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"}
_QUALITIES = 8  # of pictures, whose graphs in another runtime are kept open
_PROBE = 128  # side of the image on which other runtimes are compared, and whose memory tells that of others, px


class Chain:
    """Networks that an image passes one after the other, with their parameters on the device.

    Safe to call from several threads; of several local devices JAX takes one that is free for each image. Every new
    shape is compiled once a device, see `compile_seconds`; of old ones the programs that were used last are kept, so
    that a process that meets ever new sizes does not grow.

    Args:
      networks: {name: module} in order.
      variables: {name: Flax collections}.
      meta: the model file's metadata, {} for networks that never were in one.
      runtime: one of jsr.inference.runtimes.NAMES.
      tlc: TLC window, LR px: global means become means over windows of this side (jsr.layers.pool); 0 is off.
      conditions: {name: further keyword arguments of that network}, as `told` makes them.

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
    def __init__(self, networks, variables, *, meta=None, runtime="jax", tlc=0, conditions=None):
        self.networks, self.meta = networks, meta or {}
        self.scale, self.padding = chain_scale(networks), chain_padding(networks)
        self.frames, self.channels = chain_frames(networks), chain_channels(networks)
        self.estimator = next((name for name in networks if getattr(networks[name], "estimates_quality", False)), None)
        self._variables, self._copies = jax.device_put(variables), {}  # {sharding: variables}
        self._tlc, self._conditions = tlc, conditions or {}
        self._jit = jax.jit(functools.partial(_forward, networks, tlc))
        self._stages = {name: jax.jit(stage) for name, stage in _stages(networks, tlc).items()}
        self._estimate = jax.jit(functools.partial(_estimate, networks, self.estimator))
        self._compiled, self._seconds, self._counts = {}, {}, {}
        self._told, self._telling = {}, threading.Lock()  # {quality: the Runner of another runtime that knows it}
        self._lock, self._fields = threading.Lock(), {}
        self._probe = -(-_PROBE // self.padding.multiple) * self.padding.multiple
        self.runner = self._runner(runtime)

    def __reduce__(self):
        """The data from which another process makes the same chain; it compiles for itself."""
        return _again, (self.networks, jax.device_get(self._variables), self.meta, self.runner.name, self._tlc,
                        self._conditions)

    @property
    def variables(self):
        """{name: Flax collections} of arrays."""
        return self._variables

    def digest(self):
        """SHA-256 of networks, parameters and the qualities that they were told."""
        found = hashlib.sha256(repr((self.networks, self._tlc, self.runner.name)).encode())
        for path, leaf in jax.tree_util.tree_leaves_with_path((self._variables, self._conditions)):
            found.update(repr((jax.tree_util.keystr(path), leaf.shape, str(leaf.dtype))).encode())
            found.update(np.ascontiguousarray(leaf).data)
        return found.hexdigest()

    @usual_settings()
    def with_variables(self, variables):
        """The same chain with other parameters, in the same runtime; what JAX compiled is shared."""
        other = object.__new__(Chain)
        other.__dict__ = self.__dict__ | {"_variables": jax.device_put(variables), "_copies": {}, "_told": {}}
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
        return Chain({name: module.clone(dtype=jnp.float32 if name in kept else dtype)
                      for name, module in self.networks.items()}, self._variables,
                     meta=self.meta, runtime=self.runner.name if dtype == jnp.float32 else "jax", tlc=self._tlc,
                     conditions=self._conditions)

    @property
    def takes_quality(self):
        """Whether one of the networks must be told the JPEG quality of its images, and was not (`told`)."""
        return bool(takes_quality(self.networks)) and not self._conditions

    @usual_settings()
    def told(self, quality):
        """The same chain for images of a JPEG quality, 1..100; what was compiled is shared.

        Networks that estimate the quality take this one instead.

        Raises:
          UserError: the quality is out of range; none of the networks can be told it; as for Runner.
        """
        if not 1 <= quality <= 100:
            raise UserError(f"input quality {quality}: must be from 1 to 100")
        names = takes_quality(self.networks) + [
            name for name, module in self.networks.items() if getattr(module, "estimates_quality", False)
            and "qf_input" in inspect.signature(type(module).__call__).parameters]
        if not names:
            types = ", ".join(type(module).__name__ for module in self.networks.values())
            raise UserError(f"input quality {quality}: {types} cannot be told the quality of a picture; FBCNN can")
        other = object.__new__(Chain)
        other.__dict__ = self.__dict__ | {"_conditions": jax.device_get(told(names, quality))}
        another = self.runner.name in runtimes.OTHERS
        other.runner = self._knowing(quality, other) if another else other._runner("jax")
        return other

    def _knowing(self, quality, other):
        """The Runner of another runtime for a chain that was told a quality, which is a constant in its graph."""
        with self._telling:
            self._told[quality] = self._told.pop(quality, None) or other._runner(self.runner.name)
            if len(self._told) > _QUALITIES:
                self._told.pop(next(iter(self._told)))  # the one that was asked for the longest ago
            return self._told[quality]

    @usual_settings()
    def __call__(self, lr, size=None, *, by_rows=False):
        """Runs an image of any size, padded as the networks need it.

        Args:
          lr: float32 array (H, W, C) in [0, 1], of `channels`.
          size: (height, width) to pad it to, of sizes that the networks take; None is as they take a whole image.
          by_rows: whether its rows are split over all local devices, in JAX; the result differs from one device's by
            float rounding, about 1e-6.

        Returns:
          Float32 NumPy array (H * scale, W * scale, C), not clipped.
        """
        height, width = lr.shape[:2]
        rows, columns = size or [self.padding.target(side) for side in (height, width)]
        if not (isinstance(lr, jax.Array) and self.runner.name == "jax"):
            lr = np.asarray(lr)
        compute = self._in_rows if by_rows and jax.local_device_count() > 1 else self.runner
        sr = np.asarray(compute(pad_to(lr[None], rows, columns, self.padding.mode)))
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

    def scene(self, frame, length, wanted, store, key=(), check=lambda: None):
        """Runs a scene through a recurrent network frame by frame: what `clip` gives, in the memory of one frame.

        Passes through time follow one another, and what a later one needs of an earlier one lies in a Store. The
        network's names for them are its `passes`; those called backward begin at the end, and the last is not.

        Args:
          frame: function of an index to its LR, float32 (H, W, 3) in [0, 1].
          length: length of the scene, frames.
          wanted: indices of the frames whose SR is wanted, ascending.
          store: jsr.inference.store.Store.
          key: tuple, what keys of the store begin with.
          check: called before every frame of every pass; what it raises ends the work.

        Yields:
          float32 (H * scale, W * scale, 3) of each, not clipped.
        """
        network, wanted = _recurrent(self.networks)[1], set(wanted)
        height, width = frame(0).shape[:2]
        rows, columns = (self.padding.target(side) for side in (height, width))

        def padded(index):
            return pad_to(np.asarray(frame(index))[None], rows, columns, self.padding.mode)

        new, before = np.ones((length, 1), bool), padded(0)
        spatial = back = np.empty(0)
        for index in range(length):
            check()
            image = padded(index)
            spatial, onward, back, differs = self._stage("begin", image, before)
            store[(*key, "spatial", index)] = spatial
            if index:
                store[(*key, "backward", index - 1)], store[(*key, "forward", index)] = onward, back
                new[index] = differs
            before = image
        for number, name in enumerate(network.passes):
            way, last = name.partition("_")[0], number == len(network.passes) - 1
            marks, carry = self._marks(new, way == "backward"), network.rest(spatial, back)
            for index in reversed(range(length)) if way == "backward" else range(length):
                check()
                own, *earlier = (store[(*key, kept, index)] for kept in ("spatial", *network.passes[:number]))
                flow = store[(*key, way, index)] if (*key, way, index) in store else np.zeros_like(back)
                mark = jax.tree.map(lambda mark, index=index: mark[index], marks)
                carry, passed = self._stage(name, carry, (own, tuple(earlier), flow, mark))
                if not last:
                    store[(*key, name, index)] = passed
                elif index in wanted:
                    sr = self._stage("end", padded(index), (own, *earlier, passed))
                    yield crop_to(sr, height * self.scale, width * self.scale)[0]

    @usual_settings()
    def _marks(self, new, backward):
        """The facts that a pass of `scene` has about each frame."""
        return jax.tree.map(np.asarray, _recurrent(self.networks)[1].marks(new, backward))

    @usual_settings()
    def _stage(self, name, *arguments):
        """The results of one of `_stages` for arrays, as NumPy arrays."""
        program = self._program((name, _shapes(arguments)), self._stages[name], *arguments)
        return jax.tree.map(np.asarray, program(self._variables, *arguments, self._conditions))

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

    def program(self, shape, device=None):
        """The program for padded LR arrays of a shape (jax.stages.Compiled), on a device or on JAX's first one."""
        place = device and jax.sharding.SingleDeviceSharding(device)
        return self._program(shape, self._jit, jax.ShapeDtypeStruct(shape, jnp.float32, sharding=place), place=place)

    def rows_program(self, height, width):
        """The program for padded images of that size whose rows are split over all local devices.

        Its LR has zeros beneath, and its SR more rows, so that they divide evenly; networks see neither.
        """
        mesh = _rows_mesh()
        rows = sharding.batched(mesh, 4)
        shape = (1, height + -height % mesh.size, width, self.channels[0])
        jitted = jax.jit(functools.partial(_forward_rows, self.networks, self._tlc, mesh.size, height),
                         out_shardings=rows)
        return self._program((height, *shape), jitted, jax.ShapeDtypeStruct(shape, jnp.float32, sharding=rows),
                             place=sharding.replicated(mesh))

    @usual_settings()
    def _program(self, key, jitted, *arguments, place=None):
        """The program of a function for arguments of that shape, which `key` tells apart (jax.stages.Compiled).

        Its parameters are where the sharding `place` has them.
        """
        key = (key, bool(self._conditions), place)
        with self._lock:
            if key not in self._compiled:
                start = time.perf_counter()
                variables = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place),
                                         self._variables) if place else self._variables
                devices = place.device_set if place else jax.devices()
                options = _CPU_OPTIONS if next(iter(devices)).platform == "cpu" else None
                self._compiled[key] = jitted.lower(variables, *arguments, self._conditions).compile(options)
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
        """Number of programs compiled, one per shape, or made ready in other runtimes."""
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
    def memory_bound(self, height, width):
        """Bytes that such an image takes as a rule at most, without compiling anything (counts.live_bytes)."""
        traced = self._jit.trace(self._variables, self._lr(height, width), self._conditions)
        return live_bytes(traced.jaxpr.jaxpr)

    @usual_settings()
    def scene_bytes(self, height, width):
        """Bytes that `scene` keeps in its Store of a padded frame of that size."""
        network = _recurrent(self.networks)[1]
        spatial, *flows, _ = self._begun(height, width)
        return len(network.passes) * _bytes(spatial) + sum(map(_bytes, flows))

    @usual_settings()
    def scene_memory(self, height, width):
        """Bytes that running a padded frame of that size in `scene` takes on the device besides the parameters."""
        network, lr = _recurrent(self.networks)[1], self._lr(height, width)
        spatial, flow, *_ = self._begun(height, width)
        marks = jax.tree.map(lambda mark: mark[0], self._marks(np.ones((1, 1), bool), backward=False))
        others = (spatial,) * (len(network.passes) - 1)
        stages = {"begin": (lr, lr), "end": (lr, (spatial, *others, spatial)), network.passes[-1]: (
            jax.eval_shape(network.rest, spatial, flow), (spatial, others, flow, marks))}
        found = [self._program((name, _shapes(arguments)), self._stages[name], *arguments).memory_analysis()
                 for name, arguments in stages.items()]
        return max(each.temp_size_in_bytes + each.output_size_in_bytes for each in found)

    def _lr(self, height, width):
        return jax.ShapeDtypeStruct((1, height, width, self.channels[0]), jnp.float32)

    def _begun(self, height, width):
        """The shapes of the results of the stage "begin"."""
        lr = self._lr(height, width)
        return jax.eval_shape(self._stages["begin"], self._variables, lr, lr, self._conditions)

    @usual_settings()
    def reach(self, limit):
        """Distance that the networks see from a pixel, LR px, or None if it is above `limit`.

        None too where a network divides the image into parts of a grid that follows its size, and says so by an
        attribute `grid_follows_size`.
        """
        with self._lock:
            if limit not in self._fields:
                known = next((reach for reach in self._fields.values() if reach is not None), None)
                self._fields[limit] = self._trace(limit) if known is None else known if known <= limit else None
            return self._fields[limit]

    def _in_rows(self, padded):
        """Computes a padded image (1, H, W, C) on all local devices; what else would do so waits."""
        height, width = padded.shape[1:3]
        mesh = _rows_mesh()
        with _whole_machine:
            beneath = np.zeros((1, -height % mesh.size, *padded.shape[2:]), np.float32)
            image = jax.device_put(np.concatenate([padded, beneath], axis=1), sharding.batched(mesh, 4))
            place = sharding.replicated(mesh)
            given = self._copy(place), image, jax.device_put(self._conditions, place)
            return np.asarray(self.rows_program(height, width)(*given))

    def _copy(self, place):
        """The parameters where a sharding has them."""
        if place not in self._copies:
            self._copies[place] = jax.device_put(self._variables, place)
        return self._copies[place]

    def _runner(self, runtime):
        def in_jax(padded):
            if (free := _free_devices()) is None:
                return self.compiled(*padded.shape[1:3])(self._variables, padded, self._conditions)
            device = free.get()
            try:
                given = (self._copy(jax.sharding.SingleDeviceSharding(device)),
                         *jax.device_put((padded, self._conditions), device))
                return np.asarray(self.program(padded.shape, device)(*given))
            finally:
                free.put(device)

        def to_onnx(size):
            if self._tlc:
                raise UserError("only the runtime jax computes means of windows (tlc)")
            from jsr.onnx_graph.write import chain_to_onnx  # which imports this module
            return chain_to_onnx(self.networks, jax.device_get(self._variables), size=size,
                                 conditions=self._conditions).SerializeToString()

        return runtimes.Runner(runtime, in_jax, to_onnx, channels=self.channels[0], probe=self._probe,
                               multiple=chain_open_multiple(self.networks))

    def _trace(self, limit):
        if any(getattr(module, "grid_follows_size", False) for module in self.networks.values()):
            return None  # however near a network sees, a tile's grid is not that of the image
        abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), self._variables)
        found = receptive_field(self._jit, abstract, multiple=self.padding.multiple, limit=limit,
                                lr_shape=lambda height, width: (1, height, width, self.channels[0]))
        return max(found.rows, found.columns) if found else None


# Programs of several devices wait for each other there: begun in another order on one, two of them would for ever
_whole_machine = threading.Lock()


def _rows_mesh():
    """The mesh of this process's devices, over which rows are split."""
    return sharding.make_mesh(jax.local_devices(), {sharding.ROWS: -1})


@functools.cache
def _free_devices():
    """A queue of this process's devices that compute nothing; None of a single one, which has a queue of its own."""
    if jax.local_device_count() == 1:
        return None
    free = queue.SimpleQueue()
    for device in jax.local_devices():
        free.put(device)
    return free


def _again(networks, variables, meta, runtime, tlc, conditions):
    """The Chain that was pickled."""
    return Chain(networks, variables, meta=meta, runtime=runtime, tlc=tlc, conditions=conditions)


def _forward(networks, tlc, variables, lr, conditions=None):
    with local_means(tlc, *lr.shape[-3:-1]) if tlc else contextlib.nullcontext():
        return run_chain(networks, list(networks), variables, lr, conditions=conditions)[0]["sr"]


def _forward_rows(networks, tlc, count, height, variables, lr, conditions):
    """`_forward` of the first `height` rows; its rows become a multiple of `count`."""
    sr = _forward(networks, tlc, variables, lr[:, :height], conditions)
    return jnp.pad(sr, ((0, 0), (0, -sr.shape[1] % count), (0, 0), (0, 0)))


def _recurrent(networks):
    """(name, network) of the one for clips in a chain."""
    return next((name, network) for name, network in networks.items() if models.card(network).video)


def _stages(networks, tlc):
    """{name: what `Chain.scene` does of a frame} of a recurrent chain: "begin", the network's passes, "end"."""
    if chain_frames(networks) != "all":
        return {}
    (name, network), names = _recurrent(networks), list(networks)
    ahead, behind = names[:names.index(name)], names[names.index(name) + 1:]

    def images(some, variables, image, conditions):
        return run_chain(networks, some, variables, image, conditions=conditions)[0]["sr"] if some else image

    def means(frame):
        return local_means(tlc, *frame.shape[1:3]) if tlc else contextlib.nullcontext()

    def begin(variables, frame, before, conditions):
        with means(frame):
            seen = (images(ahead, variables, image, conditions) for image in (frame, before))
            return network.apply(variables[name], *seen, method="begin")

    def step(which, variables, carry, frame, conditions):
        del conditions  # of networks for images
        return network.apply(variables[name], which, carry, frame, method="step")

    def end(variables, frame, features, conditions):
        with means(frame):
            seen = images(ahead, variables, frame, conditions)
            sr = network.apply(variables[name], seen, *features, method="reconstruct")
            return images(behind, variables, sr, conditions)

    return {"begin": begin, "end": end, **{which: functools.partial(step, which) for which in network.passes}}


def _shapes(arguments):
    return tuple((leaf.shape, str(leaf.dtype)) for leaf in jax.tree.leaves(arguments))


def _bytes(shaped):
    return shaped.size * shaped.dtype.itemsize


def _estimate(networks, estimator, variables, lr):
    """`qf` of an image; what else the networks make is never computed."""
    outputs, _ = run_chain(networks, list(networks), variables, lr)
    return outputs["qf" if estimator == list(networks)[-1] else f"{estimator}/qf"]

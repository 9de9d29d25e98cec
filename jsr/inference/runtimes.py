"""Other libraries that can compute a chain of networks on a CPU, and the choice of the fastest.

ONNX Runtime and OpenVINO get the ONNX graph of the chain in float32 (jsr.onnx_graph.write) and give what XLA gives, but
for rounding: about 1e-6, now and then one level of a stored pixel. They are imported where they are asked for.
"""

from collections.abc import Callable
import dataclasses
import functools
import importlib.util
import logging
import statistics
import threading
import time

import jax
import numpy as np

from jsr.errors import UserError, install, nearest
from jsr.native import import_onnxruntime, import_openvino
from jsr.onnx_graph import LEAST_SIDE
from jsr.parallel import cores

_LARGEST_ERROR = 1e-4  # of the largest value, or of 1: 25 times what single precision costs, a fortieth of a level
_WORTH_SECONDS = 2.0  # computing in JAX so far that makes it likely that more is to come, and trying others worth while
_RUNS = 3             # timed of each runtime, after one that is not
_SIZES = 8            # of images, whose own graphs are kept open
_LOST = 1.5           # a runtime whose first timed run takes so many times the best median gets no more of them


def check_name(name):
    """Raises UserError unless it is "auto", "jax" or a runtime of OTHERS that is installed and has a CPU to itself."""
    if name not in NAMES:
        raise UserError(f"runtime {name!r}: {nearest(name, NAMES)}")
    if name in OTHERS and (missing := _missing(name)):
        raise UserError(f'runtime {name}: needs the package {missing}: {OTHERS[name].install}')
    if name in OTHERS and not _on_cpu():
        raise UserError(f"runtime {name}: is only for CPUs, and JAX has a faster device here; leave --runtime out, or "
                        "set JAX_PLATFORMS=cpu")


def open_onnx(graph):
    """A function of an ONNX graph in ONNX Runtime, on every core that this process may use.

    Args:
      graph: the serialised onnx.ModelProto, or the path of a file of it.

    Returns:
      Function of the graph's one input to its one output, NumPy arrays; safe to call from several threads.

    Raises:
      UserError: the package onnxruntime is missing.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise UserError(f"ONNX graphs are run by the package onnxruntime: {OTHERS['onnxruntime'].install}")
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores()
    options.log_severity_level = 3  # errors; it warns of what it cannot optimise
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()

    def run(image):
        try:
            return np.asarray(session.run(None, {given.name: image})[0])
        except Exception as e:  # its own classes, below no common one
            if "allocate memory" not in str(e):
                raise
            raise MemoryError(str(e)) from e

    return run


def _open_openvino(graph):
    """As open_onnx, in OpenVINO; a program for each size, since those for every size are slower."""
    core, lock, programs = import_openvino().Core(), threading.Lock(), {}
    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": cores(), "PERFORMANCE_HINT": "LATENCY"}

    def run(image):
        with lock:  # a program computes one image at a time
            if image.shape not in programs:
                model = core.read_model(graph)
                model.reshape(image.shape)
                programs[image.shape] = core.compile_model(model, "CPU", config)
            return programs[image.shape](image)[0]

    return run


@dataclasses.dataclass(frozen=True)
class Other:
    """A runtime beside JAX.

    Attributes:
      open: function of a serialised ONNX graph to a function of an image.
      install: command that installs its packages.
    """

    open: Callable[[bytes], Callable[[np.ndarray], np.ndarray]]
    install: str


OTHERS = {
    "onnxruntime": Other(open_onnx, install("export")),
    "openvino": Other(_open_openvino, install("export", "openvino")),
}
NAMES = ("auto", "jax", *OTHERS)


def opened(name, to_onnx, check=lambda function: None):
    """A function of images in a runtime of OTHERS, by one graph; where that cannot be, or is wrong, by one a size.

    Args:
      name: key of OTHERS.
      to_onnx: function of a size, (height, width), to the serialised ONNX graph of the chain for images of it; of None
        to the graph for all of LEAST_SIDE px and more, which some networks lack.
      check: function of such a function; raises where it is wrong.

    Raises:
      Exception: of whatever class, if there is no graph of one size either, or a wrong one.
    """
    try:
        function = OTHERS[name].open(to_onnx(None))
        check(function)
    except MemoryError:
        raise
    except Exception:  # of many classes: whatever of the network the exporter or the runtime lacks
        program = functools.lru_cache(_SIZES)(lambda size: OTHERS[name].open(to_onnx(size)))
        check(function := lambda image: program(image.shape[1:3])(image))
    return function


class Runner:
    """Computes images of a chain in the runtime asked for, or in the fastest; safe to call from several threads.

    With "auto" the others are tried once JAX has computed images of one size for a while; every run that is timed is
    one of those that are wanted anyway, and they are timed one by one. From then on images of that size go to the
    fastest.

    Args:
      name: one of NAMES.
      in_jax: function of a padded image (1, H, W, channels), float32, to a device array.
      to_onnx: as for `opened`.
      channels: channels of the images.
      multiple: sides of the padded images that the graph takes are multiples of it, px; JAX computes the others.
      probe: side of the padded image on which another runtime has to give what JAX gives, px.

    Attributes:
      name: as given.
      open_seconds: spent on making other runtimes ready so far.

    Raises:
      UserError: the runtime that was asked for cannot compute the chain, or computes it wrongly.
    """

    def __init__(self, name, in_jax, to_onnx, *, channels=3, multiple=1, probe):
        self.name, self.open_seconds, self._probe = name, 0.0, probe
        self._channels, self._multiple = channels, multiple
        self._to_onnx, self._functions, self._races = to_onnx, {"jax": in_jax}, {}
        self._lock = threading.RLock()
        self._contenders = [other for other in OTHERS if name == "auto" and _on_cpu() and not _missing(other)]
        if name in OTHERS:
            self._function(name)

    def __call__(self, image):
        """Float32 (1, H, W, channels), padded, to SR as an array of whichever library."""
        if self.name == "auto" and self._contenders and self._is_open(image.shape):
            with self._lock:
                race = self._races.setdefault(image.shape, Race(self._contenders))
                if race.winner is None:
                    return self._timed(race, image)
        return self._function(self.used(*image.shape[1:3]))(image)

    @property
    def opened(self):
        """Number of other runtimes made ready."""
        return len(self._functions) - 1

    @property
    def races(self):
        """{(height, width) of padded images: Race} of those whose fastest runtime is known."""
        return {shape[1:3]: race for shape, race in self._races.items() if race.winner and len(race.seconds) > 1}

    def used(self, height, width):
        """The name of the runtime that padded images of that size are computed in now."""
        shape = (1, height, width, self._channels)
        if self.name in OTHERS and self._is_open(shape):
            return self.name
        race = self._races.get(shape)
        return race.winner if race and race.winner else "jax"

    def _is_open(self, shape):
        """Whether the graph takes images of that shape."""
        return min(shape[1:3]) >= LEAST_SIDE and not any(side % self._multiple for side in shape[1:3])

    def _function(self, name):
        with self._lock:
            if name not in self._functions:
                start = time.perf_counter()
                self._functions[name] = self._opened(name)
                self.open_seconds += time.perf_counter() - start
            return self._functions[name]

    def _opened(self, name):
        try:
            return opened(name, self._to_onnx, functools.partial(self._compare, name))
        except (UserError, MemoryError):
            raise
        except Exception as e:  # of many classes, see `opened`
            reason, *_ = str(e).strip().split("\n")
            raise UserError(f"runtime {name}: cannot compute this network, use jax "
                            f"({type(e).__name__}: {reason:.120})") from e

    def _compare(self, name, function):
        """Raises UserError unless a runtime gives what JAX gives for noise: runtimes rewrite graphs, some wrongly."""
        shape = (1, self._probe, self._probe, self._channels)
        noise = np.random.default_rng(0).random(shape, np.float32)
        expected = np.asarray(self._functions["jax"](noise))
        error = np.abs(function(noise) - expected).max() / max(1, np.abs(expected).max())
        if not error <= _LARGEST_ERROR:
            raise UserError(f"runtime {name}: computes this network wrongly, off by {error:.1e}; use jax")

    def _timed(self, race, image):
        """One run of a race; a runtime that cannot compute the chain leaves this race and takes part in no other."""
        name = race.racing
        try:
            function = self._function(name)
        except UserError as e:
            logging.getLogger(__name__).info("%s", e)
            self._contenders = [other for other in self._contenders if other != name]
            race.leave(name)
            return self(image)
        start = time.perf_counter()
        sr = np.asarray(function(image))
        race.note(name, time.perf_counter() - start)
        return sr


class Race:
    """A race of several runtimes for images of one size.

    Args:
      others: runtimes beside "jax", in the order in which they are tried.

    Attributes:
      winner: None as long as it is not known.
      racing: the runtime that computes the next image.
      seconds: {runtime: list of its timed runs}.
    """

    def __init__(self, others):
        self.winner, self.racing, self.seconds = None, "jax", {}
        self._waiting, self._warm = list(others), set()

    def note(self, name, seconds):
        """Takes down how long a run took; the first one of each runtime also compiles, and does not count."""
        if name not in self._warm:
            self._warm.add(name)
            return
        times = self.seconds.setdefault(name, [])
        times.append(seconds)
        if name == "jax":
            done = len(times) >= _RUNS and sum(times) >= _WORTH_SECONDS
        else:
            done = len(times) >= _RUNS or seconds > _LOST * min(self.medians().values())
        if done:
            self._next()

    def leave(self, name):
        """A runtime cannot compute it."""
        self.seconds.pop(name, None)
        self._next()

    def medians(self):
        """{runtime: median seconds an image}."""
        return {name: statistics.median(times) for name, times in self.seconds.items()}

    def _next(self):
        if self._waiting:
            self.racing = self._waiting.pop(0)
        else:
            medians = self.medians()
            self.winner = min(medians, key=lambda name: medians[name])


def _missing(name):
    """The first package that a runtime lacks, or None."""
    return next((package for package in ("onnx", name) if importlib.util.find_spec(package) is None), None)


def _on_cpu():
    return jax.default_backend() == "cpu"

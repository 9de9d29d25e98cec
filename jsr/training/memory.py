"""The step of a stage as a compiled program, its memory, and the overrides that would reduce it."""

import contextlib
import dataclasses
import logging
import math

import jax
import numpy as np
from rich.filesize import decimal

from jsr import device, images, recipes, sharding
from jsr.errors import UserError, is_out_of_memory
from jsr.training import stages
from jsr.training.step import make_step

log = logging.getLogger("jsr")

# Overrides that make a step smaller, the least harmful first: those that leave the numbers as they are (but for
# rounding), those that change precision, those that change the training. `{}` is the stage.
SMALLER = (("stages[{}].accumulate", "2"), ("stages[{}].accumulate", "4"), ("stages[{}].accumulate", "8"),
           ("stages[{}].remat", "blocks"), ("dtype", "bfloat16"))
_BATCHES = 4  # on the device at a time: two on their way, the step's, and the one before's
_MARGIN = 0.9  # of what a step that ran out of memory had planned: what must be saved at least


def build(plan, state):
    """The jitted step of a stage: step(state, batch, key, frozen, seen), see `make_step`.

    Args:
      plan: StagePlan of the stage.
      state: the TrainState, or its shapes; what the step returns lies as it does.
    """
    mesh = sharding.mesh_of(state)
    if mesh is None:
        return jax.jit(make_step(plan), donate_argnums=0)
    return jax.jit(make_step(plan, mesh), donate_argnums=0,
                   out_shardings=(sharding.shardings(state, mesh), sharding.replicated(mesh)))


@dataclasses.dataclass(frozen=True)
class Memory:
    """Memory of a compiled step on one device, bytes.

    Attributes:
      parameters, average, optimizer, frozen: bytes of these parts of the state, and beside it.
      batches: those on the device at a time.
      temporaries: activations, gradients and what else the program needs while it runs.
    """

    parameters: int
    average: int
    optimizer: int
    frozen: int
    batches: int
    temporaries: int

    @property
    def total(self):
        """All of them."""
        return sum(dataclasses.astuple(self))

    def __str__(self):
        parts = ", ".join(f"{field.name} {decimal(size)}" for field in dataclasses.fields(self)
                          if (size := getattr(self, field.name)))
        return f"{decimal(self.total)} ({parts})"


def needed(compiled, state, batch, frozen):
    """The Memory that a compiled step takes; its arguments may be arrays or jax.ShapeDtypeStructs with shardings."""
    stats = compiled.memory_analysis()
    nets = state.nets.values()
    return Memory(parameters=_size([net["variables"] for net in nets]), average=_size([net.get("ema") for net in nets]),
                  optimizer=_size([net.get("opt") for net in nets]), frozen=_size(frozen),
                  batches=_BATCHES * _size(batch),
                  temporaries=stats.temp_size_in_bytes + stats.output_size_in_bytes - stats.alias_size_in_bytes)


def _size(tree):
    """Bytes of a tree's arrays on one device."""
    return sum(math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


class Program:
    """The compiled step of a stage: step(state, batch, key, frozen, seen).

    Args:
      plan: StagePlan of the stage.
      state, batch, key, frozen: as the step takes them, on the devices.

    Attributes:
      memory: Memory that it takes.

    Raises:
      UserError: it does not fit into the device's free memory; names the smallest change of the recipe that would.
    """

    def __init__(self, plan, state, batch, key, frozen):
        self._plan, self.memory = plan, None
        self._given = *(jax.tree.map(_abstract, tree) for tree in (state, batch)), key, jax.tree.map(_abstract, frozen)
        free = device.free_memory()
        with self.explained():
            self._run = build(plan, state).lower(*self._given, np.int32(0)).compile()
        self.memory = needed(self._run, state, batch, frozen)
        log.info("memory: a step takes %s; free besides the state: %s", self.memory, decimal(int(free)))
        if self.memory.temporaries > free:
            raise self._shortage(free)

    def __call__(self, *arguments):
        """Runs the step."""
        return self._run(*arguments)

    @contextlib.contextmanager
    def explained(self):
        """Turns an out-of-memory error of the block into a UserError that says what would fit."""
        try:
            yield
        except Exception as e:
            if isinstance(e, UserError) or not is_out_of_memory(e):
                raise
            raise self._shortage() from e

    def _shortage(self, free=math.inf):
        """The UserError; alternatives are compiled one by one, without computing anything.

        What ran out of memory though there seemed to be enough must become smaller by a tenth at least.
        """
        wanted = min(free, _MARGIN * self.memory.temporaries if self.memory else free)
        needs = (f"out of memory: a step takes {self.memory}" if self.memory
                 else "out of memory while compiling the step")
        needs += f", and {decimal(int(free))} are free" if math.isfinite(free) else ""
        mesh = sharding.mesh_of(self._given[0])
        for overrides in _alternatives(self._plan, mesh.shape[sharding.DATA] if mesh else 1):
            words = " ".join(f"--config.{name}={value}" for name, value in overrides)
            log.info("out of memory; would it fit with %s ?", words)
            try:
                found = self._memory_with(overrides)
            except Exception:  # whatever a device that is full, or a network that has no such form, makes of it
                continue
            if found.temporaries <= wanted:
                return UserError(f"{needs}; it would take {found} with {words}")
        crop, index = images.sides_text(self._plan.stage.crop_hw), self._plan.index
        return UserError(f"{needs}; neither a smaller batch nor a lower precision suffices: use a smaller crop than "
                         f"{crop} (--config.stages[{index}].crop=...)")

    def _memory_with(self, overrides):
        plan = stages.plan_of(recipes.changed(self._plan.recipe, overrides), self._plan.index)
        state, batch, key, frozen = self._given
        batch = {name: jax.ShapeDtypeStruct((plan.stage.batch, *leaf.shape[1:]), leaf.dtype,
                                            sharding=leaf.sharding) for name, leaf in batch.items()}
        compiled = build(plan, state).lower(state, batch, key, frozen, np.int32(0)).compile()
        return needed(compiled, state, batch, frozen)


def _alternatives(plan, parts=1):
    """Lists of overrides (key, text) to try: each of `SMALLER` alone, all of them, then smaller batches.

    Args:
      plan: StagePlan of the stage.
      parts: number that a batch must be a multiple of.
    """
    index, batch, rows = plan.index, plan.stage.batch, []
    for name, value in ((name.format(index), value) for name, value in SMALLER):
        if not name.endswith("accumulate") or batch % int(value) == 0:
            rows.append((name, value))
    together = list(dict(rows).items())
    halves = [batch >> k for k in range(1, batch.bit_length()) if (batch >> k) << k == batch]
    smaller = [(f"stages[{index}].batch", str(half)) for half in halves if half % parts == 0]
    return [[row] for row in rows] + [together] * (len(together) > 1) + [[row] for row in smaller]


def _abstract(leaf):
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)


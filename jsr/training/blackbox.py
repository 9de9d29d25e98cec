"""The black box: the inputs of a step whose loss or gradient was not finite, and the search for its first cause.

Such a step changes nothing, so the variables after it are those before it. A run looks at each step's flag while the
next is on its way, and that one does nothing until the run has looked (`seen` of the step): no step waits for the host,
and what is written down is exact.

A box is a folder <workdir>/blackbox/step<N>:

  step.json          {format, step, stage, metrics, config, fingerprint}; metrics are the step's
  batch.safetensors  the batch as the step got it, uint8
  state.safetensors  what the step began with: "nets/<network>/variables/<collection>/<path>" and what else is in the
                     state but optimizers and averages; "frozen/<network>/..."; "key", the stage's PRNG key
"""

import collections
import collections.abc
import dataclasses
import itertools
import json
import math
from pathlib import Path
import re

from flax import linen as nn
from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from jsr import losses, reparam, sharding
from jsr.errors import UserError
from jsr.files import atomic_write, from_json
from jsr.recipes import schema
from jsr.training import memory, stages
from jsr.training import state as states
from jsr.training.step import forward, intercepted, prepare
from jsr.trees import plain

FORMAT = 1
BOXES = 3  # that a run writes at most
_LEFT_OUT = re.compile(r"nets/[^/]+/(opt|ema)/")  # large, and no part of loss and gradient


class Watched:
    """A compiled step that is watched: the first steps that are skipped leave a black box each.

    Args:
      run_step: step(state, batch, key, frozen, seen), compiled.
      key, frozen: as the step takes them.
      skipped: steps that had been skipped when the first of these begins.
      on_skip: called with (step number, batch, state, metrics) of a skipped step; the state is what it left.
    """

    def __init__(self, run_step, key, frozen, *, skipped, on_skip):
        self._run, self._key, self._frozen, self._on_skip = run_step, key, frozen, on_skip
        self._seen, self._before = skipped, None

    def __call__(self, number, state, batch):
        """Runs step `number` of the run; returns (state, metrics)."""
        given = state, values = self._step(state, batch)
        if not self._passed(state):  # the step before was skipped, and this one has waited
            given = state, values = self._step(state, batch)
        self._before = number, batch, values
        return given

    def settle(self, state):
        """Looks at the last step too; `state` is what it returned."""
        self._passed(state)
        self._before = None

    def _step(self, state, batch):
        return self._run(state, batch, self._key, self._frozen, np.int32(self._seen))

    def _passed(self, state):
        """Whether the step before was not skipped; `state` is that after it, or the same through one that waited."""
        if self._before is None or not float(self._before[2]["skipped"]):
            return True
        self._seen += 1
        number, batch, values = self._before
        self._on_skip(number, batch, state, values)
        return False


def is_accident(values):
    """Whether a skipped step's metrics tell of more than a gradient too large for float16 at its loss scale."""
    return not math.isfinite(values["loss"]) or values.get("loss_scale", 1) <= 1


def write(workdir, number, batch, state, values, *, plan, key, frozen, fingerprint):
    """Writes the box of a skipped step, unless the run has `BOXES` already.

    Args:
      workdir: the run's.
      number: number of the step, counted from 1.
      batch, state, values: the step's batch, the state that it left, its metrics.
      plan: StagePlan of the stage.
      key: the stage's PRNG key.
      frozen: {name: variables} of networks outside the state.
      fingerprint: fingerprint of the run.

    Returns:
      The box's folder; None where none was written.
    """
    folder = Path(workdir) / "blackbox" / f"step{number}"
    values = {name: float(value) for name, value in jax.device_get(values).items()}
    if not is_accident(values) or not folder.exists() and len(list(folder.parent.glob("step*"))) >= BOXES:
        return None
    note = {"format": FORMAT, "step": number, "stage": plan.index, "config": plain(plan.recipe),
            "fingerprint": fingerprint,
            "metrics": {name: value if math.isfinite(value) else str(value) for name, value in values.items()}}
    scale = {**state.loss_scale, "scale": jnp.float32(values["loss_scale"])} if state.loss_scale else {}
    state = states.by_names(state)
    began = state.replace(step=jnp.int32(number - 1), skipped=state.skipped - 1, loss_scale=scale)
    given = {name: leaf for name, leaf in _leaves(began) if not _LEFT_OUT.match(name)}
    given |= dict(_leaves({"frozen": frozen})) | {"key": jax.random.key_data(key)}
    for name, arrays in (("state", given), ("batch", batch)):
        with atomic_write(folder / f"{name}.safetensors") as file:
            file.write(safetensors.numpy.save({k: np.asarray(v, order="C") for k, v in jax.device_get(arrays).items()}))
    with atomic_write(folder / "step.json", "w") as file:  # the last: a folder with it is whole
        json.dump(note, file, indent=1)
    return folder


def _leaves(tree):
    """("nets/sr/variables/...", array) of every array of a tree."""
    return [(jax.tree_util.keystr(path, simple=True, separator="/"), leaf)
            for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]


@dataclasses.dataclass(frozen=True)
class Box:
    """The content of a black box, as `read` finds it.

    Attributes:
      note: the content of step.json.
      plan: StagePlan of the stage.
      state: the TrainState that the step began with, zeros for optimizers and averages.
      frozen: {name: variables} of networks outside the state.
      batch: {key: array}.
      key: the stage's PRNG key.
    """

    note: dict
    plan: stages.StagePlan
    state: states.TrainState
    frozen: dict
    batch: dict
    key: jax.Array


def read(folder):
    """The Box in a folder; raises UserError where there is none, or a damaged one."""
    folder = Path(folder)
    if not (folder / "step.json").exists():
        raise UserError(f"{folder}: no black box of a run; name a folder as runs/aim22_t1/quick/blackbox/step12")
    with from_json(folder / "step.json", "it cannot be replayed") as note:
        if note.get("format") != FORMAT:
            raise UserError(f"{folder}: is of format {note.get('format')}, this jsr reads format {FORMAT}; use the jsr "
                            "version that wrote it")
        plan, _ = stages.plan_of(schema.read(note["config"]), note["stage"]), note["step"]
    try:
        tensors, batch = (safetensors.numpy.load_file(folder / f"{name}.safetensors") for name in ("state", "batch"))
        key = jax.random.wrap_key_data(tensors.pop("key"))
    except (KeyError, TypeError, safetensors.SafetensorError, OSError) as e:
        raise UserError(f"{folder}: a damaged black box ({e}); it cannot be replayed") from e
    abstract = states.abstract(plan, sharding.make_mesh(jax.devices()[:1]), named=True)
    leaves = [tensors.get(name, np.zeros(leaf.shape, leaf.dtype)) for name, leaf in _leaves(abstract)]
    frozen = {tuple(name.split("/")[1:]): leaf for name, leaf in tensors.items() if name.startswith("frozen/")}
    return Box(note, plan, jax.tree.unflatten(jax.tree.structure(abstract), leaves),
               traverse_util.unflatten_dict(frozen), batch, key)


@dataclasses.dataclass(frozen=True)
class Seen:
    """A place of a step's computation.

    Attributes:
      kind: "batch", "module", "loss" or "gradient".
      path: "lr", "sr/body_0/conv1", "loss/l1_sr", "sr/body_0/conv1/kernel".
      size: number of values.
      bad: number of values that are not finite.
      largest: max|x| of the others.
      fed: whether all that a module takes in is finite.
      params: {name: how many values are not finite} of a module's own parameters, where there are any.
    """

    kind: str
    path: str
    size: int
    bad: int
    largest: float
    fed: bool = True
    params: dict = dataclasses.field(default_factory=dict)


def replay(box):
    """Runs a box's step again, by the run's own program and, place by place, in its precision and in float64.

    Returns:
      (reproduced, own, exact): whether the program skipped the step again; [Seen] in the recipe's dtype; [Seen] in
      float64.
    """
    state = jax.tree.map(jnp.asarray, box.state)
    _, metrics = memory.build(box.plan, state)(state, box.batch, box.key, box.frozen)
    batch = _as_seen(box)
    own = trace(box, batch)
    with jax.enable_x64(True):
        exact = trace(box, batch, jnp.float64)
    return bool(metrics["skipped"]), own, exact


def _as_seen(box):
    """The batch as the networks see it; in float32, since draws in float64 are others."""
    return jax.jit(lambda variables, batch: prepare(box.plan, variables, batch, _step_key(box)))(_variables(box),
                                                                                                 box.batch)


def _variables(box):
    return {name: net["variables"] for name, net in box.state.nets.items()} | box.frozen


def _step_key(box):
    return jax.random.fold_in(box.key, int(box.state.step))


def trace(box, batch, dtype=None):
    """A step's intermediate values, in order: the batch, what every module gives, losses, gradients.

    Gradients are in the order of the backward pass: that of the last module first. The batch goes through whole, and
    gradients are not scaled, even where the stage accumulates or computes in float16.

    Args:
      box: a Box.
      batch: dict of float32 arrays, as the networks see them.
      dtype: dtype of everything; None for the recipe's, with parameters and losses in float32.

    Returns:
      [Seen].
    """
    places = []  # what is known of each without computing

    def run(variables, loss_params, batch):
        places.clear()
        return _places(box, dtype, variables, loss_params, batch, places)

    def wide(tree):
        return jax.tree.map(lambda x: jnp.asarray(x, dtype if jnp.issubdtype(x.dtype, jnp.floating) else None), tree)

    numbers = jax.device_get(jax.jit(run)(wide(_variables(box)), wide(box.state.loss_params), wide(batch)))
    seen = [Seen(kind, path, size, int(bad), float(largest), bool(fed), {k: int(n) for k, n in params.items() if n})
            for (kind, path, size), (bad, largest, fed, params) in zip(places, numbers, strict=True)]
    order = [place.path for place in seen if place.kind == "module"]
    backwards = sorted(seen, key=lambda place: -_called(place.path, order))
    return [place for place in seen if place.kind != "gradient"] + [p for p in backwards if p.kind == "gradient"]


def _places(box, dtype, variables, loss_params, batch, places):
    """The numbers of each place, whose names are added to `places`."""
    stage, chain, key, numbers = box.plan.stage, list(box.plan.recipe.chain), _step_key(box), []

    def note(kind, path, values, fed=True, params=None):
        values = [value for value in jax.tree.leaves(values) if jnp.issubdtype(value.dtype, jnp.inexact)]
        if values:
            places.append((kind, path, sum(value.size for value in values)))
            finite = [jnp.where(jnp.isfinite(value), _wide(jnp.abs(value)), 0) for value in values]
            numbers.append((sum(map(_bad, values)), jnp.stack([f.max() for f in finite]).max(), jnp.asarray(fed),
                            {name: _bad(value) for name, value in (params or {}).items()}))

    given = {name: _as_traced(module, name, dtype) for name, module in box.plan.networks.items()}
    forms = given | ({name: reparam.deployed(given[name]) for name in chain} if stage.fused else {})
    passed = [name for name in chain if not stages.in_head(variables, chain, name)]
    in_training = {name for player in stage.players for name in player.nets}
    for name, value in batch.items():
        note("batch", name, value)

    def loss_of(params, number, player):
        now = {**variables, **{name: {**variables[name], "params": own} for name, own in params.items()}}
        if stage.fused:
            now |= {name: reparam.fuse_params(given[name], now[name]) for name in chain}
        before = len(numbers)
        prefix = f"player{number}/" if number else ""
        with intercepted("", stage.frozen_statistics), nn.intercept_methods(_watcher(note, prefix)):
            outputs, _ = forward(forms, passed, now, batch, losses.keys(player.losses), train=in_training,
                                 rngs={"dropout": key})
        learnt = {name: row["params"] for name, row in loss_params.get(f"player{number}", {}).items()}
        loss, values = losses.total(player.losses, outputs, batch, learnt)
        for name, value in values.items():
            note("loss", f"{prefix}{name}", value)
        found, numbers[before:] = numbers[before:], []  # out of the differentiated function only by its result
        return loss, found

    for number, player in enumerate(stage.players):
        params = {name: variables[name]["params"] for name in player.nets}
        gradients, found = jax.grad(loss_of, has_aux=True)(params, number, player)
        numbers.extend(found)
        for path, leaf in _leaves(gradients):
            note("gradient", path, leaf)
    return numbers


def _bad(value):
    return (~jnp.isfinite(value)).sum()


def _wide(value):
    return value.astype(jnp.promote_types(value.dtype, jnp.float32))


def _as_traced(module, name, dtype):
    """A network called `name` that computes in `dtype`, all at once: what is recomputed cannot be looked into."""
    fields = {"dtype": dtype} if dtype else {}
    return module.clone(name=name, **fields, **({"remat": False} if hasattr(module, "remat") else {}))


def _watcher(note, prefix):
    """An interceptor of Flax's methods that notes what every module gives; networks must have names."""
    network, calls = "", collections.Counter()

    def watch(call, args, kwargs, context):
        nonlocal network
        module = context.module
        if context.method_name != "__call__":
            return call(*args, **kwargs)
        network = network if module.path else module.name
        path = "/".join([network, *module.path])
        result = call(*args, **kwargs)
        calls[path] += 1
        own = {name: value for name, value in module.variables.get("params", {}).items()
               if not isinstance(value, collections.abc.Mapping)}
        taken = [value for value in jax.tree.leaves((args, kwargs)) if isinstance(value, jax.Array)]
        note("module", f"{prefix}{path}" + (f" ({calls[path]})" if calls[path] > 1 else ""), result,
             fed=sum(map(_bad, taken)) == 0, params=own)
        return result

    return watch


def _called(leaf, order):
    """When the module of a parameter was last called: an index of the modules' paths."""
    return max((number for number, path in enumerate(order) if leaf.startswith(f"{path}/")), default=-1,
               key=lambda number: (len(order[number]), number))


def first_bad(seen):
    """The first place that is not finite, None where all are."""
    return next((place for place in seen if place.bad), None)


def statement(box, reproduced, own, exact):
    """A replay's finding, as lines of text."""
    dtype, first, first_exact = box.plan.recipe.dtype, first_bad(own), first_bad(exact)
    lines = [f"step {box.note['step']} of {box.plan.recipe.recipe}: "
             + ("skipped again, its loss or gradient is not finite" if reproduced
                else "not reproduced: here its loss and gradient are finite")]
    if first is None:
        return [*lines, f"in {dtype}, looked at place by place, every number is finite"]
    lines.append(f"{dtype}: {_blame(first, own)}")
    if first_exact is None:
        there = next(place for place in exact if (place.kind, place.path) == (first.kind, first.path))
        return [*lines, f"float64: every number is finite, there up to {there.largest:.3g}: {_why(there, dtype)}"]
    same = (first_exact.kind, first_exact.path) == (first.kind, first.path)
    return [*lines, "float64: the same: no matter of precision" if same else f"float64: {_blame(first_exact, exact)}"]


def _why(there, dtype):
    """An explanation of a number that is finite only in float64."""
    if there.largest > float(jnp.finfo(jnp.float32).max):
        return "the training has diverged; lower the learning rate or clip the gradient"
    if there.largest > float(jnp.finfo(dtype).max):
        return f"too large for {dtype}, which ends at {float(jnp.finfo(dtype).max):.5g}; use bfloat16 or float32"
    return f"a matter of {dtype}'s precision"


def _blame(first, seen):
    """The place of the first value that is not finite, in words."""
    what = f"{first.bad:,} of {first.size:,} values of"
    if first.kind == "batch":
        return f"{what} the batch's {first.path} are not finite: the data is to blame"
    if first.kind == "loss":
        return f"what the networks give is finite, the loss {first.path} is not"
    if first.kind == "gradient":
        return f"the losses are finite, the gradient is not: first, backwards, {what} that of {first.path}"
    if first.params:
        broken = ", ".join(f"{count:,} of {name}" for name, count in first.params.items())
        return f"{first.path} has parameters that are not finite ({broken})"
    what += f" the output of {first.path} are not finite, the first to be so"
    if first.fed:
        return f"{what}; all that goes in is finite"
    before = [place.path for place in itertools.takewhile(lambda place: place is not first, seen)]
    return f"{what}; what goes in is not either: it begins between {before[-1]} and there"


def neighbourhood(own, exact, *, before=5, after=3):
    """Rows about the first place that is not finite: [(Seen, its Seen in float64)]; the last places without one."""
    there = {(place.kind, place.path): place for place in exact}
    first = first_bad(own)
    number = own.index(first) if first else len(own) - 1
    return [(place, there[place.kind, place.path]) for place in own[max(number - before, 0):number + after + 1]]

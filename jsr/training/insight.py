"""A run's figures about itself: norms of gradients and updates, and times of its parts."""

import contextlib
import time

import jax
import jax.numpy as jnp
import optax

from jsr import sharding
from jsr.files import json_rows, writing

GROUPS = 4  # of a network's parameters whose norms are logged, the largest
PARTS = {"step": "training steps", "data": "waiting for data", "start": "compiling, first batches",
         "validation": "validation", "picture": "pictures", "checkpoint": "checkpoints"}
_STILL = 3  # validations
_WARM = 2  # steps before a profile, after which memory is where it stays
_REVIVE = ("dead ReLUs as a rule: try a leaky one (--config.networks.NAME.fields.act=lrelu, of networks that "
           "have it) or a lower learning rate (--config.stages[0].learning_rate=...)")
_TOO_LONG_WAITING = 0.2  # of the time of steps and data


def statistics(grads, params, nets):
    """Norms that tell whether a network learns, and where.

    Args:
      grads: {net name: gradients}, before clipping.
      params: {net name: parameters} before the update; trees, or as jsr.sharding.Flat, as grads and nets then are too.
      nets: {net name: {"variables", "ema"}} after it, as in a TrainState.

    Returns:
      Scalars: `grad_norm/<net>`; `update_ratio/<net>`, the update's norm over the parameters'; `ema_distance/<net>`,
      the norm of average minus parameters over that of the parameters, where there is an average; the first two also
      for the network's `GROUPS` largest submodules, `grad_norm/<net>/<submodule>`.
    """
    found = {}
    for name, net in nets.items():
        new = net["variables"]["params"]
        places = {name: (grads[name], params[name], new)}
        for group in _largest(sharding.named(params[name])):
            places[f"{name}/{group}"] = grads[name][group], params[name][group], new[group]
        for place, (grad, old, updated) in places.items():
            found[f"grad_norm/{place}"] = optax.tree.norm(grad)
            found[f"update_ratio/{place}"] = _ratio(updated, old)
        if "ema" in net:
            found[f"ema_distance/{name}"] = _ratio(net["ema"], new)
    return found


def _largest(params):
    """The names of a network's submodules with the most parameters, in the network's order; [] where it has one."""
    sizes = {name: sum(leaf.size for leaf in jax.tree.leaves(tree)) for name, tree in params.items()}
    kept = sorted(sizes, key=sizes.get, reverse=True)[:GROUPS]
    return [name for name in params if name in kept] if len(sizes) > 1 else []


def _ratio(new, old):
    return optax.tree.norm(optax.tree.sub(new, old)) / jnp.maximum(optax.tree.norm(old), 1e-12)


class Clock:
    """A stopwatch that books every second to one of `PARTS`, to "step" where nothing else is said."""

    def __init__(self):
        self._part, self._since, self._spent = "step", time.perf_counter(), dict.fromkeys(PARTS, 0.0)

    @contextlib.contextmanager
    def part(self, name):
        """Books the time of the block to `name`, but for blocks within it."""
        outer = self._switch(name)
        try:
            yield
        finally:
            self._switch(outer)

    def waiting(self, iterator):
        """Yields the items; waiting is booked to "data", or to "start" while that part is at work."""
        while True:
            with self.part("start" if self._part == "start" else "data"):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def taken(self):
        """{part: seconds} since the last call."""
        self._switch(self._part)
        spent, self._spent = self._spent, dict.fromkeys(PARTS, 0.0)
        return spent

    def _switch(self, name):
        now = time.perf_counter()
        self._spent[self._part] += now - self._since
        outer, self._part, self._since = self._part, name, now
        return outer


class Profile:
    """Traces steps of a run by jax.profiler, after its first ones and within one stage, so that nothing compiles.

    Args:
      folder: gets the trace.
      steps: number of steps; 0 traces none.
    """

    def __init__(self, folder, steps):
        self._folder, self._steps, self._warm, self._traced = folder, steps, _WARM, 0
        if steps:
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)

    def step(self, number):
        """A context manager for step `number` of the run; begins the trace where it is due."""
        if self._warm or not self._steps:
            return contextlib.nullcontext()
        if not self._traced:
            jax.profiler.start_trace(self._folder)
        self._traced += 1
        return jax.profiler.StepTraceAnnotation("train", step_num=number)

    def stepped(self, values, last):
        """After a step; ends the trace where that is due.

        Args:
          values: results of the step.
          last: whether it was the last of its stage.

        Returns:
          The line that says how to look at the trace, once; else "".
        """
        self._warm = _WARM if last else max(self._warm - 1, 0)
        if not self._traced or self._traced < self._steps and not last:
            return ""
        jax.block_until_ready(values)
        return self.close()

    def close(self):
        """Ends a trace that is under way; returns the line as `stepped` does."""
        if not self._traced:
            return ""
        count, self._traced, self._steps = self._traced, 0, 0
        jax.profiler.stop_trace()
        return (f"{count} steps are traced in {self._folder}: open its *.trace.json.gz at https://ui.perfetto.dev, or "
                f"pip install xprof && xprof --logdir {self._folder}")

    @property
    def left(self):
        """Whether the trace is still to come."""
        return self._steps > 0


class Alarm:
    """Notices networks that do not learn, and says so once: its methods give a warning, "" for none."""

    def __init__(self):
        self._zero, self._still, self._said = set(), 0, set()

    def trained(self, step, summary):
        """After a log line, with its norms (see `statistics`); a gradient that is 0 over two of them is no accident."""
        zero = {name.partition("grad_norm/")[2] for name, value in summary.items()
                if "grad_norm/" in name and not value}
        dead, self._zero = zero & self._zero, zero
        blocks = sorted(name for name in dead if not any(other.startswith(f"{name}/") for other in dead))
        return self._once("gradient", f"step {step}: the gradients of {', '.join(blocks)} are all zero, so these "
                                      f"do not learn; {_REVIVE}" if blocks else "")

    def validated(self, step, gain):
        """After a validation, with its gain."""
        self._still = self._still + 1 if gain == 0 else 0
        blocks = f" (no gradient reaches {', '.join(sorted(self._zero))})" if self._zero else ""
        return self._once("gain", f"step {step}: the gain was exactly 0 at {_STILL} validations in a row: the networks "
                          f"give what the baseline gives{blocks}; {_REVIVE}" if self._still == _STILL else "")

    def _once(self, kind, text):
        if not text or kind in self._said:
            return ""
        self._said.add(kind)
        return text


def shares(spent):
    """{part: seconds} as numbers for a log line: `seconds`, all of them, and `time/<part>`, the part's share."""
    total = sum(spent.values())
    return {"seconds": total, **{f"time/{part}": seconds / total for part, seconds in spent.items()}}


def log_rows(workdir):
    """The rows of a run's metrics.jsonl, [{step, kind, ...}]; [] where there is none."""
    return json_rows(workdir / "metrics.jsonl")[0]


def times(rows):
    """{part: seconds} over all log rows of a run that have them."""
    rows = [row for row in rows if all(isinstance(row.get(key), (int, float))
                                       for key in ("seconds", *(f"time/{part}" for part in PARTS)))]
    return {part: sum(row["seconds"] * row[f"time/{part}"] for row in rows) for part in PARTS}


def time_table(spent):
    """The rich table of where a run's time went."""
    from rich.table import Table  # the step, which imports this module, needs none

    table = Table(title="time", box=None, title_justify="left", show_header=False)
    for part, seconds in spent.items():
        table.add_row(PARTS[part], duration(seconds), f"{seconds / max(sum(spent.values()), 1e-9):.0%}")
    return table


def advice(spent, num_workers):
    """Advice for a run that waited long for data, one line; "" where not."""
    training = spent["step"] + spent["data"]
    if spent["data"] < _TOO_LONG_WAITING * training:
        return ""
    return (f"{spent['data'] / training:.0%} of the training waited for data: try more workers "
            f"(--config.data.num_workers={2 * max(num_workers, 1)}), a larger network, or a cheaper degradation; "
            "on an accelerator --config.data.degrade_on=device takes JPEG and resizes off the workers")


def duration(seconds):
    """Seconds as h:mm:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"

"""A challenge's published table measured again: each entry's deployed network by the challenge's rules.

Weights are fresh: how well an entry does is what its report says, how long it takes is what this machine says.
"""

import json
import math
import operator
from pathlib import Path

import jax

from jsr import challenges, models, recipes, reparam
from jsr.errors import UserError, is_out_of_memory, nearest
from jsr.files import atomic_write, from_json
from jsr.timing import timing, upscaling
from jsr.training import stages


def entries(protocols, names=()):
    """The recipes of published entries, of some challenges, in the order of their track files.

    Args:
      protocols: names of challenges that have rules of timing.
      names: names of recipes, as in "casr"; () takes all.

    Raises:
      UserError: no such challenge, or no entry of that name in any of them.
    """
    timed = [name for name, protocol in challenges.PROTOCOLS.items() if protocol.timing]
    for name in protocols:
        if name not in timed:
            raise UserError(f"challenge protocol {name!r} has no rules of timing here; {nearest(name, timed)}")
    found = [(name, recipe) for _, name, recipe in recipes.all_recipes()
             if recipe.entry and recipe.protocol in protocols]
    known = [name for name, _ in found]
    for name in names:
        if name not in known:
            raise UserError(f"{', '.join(protocols)}: no published entry {name!r}; {nearest(name, known)}")
    return [recipe for name, recipe in found if not names or name in names]


def published(recipe):
    """The report's figures of an entry.

    Returns:
      {gain_db: over the challenge's baseline, runtime_ms, hardware, score, params_m, flops_g}; None where it is silent.
    """
    protocol, line = challenges.protocol(recipe.protocol), challenges.published(recipe.protocol, recipe.entry)
    said = challenges.figures(line)
    return {"gain_db": challenges.level(protocol, line) - challenges.level(protocol, protocol.published),
            "runtime_ms": said["runtime_ms"], "hardware": protocol.runtime or line["hardware"],
            "score": float(line["score"]) if line.get("score") else None, "params_m": said["params_M"],
            "flops_g": said["gmacs"]}


def size_of(recipe, size=None):
    """[height, width] of an entry's LR image: `size`, or the challenge's."""
    return list(size or challenges.protocol(recipe.protocol).timing.size)


def measure(recipe, *, size=None, dtype="float32", wanted=(), runtimes=(), rounds=None, max_seconds=math.inf,
            announce=lambda line: None):
    """Times one entry.

    Args:
      recipe: one of `entries`.
      size: (height, width) of the LR image; None is the challenge's.
      dtype, wanted, runtimes, max_seconds, announce: as for jsr.timing.upscaling.measure.
      rounds: timed calls of each; None is as the challenge had them, as far as `max_seconds` allow.

    Returns:
      {recipe, title, protocol, size, dtype, wanted, runtimes, rounds, date, published, passes, note, and, where memory
      sufficed, what jsr.timing.upscaling.measure says, model_bytes, runtime, runtime_ms, whole_ms, score, best_peer,
      jax_ratio and ratio}.
      `runtime` is the fastest of those that `jsr upscale` may choose; `passes` is how often a method runs networks for
      an image (members of an ensemble, flips and turns, sizes of tiles), runtime_ms our median for all of them,
      whole_ms the same in proportion to the pixels of an image of the challenge's size. Of an ensemble of different
      networks each is measured, and the figures of a pass are means. `score` is the challenge's formula of the
      *published* gain and *our* runtime; None where it had none. `ratio` is our time over the fastest peer's,
      below 1 where ours is less; `jax_ratio` is XLA's.
    """
    protocol = challenges.protocol(recipe.protocol)
    rules = protocol.timing
    row = {"recipe": recipe.recipe, "title": recipe.title, "protocol": recipe.protocol, "size": size_of(recipe, size),
           "dtype": dtype, "wanted": list(wanted), "runtimes": list(runtimes), "rounds": rounds,
           "date": timing.surroundings()["date"], "published": published(recipe),
           "passes": recipe.passes, "note": ""}
    found, copies, size_bytes = [], [], 0
    for networks, count in _different(recipe):
        variables = {name: models.init(network, jax.random.key(0)) for name, network in networks.items()}
        try:
            found.append(upscaling.measure(
                networks, variables, row["size"], wanted=wanted, runtimes=runtimes, rounds=rounds or rules.repeats,
                dtype=dtype, warm_up=rules.warm_up, max_seconds=max_seconds, announce=announce))
        except Exception as e:
            if not is_out_of_memory(e):
                raise
            return row | {"note": f"out of memory: {str(e).partition(chr(10))[0][:160]}"}
        copies.append(count)
        size_bytes += count * sum(leaf.nbytes for leaf in jax.tree.leaves(variables))
    found = found[0] if len(found) == 1 else _together(found, copies)
    return row | found | _summary(found["rows"], row, protocol) | {"model_bytes": size_bytes}


def _different(recipe):
    """[[{name: deployed module}, how many members have it]]: the different chains of a recipe's members."""
    found = []
    for run in recipe.runs:
        networks = stages.plan_of(run, len(run.stages) - 1).networks
        networks = {name: reparam.deployed(networks[name]).clone(dtype=None) for name in run.chain}
        same = next((each for each in found if each[0] == networks), None)
        if same:
            same[1] += 1
        else:
            found.append([networks, 1])
    return found


def _together(found, copies):
    """jsr.timing.upscaling.measure's figures for several networks as for one: means over all, each `copies` times."""
    def mean(values):
        values = list(values)
        return None if None in values else sum(map(operator.mul, values, copies)) / sum(copies)

    first, rows = found[0], []
    for name in [cells["name"] for cells in first["rows"]]:
        its = [next((cells for cells in each["rows"] if cells["name"] == name), None) for each in found]
        notes = [cells["note"] if cells else "not there for all networks of the ensemble" for cells in its]
        merged = its[0] | {"note": next(filter(None, notes), "")}
        for key in ("best_ms", "median_ms", "p10_ms", "p90_ms", "p99_ms"):
            merged[key] = mean(cells and cells[key] for cells in its)
        timed = merged["median_ms"] is not None
        merged["gmacs_per_s"] = mean(each["gmacs"] for each in found) / merged["median_ms"] * 1e3 if timed else None
        merged["ratio"] = rows[0]["median_ms"] / merged["median_ms"] if rows and timed else 1.0 if timed else None
        rows.append(merged)
    sums = {key: sum(each[key] for each in found) for key in ("params", "trace_s", "compile_s")}
    means = {key: mean(each[key] for each in found) for key in ("gmacs", "hook_gmacs", "activations")}
    memory = max((each["memory"] for each in found), key=lambda its: its["peak_bytes"])
    return first | sums | means | {"memory": memory, "rows": rows}


def _summary(rows, row, protocol):
    """{runtime, runtime_ms, score, best_peer, ratio} of the rows of jsr.timing.upscaling.measure."""
    timed = sorted((cells for cells in rows if cells["median_ms"] is not None), key=lambda cells: cells["median_ms"])
    ours = next(cells for cells in timed if cells["name"].startswith("jsr "))
    best = next((cells for cells in timed if not cells["name"].startswith("jsr ")), None)
    runtime_ms = row["passes"] * ours["median_ms"]
    return {"runtime": ours["name"], "runtime_ms": runtime_ms,
            "whole_ms": runtime_ms * math.prod(protocol.timing.size) / math.prod(row["size"]),
            "score": challenges.score(row["published"]["gain_db"], runtime_ms) if protocol.runtime else None,
            "best_peer": best and best["name"], "jax_ratio": best and best["ratio"],
            "ratio": best and best["ratio"] / ours["ratio"]}


def geometric_mean(ratios):
    """The geometric mean of a collection of positive numbers; None of none."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else None


class Results:
    """A file of measured rows, written anew after each, so that a stopped measurement resumes.

    Args:
      path: JSON; None keeps nothing.
      head: {command, machine, versions...} of now, as the commands write it, without rows.
      overwrite: takes a file of another machine or of other versions for an empty one.

    Attributes:
      rows: rows of the file that were measured on this machine with these versions.

    Raises:
      UserError: the file is of another machine or other versions, or no such file.
    """

    def __init__(self, path, head, *, overwrite=False):
        self._path, self._head, self.rows = path and Path(path), head, []
        if self._path is None or not self._path.exists():
            return
        before = read(self._path)
        if self._origin(before) == self._origin(head):
            self.rows = before["results"]
        elif not overwrite:
            raise UserError(f"{path}: was measured on another machine or with other versions; write to another file, "
                            "or --overwrite begins it anew")

    def find(self, **settings):
        """The row of these settings (recipe, size, dtype, wanted, runtimes, rounds), None where there is none."""
        return next((row for row in self.rows if {key: row[key] for key in settings} == settings), None)

    def add(self, row):
        """Puts a row into the file, in the place of one of the same recipe, size and dtype."""
        *keys, key = [(each["recipe"], each["size"], each["dtype"]) for each in (*self.rows, row)]
        self.rows = [each for each, its in zip(self.rows, keys, strict=True) if its != key] + [row]
        if self._path:
            with atomic_write(self._path, "w") as file:
                json.dump({**self._head, "results": self.rows}, file, indent=1)

    @staticmethod
    def _origin(found):
        machine = {key: value for key, value in found["machine"].items() if key != "load_average"}
        return found["what"], found["format"], machine, found["versions"]


def read(path):
    """The dict of a JSON file that `jsr benchmark` wrote; UserError where it is none."""
    with from_json(path, "name a file that `jsr benchmark` wrote") as found:
        pass
    if not isinstance(found, dict) or not {"format", "what", "machine", "versions", "results"} <= found.keys():
        raise UserError(f"{path}: no figures of `jsr benchmark`")
    return found

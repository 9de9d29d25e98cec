"""Several methods on the same images: the best mean, differences that may be chance, and worst images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jsr import metrics

DRAWS = 10_000  # samples of the images by which the bootstrap judges
LEVEL = 0.95    # share of the draws that an interval holds
SEED = 0
WORST = 3       # images that are named of each method


def bootstrap(differences: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """The paired bootstrap of a mean difference over images (Efron's percentiles), the same bits each time.

    Args:
      differences: differences of two methods' scores, one an image.

    Returns:
      (low, high, p): the interval of `LEVEL`, and the two-sided chance of a mean beyond 0, at least 1 / DRAWS. Of one
      image, and where a difference is infinite, nothing is known: (-inf, inf, 1).
    """
    found = np.asarray(differences, np.float64)
    if len(found) < 2 or not np.isfinite(found).all():
        return -np.inf, np.inf, 1.0
    rng = np.random.default_rng(SEED)
    step = max(2**22 // len(found), 1)  # draws at a time, for memory's sake
    means = np.concatenate([found[rng.integers(0, len(found), (min(step, DRAWS - done), len(found)))].mean(1)
                            for done in range(0, DRAWS, step)])
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    beyond = min((means <= 0).mean(), (means >= 0).mean())
    return float(low), float(high), float(min(max(2 * beyond, 1 / DRAWS), 1.0))


def compare(rows: Sequence[Mapping[str, Any]], methods: Sequence[str], keys: Sequence[str]) -> list[dict[str, Any]]:
    """Every method beside the one whose mean is best, score by score.

    Args:
      rows: one an image, {"scores": {method: {key: value}}}.
      methods: their names.
      keys: "metric[profile]" each.

    Returns:
      [{score, method, best: name of the best, mean, difference: to the best's, low, high, p}]; of the best itself the
      difference is 0, and p 1.
    """
    found = []
    for key in keys:
        values = {method: np.array([row["scores"][method][key] for row in rows]) for method in methods}
        means = {method: float(its.mean()) for method, its in values.items()}
        best = (min if metrics.less_is_better(key) else max)(methods, key=means.__getitem__)
        for method in methods:
            equal = values[method] == values[best]  # infinite ones too
            with np.errstate(invalid="ignore"):
                differences = np.where(equal, 0.0, values[method] - values[best])
            low, high, p = bootstrap(differences) if method != best else (0.0, 0.0, 1.0)
            found.append({"score": key, "method": method, "best": best, "mean": means[method],
                          "difference": float(differences.mean()), "low": low, "high": high, "p": p})
    return found


def worst(rows: Sequence[Mapping[str, Any]], methods: Sequence[str], key: str) -> dict[str, list[dict[str, Any]]]:
    """The images at which each method is furthest behind the best of the others.

    Args:
      rows, methods: see `compare`; rows also have a name.
      key: key of the score.

    Returns:
      {method: [{name, value, behind, than: method}]}, `WORST` at most, where it is behind at all, the worst in front;
      `behind` is the distance, 0 or more.
    """
    sign = -1.0 if metrics.less_is_better(key) else 1.0
    found = {}
    for method in methods:
        lines = []
        for row in rows:
            value = row["scores"][method][key]
            than = max((other for other in methods if other != method),
                       key=lambda other, row=row: sign * row["scores"][other][key])
            behind = sign * metrics.gain(row["scores"][than][key], value)
            lines.append({"name": row["name"], "value": value, "behind": behind, "than": than})
        lines.sort(key=lambda line: (-line["behind"], line["name"]))
        found[method] = [line for line in lines[:WORST] if line["behind"] > 0]
    return found

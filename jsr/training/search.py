"""A search for a network's fields, such as depth and width: short trainings of candidates within a budget.

Candidates are combinations of values of one network's fields, and a trial is a training of one of them. Two strategies
choose trials; both need nothing but scores, so that any recipe on any data can be searched:

- `halve`, successive halving (Jamieson and Talwalkar, AISTATS 2016), trains all, the better half for twice as long, and
  so on. AIS 2024's Lanczos++ names "a NAS architecture search to find the optimal network parameter configuration" and
  no method.
- `explore`, Bayesian optimisation, trains few: a Gaussian process over the scores so far says which candidate promises
  most. AIM 2020's Baidu searched so for depth, width and stages, by GP-NAS (Li et al., CVPR 2020), which chooses trials
  by mutual information; here the first are drawn, and the expected improvement chooses the others.
"""

import dataclasses
import itertools
import json
import logging
from pathlib import Path
import warnings

import numpy as np

from jsr import challenges, evaluation, models, reparam
from jsr.analysis import counts
from jsr.data import mix, validation
from jsr.degradations import codec_kinds
from jsr.errors import UserError, install
from jsr.files import atomic_write, from_json
from jsr.training import loop

log = logging.getLogger("jsr")

GP_LIBRARY = f"scikit-learn ({install('search')})"


def candidates(recipe, net, choices, *, max_gmacs=None):
    """The combinations of values that cost no more than a budget.

    Args:
      recipe: Recipe.
      net: name of the network in it.
      choices: {field: values}.
      max_gmacs: multiply-accumulates of the deployed network at the recipe's input_hw, in 1e9; None is no budget.

    Returns:
      [{fields, params, gmacs}], the cheapest first; params of the deployed network.

    Raises:
      UserError: an unknown field, or none is cheap enough.
    """
    entry, found = recipe.networks[net], []
    for values in itertools.product(*map(_distinct, choices.values())):
        fields = dict(zip(choices, values, strict=True))
        model = reparam.deployed(models.create(entry.model, scale=entry.scale, **(entry.fields | fields)))
        params, macs = counts.count(model, models.card(model).lr_shape(*recipe.input_hw))
        found.append({"fields": fields, "params": params, "gmacs": macs / 1e9})
    found.sort(key=lambda candidate: candidate["gmacs"])
    kept = [candidate for candidate in found if max_gmacs is None or candidate["gmacs"] <= max_gmacs]
    if not kept:
        raise UserError(f"none of {len(found)} candidates costs at most {max_gmacs} GMACs; the cheapest, "
                        f"{found[0]['fields']}, costs {found[0]['gmacs']:.3f}")
    return kept


def halve(found, score, *, steps, on_round=lambda rows: None):
    """Trains all candidates, then the better half for twice as many steps, and so on until two are left.

    Args:
      found: candidates, as `candidates` gives them.
      score: function of a candidate and steps to {score, ...}, as `trainer` makes it.
      steps: number of steps of the first round's trainings.
      on_round: called with each round's rows, the best first.

    Returns:
      The rows of the last round that compared any, the best first: candidates with their steps and what `score` gave.
    """
    while True:
        rows = sorted(({**candidate, "steps": steps, **score(candidate, steps)} for candidate in found), key=_worth)
        on_round(rows)
        if len(rows) <= 2:
            return rows
        found = [{key: row[key] for key in ("fields", "params", "gmacs")} for row in rows[:-(-len(rows) // 2)]]
        steps *= 2


def explore(found, score, *, steps, trials, seed=0):
    """Trains one candidate after the other, each the one whose expected improvement over the best so far is largest.

    The expectation is of a Gaussian process over the places of values among their fields' (scikit-learn's, with a
    Matern kernel, a length for each field and noise), fitted to all scores so far. The first trials, two for each field
    that has several values, are drawn. The same scores give the same trials.

    Args:
      found, score: as `halve` takes them.
      steps: number of steps of every training.
      trials: trainings, at most.
      seed: seed of the draw, and of the fit's restarts.

    Returns:
      A row a trial, the best first, as `halve` gives them.
    """
    places = _places(found)
    order = np.random.default_rng(seed).permutation(len(found))
    drawn, rows = 2 * max(places.shape[1], 1), {}
    while len(rows) < min(trials, len(found)):
        rest = [index for index in order if index not in rows]
        if len(rows) < drawn:
            chosen = rest[0]
        else:
            expected = _expected_improvement(places[list(rows)], [row["score"] for row in rows.values()],
                                             places[rest], seed)
            chosen = rest[int(np.argmax(expected))]
        rows[chosen] = {**found[chosen], "steps": steps, **score(found[chosen], steps)}
    return sorted(rows.values(), key=_worth)


def can_explore():
    """Whether the library that `explore` needs is installed."""
    try:
        import sklearn.gaussian_process  # noqa: F401
    except ImportError:
        return False
    return True


def trainer(recipe, net, workdir, console):
    """The function of a candidate and steps that trains it, on the recipe's first stage, and scores it.

    Each training is a run below `workdir`, and is not done twice: where it was interrupted it goes on, and where it is
    at its end its score is read. So a search that calls it in the same order goes on where it was.

    Args:
      recipe: Recipe.
      net: name of the network in it.
      workdir: folder of the runs.
      console: a rich Console for progress.

    Returns:
      A function of ({fields, ...}, steps) to {score, codecs}: the protocol's ranking score, and what made and decodes
      the LR images that it is of. It raises UserError for a mistake in the recipe or the data, and for scores of
      several codecs.
    """
    kinds = set()

    def score(candidate, steps):
        found = _train(recipe, net, candidate["fields"], workdir, steps, console)
        kinds.add(codec_kinds(found["codecs"]))
        if len(kinds) > 1:
            raise UserError(f"{workdir}: holds scores of several codecs, which share no table: "
                            f"{'; '.join(sorted(kinds))}; choose another --workdir")
        return found

    return score


def _worth(row):
    """Sorts rows, the best first; of equal ones the cheaper."""
    return -row["score"], row["gmacs"]


def _distinct(values):
    return [value for index, value in enumerate(values) if value not in values[:index]]


def _places(found):
    """float64 (candidates, fields with several values): the place of each value among its field's, from 0 to 1.

    Numbers are in ascending order, words in that of the candidates.
    """
    columns = []
    for field in found[0]["fields"]:
        values = [candidate["fields"][field] for candidate in found]
        distinct = _distinct(values)
        if all(isinstance(value, (int, float)) for value in distinct):
            distinct.sort()
        if len(distinct) > 1:
            columns.append([distinct.index(value) / (len(distinct) - 1) for value in values])
    return np.array(columns, np.float64).T.reshape(len(found), len(columns))


def _expected_improvement(places, scores, others, seed):
    """The expected improvement over the best of `scores`, at `places`, of candidates at other places."""
    from scipy.stats import norm
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    kernel = (ConstantKernel(1.0) * Matern(np.full(places.shape[1], 0.5), (0.1, 10.0), nu=2.5)
              + WhiteKernel(1e-3, (1e-6, 1.0)))
    process = GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=2, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of few scores a length may be at its bound
        process.fit(places, scores)
    mean, deviation = process.predict(others, return_std=True)
    gain = mean - max(scores)
    return gain * norm.cdf(gain / deviation) + deviation * norm.pdf(gain / deviation)


def _train(recipe, net, fields, workdir, steps, console):
    """{score, codecs} of one training, from its folder where it has been done."""
    name = "_".join(f"{key}={value}" for key, value in sorted(fields.items())).replace(" ", "")
    folder = Path(workdir) / name / str(steps)
    done = folder / "score.json"
    if done.exists():
        with from_json(done, "remove it, and this candidate is scored again") as found:
            return {"score": float(found["score"]), "codecs": str(found["codecs"])}
    entry, stage = recipe.networks[net], recipe.stages[0]
    networks = recipe.networks | {net: dataclasses.replace(entry, fields=entry.fields | fields, search={})}
    recipe = dataclasses.replace(recipe, networks=networks, stages=(dataclasses.replace(stage, steps=steps),),
                                 eval_every=steps + 1)
    console.print(f"{name}, {steps} steps", highlight=False)
    upscaler, _ = loop.train(recipe, folder, console=console)
    score = evaluation.ranking_score(upscaler, validation.pairs(recipe, log.warning),
                                     challenges.of(recipe.protocol, recipe.ranking))
    with from_json(folder / "fingerprint.json", "put it back, or remove the run") as mark:
        found = {"score": score, "codecs": mark["codecs"].get(mix.EVAL, "")}
    with atomic_write(done, "w") as file:
        json.dump(found, file)
    console.print(f"{name}, {steps} steps: {score:.4f}", highlight=False)
    return found

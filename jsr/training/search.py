"""A search for a network's widths: short trainings of every candidate within a budget, longer ones of the better half.

Successive halving (Jamieson and Talwalkar, AISTATS 2016), over the values of fields of one network. AIS 2024's
Lanczos++ names "a NAS architecture search to find the optimal network parameter configuration" and no method; this one
is chosen because it needs no network of its own and can be done with any recipe.
"""

import dataclasses
import itertools
import json
import logging
from pathlib import Path

from jsr import challenges, evaluation, models, reparam
from jsr.analysis import counts
from jsr.data import mix, validation
from jsr.degradations import codec_kinds
from jsr.errors import UserError
from jsr.files import atomic_write, from_json
from jsr.training import loop

log = logging.getLogger("jsr")


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
    for values in itertools.product(*choices.values()):
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


def halve(recipe, net, found, workdir, *, steps, console, on_round=lambda rows: None):
    """Trains candidates until one is left.

    Every training is a run of the recipe's first stage under `workdir`, so that an interrupted search goes on where it
    was. In each round the better half stays, and trains anew for twice as many steps.

    Args:
      recipe: Recipe.
      net: name of the network in it.
      found: candidates, as of `candidates`.
      workdir: folder of the runs.
      steps: of the first round's trainings.
      console: a rich Console for progress.
      on_round: called with each round's rows, the best first.

    Returns:
      The rows of the last round that compared any: [{fields, params, gmacs, steps, score, codecs}], the best first;
      score is the protocol's ranking one, codecs made and decode the LR images that it is of.

    Raises:
      UserError: a mistake in the recipe or the data, or scores of several codecs.
    """
    while True:
        done = [_train(recipe, net, candidate["fields"], workdir, steps, console) for candidate in found]
        rows = [{**candidate, "steps": steps, **its} for candidate, its in zip(found, done, strict=True)]
        if len(kinds := {codec_kinds(row["codecs"]) for row in rows}) > 1:
            raise UserError(f"{workdir}: holds scores of several codecs, which share no table: "
                            f"{'; '.join(sorted(kinds))}; choose another --workdir")
        rows.sort(key=lambda row: -row["score"])
        on_round(rows)
        if len(rows) <= 2:
            return rows
        found = [{key: row[key] for key in ("fields", "params", "gmacs")} for row in rows[:-(-len(rows) // 2)]]
        steps *= 2


def _train(recipe, net, fields, workdir, steps, console):
    """{score, codecs} of one training, from its folder where it has been done."""
    name = "_".join(f"{key}={value}" for key, value in fields.items()).replace(" ", "")
    folder = Path(workdir) / name / str(steps)
    done = folder / "score.json"
    if done.exists():
        with from_json(done, "remove it, and this candidate is scored again") as found:
            return {"score": float(found["score"]), "codecs": str(found["codecs"])}
    entry, stage = recipe.networks[net], recipe.stages[0]
    networks = recipe.networks | {net: dataclasses.replace(entry, fields=entry.fields | fields)}
    recipe = dataclasses.replace(recipe, networks=networks, stages=(dataclasses.replace(stage, steps=steps),),
                                 eval_every=steps + 1)
    console.print(f"{name}, {steps} steps", highlight=False)
    upscaler = loop.train(recipe, folder, console=console)
    score = evaluation.ranking_score(upscaler, validation.pairs(recipe, log.warning),
                                     challenges.of(recipe.protocol, recipe.ranking))
    with from_json(folder / "fingerprint.json", "put it back, or remove the run") as mark:
        found = {"score": score, "codecs": mark["codecs"].get(mix.EVAL, "")}
    with atomic_write(done, "w") as file:
        json.dump(found, file)
    return found

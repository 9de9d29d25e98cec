"""The run of an ensemble: a folder with one run per member, and the model file of all once they are trained."""

import contextlib
import dataclasses
import json
import logging
from pathlib import Path

from jsr import model_file
from jsr.errors import UserError
from jsr.files import atomic_write, from_json, sha256
from jsr.training import run_folder
from jsr.trees import plain

log = logging.getLogger("jsr")

MODEL, REPORT = "last.safetensors", "report.json"  # of a member's run, and of the ensemble's
_OF_ONE = ("checkpoints", "best.safetensors", "metrics.jsonl")  # what the run of one network has, and an ensemble's not


def folder(workdir, number):
    """The folder of the run of member `number`, counted from 1."""
    return Path(workdir) / model_file.MEMBER.format(number)


def of(recipe):
    """{number: Recipe} of the runs of all members."""
    count = len(recipe.runs)
    return {number: dataclasses.replace(run, title=f"{run.title}; member {number} of {count}")
            for number, run in enumerate(recipe.runs, 1)}


def check_kind(recipe, workdir):
    """Raises UserError where a recipe is of an ensemble, and its folder has the run of one network, or the reverse."""
    if recipe.members and any((workdir / name).exists() for name in _OF_ONE):
        raise UserError(f"{workdir}: holds the run of one network, not of an ensemble; choose another --workdir")
    if not recipe.members and (_has_members(workdir) or any(
            path.is_dir() for path in workdir.glob(model_file.MEMBER.format("[0-9]*")))):
        raise UserError(f"{workdir}: holds the run of an ensemble, not of one network; choose another --workdir")


def is_done(workdir):
    """Whether a member's run is at its end: its scores are those of the model file that is there."""
    with contextlib.suppress(UserError), from_json(workdir / REPORT) as report:
        return report.get("model_sha256", "") == sha256(workdir / MODEL)
    return False


def is_as_wanted(recipe, workdir):
    """Whether a member's run that is done was trained, and scored, just as a recipe has it."""
    return ((workdir / "config.json").exists() and not run_folder.changes(recipe, workdir, same_data=False)
            and _ensemble(workdir / MODEL) == plain(recipe.ensemble))


def join(recipe, runs, workdir):
    """Writes the model file of an ensemble, `MODEL`, with its recipe and fingerprint, into its folder.

    Args:
      recipe: Recipe.
      runs: {number: Recipe} of its members as they were trained.
      workdir: its folder; all members are done.

    Returns:
      [{name, weight, steps, codecs, mean}], a row a member; mean is {key: its score on the validation images}, whose
      LR images are by `codecs`.

    Raises:
      UserError: a member's file is missing, or of another recipe, scale or network, or the same as another's.
    """
    workdir, found, rows = Path(workdir), [], []
    for (number, run), weight in zip(runs.items(), recipe.weights, strict=True):
        path = folder(workdir, number)
        its = _member(run, path)
        if twin := next((other for other in found if model_file.alike(its, other)), None):
            raise UserError(f"{its.name}: holds the same network as {twin.name}; train it anew in an empty folder")
        found.append(dataclasses.replace(its, share=weight))
        with from_json(path / REPORT, f"--member {number} writes it again") as report:
            rows.append({"name": path.name, "weight": weight, "steps": its.meta["steps"], "codecs": report["codecs"],
                         "mean": {key: float(value) for key, value in report["mean"]["ours"].items()}})
    marks = [its.meta["fingerprint"] for its in found]
    data = list(dict.fromkeys(mark["data"] for mark in marks))
    if len(data) > 1 and not any(its.stages for its in recipe.members):
        log.warning("members of %s were trained or evaluated on other data than others: their scores may not compare",
                    workdir)
    mark = run_folder.fingerprint(recipe, "+".join(data), marks[0]["codecs"])
    for name, content in (("config.json", plain(recipe)), ("fingerprint.json", mark)):
        with atomic_write(workdir / name, "w") as file:
            json.dump(content, file, indent=1, sort_keys=True)
    sources = [row for number, its in enumerate(found) for row in its.meta["data"]
               if not any(row in earlier.meta["data"] for earlier in found[:number])]
    model_file.save_ensemble(workdir / MODEL, found, {
        "ema": recipe.ema_decay > 0, "recipe": recipe.recipe, "protocol": recipe.protocol,
        "steps": sum(row["steps"] for row in rows), "ensemble": plain(recipe.ensemble), "scores": {}, "data": sources,
        "fingerprint": mark})
    return rows


def _has_members(workdir):
    """Whether the finished run in a folder is an ensemble's, wherever its members' folders are now."""
    with contextlib.suppress(UserError), from_json(workdir / "config.json") as config:
        return bool(config.get("members"))
    return False


def _ensemble(path):
    """The averages that a model file asks for."""
    return model_file.describe(path)[0].get("ensemble")


def _member(run, path):
    """The Member in the folder of a run, held against its recipe."""
    if not (path / MODEL).exists():
        raise UserError(f"{path / MODEL}: no such file; train the member (--member {path.name.removeprefix('member')})")
    if changed := run_folder.changes(run, path):
        key = "recipe" if "recipe" in changed else next(iter(changed))
        there, wanted = changed[key]
        raise UserError(f"{path}: is not the run of this member ({key}: {there!r} there, {wanted!r} in the recipe); "
                        "put the right one there, or train it anew in an empty folder")
    if _ensemble(path / MODEL) != plain(run.ensemble):
        raise UserError(f"{path}: was scored with another --config.ensemble; --member "
                        f"{path.name.removeprefix('member')} scores it again")
    its, = model_file.load_members(path / MODEL)
    last = run.fields_at(len(run.stages) - 1)
    expected = [(name, run.networks[name].model, run.networks[name].scale, last[name]) for name in run.chain]
    named = [(row["name"], row["model"], row["scale"], row["fields"]) for row in its.meta["networks"]]
    told = {"recipe": (its.meta["recipe"], run.recipe), "networks": (named, plain(expected)),
            "seed": (its.meta["fingerprint"]["seed"], run.seed)}
    if not run.patience:  # else it may have stopped early
        told["steps"] = its.meta["steps"], run.last_step
    for what, (there, wanted) in told.items():
        if plain(there) != wanted:
            raise UserError(f"{path / MODEL}: is of another run than its folder ({what}: {there!r}, not {wanted!r}); "
                            "put the right one there, or train it anew in an empty folder")
    return its

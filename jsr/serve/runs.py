"""Runs to look at: their folders found below those that were named, their logs as curves, their pictures over time."""

import dataclasses
import hashlib
import os
from pathlib import Path
import re
import time

from jsr import challenges, crops, images, report
from jsr.errors import UserError
from jsr.files import from_json
from jsr.training import insight

_DEPTH = 4  # folders below a named one that are looked into
_QUIET = 120  # s without a new line after which a run is no longer taken to be training
_PICTURE = re.compile(r"(.+)_(\d{7})\.png")
CELLS = {"lr": 0, "baseline": 1, "ours": 2, "hr": 3}  # of jsr.crops.strip that are shown


@dataclasses.dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
      id: id by which the page names it.
      name: its folder, below the one that was named.
      folder: Path.
    """

    id: str
    name: str
    folder: Path


def find(folders):
    """{id: Run} of the runs in folders, or below them, newest first."""
    found = {}
    for top in folders:
        for folder in _below(Path(top), _DEPTH):
            identity = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:12]
            within = folder.relative_to(top).as_posix()
            found[identity] = Run(identity, folder.absolute().name if within == "." else within, folder)
    return dict(sorted(found.items(), key=lambda item: -_changed(item[1])))


def _below(folder, depth):
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    names = {entry.name for entry in entries}
    if "config.json" in names and names & {"metrics.jsonl", "fingerprint.json", "report.json"}:
        yield folder
    if depth:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                yield from _below(Path(entry.path), depth - 1)


def _changed(run):
    """When a run has written last, s since 1970; 0 of one that never has."""
    return max((path.stat().st_mtime for path in (run.folder / "metrics.jsonl", run.folder / "report.json",
                                                  run.folder / "config.json") if path.exists()), default=0.0)


def version(run):
    """A text that changes with what `look` shows."""
    state = "training" if _trains(run) else ""
    return hashlib.sha256(f"{_changed(run)} {len(_pictures(run))} {state}".encode()).hexdigest()[:12]


def _trains(run):
    return not (run.folder / "report.json").exists() and time.time() - _changed(run) < _QUIET


def look(run):
    """The page's facts about a run: a dict of texts, numbers and charts.

    Returns:
      {id, name, recipe, title, state, step, steps, share, gain, baseline, loss, charts: [<svg>], films: [{name, steps,
      gains}], spent: [(what, time, share)], report, error}.
    """
    found = {"id": run.id, "name": run.name, "recipe": "", "title": "", "baseline": "bicubic", "steps": 0, "error": "",
             "report": (run.folder / "report.html").is_file()}
    stages, rows = [], []
    try:
        with from_json(run.folder / "config.json") as config:
            stages = [int(stage["steps"]) for stage in config["stages"]]
            found |= {"recipe": str(config.get("recipe", "")), "title": str(config.get("title", "")),
                      "steps": sum(stages)}
            protocol = config.get("protocol", "")
        if protocol in challenges.CHALLENGES:
            found["baseline"] = challenges.CHALLENGES[protocol].baseline
        rows = [row for row in insight.log_rows(run.folder) if isinstance(row.get("step"), int) and row.get("kind")]
    except UserError as e:
        found["error"] = str(e)
    trained = [row for row in rows if row["kind"] == "train"]
    gains = {row["step"]: row["gain"] for row in rows if row["kind"] == "eval" and row.get("gain") is not None}
    step = max((row["step"] for row in rows), default=0)
    done = (run.folder / "report.json").exists()
    spent = insight.times(rows)
    total = sum(spent.values())
    return found | {
        "state": "finished" if done else "training" if _trains(run) else "not training",
        "step": step, "share": min(step / found["steps"], 1) if found["steps"] else 0.0,
        "gain": gains[max(gains)] if gains else None, "loss": trained[-1].get("loss") if trained else None,
        "ago": _ago(time.time() - _changed(run)),
        "charts": report.curves(rows, stages, found["baseline"]) if rows else [],
        "films": [{"name": name, "steps": steps, "gains": [gains.get(each) for each in steps]}
                  for name, steps in _pictures(run).items()],
        "spent": [(insight.PARTS[part], insight.duration(seconds), f"{seconds / total:.0%}")
                  for part, seconds in spent.items()] if total else []}


def _ago(seconds):
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' * (count > 1)} ago"
    return "just now"


def _pictures(run):
    """{name of a validation image: [step]}, both sorted."""
    found = {}
    try:
        names = os.listdir(run.folder / "pictures")
    except OSError:
        return {}
    for name in names:
        if parts := _PICTURE.fullmatch(name):
            found.setdefault(parts[1], []).append(int(parts[2]))
    return {name: sorted(steps) for name, steps in sorted(found.items())}


def picture(run, number, step, cell):
    """PNG of one crop of a validation image at a step; None where there is none.

    Args:
      run: Run.
      number: number of the image, in `look`'s films.
      step: step of the training.
      cell: one of CELLS.
    """
    films = _pictures(run)
    name = list(films)[number] if 0 <= number < len(films) else None
    if name is None or step not in films[name] or cell not in CELLS:
        return None
    strip = images.read_rgb(run.folder / "pictures" / f"{name}_{step:07d}.png")
    return images.png_bytes(crops.cells(strip)[CELLS[cell]])

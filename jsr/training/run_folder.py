"""The folder of a run: whose it is, and whether the command that resumes it wants the same."""

import hashlib
from importlib import metadata
import json
import logging
from pathlib import Path
import subprocess

import jsr
from jsr import recipes
from jsr.errors import UserError
from jsr.files import atomic_write
from jsr.trees import different, flat, plain

log = logging.getLogger("jsr")

# Keys that may differ between the command that began a run and the one that resumes it: none that changes its numbers.
FREE_KEYS = ("log_every", "eval_every", "checkpoint_every", "keep_checkpoints", "data.num_workers", "data.data_dir",
             "ensemble", "entry", "inferred", "title")
DATA_PLACES = (".dataset", ".files")  # free too, while the data are the same
_BEGUN = ("config.json", "fingerprint.json")


def has_begun(workdir):
    """Whether something was trained in a folder: there is a checkpoint, and its recipe and fingerprint."""
    checkpoints = any(path.name.isdigit() for path in (workdir / "checkpoints").glob("*"))
    return checkpoints and all((workdir / name).exists() for name in _BEGUN)


def check_same_run(recipe, mark, workdir):
    """Holds recipe and data against those that began the run in a folder; writes them down in a new one.

    Args:
      recipe: Recipe.
      mark: its `fingerprint`.
      workdir: the run's folder, with config.json and fingerprint.json unless nothing was trained in it yet.

    Raises:
      UserError: settings that change a run's numbers are others, or the data are; one of the two files is damaged.
    """
    paths = [workdir / name for name in _BEGUN]
    if not has_begun(workdir):
        for path, content in zip(paths, (plain(recipe), mark), strict=True):
            with atomic_write(path, "w") as file:
                json.dump(content, file, indent=1, sort_keys=True)
        return
    before, mark_before = recipes.read_json(paths[0]), _read(paths[1])
    same_data, before, now = mark_before["data"] == mark["data"], flat(plain(before)), flat(plain(recipe))
    changed = [key for key in different(before, now)
               if not key.startswith(FREE_KEYS) and not (same_data and key.endswith(DATA_PLACES))]
    if changed:
        first = changed[0]
        raise UserError(f"{workdir}: holds a run with other settings ({first}: {before.get(first)!r} there, "
                        f"{now.get(first)!r} now{f', and {len(changed) - 1} more' if len(changed) > 1 else ''}); "
                        "choose another --workdir, or remove that folder")
    if not same_data:
        raise UserError(f"{workdir}: holds a run with other data: the names or sizes of its images or records are not "
                        "what they were; put the data back, choose another --workdir, or remove that folder")
    before, now = (flat({"code": its["revision"], **its["versions"]}) for its in (mark_before, mark))
    for name in different(before, now):
        log.warning("the run began with %s %s and goes on with %s: its numbers may differ from an uninterrupted run's",
                    name, before.get(name), now.get(name))


def _read(path):
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {key: found[key] for key in ("data", "revision", "versions")}
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise UserError(f"{path}: a damaged file ({e}); put it back, or remove the run") from e


def fingerprint(recipe, data):
    """Marks of a run, by which two are told apart: {config: hash, data: the given hash, revision, versions, seed}."""
    text = json.dumps(plain(recipe), sort_keys=True)
    libraries = {name: metadata.version(name) for name in ("jax", "flax", "optax", "numpy", "pillow")}
    return {"config": hashlib.sha256(text.encode()).hexdigest()[:16], "data": data, "revision": _revision(),
            "versions": {"jsr": jsr.__version__, **libraries}, "seed": recipe.seed}


def _revision():
    """The git revision of this code, "" outside a checkout."""
    root = Path(jsr.__file__).parent.parent
    if not (root / ".git").exists():
        return ""
    done = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=root,
                          capture_output=True, text=True)
    return done.stdout.strip()

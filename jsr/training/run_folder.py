"""The folder of a run: its recipe, and a check that a resuming command wants the same."""

import collections
import gzip
import hashlib
from importlib import metadata
import json
import logging
from pathlib import Path
import platform
import subprocess
import zlib

import jsr
from jsr import recipes
from jsr.degradations import codec_kinds
from jsr.errors import UserError
from jsr.files import atomic_write, from_json
from jsr.trees import different, flat, plain

log = logging.getLogger("jsr")

# Keys that may differ between the command that began a run and the one that resumes it: none that changes its numbers.
FREE_KEYS = ("log_every", "eval_every", "checkpoint_every", "keep_checkpoints", "data.num_workers", "data.data_dir",
             "data.degrade_on", "data.max_damaged", "ensemble", "entry", "inferred", "left_out", "title", "mesh",
             "state")
DATA_PLACES = (".dataset", ".hr", ".lr", ".files")  # free too, while the data are the same
_VALIDATIONS = ("eval_every",)  # not free in a run that may end for want of a better one
_BEGUN = ("config.json", "fingerprint.json")
_RECORDS, _NAMED = "records.json.gz", 3  # the names and sizes of the data; those of one kind that a message names


def free_keys(recipe):
    """Beginnings of the keys that may differ between the command that began a run of this recipe and the next one."""
    return tuple(key for key in FREE_KEYS if key not in _VALIDATIONS or not recipe.patience)


def has_begun(workdir):
    """Whether something was trained in a folder: there is a checkpoint, and its recipe and fingerprint."""
    checkpoints = any(path.name.isdigit() for path in (workdir / "checkpoints").glob("*"))
    return checkpoints and all((workdir / name).exists() for name in _BEGUN)


def check_same_run(recipe, mark, workdir, *, accept=False, records=None):
    """Holds recipe and data against those that began the run in a folder; writes them down in a new one.

    Args:
      recipe: Recipe.
      mark: its `fingerprint`.
      workdir: the run's folder, with config.json and fingerprint.json unless nothing was trained in it yet.
      accept: goes on with other settings and data, where the state of the run has the same form under them.
      records: jsr.data.mix.identities of the data, which are kept beside, so that a message can name what is other;
        None keeps and names nothing.

    Returns:
      The mark to go on with. Its "accepted", where there is any, is a list of {"step", "changes": {key: [before,
      now]}} with, where the data are others, the hash of those before, "data".

    Raises:
      UserError: settings that change a run's numbers are others, or the data are; one of the two files is damaged.
    """
    paths = [workdir / name for name in _BEGUN]
    if not has_begun(workdir):
        _write(paths, recipe, mark)
        _keep_records(workdir, records)
        return mark
    mark_before = _read(paths[1])
    same_data = mark_before["data"] == mark["data"]
    changed = changes(recipe, workdir, same_data=same_data) | _other_codecs(mark_before["codecs"], mark["codecs"])
    accepted = mark_before["accepted"]
    if changed or not same_data:
        step, words = _newest(workdir), _difference(changed, workdir, same_data, records)
        if not accept:
            raise UserError(f"{workdir}: holds a run with {words}; --accept_changes continues it with the new values "
                            f"from step {step}; else choose another --workdir{starting_from(workdir, recipe)}")
        if changed and not _same_form(recipes.read_json(paths[0]), recipe, step):
            raise UserError(f"{workdir}: holds a run with {words}, which cannot change from step {step} on; choose "
                            f"another --workdir{starting_from(workdir, recipe)}")
        log.warning("from step %d on the run goes on with %s, as --accept_changes says", step, words)
        entry = {"step": step, "changes": changed}
        accepted = [*accepted, entry | ({} if same_data else {"data": mark_before["data"]})]
        mark = mark | {"accepted": accepted}
        _write(paths, recipe, mark)
        _keep_records(workdir, records)
    elif accepted:
        mark = mark | {"accepted": accepted}
    before, now = (flat({"code": its["revision"], **its["versions"]}) for its in (mark_before, mark))
    for name in different(before, now):
        log.warning("the run began with %s %s and goes on with %s: its numbers may differ from an uninterrupted run's",
                    name, before.get(name), now.get(name))
    return mark


def changes(recipe, workdir, *, same_data=True):
    """Differences between a recipe and the run begun in a folder, but for keys that change no numbers.

    Args:
      recipe: Recipe.
      workdir: the run's folder.
      same_data: whether the data are known to be the same, wherever they lie.

    Returns:
      {key: [value there, value in the recipe]}, flat and sorted.
    """
    before, now = flat(plain(recipes.read_json(workdir / "config.json"))), flat(plain(recipe))
    keys = [key for key in different(before, now)
            if not key.startswith(free_keys(recipe)) and not (same_data and key.endswith(DATA_PLACES))]
    return {key: [before.get(key), now.get(key)] for key in keys}


def _other_codecs(before, now):
    """{"codecs of <place>": [text there, text now]} where LR images are of other pixels than a run began with."""
    kinds = ({place: codec_kinds(text) for place, text in its.items()} for its in (before, now))
    return {f"codecs of {place}": [before.get(place), now.get(place)] for place in different(*kinds)}


def _write(paths, recipe, mark):
    for path, content in zip(paths, (plain(recipe), mark), strict=True):
        with atomic_write(path, "w") as file:
            json.dump(content, file, indent=1, sort_keys=True)


def _newest(workdir):
    """The step of a begun run's newest checkpoint."""
    return max(int(path.name) for path in (workdir / "checkpoints").glob("*") if path.name.isdigit())


def _difference(changed, workdir, same_data, records):
    """The differences of a run, in words."""
    words = []
    if changed:
        (first, (there, here)), *others = changed.items()
        more = f", and {len(others)} more" if others else ""
        words.append(f"other settings ({first}: {there!r} there, {here!r} now{more})")
    if not same_data:
        words.append("other data: the names or sizes of its images or records are not what they were"
                     + _other_records(workdir, records))
    return ", and ".join(words)


def _keep_records(workdir, records):
    if records is None:
        return
    with atomic_write(workdir / _RECORDS) as file:
        file.write(gzip.compress(json.dumps(records).encode(), mtime=0))


def _other_records(workdir, records):
    """" (gone: ...; new: ...)" of records that are not those which a run began with; "" where that is not known."""
    if records is None:
        return ""
    try:
        kept = json.loads(gzip.decompress((workdir / _RECORDS).read_bytes()))
        before, now = (collections.Counter(_files(found)) for found in (kept, records))
    except (OSError, EOFError, ValueError, zlib.error, RecursionError):
        return ""
    gone, new = (dict.fromkeys(name for name, _ in one - other) for one, other in ((before, now), (now, before)))
    kinds = {"gone": [name for name in gone if name not in new],
             "of another size": [name for name in gone if name in new],
             "new": [name for name in new if name not in gone]}
    words = [f"{kind}: {', '.join(names[:_NAMED])}{f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''}"
             for kind, names in kinds.items() if names]
    return f" ({'; '.join(words)})" if words else ""


def _files(found):
    """The (name, bytes) of the files in nested lists."""
    if not isinstance(found, (list, tuple)):
        return
    if len(found) == 2 and isinstance(found[0], str) and isinstance(found[1], int):
        yield tuple(found)
        return
    for part in found:
        yield from _files(part)


def starting_from(workdir, recipe):
    """A message's words on starting a new run with an old run's parameters; "" where that left none."""
    found = [workdir / name for name in ("last.safetensors", "best.safetensors") if (workdir / name).exists()]
    return f" and start from this run (--config.networks.{recipe.chain[0]}.start_from={found[0]})" if found else ""


def _same_form(before, now, step):
    """Whether a state of one recipe after some steps is one of another recipe too."""
    if step > now.last_step or before.stage_at(step) != now.stage_at(step):
        return False
    import jax

    from jsr import sharding
    from jsr.training import stages
    from jsr.training import state as states

    one, other = (states.abstract(stages.plan_of(its, its.stage_at(step)), sharding.make_mesh(), named=True)
                  for its in (before, now))
    return jax.tree.structure(one) == jax.tree.structure(other) and jax.tree.leaves(one) == jax.tree.leaves(other)


def _read(path):
    with from_json(path, "put it back, or remove the run") as found:
        if not all(isinstance(text, str) for key in ("codecs", "versions") for text in found[key].values()):
            raise ValueError("codecs and versions are texts")
        return {key: found[key] for key in ("data", "codecs", "revision", "versions")} | {
            "accepted": list(found.get("accepted", []))}


def fingerprint(recipe, data, codecs):
    """Marks of a run, by which two are told apart.

    Args:
      recipe: Recipe.
      data: hash of the records.
      codecs: {place in the recipe: codecs of the LR images there}, see `jsr.degradations.codecs`.

    Returns:
      {config: hash, data, codecs, revision, versions, seed}.
    """
    text = json.dumps(plain(recipe), sort_keys=True)
    return {"config": hashlib.sha256(text.encode()).hexdigest()[:16], "data": data,
            "codecs": {place: text for place, text in codecs.items() if text}, "revision": _revision(),
            "versions": _versions(), "seed": recipe.seed}


def software():
    """{what: version, or hash of the code} of all that has to be the same in every process of a job."""
    root, code = Path(jsr.__file__).parent, hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        code.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return {"Python": platform.python_version(), **_versions(), "code of jsr": code.hexdigest()[:12]}


def _versions():
    libraries = {name: metadata.version(name) for name in ("jax", "flax", "optax", "numpy", "pillow")}
    return {"jsr": jsr.__version__, **libraries}


def _revision():
    """The git revision of this code, "" outside a checkout."""
    root = Path(jsr.__file__).parent.parent
    if not (root / ".git").exists():
        return ""
    done = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=root,
                          capture_output=True, text=True)
    return done.stdout.strip()

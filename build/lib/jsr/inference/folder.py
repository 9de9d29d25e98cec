"""Files and folders of pictures through an Upscaler, with a manifest by which an interrupted run goes on."""

from concurrent import futures
import dataclasses
import glob
import hashlib
import json
import os
from pathlib import Path
import threading
import time
import traceback

from jsr import pictures
from jsr.errors import UserError
from jsr.files import atomic_write, sha256

MANIFEST = "upscaled.json"

# The endings of files that can be written.
WRITABLE = tuple(ending for form in pictures.WRITABLE.values() for ending in form.extensions)

_SAVE_EVERY_S = 5.0
_THREADS = 2  # one decodes or encodes while the other computes


@dataclasses.dataclass(frozen=True)
class Job:
    """One picture: the file it is read from and the one it is written to."""

    source: Path
    target: Path


def plan(inputs, out, *, suffix=None):
    """Which file becomes which.

    Args:
      inputs: files, folders and glob patterns ("**" for any depth), str or Path. What is in a folder goes to the same
        place below `out`; with several folders each goes below its own name.
      out: folder, made where missing; or, for a single input file, a file name with a suffix that can be written.
      suffix: of the output files, as ".png"; None keeps that of each input, or takes .png where it cannot be written.

    Returns:
      (jobs sorted by source, errors): a UserError for each input that there is not or that has no place of its own.

    Raises:
      UserError: nothing at all to do.
    """
    out = Path(out)
    found, errors = [], []  # (source, its place below out)
    paths = [path for pattern in inputs for path in _expand(pattern, errors)]
    several = sum(path.is_dir() for path in paths) > 1
    for path in paths:
        if path.is_dir():
            below = Path(path.resolve().name) if several else Path()
            files = _pictures_in(path, out)
            found += [(file, below / file.relative_to(path)) for file in files]
            if not files:
                errors.append(UserError(f"{path}: no pictures in this folder"))
        else:
            found.append((path, Path(path.name)))
    if not found:
        raise errors[0] if errors else UserError("no pictures were named")
    if _is_file_name(out):
        if len(found) > 1:
            raise UserError(f"{out}: is a file name, but there are {len(found)} pictures; name a folder")
        jobs = [Job(found[0][0], out)]
    else:
        jobs = _with_places(found, out, suffix, errors)
    return sorted(jobs, key=lambda job: str(job.source)), errors


def upscale_files(jobs, upscaler, settings, *, out=None, quality=None, overwrite=False,
                  progress=lambda files, pixels, total_pixels: None):
    """Upscales every job's picture; one that cannot be is reported and does not stop the rest.

    Files that an earlier run finished are left alone, as long as source, settings and result are unchanged. A file in the
    way that no earlier run made is never replaced, unless `overwrite`.

    The manifest `upscaled.json` in `out` is {settings: {key: {...}}, files: {target: entry}}; an entry has `source` and
    `settings` (a key), and, of a finished file, `source_sha256`, `sha256`, `format`, LR `height` and `width` (px),
    `frames`, `bit_depth`, `channels`, `tiling` ("whole", "exact" or "approximate"), `tile` and `overlap` (LR px),
    `averaged_tiles` (the sizes of others, where several are averaged), `runtime` (of the last tile), `seconds`,
    `estimated_quality` (1..100, where a network estimates that of JPEG) and `notes`; of a failed one `error`, with
    `traceback` where the mistake is in here.

    Args:
      jobs: of `plan`.
      upscaler: jsr.inference.upscaler.Upscaler.
      settings: JSON object, all that the results depend on.
      out: folder of the manifest; None writes none and leaves no finished file alone.
      quality: of lossy output formats, 1..100; None is each format's default.
      overwrite: replaces files in the way, and does finished ones again.
      progress: called with (files done, LR pixels done, LR pixels in all), from several threads.

    Returns:
      (entries, errors): {target: entry} of all jobs, with `skipped` where a file was left alone; UserErrors.

    Raises:
      UserError: the manifest cannot be written.
    """
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
    manifest = _Manifest(out, key, settings)
    errors, todo = [], []
    for job in jobs:
        problem = _in_the_way(job, manifest, overwrite)
        if problem:
            errors.append(problem)
        else:
            todo.append(job)
    if not todo:
        return {}, errors
    for job in todo:
        if manifest.known(job):  # then what a killed run left half-written beside the target is ours too
            for path in job.target.parent.glob(f".{glob.escape(job.target.name)}.*.part"):
                path.unlink(missing_ok=True)
    manifest.claim(todo)
    counter = _Counter(progress, {job: _pixels(job.source) for job in todo})
    stop = threading.Event()

    def one(job):
        entry = {"source": str(job.source), "settings": key}
        try:
            known = {} if overwrite else manifest.known(job)
            digest = sha256(job.source)
            if known.get("settings") == key and known.get("source_sha256") == digest is not None \
                    and known["sha256"] == sha256(job.target):
                entry = known | {"skipped": True}
            else:
                entry |= {"source_sha256": digest, **_upscale(job, upscaler, quality, counter, stop)}
        except UserError as e:
            entry["error"] = str(e)
            errors.append(e)
        except _Stopped:
            raise
        except Exception as e:  # a mistake of ours must not cost the other files either
            entry |= {"error": f"{job.source}: {type(e).__name__}: {e}", "traceback": traceback.format_exc()}
            errors.append(UserError(f"{job.source}: failed unexpectedly, {type(e).__name__}: {e}; this is a mistake in jsr, "
                                    f"please report it{f' with its traceback in {MANIFEST}' if out is not None else ''}"))
        counter.finished(job)
        manifest.record(job, entry)
        return job, entry

    pool = futures.ThreadPoolExecutor(_THREADS)
    try:
        # as a queue, not a map: after Ctrl+C nothing more may begin
        entries = {str(job.target): entry for job, entry in pool.map(one, todo)}
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
        manifest.save()
    return entries, sorted(errors, key=str)


def digest(path):
    """A file as settings name it: {file, sha256}."""
    return {"file": Path(path).name, "sha256": sha256(path)}


class _Stopped(Exception):
    """Another thread asked for the end."""


def _upscale(job, upscaler, quality, counter, stop):
    """Reads, upscales and writes one picture; returns what the manifest says of it."""
    start = time.monotonic()
    tilings = []
    found = _of_jpeg(job, upscaler) if upscaler.for_jpeg else {}
    with pictures.open_picture(job.source) as picture:
        height, width = picture.height * upscaler.scale, picture.width * upscaler.scale
        with pictures.create(job.target, picture, height, width, quality=quality) as sink:
            for frame in range(picture.frames):
                def on_band(tiling, rows, frame=frame):
                    tilings.append(tiling)
                    counter.at(job, (frame * picture.height + rows) * picture.width)
                bands = upscaler.stream(lambda first, last, frame=frame: picture.rows(first, last, frame),
                                        picture.height, picture.width, picture.dtype, on_band=on_band)
                for band in bands:
                    if stop.is_set():
                        raise _Stopped
                    sink.write(band)
        tiling = tilings[-1]
        return {"sha256": sha256(job.target), "format": sink.format, "height": picture.height, "width": picture.width,
                "frames": picture.frames, "bit_depth": picture.bit_depth, "channels": picture.channels,
                "tiling": "whole" if tiling.whole else "exact" if tiling.exact else "approximate",
                "tile": list(tiling.size), "averaged_tiles": [list(cut.size) for cut in tiling.others],
                "overlap": tiling.overlap,
                "runtime": upscaler.runtime(tiling), "seconds": round(time.monotonic() - start, 3),
                **found, "notes": list(dict.fromkeys((*picture.notes, *found.get("notes", ()), *sink.notes)))}


def _of_jpeg(job, upscaler):
    """For networks that restore JPEG pictures: what the manifest says of the file as such."""
    with pictures.open_picture(job.source) as picture:  # rows are read forwards only
        quality = upscaler.quality(picture.rows, picture.height, picture.width)
        found = {"notes": []}
        if picture.format != "jpeg":
            found["notes"].append(f"is a {picture.format} file; the model was made to restore JPEG")
        if quality is not None:
            found |= {"estimated_quality": round(quality, 1)}
            found["notes"].append(f"estimated JPEG quality {quality:.0f}")
        return found


class _Manifest:
    """What was done before and what is done now; saved now and then, so that a killed run loses little."""

    def __init__(self, out, key, settings):
        self._path = Path(out) / MANIFEST if out is not None else None
        self._lock, self._saved = threading.Lock(), time.monotonic()
        content = _read_json(self._path) if self._path else {}
        self._files = dict(content.get("files", {}))
        self._settings = dict(content.get("settings", {})) | {key: settings}

    def known(self, job):
        """The entry of an earlier run; {} of none."""
        return self._files.get(self._name(job), {}) if self._path else {}

    def claim(self, jobs):
        """Lists what is about to be written, before it is: afterwards these files are known to be ours."""
        for job in jobs:
            self._files.setdefault(self._name(job), {"source": str(job.source)})
        self.save()

    def record(self, job, entry):
        with self._lock:
            self._files[self._name(job)] = {k: v for k, v in entry.items() if k != "skipped"}
            due = time.monotonic() - self._saved > _SAVE_EVERY_S
        if due:
            self.save()

    def save(self):
        if self._path is None:
            return
        with self._lock:
            self._saved = time.monotonic()
            used = {entry.get("settings") for entry in self._files.values()}
            content = {"settings": {key: value for key, value in self._settings.items() if key in used},
                       "files": dict(sorted(self._files.items()))}
            with atomic_write(self._path, "w") as file:
                json.dump(content, file, indent=1)

    def _name(self, job):
        return str(job.target) if self._path is None else job.target.relative_to(self._path.parent).as_posix()


class _Counter:
    """Adds up the pixels that several threads have done."""

    def __init__(self, progress, pixels):
        self._progress, self._pixels, self._done = progress, pixels, dict.fromkeys(pixels, 0)
        self._files, self._lock = 0, threading.Lock()
        self._say()

    def at(self, job, pixels):
        with self._lock:
            self._done[job] = pixels
            self._say()

    def finished(self, job):
        with self._lock:
            self._done[job] = self._pixels[job]
            self._files += 1
            self._say()

    def _say(self):
        self._progress(self._files, sum(self._done.values()), sum(self._pixels.values()))


def _expand(pattern, errors):
    """The files and folders that an input stands for."""
    if os.path.exists(pattern):
        return [Path(pattern)]
    if not glob.has_magic(str(pattern)):
        errors.append(UserError(f"{pattern}: no such file or folder"))
        return []
    matches = [Path(match) for match in sorted(glob.glob(str(pattern), recursive=True))]
    chosen = [path for path in matches if path.is_file() and path.suffix.lower() in pictures.READABLE]
    if not chosen:
        errors.append(UserError(f"{pattern}: no picture has a name like this"))
    return chosen


def _pictures_in(folder, out):
    """The pictures at any depth below a folder, except hidden ones and those below `out`."""
    found = []
    for place, folders, names in os.walk(folder):
        place = Path(place)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and (place / f).resolve() != out.resolve())
        found += [place / name for name in names
                  if Path(name).suffix.lower() in pictures.READABLE and not name.startswith(".")]
    return sorted(found)


def _is_file_name(out):
    return not out.is_dir() and out.suffix.lower() in WRITABLE


def _with_places(found, out, suffix, errors):
    """Jobs with targets of their own; two sources that would meet keep their old suffix before the new one."""
    def renamed(place):
        new = suffix or (place.suffix if place.suffix.lower() in WRITABLE else ".png")
        return place if place.suffix.lower() == new.lower() else place.with_suffix(new)

    wanted = {}
    for source, place in dict.fromkeys(found):
        wanted.setdefault(renamed(place), []).append((source, place))
    jobs = {}
    for target, claims in wanted.items():
        for source, place in claims:
            mine = target if len(claims) == 1 or place == target else place.with_name(place.name + target.suffix)
            if mine in jobs:
                errors.append(UserError(f"{source}: would become {out / mine}, as does {jobs[mine].source}; rename one"))
            else:
                jobs[mine] = Job(source, out / mine)
    return list(jobs.values())


def _in_the_way(job, manifest, overwrite):
    """A UserError where the target must not be written, else None."""
    try:
        if job.target.exists() and job.target.samefile(job.source):
            return UserError(f"{job.source}: would be replaced by its own result; choose another --out")
        if job.target.exists() and not overwrite and not manifest.known(job):
            return UserError(f"{job.target}: exists and was not made by this command; choose another --out, or --overwrite")
    except OSError as e:
        return UserError(f"{job.target}: {e.strerror}")
    return None


def _pixels(path):
    """Of all frames; 0 where the file cannot be read, which is reported when its turn comes."""
    try:
        with pictures.open_picture(path) as picture:
            return picture.height * picture.width * picture.frames
    except UserError:
        return 0


def _read_json(path):
    """The manifest of an earlier run; {} where there is none or it is not one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return content if isinstance(content.get("files"), dict) else {}
    except (OSError, ValueError, AttributeError):
        return {}

"""Files and folders of pictures through an Upscaler, with a manifest by which an interrupted run goes on."""

from concurrent import futures
import dataclasses
import difflib
import glob
import hashlib
import json
import os
from pathlib import Path
import threading
import time
import traceback

from jsr import listing, pictures, results
from jsr.errors import UsageError, UserError
from jsr.files import sha256

COMMAND = "jsr upscale"
MANIFEST = results.MANIFESTS[COMMAND]

# The endings of files that can be written.
WRITABLE = tuple(ending for form in pictures.WRITABLE.values() for ending in form.extensions)

# Endings of pictures that other programs write: who names an output so means a file, not a folder.
_OTHER_PICTURES = {*pictures.READABLE, ".heic", ".heif", ".hif", ".jxl", ".svg", ".pdf", ".exr", ".hdr", ".dng", ".raw"}
_NEAR = 0.7  # difflib's ratio of a slip, as .jgp for .jpg
_THREADS = 2  # one decodes or encodes while the other computes


@dataclasses.dataclass(frozen=True)
class Job:
    """One picture: the file it is read from and the one it is written to."""

    source: Path
    target: Path


def find_jobs(inputs, out, *, suffix=None):
    """Which file becomes which.

    Args:
      inputs: files, folders and glob patterns ("**" for any depth), str or Path. What is in a folder goes to the same
        place below `out`; with several folders each goes below its own name. Results that earlier runs left in a
        folder are no pictures of it.
      out: folder, made where missing; or, for a single input file, a file name with a suffix that can be written.
      suffix: of the output files, as ".png"; None keeps that of each input, or takes .png where it cannot be written.

    Returns:
      (jobs sorted by source, errors, passed over): a UserError for each input that there is not, that cannot be read or
      that has no place of its own; a jsr.listing.PassedOver.

    Raises:
      UserError: nothing at all to do; `out` has the ending of a picture that cannot be written, or another than
        `suffix`.
    """
    out = Path(out)
    _check_ending(out, suffix)
    found, errors, passed = [], [], listing.PassedOver()  # (source, its place below out)
    paths = [path for pattern in inputs for path in _expand(pattern, errors, passed)]
    several = sum(path.is_dir() for path in paths) > 1
    for path in paths:
        if path.is_dir():
            below = Path(path.resolve().name) if several else Path()
            here = listing.PassedOver()
            files = listing.taken(path, pictures.READABLE, here, out=out)
            found += [(file, below / file.relative_to(path)) for file in files]
            if not files and not here.folders:
                errors.append(UserError(f"{path}: no pictures in this folder" + (f" ({here})" if here.kinds else "")))
            passed += here
        else:
            found.append((path, Path(path.name)))
    errors += passed.errors
    if not found:
        raise errors[0] if errors else UserError("no pictures were named")
    if _is_file_name(out):
        if len(found) > 1:
            raise UserError(f"{out}: is a file name, but there are {len(found)} pictures; name a folder")
        jobs = [Job(found[0][0], out)]
    else:
        jobs = _with_places(found, out, suffix, errors)
    return sorted(jobs, key=lambda job: str(job.source)), errors, passed


def upscale_files(jobs, upscaler, settings, *, out=None, quality=None, overwrite=False,
                  keep_dates=False, progress=lambda files, pixels, total_pixels: None):
    """Upscales every job's picture; one that cannot be is reported and does not stop the rest.

    Files that an earlier run finished are left alone, as long as source, settings and result are unchanged. A file in
    the way that was not made of the very same source, or was changed since, is never replaced, unless `overwrite`.
    Several processes may write into one folder, each its share: no entry is lost, no picture is made twice.

    The manifest `upscaled.json` in `out` is {command, settings: {key: {...}}, files: {target: entry}}; an entry has
    `source` and `settings` (a key), and, of a finished file, `source_sha256`, `sha256`, `format`, LR `height` and
    `width` (px), `frames`, `bit_depth`, `channels`, `tiling` ("whole", "exact" or "approximate"), `tile` and `overlap`
    (LR px), `averaged_tiles` (the sizes of others, where several are averaged), `runtime` (of the last tile),
    `seconds`, `estimated_quality` (1..100, where a network estimates that of JPEG) and `notes`; of a failed one
    `error`, with `traceback` where the mistake is in here.

    Args:
      jobs: of `plan`.
      upscaler: jsr.inference.upscaler.Upscaler.
      settings: JSON object, all that the results depend on.
      out: folder of the manifest; None writes none and leaves no finished file alone.
      quality: of lossy output formats, 1..100; None is each format's default.
      overwrite: replaces files in the way, and does finished ones again.
      keep_dates: gives every result the time of its source.
      progress: called with (files done, LR pixels done, LR pixels in all), from several threads.

    Returns:
      (entries, errors): {target: entry} of all jobs, with `skipped` where a file was left alone; UserErrors.

    Raises:
      UserError: the manifest cannot be written, or a file of that name is none.
    """
    key = _key(settings)
    manifest = _manifest(out, overwrite)
    errors, todo = [], []
    for job in jobs:
        problem = _in_the_way(job, manifest, overwrite)
        if problem:
            errors.append(problem)
        else:
            todo.append(job)
    if not todo:
        return {}, errors
    if manifest:
        manifest.add("settings", key, settings)
        manifest.save()  # an unwritable folder is found now
    counter = _Counter(progress, {job: _pixels(job.source) for job in todo})
    stop = threading.Event()

    def waiting():
        if stop.is_set():
            raise _Stopped

    def one(job):
        entry = {"source": str(job.source), "settings": key}
        known = {}
        try:
            with results.making(job.target, waiting=waiting):
                known, digest, may = _verdict(job, manifest, key, overwrite)
                if may == results.PASS_OVER:
                    entry = known | {"source": str(job.source), "skipped": True}
                else:
                    entry["source_sha256"] = digest

                    def before(temporary):
                        if keep_dates:
                            found = job.source.stat()
                            os.utime(temporary, ns=(found.st_atime_ns, found.st_mtime_ns))
                        if manifest:
                            whole = entry | {"sha256": sha256(temporary)}
                            manifest.add("files", _name(job, out), results.replacing(job.target, whole))

                    entry |= _upscale(job, upscaler, quality, counter, stop, before)
        except UserError as e:
            entry["error"] = str(e)
            errors.append(e)
        except _Stopped:
            raise
        except Exception as e:  # a mistake of ours must not cost the other files either
            entry |= {"error": f"{job.source}: {type(e).__name__}: {e}", "traceback": traceback.format_exc()}
            where = f" with its traceback in {MANIFEST}" if out is not None else ""
            errors.append(UserError(f"{job.source}: failed unexpectedly, {type(e).__name__}: {e}; this is a mistake in "
                                    f"jsr, please report it{where}"))
        counter.finished(job)
        if manifest and "skipped" not in entry and not ("error" in entry and os.path.lexists(job.target)):
            manifest.add("files", _name(job, out), entry)  # else it keeps what is known of the file that is there
        return job, entry

    pool = futures.ThreadPoolExecutor(_THREADS)
    try:
        # as a queue, not a map: after Ctrl+C nothing more may begin
        entries = {str(job.target): entry for job, entry in pool.map(one, todo)}
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
        if manifest:
            manifest.save(_with_used_settings)
    return entries, sorted(errors, key=str)


def foresee(jobs, settings, *, out=None, overwrite=False):
    """What `upscale_files` would do with every job, without doing it.

    Args:
      jobs, settings, out, overwrite: as of `upscale_files`.

    Returns:
      ({target: results.WRITE, REPLACE or PASS_OVER}, errors).

    Raises:
      UserError: as `upscale_files`.
    """
    manifest, found, errors = _manifest(out, overwrite), {}, []
    for job in jobs:
        try:
            if problem := _in_the_way(job, manifest, overwrite):
                raise problem
            *_, found[str(job.target)] = _verdict(job, manifest, _key(settings), overwrite)
        except UserError as e:
            errors.append(e)
    return found, errors


def _key(settings):
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def _manifest(out, overwrite):
    return results.Manifest(Path(out) / MANIFEST, COMMAND, {}, overwrite=overwrite) if out is not None else None


def _name(job, out):
    return job.target.relative_to(out).as_posix()


def _verdict(job, manifest, key, overwrite):
    """(the entry of an earlier run, the source's SHA-256, what may become of the target)."""
    known = manifest.find("files", _name(job, manifest.path.parent)) if manifest else {}
    digest = sha256(job.source)
    return known, digest, results.verdict(job.target, known, digest, finished=known.get("settings") == key,
                                          overwrite=overwrite)


def _with_used_settings(tables):
    used = {entry.get("settings") for entry in tables.get("files", {}).values()}
    return tables | {"settings": {key: value for key, value in tables.get("settings", {}).items() if key in used}}


def digest(path):
    """A file as settings name it: {file, sha256}."""
    return {"file": Path(path).name, "sha256": sha256(path)}


class _Stopped(Exception):
    """Another thread asked for the end."""


def _upscale(job, upscaler, quality, counter, stop, before):
    """Reads, upscales and writes one picture; returns what the manifest says of it. `before` is of atomic_write."""
    start = time.monotonic()
    tilings, lost = [], []
    found = _of_jpeg(job, upscaler) if upscaler.for_jpeg else {}
    alpha = pictures.WRITABLE[pictures.format_of(job.target)].alpha
    with pictures.open_picture(job.source, drop_opaque=not alpha) as picture:
        height, width = picture.height * upscaler.scale, picture.width * upscaler.scale
        with pictures.create(job.target, picture, height, width, quality=quality, before=before) as sink:
            for frame in range(picture.frames):
                def on_band(tiling, rows, frame=frame):
                    tilings.append(tiling)
                    counter.at(job, (frame * picture.height + rows) * picture.width)

                def rows_of(first, last, frame=frame):
                    rows = picture.rows(first, last, frame)
                    if not (lost or upscaler.separate_alpha) and _hides_colours(rows):
                        lost.append("colours under alpha 0 became black; --alpha separate keeps them")
                    return rows
                bands = upscaler.stream(rows_of, picture.height, picture.width, picture.dtype, on_band=on_band)
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
                **found, "notes": list(dict.fromkeys((*picture.notes, *found.get("notes", ()), *sink.notes, *lost)))}


def _hides_colours(rows):
    """Whether rows have colours where they are transparent."""
    return rows.shape[2] in (2, 4) and bool(rows[rows[..., -1] == 0][:, :-1].any())


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


def _expand(pattern, errors, passed):
    """The files and folders that an input stands for."""
    if os.path.exists(pattern):
        return [Path(pattern)]
    if not glob.has_magic(str(pattern)):
        errors.append(UserError(f"{pattern}: no such file or folder"))
        return []
    matches = [Path(match) for match in sorted(glob.glob(str(pattern), recursive=True))]
    files = [path for path in matches if path.is_file()]
    chosen = [path for path in files if path.suffix.lower() in pictures.READABLE]
    for path in files:
        if path.suffix.lower() not in pictures.READABLE:
            passed.add(path)
    if not chosen:
        errors.append(UserError(f"{pattern}: no picture has a name like this"))
    return chosen


def _check_ending(out, suffix):
    """Raises UsageError where an output's name is that of a picture, but of none that will be written there."""
    ending = out.suffix.lower()
    if out.is_dir() or not ending:
        return
    if ending in WRITABLE:
        if suffix and pictures.format_of(f"a{suffix}") != pictures.format_of(out):
            raise UsageError(f"{out}: its ending is of {pictures.format_of(out)}, --format {suffix[1:]} is another; "
                             "leave one of them out")
        return
    near = difflib.get_close_matches(ending, WRITABLE, n=1, cutoff=_NEAR)
    if near or ending in _OTHER_PICTURES:
        advice = f"did you mean {out.with_suffix(near[0])}?" if near else f"use one of {', '.join(WRITABLE)}"
        raise UsageError(f"{out}: no picture can be written as {ending}; {advice} (A folder of that name has to be "
                         "there already.)")


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
                errors.append(UserError(f"{source}: would become {out / mine}, as does {jobs[mine].source}; "
                                        "rename one"))
            else:
                jobs[mine] = Job(source, out / mine)
    return list(jobs.values())


def _in_the_way(job, manifest, overwrite):
    """A UserError where it shows without reading the source that the target must not be written, else None."""
    try:
        if job.target.exists() and job.target.samefile(job.source):
            return UserError(f"{job.source}: would be replaced by its own result; choose another --out")
        if not (manifest and manifest.find("files", _name(job, manifest.path.parent))):
            results.verdict(job.target, {}, None, overwrite=overwrite)
    except OSError as e:
        return UserError(f"{job.target}: {e.strerror}")
    except UserError as e:
        return e
    return None


def _pixels(path):
    """Of all frames; 0 where the file cannot be read, which is reported when its turn comes."""
    try:
        with pictures.open_picture(path) as picture:
            return picture.height * picture.width * picture.frames
    except UserError:
        return 0

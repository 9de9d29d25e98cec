"""Files and folders of pictures and clips through an Upscaler, with a manifest by which an interrupted run goes on."""

import collections
from concurrent import futures
import dataclasses
import difflib
import functools
import glob
import hashlib
import json
import math
import os
from pathlib import Path
import re
import shutil
import threading
import time
import traceback

import jax

import jsr
from jsr import clips, listing, pictures, results
from jsr.errors import UsageError, UserError
from jsr.files import atomic_write, sha256
from jsr.inference import choice, upscale_clip
from jsr.inference.choice import Plan
from jsr.inference.resample import resampled
from jsr.inference.upscaler import from_unit, to_unit

COMMAND = "jsr upscale"
MANIFEST = results.MANIFESTS[COMMAND]

# The endings of files that can be written, and those of files that are taken of folders.
WRITABLE = tuple(ending for form in (*pictures.WRITABLE.values(), *clips.CONTAINERS.values())
                 for ending in form.extensions)
READABLE = (*pictures.READABLE, *clips.READABLE)

# Endings of pictures that other programs write: who names an output so means a file, not a folder.
_OTHER_PICTURES = {*pictures.READABLE, ".svg", ".pdf", ".exr", ".hdr", ".dng", ".raw"}
_NEAR = 0.7  # difflib's ratio of a slip, as .jgp for .jpg
_LOOKED_AT = 16  # files that are opened to tell what the work will take
_RESULT = re.compile(r"(.+)_(x[\d.e+-]+|restored|\d+x\d+)")  # stems of results beside their sources
_BAND_BYTES = 1 << 24  # of a picture that no network cuts into tiles, read at a time
CLIP_QUALITY = 100    # JPEG quality that networks are told of clips, unless it is stated
_WORTH_SAYING = 90  # JPEG quality below which it is said that it was estimated


class Job:
    """One picture or clip. The file is opened when first something is asked for that it alone tells.

    Args:
      source: file it is read from.
      target: file it is written to; None is what `place` says.
      choose: function of a path to its Plan, as jsr.inference.choice.choose.
      place: function of source and plan to the target.

    Attributes:
      source: as given.
    """

    def __init__(self, source, target=None, choose=choice.choose, place=None):
        self.source, self._target, self._choose, self._place = source, target, choose, place

    @functools.cached_property
    def _outcome(self):
        """(plan, target, problem)."""
        try:
            plan = self._choose(self.source)
            return plan, self._target or self._place(self.source, plan), None
        except UserError as e:
            return None, self._target, e

    @property
    def plan(self) -> Plan | None:
        """Plan for it; None where that cannot be known."""
        return self._outcome[0]

    @property
    def problem(self) -> UserError | None:
        """Why that cannot be known."""
        return self._outcome[2]

    @property
    def target(self) -> Path | None:
        """The file that it is written to; None where that cannot be known."""
        return self._target or self._outcome[1]


def find_jobs(inputs, out=None, *, suffix=None, clip_suffix=None, frames=False, choose=choice.choose, shard=None):
    """Jobs: each source file, its target and its plan.

    Args:
      inputs: files, folders and glob patterns ("**" for any depth), str or Path. What is in a folder goes to the same
        place below `out`; with several folders each goes below its own name. Results that earlier runs left in a
        folder, or beside one of the files, are no pictures of it.
      out: folder, made where missing; or, for a single input file, a file name with a suffix that can be written; None
        is beside each input, under a name that says what was done.
      suffix: of the output files, as ".png"; None keeps that of each input, or takes .png where it cannot be written.
      clip_suffix: the same of clips, as ".mp4"; .mkv where it cannot be written.
      frames: whether clips, and folders of pictures as if they were clips, become folders of pictures, each below `out`
        or beside its source; pictures that are named are errors.
      choose: function of a path to its Plan, as jsr.inference.choice.choose.
      shard: jsr.shards.Shard whose jobs are wanted, by the names of the files within the folders that were given; None
        for all.

    Returns:
      (jobs sorted by source, errors, passed over): a UserError for each input that there is not, that cannot be read or
      that has no place of its own; a jsr.listing.PassedOver.

    Raises:
      UserError: nothing at all to do; `out` has the ending of a picture that cannot be written, or another than
        `suffix`.
    """
    beside, out = out is None, Path(out or "")
    if not beside:
        _check_ending(out, suffix, clip_suffix)
    found, errors, passed = [], [], listing.PassedOver()  # (source, its place below out)
    paths = [path for pattern in inputs for path in _expand(pattern, errors, passed)]
    if not beside and len(paths) == 1 and paths[0].is_dir() and clips.is_clip(out) and not out.is_dir():
        return _of_shard([Job(paths[0], out, choose)], {}, shard), errors, passed  # a folder of frames
    several = sum(path.is_dir() for path in paths) > 1
    for path in paths:
        if path.is_dir():
            below = Path(path.resolve().name) if several else Path()
            here = listing.PassedOver()
            files = listing.taken(path, READABLE, here, out=path if beside else out)
            made = {file for file in files if _source_of(file)}
            here.kinds.update([listing.RESULTS] * len(made))
            files = [file for file in files if file not in made]
            found += [(file, below / file.relative_to(path)) for file in files]
            if not files and not here.folders:
                errors.append(UserError(f"{path}: no pictures or clips in this folder"
                                        + (f" ({here})" if here.kinds else "")))
            passed += here
        else:
            found.append((path, Path(path.name)))
    errors += passed.errors
    named = {path for path, _ in found}
    made = {path for path in named if _source_of(path) in named}
    passed.kinds.update([listing.RESULTS] * len(made))
    found = [(path, place) for path, place in found if path not in made]
    if frames:
        named = {path for path in paths if not path.is_dir()}
        jobs, places = _to_frames(found, named, out, beside, choose, errors)
        return _of_shard(jobs, places, shard), errors, passed
    if not found:
        raise errors[0] if errors else UserError("no pictures were named")
    if not beside and _is_file_name(out):
        if len(found) > 1:
            raise UserError(f"{out}: is a file name, but there are {len(found)} pictures; name a folder")
        _check_kind(found[0][0], out)
        jobs = [Job(found[0][0], out, choose)]
    elif beside:
        sources = list(dict.fromkeys(source for source, _ in found))
        place = _Beside(sources, suffix, clip_suffix)
        jobs = [Job(source, None, choose, place) for source in sources]
    else:
        jobs = _with_places(found, out, suffix, clip_suffix, errors, choose)
    return _of_shard(jobs, dict(found), shard), errors, passed


def _of_shard(jobs, places, shard):
    """The jobs of a shard, sorted; `places` are {source: its path within what was given}."""
    own = [job for job in jobs if not shard or shard.has(places.get(job.source, Path(job.source.name)).as_posix())]
    return sorted(own, key=lambda job: str(job.source))


def upscale_files(jobs, networks, settings, *, out=None, mark=False, input_quality=None, separate_alpha=False,
                  quality=None, overwrite=False, keep_dates=False, shard=None,
                  progress=lambda files, pixels, total_pixels: None, check=lambda: None):
    """Upscales every job's picture; one that cannot be is reported and does not stop the rest.

    Files that an earlier run finished are left alone, as long as source, settings and result are unchanged. A file in
    the way that was not made of the very same source, or was changed since, is never replaced, unless `overwrite`.
    Several processes may write into one folder, each its share: no entry is lost, no picture is made twice.

    The manifest `upscaled.json` in `out` is {command, settings: {key: {...}}, files: {target: entry}}; an entry has
    `source` and `settings` (a key), and, of a finished file, `source_sha256`, `sha256`, `format`, `did` (what was done,
    in words), `copied` (true, of copies), LR `height` and `width` (px), `frames`, `bit_depth`, `channels`, `seconds`
    and `notes`; where a network was at work also `tiling` ("whole", "exact" or "approximate"), `tile` and `overlap` (LR
    px), `averaged_tiles` (the sizes of others, where several are averaged), `runtime` (of the last tile),
    `estimated_quality` (1..100, where a network estimates that of JPEG), `told_quality` and `told_by` ("stated",
    "tables" or "estimate", where a network is told it); of a failed one `error`, with `traceback` where the mistake is
    in here.

    Args:
      jobs: jobs from `find_jobs`.
      networks: jsr.inference.choice.Networks.
      settings: JSON object, all that the results depend on but for the networks.
      out: folder of the manifest; None writes none and leaves no finished file alone, unless `mark`.
      mark: puts into each file what made it, in place of the manifest, and never replaces one unless `overwrite`.
      input_quality: JPEG quality, 1..100, that networks are told of all pictures; None is each file's own.
      separate_alpha: see Upscaler, for what no network does.
      quality: quality of lossy output formats, 1..100; None is each format's default.
      overwrite: replaces files in the way, and does finished ones again.
      keep_dates: gives every result the time of its source.
      shard: jsr.shards.Shard that the jobs are of, whose manifest is its own; None of all.
      progress: called with (files done, LR pixels done, LR pixels in all), from several threads.
      check: called before every band of a picture and every frame of a clip, from several threads; it may wait, or
        raise `Stopped` to end the work.

    Returns:
      (entries, errors): {target: entry} of all jobs, with `skipped` where a file was left alone; UserErrors.

    Raises:
      UserError: the manifest cannot be written, or a file of that name is none; another process is at work as the
        same shard.
    """
    manifest, errors, todo = _manifest(out, overwrite, shard), [], []
    for job in jobs:  # none is opened before its turn, for which those before do not wait
        problem = None if mark else _in_the_way(job, manifest, mark, overwrite)
        if problem:
            errors.append(problem)
        else:
            todo.append(job)
    if not todo:
        return {}, errors
    if manifest:
        manifest.save()  # an unwritable folder is found now
    counter = _Counter(progress, len(todo))
    stop, said, expected = threading.Event(), set(), _expected(todo)

    def waiting():
        if stop.is_set():
            raise Stopped
        check()

    def one(job):
        entry, known = {"source": str(job.source)}, {}
        counter.begun(job, _pixels(job))
        try:
            key, its = _key(job, networks, settings)
            entry["settings"] = key
            if manifest and key not in said:
                manifest.add("settings", key, its)
                said.add(key)
            if job.problem:
                raise job.problem
            if job.plan.wishes.frames:
                entry |= _to_folder(job, key, networks, input_quality, quality, overwrite, counter, waiting)
                counter.finished(job)
                return job, entry
            if problem := mark and _in_the_way(job, manifest, mark, overwrite):
                raise problem
            with results.making(job.target, waiting=waiting):
                known, digest, may = _verdict(job, manifest, mark, key, overwrite)
                if may == results.PASS_OVER:
                    if job.plan.clip:
                        upscale_clip.clear(job, digest, key)
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

                    made = {"software": f"jsr {jsr.__version__}", "did": job.plan.text, "settings": key,
                            "source": job.source.name, "source_sha256": digest}
                    write = functools.partial(pictures.create, quality=quality, made=made if mark else None,
                                              before=before)
                    if job.plan.clip:
                        entry |= _upscale_clip(job, networks, input_quality, made, mark, before, overwrite, counter,
                                               waiting)
                    else:
                        entry |= _upscale(job, networks, expected, input_quality, separate_alpha, write, counter,
                                          waiting)
        except UserError as e:
            entry["error"] = str(e)
            errors.append(e)
        except Stopped:
            raise
        except Exception as e:  # a mistake of ours must not cost the other files either
            entry |= {"error": f"{job.source}: {type(e).__name__}: {e}", "traceback": traceback.format_exc()}
            where = f" with its traceback in {MANIFEST}" if out is not None else ""
            errors.append(UserError(f"{job.source}: failed unexpectedly, {type(e).__name__}: {e}; this is a mistake in "
                                    f"jsr, please report it{where}"))
        if "error" in entry:
            counter.failed(job)
        else:
            counter.finished(job)
        if manifest and "skipped" not in entry and not ("error" in entry and os.path.lexists(job.target)):
            manifest.add("files", _name(job, out), entry)  # else it keeps what is known of the file that is there
        return job, entry

    pool = futures.ThreadPoolExecutor(1 + jax.local_device_count())  # one decodes or encodes while others compute
    try:
        # as a queue, not a map: after Ctrl+C nothing more may begin
        entries = {str(job.target or job.source): entry for job, entry in pool.map(one, todo)}
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
        if manifest:
            manifest.save(_with_used_settings)
    return entries, sorted(errors, key=str)


def upscale_beside(upscaler, path):
    """Upscales one picture file by an Upscaler; the result goes beside it and says what made it.

    Returns:
      Path of the result. One that the same Upscaler made of the same file before is left alone.

    Raises:
      UserError: the picture cannot be read, or something else is in the way of the result.
    """
    if os.path.isdir(path) or not os.path.exists(path):  # nor a pattern, of which there may be many
        raise UserError(f"{path}: " + ("is a folder; name a picture" if os.path.isdir(path) else
                                       "no such file or folder"))
    name = ", ".join(chain.meta.get("recipe") or type(list(chain.networks.values())[-1]).__name__
                     for chain in upscaler.chains)
    networks = choice.Networks({name: ()}, lambda: upscaler)
    jobs, errors, _ = find_jobs([path], choose=functools.partial(choice.choose, named=(name, upscaler.scale)))
    if not errors:
        _, errors = upscale_files(jobs, networks, {"upscaler": upscaler.digest()}, mark=True,
                                  separate_alpha=upscaler.separate_alpha)
    if errors := errors or list(filter(None, [jobs[0].problem])):
        raise UserError(re.sub("; choose (another )?--out, or --overwrite$", "; rename or remove it", str(errors[0])))
    return jobs[0].target


def foresee(jobs, networks, settings, *, out=None, mark=False, overwrite=False, shard=None):
    """Foretells the verdict of `upscale_files` on every job, without writing.

    Args:
      jobs, networks, settings, out, mark, overwrite, shard: see `upscale_files`.

    Returns:
      ({target: results.WRITE, REPLACE or PASS_OVER}, errors).

    Raises:
      UserError: as `upscale_files`.
    """
    manifest, found, errors = _manifest(out, overwrite, shard), {}, []
    for job in jobs:
        try:
            if problem := job.problem or _in_the_way(job, manifest, mark, overwrite):
                raise problem
            key, _ = _key(job, networks, settings)
            if job.plan.wishes.frames:
                found[str(job.target)] = results.WRITE
            else:
                *_, found[str(job.target)] = _verdict(job, manifest, mark, key, overwrite)
        except UserError as e:
            errors.append(e)
    return found, errors


def _key(job, networks, settings):
    """(what names them, the settings of one job)."""
    its = settings | {"models": networks.digests(job.plan.network) if job.plan else []}
    if job.plan and job.plan.clip:
        its |= {"clip": {name: value if isinstance(value, (int, str, bool)) else str(value)
                         for name, value in dataclasses.asdict(job.plan.wishes).items()}}
    return hashlib.sha256(json.dumps(its, sort_keys=True).encode()).hexdigest()[:16], its


def _manifest(out, overwrite, shard):
    return None if out is None else results.Manifest(Path(out) / MANIFEST, COMMAND, {}, overwrite=overwrite,
                                                     shard=shard)


def _name(job, out):
    return job.target.relative_to(out).as_posix()


def _verdict(job, manifest, mark, key, overwrite):
    """(the entry of an earlier run, the source's SHA-256, what may become of the target)."""
    known = manifest.find("files", _name(job, manifest.path.parent)) if manifest else {}
    digest = _digest(job.source)
    if mark and not overwrite and os.path.lexists(job.target):
        known = _marked(job, key, digest)
    # A kill behind the renaming leaves an entry without what was done: the file is made again for it
    finished = known.get("settings") == key and (mark or "seconds" in known)
    return known, digest, results.verdict(job.target, known, digest, finished=finished, overwrite=overwrite)


def _marked(job, key, digest):
    """A file's own note on how it was made, as an entry of a manifest; {} without one.

    Raises:
      UserError: it was made of the very same source in another way; whether a person has changed it cannot be told.
    """
    there = sha256(job.target)
    if there and there == digest:  # a copy says nothing
        return {"source_sha256": digest, "settings": key, "sha256": there} if job.plan.copies else {}
    known = _made_by(job.target) or {}
    if known.get("source_sha256") == digest and known.get("settings") != key:
        raise UserError(f"{job.target}: was made of {job.source.name} in another way ({known.get('did')}, or with "
                        "other options); choose --out, or --overwrite")
    return known | {"sha256": there} if known else {}


def _digest(path):
    return clips.digest(path) if path.is_dir() else sha256(path)


def _made_by(path):
    return clips.made_by(path) if clips.is_clip(path) else pictures.made_by(path)


def _with_used_settings(tables):
    used = {entry.get("settings") for entry in tables.get("files", {}).values()}
    return tables | {"settings": {key: value for key, value in tables.get("settings", {}).items() if key in used}}


class Stopped(Exception):
    """Somebody, as another thread, asked for the end of the work; nothing half-written stays."""


def _expected(jobs):
    """{network: arguments for Upscaler.expecting} by a few pictures out of all; the others are not opened."""
    few, sizes = jobs[::-(-len(jobs) // _LOOKED_AT)] if len(jobs) > 1 else [], collections.defaultdict(list)
    for job in few:
        if not clips.is_clip(job.source) and job.plan and job.plan.network and not job.plan.clip:
            sizes[job.plan.network] += [job.plan.before] * min(job.plan.frames, 2)
    return {name: {"sizes": found, "all_known": len(few) == len(jobs)} for name, found in sizes.items()}


def _upscale(job, networks, expected, input_quality, separate_alpha, write, counter, check):
    """Reads, upscales and writes one picture; returns what the manifest says of it.

    Args:
      expected: result of `_expected` for all jobs.
      write: pictures.create with all that is the same for every picture.
    """
    start, plan = time.monotonic(), job.plan
    form = pictures.WRITABLE[pictures.format_of(job.target)]
    if plan.network and networks[plan.network].takes_clips:
        raise UserError(f"{job.source}: is a picture, but {plan.network} takes clips; choose a network for pictures, "
                        "or add --frames, which makes its folder a clip")
    with pictures.open_picture(job.source, drop_opaque=not form.alpha) as picture:
        found = {"height": picture.height, "width": picture.width, "frames": picture.frames,
                 "bit_depth": picture.bit_depth, "channels": picture.channels}
        if plan.copies and pictures.format_of(job.target) == picture.format:
            with open(job.source, "rb") as file, atomic_write(job.target, before=write.keywords["before"]) as sink:
                shutil.copyfileobj(file, sink)
            did, notes, more = f"{plan.text}: copied unchanged", [], {"format": picture.format, "copied": True}
        else:
            did = f"{plan.text}: only its format changed" if plan.copies else plan.text
            more, notes = _written(job, picture, networks, expected, input_quality, separate_alpha, write, counter,
                                   check)
    return {"sha256": sha256(job.target), "did": did, **found, **more, "seconds": round(time.monotonic() - start, 3),
            "notes": list(dict.fromkeys(notes))}


def preview(job, networks, input_quality=None):
    """Writes one frame of the result of a clip's job as PNG; returns its Path."""
    return upscale_clip.preview(job, _for_clip(job, networks, input_quality)[0])


def _to_folder(job, key, networks, input_quality, quality, overwrite, counter, check):
    """Upscales one clip to a folder of pictures; returns what is known of it."""
    start, plan = time.monotonic(), job.plan
    upscaler, found = _for_clip(job, networks, input_quality)
    size = math.prod(plan.before)
    more, notes = upscale_clip.upscale_to_frames(
        job, upscaler, _digest(job.source), key, plan.wishes.frames, quality, overwrite=overwrite,
        progress=lambda frames: counter.at(job, frames * size), check=check)
    return {"did": plan.text, "height": plan.before[0], "width": plan.before[1], "bit_depth": plan.clip.bits,
            "channels": 4 if plan.clip.alpha else 3, **found, **more, "encoder": "",
            "seconds": round(time.monotonic() - start, 3), "notes": list(dict.fromkeys(notes))}


def _for_clip(job, networks, input_quality):
    """(the Upscaler of a clip's job, None of none; what it is told, for the manifest)."""
    upscaler = networks[job.plan.network] if job.plan.network else None
    if not (upscaler and upscaler.takes_quality):
        return upscaler, {}
    told = CLIP_QUALITY if input_quality is None else input_quality
    return upscaler.told(told), {"told_quality": told, "told_by": "clips" if input_quality is None else "stated"}


def _upscale_clip(job, networks, input_quality, made, mark, before, overwrite, counter, check):
    """Upscales one clip; returns what the manifest says of it."""
    start, plan = time.monotonic(), job.plan
    upscaler, found = _for_clip(job, networks, input_quality)
    size = math.prod(plan.before)
    more, notes = upscale_clip.upscale(
        job, upscaler, made["source_sha256"], made["settings"], mark=made if mark else None, overwrite=overwrite,
        before=before, progress=lambda frames: counter.at(job, frames * size), check=check)
    return {"sha256": sha256(job.target), "did": plan.text, "height": plan.before[0], "width": plan.before[1],
            "bit_depth": plan.clip.bits, "channels": 4 if plan.clip.alpha else 3, **found, **more,
            "seconds": round(time.monotonic() - start, 3), "notes": list(dict.fromkeys(notes))}


def _written(job, picture, networks, expected, input_quality, separate_alpha, write, counter, check):
    """Writes a picture as its plan wants; returns what the manifest says of that, and notes."""
    plan, found, tilings, lost = job.plan, {}, [], []
    upscaler = networks[plan.network] if plan.network else None
    if upscaler and plan.network in expected:
        upscaler = upscaler.expecting(**expected[plan.network])
    straight = separate_alpha or plan.copies
    if upscaler and (upscaler.for_jpeg or upscaler.takes_quality):
        told, by = choice.told(job.source, input_quality)
        found = _of_jpeg(job, upscaler, told) if upscaler.for_jpeg else {"notes": []}
        if upscaler.takes_quality:
            upscaler = upscaler.told(told)
            found |= {"told_quality": told, "told_by": by} if by else {}
        if by == "estimate" and told < _WORTH_SAYING and not found["notes"]:
            found["notes"].append(f"estimated JPEG quality {told:.0f}")
    notes = found.pop("notes", []) + (_of_decoder(upscaler) if upscaler and picture.format == "jpeg" else [])

    def bands(frame):
        def on_band(tiling, rows):
            tilings.append(tiling)
            counter.at(job, (frame * picture.height + rows) * picture.width)

        def rows_of(first, last):
            rows = picture.rows(first, last, frame)
            if not (lost or straight) and _hides_colours(rows):
                lost.append("colours under alpha 0 became black; --alpha separate keeps them")
            return rows

        if upscaler:
            yield from upscaler.stream(rows_of, picture.height, picture.width, picture.dtype, on_band=on_band)
            return
        step = max(1, _BAND_BYTES // (picture.width * picture.channels * picture.dtype.itemsize))
        for top in range(0, picture.height, step):
            yield rows_of(top, bottom := min(top + step, picture.height))
            counter.at(job, (frame * picture.height + bottom) * picture.width)

    with write(job.target, picture, *plan.after) as sink:
        for frame in range(picture.frames):
            made = bands(frame)
            if plan.resamples:
                size = tuple(side * plan.scale for side in plan.before)
                made = resampled(made, size, plan.after, functools.partial(_averaged, straight=straight),
                                 functools.partial(from_unit, dtype=picture.dtype, straight=straight))
            for band in made:
                check()
                sink.write(band)
    found |= {"format": sink.format}
    if upscaler:
        tiling = tilings[-1]
        found |= {"tiling": "whole" if tiling.whole else "exact" if tiling.exact else "approximate",
                  "tile": list(tiling.size), "averaged_tiles": [list(cut.size) for cut in tiling.others],
                  "overlap": tiling.overlap, "runtime": upscaler.runtime(tiling)}
    return found, [*picture.notes, *notes, *sink.notes, *lost]


def _averaged(rows, straight):
    """Rows as they are stored to float32 ones that may be averaged: colours are premultiplied, unless alpha is none."""
    unit = to_unit(rows)
    if rows.shape[2] in (2, 4) and not straight:
        unit[..., :-1] *= unit[..., -1:]
    return unit


def _hides_colours(rows):
    """Whether rows have colours where they are transparent."""
    return rows.shape[2] in (2, 4) and bool(rows[rows[..., -1] == 0][:, :-1].any())


def _of_jpeg(job, upscaler, told):
    """For networks that restore JPEG pictures: what the manifest says of the file as such."""
    with pictures.open_picture(job.source) as picture:  # rows are read forwards only
        quality = upscaler.quality(picture.rows, picture.height, picture.width)
        found = {"notes": []}
        if picture.format != "jpeg" and told is None:
            found["notes"].append(f"is a {picture.format} file; the model was made to restore JPEG")
        if quality is not None:
            found |= {"estimated_quality": round(quality, 1)}
            found["notes"].append(f"estimated JPEG quality {quality:.0f}")
        return found


def _of_decoder(upscaler):
    """The note on a JPEG file whose network was scored on images by a decoder of other pixels: [note]."""
    from jsr import degradations  # which only JPEG files need
    from jsr.degradations import jpeg

    codecs = (upscaler.chains[0].meta.get("fingerprint") or {}).get("codecs") or {}
    theirs, ours = codecs.get("data.eval", "").rpartition(" > ")[2], jpeg.library()
    same = degradations.codec_kinds(theirs) == degradations.codec_kinds(ours)
    if same or not theirs.startswith(("libjpeg", "mozjpeg")):
        return []
    return [f"read by {ours}; its network was scored on JPEG read by {theirs}"]


class _Counter:
    """Adds up the pixels that several threads have done; of files that were not opened yet it expects the mean.

    Args:
      progress: see `upscale_files`.
      count: number of files.
    """

    def __init__(self, progress, count):
        self._progress, self._count, self._pixels, self._done = progress, count, {}, {}
        self._files, self._lock = 0, threading.Lock()

    def begun(self, job, pixels):
        with self._lock:
            self._pixels[job], self._done[job] = pixels, 0
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

    def failed(self, job):
        """Takes a job out: it is not done, and its pixels are not to be expected."""
        with self._lock:
            del self._pixels[job], self._done[job]
            self._count -= 1
            self._say()

    def _say(self):
        total = sum(self._pixels.values()) * self._count / max(len(self._pixels), 1)
        self._progress(self._files, sum(self._done.values()), total)


def _expand(pattern, errors, passed):
    """The files and folders that an input stands for."""
    if os.path.exists(pattern):
        return [Path(pattern)]
    if not glob.has_magic(str(pattern)):
        errors.append(UserError(f"{pattern}: no such file or folder"))
        return []
    matches = [Path(match) for match in sorted(glob.glob(str(pattern), recursive=True))]
    files = [path for path in matches if path.is_file()]
    chosen = [path for path in files if path.suffix.lower() in READABLE]
    for path in files:
        if path.suffix.lower() not in READABLE:
            passed.add(path)
    if not chosen:
        errors.append(UserError(f"{pattern}: no picture or clip has a name like this"))
    return chosen


def _check_ending(out, suffix, clip_suffix):
    """Raises UsageError if an output is named like a picture or clip that will not be written there."""
    ending = out.suffix.lower()
    if out.is_dir() or not ending:
        return
    if its := clips.container_of(out):
        if clip_suffix and its != clips.container_of(f"a{clip_suffix}"):
            raise UsageError(f"{out}: ends as {its}, but --container is {clip_suffix[1:]}; leave one of them out")
        return
    if clips.is_clip(out):
        raise UsageError(f"{out}: no clip can be written as {ending}; did you mean {out.with_suffix('.mkv')}? "
                         "(If you mean a folder, make it first.)")
    if ending in WRITABLE:
        if suffix and pictures.format_of(f"a{suffix}") != pictures.format_of(out):
            raise UsageError(f"{out}: its ending is of {pictures.format_of(out)}, --format {suffix[1:]} is another; "
                             "leave one of them out")
        return
    near = difflib.get_close_matches(ending, WRITABLE, n=1, cutoff=_NEAR)
    if near or ending in _OTHER_PICTURES:
        advice = f"did you mean {out.with_suffix(near[0])}?" if near else f"use one of {', '.join(WRITABLE)}"
        raise UsageError(f"{out}: no picture can be written as {ending}; {advice} (If you mean a folder, make it "
                         "first.)")


def _check_kind(source, out):
    """Raises UserError where a picture is to become a clip, or a clip a picture."""
    if clips.is_clip(source) and not clips.is_clip(out):
        raise UserError(f"{source}: is a clip, but {out} would be a picture, animated or not; name a clip, such as "
                        f"{out.with_suffix('.mkv')}, or a folder for its frames with --frames")
    if clips.is_clip(out) and not clips.is_clip(source):
        name = out.with_suffix(source.suffix if source.suffix.lower() in WRITABLE else ".png")
        raise UserError(f"{source}: is a picture and stays one, even if animated (frames, timing and loops are kept); "
                        f"name a picture, such as {name}")


def _is_file_name(out):
    return not out.is_dir() and out.suffix.lower() in WRITABLE


def _to_frames(found, named, out, beside, choose, errors):
    """(jobs, {source: its place}) where clips, and folders of frames, become folders of pictures."""
    rows = {}  # {source: its place}
    for source, place in found:
        if clips.is_clip(source):
            rows[source] = place.with_suffix("")
        elif source in named:
            errors.append(UserError(f"{source}: is no clip, but --frames is only for clips and folders; leave one of "
                                    "them out"))
        else:
            rows[source.parent] = place.parent if place.parent != Path() else Path(source.parent.resolve().name)
    places, stems = collections.Counter(rows.values()), collections.Counter(path.with_suffix("") for path in rows)

    def place_of(source, plan):  # of clips of the same stem each keeps its ending
        return source.with_name(f"{source.stem if stems[source.with_suffix('')] == 1 else source.name}_{plan.tag}")

    rows = {source: place if places[place] == 1 else place.with_name(source.name) for source, place in rows.items()}
    jobs = [Job(source, None if beside else out / place, choose, place_of) for source, place in rows.items()]
    return jobs, rows


def _with_places(found, out, suffix, clip_suffix, errors, choose):
    """Jobs with targets below `out`; `found` has (source, place).

    Of two that would meet one keeps its own ending, and the other has its old one before the new one.
    """
    wanted, jobs = {}, {}
    for source, place in dict.fromkeys(found):
        new = _ending(place, suffix, clip_suffix)
        ending = place.suffix if place.suffix.lower() == new.lower() else new
        wanted.setdefault(out / place.with_suffix(ending), []).append((source, out / place, ending))
    for target, claims in wanted.items():
        for source, place, ending in claims:
            keeps = len(claims) == 1 or place.suffix == ending
            mine = target if keeps else place.with_name(f"{place.name}{ending}")
            if mine in jobs:
                errors.append(_same_target(source, mine, jobs[mine].source))
            else:
                jobs[mine] = Job(source, mine, choose)
    return list(jobs.values())


def _ending(path, suffix, clip_suffix):
    """The ending of the result of a file by this name."""
    asked, other = (clip_suffix, f".{clips.OTHERWISE}") if clips.is_clip(path) else (suffix, ".png")
    return asked or (path.suffix if path.suffix.lower() in WRITABLE else other)


def _same_target(source, target, other):
    return UserError(f"{source}: would become {target}, as does {other}; rename one")


class _Beside:
    """Places results beside their sources, under names that say what was done, in any order of the requests.

    Args:
      sources: paths of all.
      suffix, clip_suffix: endings of the results, as in `find_jobs`.
    """

    def __init__(self, sources, suffix, clip_suffix):
        self._suffix, self._clip_suffix, self._taken, self._lock = suffix, clip_suffix, {}, threading.Lock()
        self._stems = collections.Counter((path.parent, path.stem) for path in sources)
        self._names = collections.Counter((path.parent, path.stem, self._expected(path)) for path in sources)

    def _expected(self, source):
        return _ending(source, self._suffix, self._clip_suffix).lower()

    def __call__(self, source, plan):
        """The place of a result; raises UserError where that of another one is the same."""
        if plan.clip:
            ending = self._clip_suffix or (source.suffix if plan.format else f".{clips.OTHERWISE}")
        else:
            ending, kept = source.suffix, plan.format in pictures.WRITABLE
            if kept and ending.lower() not in (its := pictures.WRITABLE[plan.format].extensions):
                ending = its[0]  # a name may lie
            ending = self._suffix or (ending if kept else ".png")
        expected = self._expected(source)
        others = (self._names[source.parent, source.stem, expected] if ending.lower() == expected
                  else self._stems[source.parent, source.stem])
        keeps = others == 1 or source.suffix == ending
        target = source.with_name(f"{source.stem if keeps else source.name}_{plan.tag}{ending}")
        with self._lock:
            other = self._taken.setdefault(target, source)
        if other != source:
            raise _same_target(source, target, other)
        return target


def _source_of(path):
    """The source file of a result beside it, by the result's own note or as a copy; None where it is no result.

    Whoever has given it another name has made it a picture of their own.
    """
    if not (named := _RESULT.fullmatch(path.stem)):
        return None
    if source := (_made_by(path) or {}).get("source"):
        return path.with_name(Path(source).name)
    source = path.with_name(named[1] + path.suffix)
    return source if named[2] == "restored" and (digest := sha256(source)) and digest == sha256(path) else None


def first_of_network(jobs, *, overwrite=False):
    """The first of a few jobs that goes through a network and is not done yet, None of none; others are not opened."""
    return next((job for job in jobs[:_LOOKED_AT] if job.plan and job.plan.network
                 and (overwrite or not job.target.exists())), None)


def _in_the_way(job, manifest, mark, overwrite):
    """A UserError where it shows without reading the source that the target must not be written, else None."""
    if clips.is_clip(job.source) and job.plan and job.plan.wishes.frames:
        return None if job.target.is_dir() or not os.path.lexists(job.target) else UserError(
            f"{job.target}: exists and is no folder; choose another --out")
    try:
        if job.target.exists() and job.target.samefile(job.source):
            return UserError(f"{job.source}: would be replaced by its own result; choose another --out")
        if not mark and not (manifest and manifest.find("files", _name(job, manifest.path.parent))):
            results.verdict(job.target, {}, None, overwrite=overwrite)
    except OSError as e:
        return UserError(f"{job.target}: {e.strerror}")
    except UserError as e:
        return e
    return None


def _pixels(job):
    """Number of pixels of all frames; 0 where the file cannot be read, which is reported when its turn comes."""
    return math.prod(job.plan.before) * job.plan.frames if job.plan else 0

"""A folder of HR images, or of clips, to a folder of LR files, with a manifest of the steps that made each."""

import contextlib
import functools
import hashlib
from pathlib import Path

from jsr import degradations, images, parallel, results
from jsr.degradations import _video
from jsr.errors import UserError
from jsr.files import atomic_write, from_json, open_file

COMMAND = "jsr degrade"
MANIFEST = results.MANIFESTS[COMMAND]
VIDEOS = (".mkv", ".mp4", ".mov", ".avi", ".webm", ".hevc", ".h265", ".265", ".y4m", ".ts")


def degrade_folder(hr_dir, out_dir, protocol, *, fixed=None, num_workers=None, overwrite=False, passed=None, shard=None,
                   progress=lambda stage, done, total: None):
    """Writes the LR file of every image below a folder, which is mirrored; files that are still right are kept.

    A file in the way that was not made of the very same source, or was changed since, is never replaced, unless
    `overwrite`. Several processes may write into one folder, each its share.

    What a protocol leaves to chance is drawn from each file's stem. Of a video protocol the folder holds clips.

    The manifest beside them, `manifest.json`, is {command, protocol, files: {place of the source below `hr_dir`:
    entry}}; an entry has the LR file, sizes (px), SHA-256 sums and what its degradation did (the record of
    `jsr.degradations.Degraded`). A source whose sizes are no multiples of the scale is cropped at the bottom
    and right first, and its entry says so; a grey one becomes RGB.

    Args:
      hr_dir: folder of images, at any depth.
      out_dir: folder of the LR files, `<folder and stem of the source><suffix of the codec>`; made where missing.
      protocol: key of `jsr.degradations.PROTOCOLS`.
      fixed: {parameter of the protocol: value to set}.
      num_workers: processes, see `jsr.parallel.map_unordered`.
      overwrite: replaces files in the way, those that are still right too.
      passed: jsr.listing.PassedOver, to which all that is not degraded is added.
      shard: jsr.shards.Shard of the sources, by their places below `hr_dir`, whose manifest is its own; None for all.
      progress: called with ("degrading", files done, files in all).

    Returns:
      (manifest dict, errors): its files are those of the sources; one UserError for each source that could not be
      degraded.

    Raises:
      UserError: unknown protocol, no images, two sources for one LR file, `out_dir` is `hr_dir` or cannot be written,
        or its manifest is of another protocol or program; another process is at work as the same shard.
    """
    sources = _sources(hr_dir, out_dir, protocol, fixed, passed, shard)
    with results.only_shard(Path(out_dir) / MANIFEST, shard):
        return _degrade(sources, Path(hr_dir), Path(out_dir), protocol, fixed or {}, num_workers, overwrite, shard,
                        progress)


def _degrade(sources, hr_dir, out_dir, protocol, fixed, num_workers, overwrite, shard, progress):
    _manifest.cache_clear()
    manifest = _manifest(out_dir, protocol, overwrite, shard)
    manifest.save()  # an unwritable folder is found now, not after an hour
    work = functools.partial(_degrade_file, hr_dir=hr_dir, out_dir=out_dir, protocol=protocol, fixed=fixed,
                             overwrite=overwrite, shard=shard)
    entries, errors = {}, []
    progress("degrading", 0, len(sources))
    try:
        for path, outcome in parallel.map_unordered(work, sources, num_workers=num_workers):
            if isinstance(outcome, UserError):
                errors.append(outcome)
            else:
                entries[path.relative_to(hr_dir).as_posix()] = outcome
            progress("degrading", len(entries) + len(errors), len(sources))
    finally:
        content = manifest.save()
    return {**content, "files": dict(sorted(entries.items()))}, sorted(errors, key=str)


def record_of(path, data):
    """The record of an LR file in the manifest of its folder or of a folder above; {} if none has the file.

    Args:
      path: path of the LR file.
      data: its bytes: another file of the name is not that of the manifest.

    Returns:
      The record of `jsr.degradations.Degraded`.
    """
    path = Path(path).absolute()
    for folder in path.parents:
        with contextlib.suppress(OSError):
            for manifest in results.in_folder(folder, MANIFEST):
                entry = _entries(manifest, manifest.stat().st_mtime_ns).get(path.relative_to(folder).as_posix(), {})
                if entry.get("sha256") == hashlib.sha256(data).hexdigest():
                    return entry["degradation"]
    return {}


@functools.lru_cache(maxsize=8)
def _entries(manifest, changed):
    """{LR file: entry} of a manifest of this command; {} of another file. `changed` is when it was."""
    del changed
    entries = {}
    with contextlib.suppress(UserError), from_json(manifest) as found:
        for entry in found["files"].values() if found["command"] == COMMAND else ():
            with contextlib.suppress(LookupError, TypeError, AttributeError):  # a person's own, or damaged
                if entry["degradation"]["steps"] and isinstance(degradations.codecs(entry["degradation"]), str):
                    entries[entry["file"]] = entry
    return entries


def foresee(hr_dir, out_dir, protocol, *, fixed=None, overwrite=False, passed=None, shard=None):
    """Foretells the verdict of `degrade_folder` on every image, without writing.

    Args:
      hr_dir, out_dir, protocol, fixed, overwrite, passed, shard: see `degrade_folder`.

    Returns:
      ({path of the LR file: results.WRITE, REPLACE or PASS_OVER}, errors).

    Raises:
      UserError: as `degrade_folder`.
    """
    sources = _sources(hr_dir, out_dir, protocol, fixed, passed, shard)
    manifest = results.Manifest(Path(out_dir) / MANIFEST, COMMAND, {"protocol": protocol}, overwrite=overwrite,
                                shard=shard)
    found, errors = {}, []
    for path in sources:
        try:
            data, _, drawn = _read(path, protocol, fixed or {})
            target, _, found_there = _verdict(path.relative_to(hr_dir), data, drawn, Path(out_dir), manifest, overwrite)
            found[str(target)] = found_there
        except UserError as e:
            errors.append(e)
    return found, errors


def _sources(hr_dir, out_dir, protocol, fixed, passed, shard):
    """The files to degrade, of a shard where there is one."""
    degradations.draw(protocol, **(fixed or {}))  # what does not fit, or is not installed, is told once
    hr_dir, out_dir = Path(hr_dir), Path(out_dir)
    if out_dir.resolve() == hr_dir.resolve():
        raise UserError(f"{out_dir}: is the folder of the HR images; choose another one for the LR files")
    sources = images.list_images(hr_dir, VIDEOS if degradations.protocol(protocol).video else images.EXTENSIONS,
                                 passed=passed, out=out_dir)
    by_stem = {}
    for path in sources:
        first = by_stem.setdefault(path.with_suffix(""), path)
        if first != path:
            raise UserError(f"{path}: has the same stem as {first.name}; both would become one LR file, "
                            "rename or remove one")
    return [path for path in sources if not shard or shard.has(path.relative_to(hr_dir).as_posix())]


@functools.lru_cache(maxsize=1)
def _manifest(out_dir, protocol, overwrite, shard):
    """The manifest; each process reads only its new entries."""
    return results.Manifest(out_dir / MANIFEST, COMMAND, {"protocol": protocol}, overwrite=overwrite, shard=shard)


def _read(path, protocol, fixed):
    """The bytes of a source, its clip or None, and what its degradation draws."""
    try:
        with open_file(path) as file:
            data = file.read()
    except OSError as e:
        raise UserError(f"{path}: cannot be read: {e.strerror}") from e
    clip = None
    if degradations.protocol(protocol).video:
        clip, fps = _video.read_clip(data, path)
        fixed = {"fps": round(fps)} | fixed
    return data, clip, degradations.draw(protocol, path.stem, **fixed)


def _verdict(below, data, drawn, out_dir, manifest, overwrite):
    """(path of the LR file, the entry of an earlier run, what may become of that place); `below` is of the source."""
    target = out_dir / below.parent / (below.stem + degradations.CODECS[drawn["steps"][-1]["fn"]].suffix)
    entry = manifest.find("files", below.as_posix())
    if entry.get("file") != target.relative_to(out_dir).as_posix():
        entry = {}
    digest = hashlib.sha256(data).hexdigest()
    return target, entry, results.verdict(target, entry, digest, finished=entry.get("degradation") == drawn,
                                          overwrite=overwrite)


def _degrade_file(path, *, hr_dir, out_dir, protocol, fixed, overwrite, shard):
    """Degrades a file, unless its LR file is finished; returns the manifest's entry."""
    data, clip, drawn = _read(path, protocol, fixed)
    manifest, scale = _manifest(out_dir, protocol, overwrite, shard), degradations.protocol(protocol).scale
    below = path.relative_to(hr_dir)
    target, _, _ = _verdict(below, data, drawn, out_dir, manifest, overwrite)
    with results.making(target):
        target, entry, may = _verdict(below, data, drawn, out_dir, manifest, overwrite)  # another may have made it
        if may == results.PASS_OVER:
            return entry
        image = images.read_rgb(data, name=path) if clip is None else clip
        try:
            # 4:2:0 needs even sizes, and HM multiples of its smallest coding unit
            least = 1 if clip is None else {"x265": 2, "hm": 8}[drawn["steps"][-1]["encoder"]]
            hr = (degradations if clip is None else _video).crop_to_multiple(image, scale * least)
        except ValueError as e:
            raise UserError(f"{path}: {e}, the scale of {protocol}; remove it") from e
        degraded = degradations.replay(drawn, hr)
        (source_height, source_width), (height, width) = (_size(pixels, clip is not None) for pixels in (image, hr))
        entry = {
            "source": str(path), "file": target.relative_to(out_dir).as_posix(),
            "height": height // scale, "width": width // scale, "hr_height": height, "hr_width": width,
            "source_height": source_height, "source_width": source_width,
            "cropped": hr.shape != image.shape, **({} if clip is None else {"frames": len(hr)}),
            "sha256": hashlib.sha256(degraded.lr_bytes).hexdigest(),
            "source_sha256": hashlib.sha256(data).hexdigest(), "degradation": drawn}
        manifest.add("files", below.as_posix(), results.replacing(target, entry))
        with atomic_write(target) as file:
            file.write(degraded.lr_bytes)
        return entry


def _size(pixels, video):
    return (pixels.shape[1] // 3 * 2, pixels.shape[2]) if video else pixels.shape[:2]

"""A folder of HR images, or of clips, to a folder of LR files, with a manifest of what made each."""

import functools
import hashlib
import json
from pathlib import Path
import time

from jsr import degradations, images, parallel
from jsr.degradations import _video
from jsr.errors import UserError
from jsr.files import atomic_write, sha256

MANIFEST = "manifest.json"
VIDEOS = (".mkv", ".mp4", ".mov", ".avi", ".webm", ".hevc", ".h265", ".265", ".y4m", ".ts")
_SAVE_EVERY_S = 5.0


def degrade_folder(hr_dir, out_dir, protocol, *, fixed=None, num_workers=None, progress=lambda stage, done, total: None):
    """Writes the LR file of every image in a folder; files that are there already and still right are kept.

    What a protocol leaves to chance is drawn from each file's stem. Of a video protocol the folder holds clips.

    The manifest beside them, `manifest.json`, holds for every LR file its source, sizes (px), SHA-256 sums and what
    its degradation did (the record of `jsr.degradations.Degraded`). A source whose sizes are no multiples of the scale is cropped at the bottom and right
    first, and its entry says so; a grey one becomes RGB.

    Args:
      hr_dir: folder of images.
      out_dir: folder of the LR files, `<stem of the source><suffix of the codec>`; made where missing.
      protocol: key of `jsr.degradations.PROTOCOLS`.
      fixed: {parameter of the protocol: value to set}.
      num_workers: processes, see `jsr.parallel.map_unordered`.
      progress: called with ("degrading", files done, files in all).

    Returns:
      (manifest dict, errors): one UserError for each source that could not be degraded.

    Raises:
      UserError: unknown protocol, no images, two sources with one stem, `out_dir` is `hr_dir` or cannot be written.
    """
    degradations.draw(protocol, **(fixed or {}))  # what does not fit, or is not installed, is told once
    hr_dir, out_dir = Path(hr_dir), Path(out_dir)
    sources = images.list_images(hr_dir, VIDEOS if degradations.protocol(protocol).video else images.EXTENSIONS)
    by_stem = {}
    for path in sources:
        if path.stem in by_stem:
            raise UserError(f"{path}: has the same stem as {by_stem[path.stem].name}; both would become one LR file, "
                            "rename or remove one")
        by_stem[path.stem] = path
    if out_dir.resolve() == hr_dir.resolve():
        raise UserError(f"{out_dir}: is the folder of the HR images; choose another one for the LR files")

    known = _read_manifest(out_dir / MANIFEST)
    _write_manifest(out_dir / MANIFEST, protocol, known)  # an unwritable folder is found now, not after an hour
    work = functools.partial(_degrade_file, out_dir=out_dir, protocol=protocol, fixed=fixed or {})
    tasks = [(path, known.get(path.name, {})) for path in sources]
    entries, errors, saved = {}, [], time.monotonic()
    progress("degrading", 0, len(sources))
    for (path, _), outcome in parallel.map_unordered(work, tasks, num_workers=num_workers):
        if isinstance(outcome, UserError):
            errors.append(outcome)
        else:
            entries[path.name] = outcome
        progress("degrading", len(entries) + len(errors), len(sources))
        if time.monotonic() - saved > _SAVE_EVERY_S:  # what a killed run has finished counts for the next one
            _write_manifest(out_dir / MANIFEST, protocol, {**known, **entries})
            saved = time.monotonic()
    return _write_manifest(out_dir / MANIFEST, protocol, entries), sorted(errors, key=str)


def _degrade_file(task, *, out_dir, protocol, fixed):
    """Degrades (path, entry of an earlier run), unless the LR file is still what that entry says; returns the entry."""
    path, entry = task
    try:
        data = path.read_bytes()
    except OSError as e:
        raise UserError(f"{path}: cannot be read: {e.strerror}") from e
    video, scale = degradations.protocol(protocol).video, degradations.protocol(protocol).scale
    if video:
        image, fps = _video.read_clip(data, path)
        fixed = {"fps": round(fps)} | fixed
    drawn = degradations.draw(protocol, path.stem, **fixed)
    made_from = {"source_sha256": hashlib.sha256(data).hexdigest(), "degradation": drawn}
    if {k: entry.get(k) for k in made_from} == made_from and sha256(out_dir / entry["file"]) == entry["sha256"]:
        return entry
    if not video:
        image = images.read_rgb(data, name=path)
    try:
        # 4:2:0 needs even sizes, and HM multiples of its smallest coding unit
        least = {"x265": 2, "hm": 8}[drawn["steps"][-1]["encoder"]] if video else 1
        hr = (_video if video else degradations).crop_to_multiple(image, scale * least)
    except ValueError as e:
        raise UserError(f"{path}: {e}, the scale of {protocol}; remove it") from e
    degraded = degradations.replay(drawn, hr)
    file = path.stem + degraded.suffix
    with atomic_write(out_dir / file) as f:
        f.write(degraded.lr_bytes)
    (source_height, source_width), (height, width) = (_size(pixels, video) for pixels in (image, hr))
    return {
        "file": file, "height": height // scale, "width": width // scale, "hr_height": height, "hr_width": width,
        "source_height": source_height, "source_width": source_width, "cropped": hr.shape != image.shape,
        **({"frames": len(hr)} if video else {}), "sha256": hashlib.sha256(degraded.lr_bytes).hexdigest(), **made_from,
    }


def _size(pixels, video):
    return (pixels.shape[1] // 3 * 2, pixels.shape[2]) if video else pixels.shape[:2]


def _read_manifest(path):
    """The entries of an earlier run by source name; none where there is no manifest or it is not one of ours."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write_manifest(path, protocol, entries):
    manifest = {"protocol": protocol, "files": dict(sorted(entries.items()))}
    with atomic_write(path, "w") as file:
        json.dump(manifest, file, indent=1)
    return manifest

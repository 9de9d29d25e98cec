"""One clip through an Upscaler: frames in, frames out, in segments by which a killed run goes on."""

import contextlib
import dataclasses
import hashlib
import json
import os
from pathlib import Path
import queue
import threading

import numpy as np

from jsr import clips
from jsr.errors import UserError
from jsr.files import atomic_write
from jsr.inference.resample import resize
from jsr.inference.sequence import Sequence
from jsr.inference.store import Store

_AHEAD = 2  # frames that are decoded while the networks compute
_PREVIEW = "Software", "jsr upscale --preview"  # text of a PNG by which a preview is known


def specify(job):
    """The jsr.clips.Spec of a job's result; UserError of what cannot be written."""
    return clips.specify(job.plan.clip, job.plan.after, clips.container_of(job.target), job.plan.wishes)


def upscale(job, upscaler, source_sha256, settings, *, mark=None, overwrite=False, before=lambda temporary: None,
            progress=lambda frames: None, check=lambda: None):
    """Upscales a clip.

    Args:
      job: jsr.inference.upscale_folder.Job, whose plan has a clip.
      upscaler: an Upscaler; None leaves it to the resampler.
      source_sha256: SHA-256 of the source.
      settings: hash of all that the result depends on.
      mark: the file's note on how it was made, a dict; None is nothing.
      overwrite: whether segments that are of another source, or were made otherwise, may go.
      before: see jsr.files.atomic_write.
      progress: called with the number of frames that are done.
      check: called before every frame; what it raises ends the work, and finished segments stay.

    Returns:
      (what the manifest says of it, [note]).

    Raises:
      UserError: it cannot be written, or read; segments of something else are in the way.
    """
    clip, wishes = job.plan.clip, job.plan.wishes
    how, frames = specify(job), _frames(clip, wishes)
    segments = clips.Segments(job.target, source_sha256, _key(how, settings), overwrite=overwrite)
    resumed, said = len(segments.finished), []
    with clips.Writer(segments, clip, how) as writer:
        def wanted(shown):
            return shown.index // clips.SEGMENT not in segments.finished

        for shown, image in _through(upscaler, ahead(frames, _AHEAD), job, wanted, said, check):
            check()
            writer.write(shown, image)
            progress(shown.index + 1)
    check()
    with atomic_write(job.target, "w+b", before=before) as file:
        notes = clips.join(clip, how, segments, file, mark=json.dumps(mark) if mark else "", start=wishes.start,
                           end=wishes.end)
    segments.remove()
    found = {"format": how.container, "encoder": str(how), "colours": str(clip.colours), "frames": frames.count}
    said.insert(0, f"colours: {clip.colours}; written by {how}")
    if resumed:
        said.append(f"{resumed} segments were finished before")
    return found, [*said, *clip.notes, *frames.notes, *how.notes, *notes]


def clear(job, source_sha256, settings):
    """Removes the segments of a clip's finished result, which a run that was killed at its very end has left."""
    if clips.folder_of(job.target).exists():
        with contextlib.suppress(UserError):  # those of another run stay
            clips.Segments(job.target, source_sha256, _key(specify(job), settings)).remove()


def _key(how, settings):
    return hashlib.sha256(json.dumps([settings, how.settings], sort_keys=True).encode()).hexdigest()[:16]


def upscale_to_frames(job, upscaler, source_sha256, settings, ending, quality=None, *, overwrite=False,
                      progress=lambda frames: None, check=lambda: None):
    """Upscales a clip to a folder of pictures; arguments, result and errors as in `upscale`.

    Args:
      ending: ending of the pictures, as ".png".
      quality: quality of lossy formats, 1..100; None is the format's default.
    """
    plan, clip = job.plan, job.plan.clip
    frames, said = _frames(clip, plan.wishes), []
    with clips.FrameWriter(job.target, ending, quality, source_sha256, settings, clip, overwrite=overwrite) as writer:
        for shown, image in _through(upscaler, ahead(frames, _AHEAD), job, writer.wanted, said, check):
            check()
            writer.write(shown, image)
            progress(shown.index + 1)
    if writer.resumed:
        said.append(f"{writer.resumed} frames were finished before")
    said.insert(0, f"colours: {clip.colours}")
    return {"format": ending[1:], "frames": frames.count}, [*said, *clip.notes, *frames.notes]


def _frames(clip, wishes):
    """The frames of a clip that are wanted; UserError where --start and --end leave none."""
    if (wishes.start, wishes.end) != (None, None) and next(iter(_read(clip, wishes)), None) is None:
        raise UserError(f"{clip.path}: no frame lies between --start and --end; it is {clip.seconds:.2f} s long")
    return _read(clip, wishes)


def _read(clip, wishes):
    if clip.is_folder:
        return clips.FolderFrames(clip, start=wishes.start, end=wishes.end)
    return clips.Frames(clip, start=wishes.start, end=wishes.end, deinterlace=wishes.deinterlace)


def _through(upscaler, frames, job, wanted, said, check):
    """(Shown, its result) of the frames that are wanted, in order; `said` gets what is to be said of it."""
    plan, clip = job.plan, job.plan.clip
    if upscaler is None or not upscaler.takes_clips:
        for shown in frames:
            if wanted(shown):
                yield shown, enlarged(upscaler, clips.to_rgb(shown.frame, clip.colours), plan)
        return
    whole = upscaler.recurrent and not plan.wishes.windows
    with Store(job.target) if whole else contextlib.nullcontext() as store:
        sequence = Sequence(upscaler, store, check)
        pairs = ((clips.light(shown), clips.to_rgb(shown.frame, clip.colours)) for shown in frames)
        for shown, sr in sequence(pairs, wanted):
            yield shown, sized(np.clip(sr, 0, 1), plan)
    scenes = f"{sequence.scenes} scene{'s' * (sequence.scenes != 1)}"
    tile = sequence.tile or plan.before
    cut = f"; in tiles of {tile[1]}x{tile[0]} that are faded into one another" if tile != plan.before else ""
    said.append(f"{scenes}, {sequence.text}{cut}")


def enlarged(upscaler, image, plan):
    """One frame, float32 (H, W, C) in [0, 1], at the size that a jsr.inference.choice.Plan wants."""
    height, width = image.shape[:2]
    if upscaler is None:
        return sized(image, plan)
    if upscaler.takes_clips:
        (_, sr), = Sequence(upscaler)([(None, image)])
        return sized(np.clip(sr, 0, 1), plan)
    return sized(np.concatenate(list(upscaler.stream(lambda a, b: image[a:b], height, width, image.dtype))), plan)


def sized(image, plan):
    """A network's result, float32 in [0, 1], at the size that a Plan wants."""
    return np.clip(resize(image, plan.after), 0, 1) if plan.resamples else image


def ahead(items, number):
    """The items of an iterable; another thread makes up to `number` of them beforehand."""
    ready, end, stopped = queue.Queue(number), object(), threading.Event()

    def put(what):
        while not stopped.is_set():
            try:
                ready.put(what, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def fill():
        try:
            for item in items:
                if not put((item, None)):
                    return
            put((end, None))
        except BaseException as e:  # raised again where the items are taken
            put((end, e))

    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is end:
                return
            yield item
    finally:
        stopped.set()
        thread.join()


def preview(job, upscaler):
    """Writes one frame of the result, of the middle or the --start of a clip, as PNG; returns its Path.

    Raises:
      UserError: the clip cannot be read, or a file that is no preview has the preview's name.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    clip, wishes = job.plan.clip, job.plan.wishes
    start = wishes.start if wishes.start is not None else None if clip.seconds < 1 else _middle(clip, wishes)
    path, sign = Path(f"{job.target}.preview.png"), PngInfo()
    if os.path.lexists(path) and not _is_preview(path):
        raise UserError(f"{path}: exists and is no preview made by jsr; rename or remove it")
    sign.add_text(*_PREVIEW)
    whole = _frames(clip, wishes)
    some = _read(clip, dataclasses.replace(wishes, start=start))
    shown = next(iter(some), None) or next(iter(whole))
    image = enlarged(upscaler, clips.to_rgb(shown.frame, clip.colours), job.plan)
    codes = np.rint(image * 255).astype(np.uint8)
    with atomic_write(path) as file:
        Image.fromarray(codes[..., 0] if codes.shape[2] == 1 else codes).save(file, "PNG", pnginfo=sign)
    return path


def _is_preview(path):
    from PIL import Image

    with contextlib.suppress(OSError, ValueError, SyntaxError), Image.open(path, formats=["PNG"]) as image:
        return image.info.get(_PREVIEW[0]) == _PREVIEW[1]
    return False


def _middle(clip, wishes):
    from fractions import Fraction

    return Fraction((float(wishes.end) if wishes.end is not None else clip.seconds) / 2).limit_denominator(1000)

"""Images per second that one core degrades, by each protocol of `jsr degrade`."""

import time

import numpy as np
from PIL import Image

from jsr import degradations
from jsr.errors import MissingLibrary, UserError
from jsr.timing import timing
from jsr.timing.loaders import made_up

SIZE = 512, 512  # of HR images, px
FRAMES = 8  # of an HR clip


def measure(name, size=SIZE, *, rounds):
    """Times making LR files of a made-up image, or clip, and decoding them, by the CPU time that they take.

    Args:
      name: protocol, see `jsr.degradations.protocol`.
      size: (height, width) of the HR image, px; what is no multiple of the scale is cut off.
      rounds: calls timed; what a protocol leaves to chance is drawn anew for each.

    Returns:
      {name, scale, size: of the HR image, frames: 1 for an image, codecs, lr_bytes: mean of a frame, images_per_s,
      decoded_per_s: medians, of frames for clips, best_images_per_s}; {name, note} where a library is missing.

    Raises:
      UserError: unknown protocol, or an image smaller than its scale.
    """
    protocol = degradations.protocol(name)
    try:
        hr = _clip(size) if protocol.video else degradations.crop_to_multiple(made_up(0, size), protocol.scale)
    except ValueError as e:
        raise UserError(f"{name}: {e}; take a larger --size") from e
    try:
        codecs = degradations.codecs(degradations.draw(name))
        found, seeds = [], iter(range(1 << 30))
        seconds = timing.interleaved({
            "make": lambda: found.append(degradations.degrade(name, hr, seed=next(seeds))),
            "decode": lambda: found[-1].decode()}, rounds, time.process_time)
    except MissingLibrary as e:
        return {"name": name, "note": str(e)}
    frames = len(hr) if protocol.video else 1
    rates = {key: frames / values for key, values in seconds.items()}
    height, width = hr.shape[-2] * 2 // 3 if protocol.video else hr.shape[0], hr.shape[-1 if protocol.video else 1]
    return {"name": name, "scale": protocol.scale, "size": [height, width], "frames": frames, "codecs": codecs,
            "lr_bytes": float(np.mean([len(each.lr_bytes) for each in found])) / frames,
            "images_per_s": float(np.median(rates["make"])), "best_images_per_s": float(rates["make"].max()),
            "decoded_per_s": float(np.median(rates["decode"]))}


def _clip(size):
    """A made-up picture that moves: uint8 YUV 4:2:0 (FRAMES, H * 3 // 2, W), by whole px of luma and chroma."""
    height, width = degradations.crop_to_multiple(np.empty((*size, 3), np.uint8), 16).shape[:2]
    whole = Image.fromarray(made_up(0, (height, width + 2 * FRAMES))).convert("YCbCr")
    frames = []
    for step in range(FRAMES):
        y, cb, cr = whole.crop((2 * step, 0, 2 * step + width, height)).split()
        chroma = [np.asarray(plane.reduce(2)).reshape(-1, width) for plane in (cb, cr)]
        frames.append(np.concatenate([np.asarray(y), *chroma]))
    return np.stack(frames)

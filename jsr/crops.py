"""Crops of an image beside each other, at the place where plain enlargement is worst, for logs and pages of runs."""

import numpy as np
from PIL import Image

CROP = 128      # side of a shown crop, HR px

ERROR_GAIN = 4  # error maps show this many times the absolute difference


def strip(lr, baseline, ours, hr):
    """LR, baseline, ours, HR, and the two error maps, where the baseline is worst; uint8 (CROP, 6 CROP, 3).

    Of a clip, arrays with T in front, it is the frame in the middle, and below it the temporal profile: the crop's
    middle row in every frame, of `CROP` frames at most, one below the other. What flickers is ragged there.
    """
    if hr.ndim == 3:
        y, x, size = _place(baseline, hr)
        return np.concatenate([image[y:y + size, x:x + size] for image in _shown(lr, baseline, ours, hr)], axis=1)
    middle = len(hr) // 2
    first = max(middle - CROP // 2, 0)
    y, x, size = _place(baseline[middle], hr[middle])
    frames = [_shown(*images) for images in zip(*(clip[first:first + CROP] for clip in (lr, baseline, ours, hr)),
                                                strict=True)]
    return np.concatenate([
        np.concatenate([image[y:y + size, x:x + size] for image in frames[middle - first]], axis=1),
        np.stack([np.concatenate([image[y + size // 2, x:x + size] for image in images]) for images in frames])])


def beside(images, hr):
    """Crops of several images and of HR, where the errors of the images differ most.

    Args:
      images: {name: uint8 (H, W, 3)}, two at least.
      hr: uint8 (H, W, 3).

    Returns:
      {name: uint8 (side, side, 3)}, "HR" the last; the side is `CROP`, or less of a smaller image.
    """
    errors = np.stack([np.abs(image.astype(int) - hr).sum(-1) for image in images.values()])
    size = min(CROP, *hr.shape[:2])
    y, x = _worst_place(np.ptp(errors, axis=0), size)
    return {name: image[y:y + size, x:x + size] for name, image in (images | {"HR": hr}).items()}


def _place(baseline, hr):
    """(y, x, size) of the square crop where the baseline is worst."""
    size = min(CROP, *hr.shape[:2])
    return *_worst_place(np.abs(baseline.astype(int) - hr).sum(-1), size), size


def _shown(lr, baseline, ours, hr):
    """The six images of one frame, uint8 (H, W, 3)."""
    nearest = np.asarray(Image.fromarray(lr).resize(hr.shape[1::-1], Image.Resampling.NEAREST))
    errors = [np.clip(np.abs(sr.astype(int) - hr).mean(-1, keepdims=True) * ERROR_GAIN, 0, 255).repeat(3, -1)
              for sr in (baseline, ours)]
    return [nearest, baseline, ours, hr, *(error.astype(np.uint8) for error in errors)]


def _worst_place(error, size):
    """The corner of the size x size window with the largest sum, on a grid of half windows."""
    total = np.pad(error.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    height, width = error.shape
    places = [(y, x) for y in range(0, height - size + 1, max(size // 2, 1))
              for x in range(0, width - size + 1, max(size // 2, 1))]
    return max(places, key=lambda p: total[p[0] + size, p[1] + size] - total[p[0], p[1] + size]
               - total[p[0] + size, p[1]] + total[p[0], p[1]])


def cells(picture):
    """The six crops of a strip."""
    return np.split(picture, 6, axis=1)

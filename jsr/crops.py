"""Crops of an image beside each other, where the plain enlargement is worst: what a run and its page show."""

import numpy as np
from PIL import Image

CROP = 128      # side of a shown crop, HR px

ERROR_GAIN = 4  # error maps show this many times the absolute difference


def strip(lr, baseline, ours, hr):
    """LR, baseline, ours, HR, and the two error maps, where the baseline is worst; uint8 (CROP, 6 CROP, 3)."""
    size = min(CROP, *hr.shape[:2])
    y, x = _worst_place(np.abs(baseline.astype(int) - hr).sum(-1), size)
    nearest = np.asarray(Image.fromarray(lr).resize(hr.shape[1::-1], Image.Resampling.NEAREST))
    errors = [np.clip(np.abs(sr.astype(int) - hr).mean(-1, keepdims=True) * ERROR_GAIN, 0, 255).repeat(3, -1)
              for sr in (baseline, ours)]
    return np.concatenate([image[y:y + size, x:x + size].astype(np.uint8)
                           for image in (nearest, baseline, ours, hr, *errors)], axis=1)


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

"""Cuts between scenes: frames that share little with the frame before."""

import numpy as np

_SIDE = 32        # of what is compared, about, px
_THRESHOLD = 0.1  # of the codes' range


def small(image):
    """A frame, float32 (H, W, C) in [0, 1], as its luma in boxes: about 32 px a side."""
    luma = image[..., :3].mean(-1)
    steps = [max(1, side // _SIDE) for side in luma.shape]
    rows, columns = (side // step for side, step in zip(luma.shape, steps, strict=True))
    part = luma[:rows * steps[0], :columns * steps[1]]
    return part.reshape(rows, steps[0], columns, steps[1]).mean((1, 3))


class Cuts:
    """Tells of frames in order whether each begins a scene; a function of a frame as float32 (H, W, C) in [0, 1].

    A scene begins where the mean absolute difference of luma to the frame before is more than a tenth of its range, and
    more than a tenth above that of the frame before: fast movement and flashes that last differ all along. This is
    FFmpeg's `scdet`, with its threshold, on luma made small. Fades and dissolves are no cuts.
    """

    def __init__(self):
        self._last, self._difference = None, 0.0

    def __call__(self, image):
        now, last = small(image), self._last
        self._last = now
        if last is None:
            return True
        difference = float(np.abs(now - last).mean())
        found = min(difference, difference - self._difference) > _THRESHOLD
        self._difference = 0.0 if found else difference
        return found

"""The guided filter, which smooths an image except at the edges of another image, or its own."""

from typing import Any

import flax.linen as nn


def guided_filter(guide, image, radius, eps):
    """An image as linear functions of a guide, each fitted to a window, and averaged over the windows of a pixel.

    He, Sun and Tang, Guided Image Filtering, TPAMI 2013: each channel by the channel of the guide; windows are cut off
    at the borders.

    Args:
      guide, image: arrays (N, H, W, C), float.
      radius: radius of the windows, which are squares of 2 radius + 1 px.
      eps: of the guide's variance in a window; where the variance is far below, the image is smoothed.

    Returns:
      Array (N, H, W, C).
    """
    def mean(x):
        for size in ((2 * radius + 1, 1), (1, 2 * radius + 1)):
            around: Any = [(side // 2,) * 2 for side in size]
            x = nn.avg_pool(x, size, padding=around, count_include_pad=False)
        return x

    guide_mean, image_mean = mean(guide), mean(image)
    slope = (mean(guide * image) - guide_mean * image_mean) / (mean(guide * guide) - guide_mean * guide_mean + eps)
    return mean(slope) * guide + mean(image_mean - slope * guide_mean)

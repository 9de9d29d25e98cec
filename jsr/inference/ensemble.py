"""Ensembles at inference: several outputs for one image, averaged before they are rounded."""

import numpy as np


def self_ensemble(upscale, image):
    """The mean of a network's outputs for the eight flips and right-angle turns of an image, each turned back.

    It is "self-ensemble", "x8" or "flip/rotation" in the reports (Timofte et al., Seven ways to improve example-based
    single image super-resolution, CVPR 2016), and takes eight times as long.

    Args:
      upscale: function from an array (H, W, C) to a float array (H * scale, W * scale, C); gets both (H, W) and (W, H).
      image: array (H, W, C).

    Returns:
      float32 array (H * scale, W * scale, C).
    """
    turned_back = []
    for turns in range(4):
        for step in (1, -1):
            sr = np.asarray(upscale(np.rot90(image, turns)[:, ::step]), np.float32)
            turned_back.append(np.rot90(sr[:, ::step], -turns))
    return np.mean(turned_back, axis=0)

"""Augmentations of a sample: functions of (sample, rng) that treat all its images alike.

A sample is a dict; its images are uint8 arrays (H, W, C), LR and HR aligned. `rng` is the sample's own
`numpy.random.Generator`.
"""

import numpy as np


def flip_rotate(sample, rng):
    """One of the eight flips and rotations by right angles, each with the same probability. Images must be square."""
    which = int(rng.integers(8))

    def turn(image):
        image = np.rot90(image, which % 4)
        return np.ascontiguousarray(image[:, ::-1] if which >= 4 else image)

    return {key: turn(value) if _is_image(value) else value for key, value in sample.items()}


def permute_rgb(sample, rng):
    """One of the six orders of the colour channels, each with the same probability."""
    order = rng.permutation(3)
    return {key: value[..., order] if _is_image(value) else value for key, value in sample.items()}


def scale_intensity(sample, rng):
    """All values times 1, 0.7 or 0.5, each with the same probability: XLSR's (Ayazoglu, CVPRW 2021)."""
    factor = np.float32(rng.choice([1.0, 0.7, 0.5]))
    return {key: np.rint(value * factor).astype(np.uint8) if _is_image(value) else value for key, value in sample.items()}


AUGMENTATIONS = {"flip_rotate": flip_rotate, "permute_rgb": permute_rgb, "scale_intensity": scale_intensity}


def _is_image(value):
    return isinstance(value, np.ndarray) and value.ndim == 3

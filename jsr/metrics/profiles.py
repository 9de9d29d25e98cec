"""The profiles of the metrics, which name the measured values, and the checks that all metrics share.

A profile turns 8-bit RGB into the values that are compared. Weights are thousandths of BT.601's "studio" luma
Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255, which runs from 16 to 235.
"""

from collections.abc import Sequence
import dataclasses

import numpy as np

from jsr.errors import nearest

LUMA = (65481, 128553, 24966)


@dataclasses.dataclass(frozen=True)
class Profile:
    """The conversion of pixels to the values that are compared.

    Attributes:
      name: in brackets behind every number, `PSNR[rgb]`.
      weights: weights of R, G and B in the luma, in thousandths; None compares all channels.
      rounded: the luma is rounded to whole levels, halves up.
      about: one line for listings.
    """

    name: str
    weights: tuple[int, int, int] | None
    rounded: bool
    about: str


PROFILES = {profile.name: profile for profile in (
    Profile("rgb", None, False, "all channels; grey images too"),
    Profile("y_601", LUMA, False, "BT.601 luma, not rounded: BasicSR's and SwinIR's test_y_channel"),
    Profile("y_601_rounded", LUMA, True, "BT.601 luma in whole levels: rgb2ycbcr on uint8, as in MATLAB"),
    Profile("ntire23_script", (LUMA[2], LUMA[1], LUMA[0]), False,
            "what the NTIRE 2023 real-time script calls Y: the weights of R and B are exchanged"),
)}

# Scores that need weights (jsr.metrics.score_weights), of which less is better: {metric: {profile: one line}}
PERCEPTUAL = {
    "lpips": {"alex": "features of AlexNet, LPIPS version 0.1", "vgg": "features of VGG-16, LPIPS version 0.1"},
    "dists": {"vgg16": "features of VGG-16, images in their own size"},
    "niqe": {"y_601_rounded": "BT.601 luma in whole levels, of the image alone: PIRM 2018's and BasicSR's"},
}


def get(name):
    """The profile of that name; ValueError names the nearest."""
    if name not in PROFILES:
        scores = " or ".join(f"'{name}[{profile}]'" for profile in PERCEPTUAL.get(name, ()))
        hint = f"did you mean {scores}?" if scores else nearest(name, PROFILES)
        raise ValueError(f"metric profile {name!r} is unknown; {hint}")
    return PROFILES[name]


def of_perceptual(metric, name):
    """The name of a profile that a metric of PERCEPTUAL has; ValueError names the nearest."""
    if name not in PERCEPTUAL[metric]:
        raise ValueError(f"{metric} has no profile {name!r}; {nearest(name, PERCEPTUAL[metric])}")
    return name


def values(image, profile):
    """The values that a profile compares.

    A luma passes through float32, as the colour conversion of BasicSR does: equal to it for every 8-bit colour.

    Args:
      image: uint8 (H, W, C).
      profile: a Profile.

    Returns:
      float64 (H, W, C), or (H, W, 1) of a luma, in 0..255.
    """
    if profile.weights is None:
        return image.astype(np.float64)
    if profile.rounded:
        luma = (image.astype(np.int32) @ np.array(profile.weights, np.int32) + 127_500) // 255_000 + 16
        return luma[..., None].astype(np.float64)
    unit = (image.astype(np.float32) / np.float32(255)).astype(np.float64)
    luma = (unit @ (np.array(profile.weights) / 1000) + 16) / 255
    return (luma.astype(np.float32) * np.float32(255))[..., None].astype(np.float64)


def check(metric, shapes, dtypes, *, profile, crop_border, batched=False):
    """Checks what any metric is given.

    Args:
      metric: name of the metric, for messages.
      shapes: shapes of sr and hr.
      dtypes: dtypes of sr and hr.
      profile: name of a profile.
      crop_border: px cut off each side before anything is compared.
      batched: a leading axis of images is allowed.

    Returns:
      The Profile.

    Raises:
      ValueError: unknown profile, another dtype than uint8, shapes that differ or are no images, channels that the
        profile cannot take, a negative border or one that leaves nothing.
    """
    found = get(profile)
    what = f"{metric}[{profile}]"
    check_images(what, shapes, dtypes, crop_border=crop_border, batched=batched)
    channels = shapes[0][-1] if len(shapes[0]) > 2 else 1
    if found.weights and channels != 3:
        raise ValueError(f"{what}: a luma needs RGB, but the images are {shapes[0]}; compare grey images by 'rgb'")
    return found


def check_images(what, shapes, dtypes, *, crop_border, batched=False):
    """Raises ValueError as `check` does, but for the profile; `what` begins the message, other arguments as there."""
    (sr, hr), ranks = shapes, (2, 3, 4) if batched else (2, 3)
    if any(dtype != np.uint8 for dtype in dtypes):
        raise ValueError(f"{what}: sr is {dtypes[0]} and hr {dtypes[1]}, expected uint8")
    if sr != hr:
        raise ValueError(f"{what}: sr is {sr} and hr {hr}, expected equal shapes")
    channels = sr[-1] if len(sr) > 2 else 1
    if len(sr) not in ranks or channels not in (1, 3):
        raise ValueError(f"{what}: images are {sr}, expected (H, W), (H, W, 1) or (H, W, 3)"
                         + (", or (N, H, W, C)" if batched else ""))
    height, width = size(sr)
    if crop_border < 0 or min(height, width) <= 2 * crop_border:
        raise ValueError(f"{what}: crop_border {crop_border} leaves nothing of {height}x{width} px (height x width)")


def check_side(metric, shape, *, profile, crop_border, smallest):
    """Raises ValueError where a side is shorter, without its borders, than `smallest` px."""
    height, width = size(shape)
    if min(height, width) - 2 * crop_border < smallest:
        raise ValueError(f"{metric}[{profile}]: {height}x{width} px with crop_border {crop_border} is too small, "
                         f"needs at least {smallest} px a side")


def size(shape: Sequence[int]) -> tuple[int, int]:
    """(height, width) of the shape (H, W), (H, W, C) or (N, H, W, C)."""
    height, width = shape[:2] if len(shape) < 4 else shape[1:3]
    return height, width

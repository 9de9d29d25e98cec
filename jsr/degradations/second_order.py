"""Real-ESRGAN's second-order degradation: blur, resize and noise as steps, and the end of the chain.

Wang et al., Real-ESRGAN: training real-world blind super-resolution with pure synthetic data (ICCVW 2021). Every step
of `FILTERS` is a pair: `draw` turns a generator and the step's ranges into numbers, which a record keeps, and `apply`
does them to an image, float32 RGB, 0..1 but for what blurs and resizes overshoot. The ranges are those of
`train_realesrgan_x4plus.yml`; kernels and noise are BasicSR's, resizes torch's `interpolate`, without antialiasing.
Otherwise than there JPEG is libjpeg's, whose qualities are whole numbers and whose images are of 8 bits, in the place
of a differentiable stand-in, and the HR image is degraded as it is, where theirs is sharpened first.

`jsr.degradations.second_order_device` has blur, resize and noise in JAX.
"""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any

import numpy as np

from jsr.cubic import four
from jsr.degradations import jpeg, kernels

SIZES = tuple(range(7, 22, 2))  # of kernels, px
MODES = ("area", "bilinear", "bicubic")
KINDS = {"iso": 0.45, "aniso": 0.25, "generalized_iso": 0.12, "generalized_aniso": 0.03, "plateau_iso": 0.12,
         "plateau_aniso": 0.03}
GREY = np.array([0.2989, 0.587, 0.114], np.float32)  # torchvision's rgb_to_grayscale


def pick(rng, choices, weights=None):
    """One of several words or numbers, each as likely as another or by weight."""
    return choices[int(rng.choice(len(choices), p=weights))]


def draw_blur(rng, *, sigma, generalized, plateau, ringing, share=1.0):
    """A kernel.

    Args:
      rng: np.random.Generator.
      sigma: (least, most) of standard deviations, px.
      generalized, plateau: (least, most) of `beta`: half of the draws are below 1, half above.
      ringing: share of sinc kernels.
      share: share of images that are blurred at all.

    Returns:
      {kind, size, ...}: arguments of jsr.degradations.kernels.named; {kind: "none"} of an image that is not blurred.
    """
    if rng.random() >= share:
        return {"kind": "none"}
    size = pick(rng, SIZES)
    if rng.random() < ringing:
        return {"kind": "sinc", "size": size, "cutoff": rng.uniform(np.pi / (3 if size < 13 else 5), np.pi)}
    kind = pick(rng, tuple(KINDS), tuple(KINDS.values()))
    found = {"kind": kind, "size": size, "sigma_x": rng.uniform(*sigma)}
    if kind.endswith("aniso"):
        found |= {"sigma_y": rng.uniform(*sigma), "theta": rng.uniform(-np.pi, np.pi)}
    if kind not in ("iso", "aniso"):
        least, most = generalized if kind.startswith("generalized") else plateau
        found["beta"] = rng.uniform(least, 1) if rng.random() < 0.5 else rng.uniform(1, most)
    return found


def apply_blur(image, lr_size, *, kind, **kernel):
    """The image under a kernel, mirrored beyond its borders; `lr_size` is not looked at."""
    return image if kind == "none" else blur(image, kernels.named(kind, **kernel))


def blur(image, kernel):
    """float32 (H, W, C) under a kernel (K, K), mirrored beyond its borders, the edge once."""
    reach, (height, width) = len(kernel) // 2, image.shape[:2]
    padded = np.pad(image, [(reach, reach), (reach, reach), (0, 0)], "reflect")
    size = padded.shape[:2]
    spectrum = np.fft.rfft2(padded, axes=(0, 1)) * np.fft.rfft2(kernel[::-1, ::-1], size)[..., None]
    whole = np.fft.irfft2(spectrum, size, axes=(0, 1))
    return whole[2 * reach:2 * reach + height, 2 * reach:2 * reach + width].astype(np.float32)


def draw_rescale(rng, *, shares, sizes, of_lr=False):
    """A new size.

    Args:
      rng: np.random.Generator.
      shares: shares of images that become larger, smaller and stay.
      sizes: (least, most) of the new size over the old.
      of_lr: the factor is of the LR image's size instead of the image's.

    Returns:
      {factor, mode, of_lr}.
    """
    least, most = pick(rng, ((1.0, sizes[1]), (sizes[0], 1.0), (1.0, 1.0)), shares)
    return {"factor": rng.uniform(least, most), "mode": pick(rng, MODES), "of_lr": of_lr}


def apply_rescale(image, lr_size, *, factor, mode, of_lr):
    """The image in a new size, at least 1 px a side."""
    of = lr_size if of_lr else image.shape[:2]
    return rescale(image, tuple(max(int(side * factor), 1) for side in of), mode, None if of_lr else factor)


def rescale(image, size, mode, factor=None, axis=0):
    """torch.nn.functional.interpolate, without antialiasing.

    Args:
      image: float32 (..., H, W, C) of NumPy or JAX.
      size: (height, width) of the result.
      mode: one of MODES.
      factor: torch's scale_factor, by which it computes places where the size follows from it; None where the size
        was given.
      axis: that of the height.
    """
    for at, out in enumerate(size, axis):
        places, weights = taps(image.shape[at], out, mode, factor)
        shape = [-1 if a == at else 1 for a in range(image.ndim)]
        first, *others = (image.take(place, at) * weight.reshape(shape)
                          for place, weight in zip(places, weights, strict=True))
        image = sum(others, first)
    return image


@functools.lru_cache(maxsize=64)
def taps(side, out, mode, factor=None):
    """(places, weights) of each new pixel along an axis: int (taps, out) and float32 (taps, out)."""
    number = np.arange(out)
    if mode == "area":
        first, end = number * side // out, -(-(number + 1) * side // out)
        places = first + np.arange((end - first).max())[:, None]
        weights = (places < end) / (end - first)
    else:
        source = (number + 0.5) * (1 / factor if factor else side / out) - 0.5
        if mode == "bilinear":
            source = np.maximum(source, 0)
        first = np.floor(source).astype(int)
        inside = source - first
        if mode == "bilinear":
            places, weights = first + np.arange(2)[:, None], np.stack([1 - inside, inside])
        else:
            places, weights = first + np.arange(-1, 3)[:, None], np.stack(four(inside, -0.75))
    return np.clip(places, 0, side - 1), weights.astype(np.float32)


def draw_noise(rng, *, gaussian, sigma, poisson, grey):
    """Noise.

    Args:
      rng: np.random.Generator.
      gaussian: share of images with Gaussian noise; the others have Poisson noise.
      sigma: (least, most) of its standard deviation, levels of 255.
      poisson: (least, most) of the factor of Poisson noise.
      grey: share of noise that is alike in all channels.

    Returns:
      {kind, strength, grey, seed}.
    """
    kind = "gaussian" if rng.random() < gaussian else "poisson"
    return {"kind": kind, "strength": rng.uniform(*(sigma if kind == "gaussian" else poisson)),
            "grey": bool(rng.random() < grey), "seed": int(rng.integers(2**31))}


def apply_noise(image, lr_size, *, kind, strength, grey, seed):
    """The image with noise, clipped to 0..1; `lr_size` is not looked at."""
    rng = np.random.default_rng(seed)
    if kind == "gaussian":
        noise = rng.standard_normal((*image.shape[:2], 1 if grey else 3), np.float32) * np.float32(strength / 255)
    else:
        shown = np.clip(np.rint((image @ GREY)[..., None] * 255 if grey else image * 255), 0, 255) / 255
        levels = 2 ** np.ceil(np.log2(len(np.unique(shown))))
        noise = (rng.poisson(shown * levels) / levels - shown) * strength
    return np.clip(image + noise, 0, 1).astype(np.float32)


def draw_finish(rng, *, ringing, quality, sharpened_last=0.5):
    """The end of the chain: LR's size, perhaps a sinc filter, and JPEG, in either order.

    Args:
      rng: np.random.Generator.
      ringing: share of images with a sinc filter.
      quality: (least, most) of JPEG's.
      sharpened_last: share of images whose JPEG comes first.

    Returns:
      {mode, size and cutoff of the filter, 0 of none, quality, jpeg_first}.
    """
    filtered = rng.random() < ringing
    return {"jpeg_first": bool(rng.random() < sharpened_last), "mode": pick(rng, MODES),
            "size": pick(rng, SIZES) if filtered else 0, "cutoff": rng.uniform(np.pi / 3, np.pi) if filtered else 0.0,
            "quality": int(rng.integers(quality[0], quality[1] + 1))}


def apply_finish(image, lr_size, *, jpeg_first, mode, size, cutoff, quality):
    """The image at LR's size."""
    if jpeg_first:
        image = _through_jpeg(image, quality)
    image = rescale(image, lr_size, mode)
    if size:
        image = blur(image, kernels.sinc(size, cutoff))
    return image if jpeg_first else _through_jpeg(image, quality)


def _through_jpeg(image, quality):
    return as_float(jpeg.decode(jpeg.encode(as_levels(image), quality)))


def as_float(image):
    """float32 in [0, 1] from uint8; a float image is returned unchanged."""
    return image.astype(np.float32) / np.float32(255) if image.dtype == np.uint8 else image


def as_levels(image):
    """uint8 from float32 in [0, 1]; a uint8 image is returned unchanged."""
    return image if image.dtype == np.uint8 else np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class Filter:
    """A step that is neither a codec nor a plain resize.

    Attributes:
      draw: function of (generator, **ranges of the step) to {parameter: number or word}.
      apply: function of (float32 (H, W, 3), (height, width) of LR, **parameters) to float32 of any size.
      library: function to what a record says of who did it; of a lossy codec inside it also `decoded_by`.
    """

    draw: Callable[..., dict[str, Any]]
    apply: Callable[..., np.ndarray]
    library: Callable[[], dict[str, str]]


def _numpy():
    return {"library": f"NumPy {np.__version__}"}


FILTERS = {
    "blur": Filter(draw_blur, apply_blur, _numpy),
    "rescale": Filter(draw_rescale, apply_rescale, _numpy),
    "noise": Filter(draw_noise, apply_noise, _numpy),
    "finish": Filter(draw_finish, apply_finish, lambda: dict.fromkeys(("library", "decoded_by"),
                                                                      jpeg.library("pillow"))),
}
_KERNELS = {"generalized": (0.5, 4.0), "plateau": (1.0, 2.0), "ringing": 0.1}
REAL_ESRGAN = (  # steps; between the two halves JPEG, whose row jsr.degradations has
    ({"fn": "blur", "sigma": (0.2, 3.0), **_KERNELS},
     {"fn": "rescale", "shares": (0.2, 0.7, 0.1), "sizes": (0.15, 1.5)},
     {"fn": "noise", "gaussian": 0.5, "sigma": (1.0, 30.0), "poisson": (0.05, 3.0), "grey": 0.4}),
    ({"fn": "blur", "sigma": (0.2, 1.5), "share": 0.8, **_KERNELS},
     {"fn": "rescale", "shares": (0.3, 0.4, 0.3), "sizes": (0.3, 1.2), "of_lr": True},
     {"fn": "noise", "gaussian": 0.5, "sigma": (1.0, 25.0), "poisson": (0.05, 2.5), "grey": 0.4},
     {"fn": "finish", "ringing": 0.8, "quality": (30, 95)}),
)

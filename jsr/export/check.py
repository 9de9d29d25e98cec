"""Compares an exported network's output with jsr's own, at several sizes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
import dataclasses
import itertools

from jax.typing import DTypeLike
import numpy as np

from jsr.inference.chain import Chain
from jsr.inference.upscaler import to_unit

# Levels of 255 by which the values behind the pixels may differ: single precision leaves a hundredth of it. Only a
# value as near as this to the middle between two levels may be rounded to the other one.
TOLERANCE = 0.05
# The same of a network whose parameters and features are float16, whose last bit is an eighth of a level
HALF_TOLERANCE = 2.0


@dataclasses.dataclass(frozen=True)
class Compared:
    """The comparison of one image.

    Attributes:
      count: number of images at once.
      height, width: size of LR, px.
      picture: "noise" or "scene".
      largest: the largest difference, in levels of 255.
      share: share of the values that differ.
      right: whether all of it is rounding.
    """

    count: int
    height: int
    width: int
    picture: str
    largest: float
    share: float
    right: bool


def sizes(multiple: int, open_multiple: int = 1) -> list[tuple[int, int]]:
    """Three (height, width): one that is a multiple of `multiple`, one whose height is odd, and none that is one.

    All are multiples of `open_multiple`, px, where the program takes others alone.
    """
    height, width = (-(-side // multiple) * multiple for side in (48, 64))
    found = [(height, width), (height + 1, 33), (35, 57)]
    return [(-(-one // open_multiple) * open_multiple, -(-other // open_multiple) * open_multiple)
            for one, other in found]


def compare(run: Callable[[np.ndarray], np.ndarray], chain: Chain, shapes: Iterable[tuple[int, int]],
            dtype: DTypeLike = np.uint8, *, counts: Sequence[int] = (1,), half: bool = False) -> Iterator[Compared]:
    """Runs an exported chain beside the chain itself.

    Args:
      run: function of lr (N, H, W, C) to sr (N, H * scale, W * scale, C), both of `dtype`.
      chain: jsr.inference.chain.Chain.
      shapes: (height, width) of the images, px.
      dtype: uint8, or float32 in [0, 1].
      counts: numbers of images at once, of the shapes in turn.
      half: whether HALF_TOLERANCE holds, not TOLERANCE.

    Yields:
      Compared, for noise and for a made-up scene of each size; several at once are rolled differently.
    """
    tolerance = HALF_TOLERANCE if half else TOLERANCE
    for index, ((height, width), count) in enumerate(zip(shapes, itertools.cycle(counts), strict=False)):
        for picture, image in _pictures(height, width, chain.channels[0], np.random.default_rng(index)).items():
            images = np.stack([np.roll(image, 7 * k, 0) for k in range(count)])
            units = to_unit(images)
            sr = np.asarray(run(images if dtype == np.uint8 else units))
            exact = np.clip(np.stack([chain(unit) for unit in units]), 0, 1) * np.float32(255)
            if sr.shape != exact.shape or sr.dtype != dtype:
                yield Compared(count, height, width, picture, np.inf, 1.0, False)
                continue
            if dtype == np.uint8:
                differences, allowed = np.abs(sr - np.rint(exact)), 0.5 + tolerance
                right = (np.abs(sr - exact) <= allowed).all()
            else:
                differences = np.abs(sr * np.float32(255) - exact)
                right = (differences <= tolerance).all()
            yield Compared(count, height, width, picture, float(differences.max()), float(np.mean(differences > 0)),
                           bool(right))


def _pictures(height, width, channels, rng):
    """{name: uint8 (height, width, channels)}."""
    y, x = np.mgrid[:height, :width]
    colours = np.arange(channels)
    scene = 128 + 90 * np.sin(x[..., None] / 9 + colours) * np.cos(y[..., None] / 7)                # smooth
    scene[height // 4:height // 2, width // 3:] = rng.integers(0, 256, channels)  # and edges
    scene[(x + y) % 11 == 0] = 255
    noise = rng.integers(0, 256, (height, width, channels), np.uint8)
    return {"noise": noise, "scene": np.clip(scene + rng.normal(0, 3, scene.shape), 0, 255).astype(np.uint8)}

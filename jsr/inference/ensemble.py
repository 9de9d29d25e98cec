"""Ensembles at inference: several outputs for one image, averaged before they are rounded."""

import functools

import numpy as np

# The flips and right-angle turns of an image: {name: (quarter turns to the left, then the step along its rows)}
TRANSFORMS = {"identity": (0, 1), "hflip": (0, -1), "rot90": (1, 1), "transverse": (1, -1), "rot180": (2, 1),
              "vflip": (2, -1), "rot270": (3, 1), "transpose": (3, -1)}


def self_ensemble(upscale, image, transforms=tuple(TRANSFORMS)):
    """The mean of a network's outputs for flips and right-angle turns of an image, each turned back.

    Of all eight it is "self-ensemble", "x8" or "flip/rotation" in the reports (Timofte et al., Seven ways to improve
    example-based single image super-resolution, CVPR 2016), and takes eight times as long.

    Args:
      upscale: function from an array (H, W, C) to a float array (H * scale, W * scale, C); gets both (H, W) and (W, H).
      image: array (H, W, C).
      transforms: keys of TRANSFORMS.

    Returns:
      float32 array (H * scale, W * scale, C).
    """
    turned_back = []
    for turns, step in (TRANSFORMS[name] for name in transforms):
        sr = np.asarray(upscale(np.rot90(image, turns)[:, ::step]), np.float32)
        turned_back.append(np.rot90(sr[:, ::step], -turns))
    return np.mean(turned_back, axis=0)


def shared_rows(rows, readers):
    """As many functions as `readers` that each give LR rows as `rows` does, in turns; see `tiles.assemble`."""
    starts = [0] * readers

    def read(reader, start, stop):
        starts[reader] = start
        oldest = min(starts)  # never decreases, as `rows` wants it
        return rows(oldest, stop)[start - oldest:]

    return [functools.partial(read, reader) for reader in range(readers)]


def mean_of_bands(streams):
    """The mean of several images that come in bands, top to bottom, of other heights in each.

    It is what the reports call patch or crop ensemble where the images are those of other tiles: seams fall elsewhere.

    Args:
      streams: iterables of float arrays (n, W, C) of H rows in all.

    Yields:
      Arrays (n, W, C).
    """
    streams = list(map(iter, streams))
    bands = [next(stream) for stream in streams]
    while len(bands[0]):
        done = min(map(len, bands))
        yield np.mean([band[:done] for band in bands], axis=0)
        bands = [band[done:] if len(band) > done else next(stream, band[:0])
                 for band, stream in zip(bands, streams, strict=True)]

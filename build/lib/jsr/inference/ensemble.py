"""Ensembles at inference: several outputs for one image, averaged before they are rounded."""

import functools

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
    while bands[0] is not None:
        done = min(map(len, bands))
        yield np.mean([band[:done] for band in bands], axis=0)
        bands = [band[done:] if len(band) > done else next(stream, None) for band, stream in zip(bands, streams)]

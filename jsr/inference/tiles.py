"""Tiles: a large image through a network in pieces of one shape, cut and put together on the host, band by band."""

import collections
from concurrent.futures import ThreadPoolExecutor
import dataclasses
import functools
import itertools
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Span:
    """One tile along one axis, in LR px.

    Attributes:
      start, stop: pixels that the tile holds.
      low, high: the part of it that is shown. Neighbours share the last `2 * fade` px of one, the first of the next.
      fade_in, fade_out: half the length over which it is faded into its neighbour before and after; 0 is a cut.
    """

    start: int
    stop: int
    low: int
    high: int
    fade_in: int = 0
    fade_out: int = 0

    def weights(self, scale):
        """Float32 weight of every shown SR px; those of neighbours add up to one."""
        weights = np.ones((self.high - self.low) * scale, np.float32)
        if self.fade_in:
            weights[:2 * self.fade_in * scale] = _ramp(2 * self.fade_in * scale)
        if self.fade_out:
            weights[-2 * self.fade_out * scale:] = 1 - _ramp(2 * self.fade_out * scale)
        return weights


def spans(side, tile, overlap, *, multiple=1, fade=False):
    """Cuts one side of an image into tiles of equal length that are spread evenly.

    Args:
      side: side of the image, px.
      tile: length of a tile, px, a multiple of `multiple`. A shorter side is one tile of its own length; only the last
        tile can be shorter, by less than `multiple`, where the side is no multiple itself.
      overlap: every shown px is at least so far, px, from each end of its tile that is not an end of the image.
      multiple: tiles start at multiples of it, px, so that attention windows stay where they are in the whole image.
      fade: neighbours are faded into one another over up to 2 * overlap px; otherwise cut.

    Returns:
      List of Span.

    Raises:
      ValueError: the tile is too short for its overlaps.
    """
    if side <= tile:
        return [Span(0, side, 0, side)]
    gaps = _gaps(side, tile, overlap, multiple)
    last = -(-(side - tile) // multiple) * multiple
    starts = [index * last // gaps // multiple * multiple for index in range(gaps + 1)]
    cuts = [(after + before + tile) // 2 for before, after in itertools.pairwise(starts)]
    room = min((after - before for before, after in itertools.pairwise(cuts)), default=side)
    half = min(overlap, room // 2) if fade else 0
    lows, highs = [0, *(cut - half for cut in cuts)], [*(cut + half for cut in cuts), side]
    return [Span(start, min(start + tile, side), low, high, half * (index > 0), half * (index < gaps))
            for index, (start, low, high) in enumerate(zip(starts, lows, highs, strict=True))]


def _gaps(side, tile, overlap, multiple):
    """Number of tiles along a side that is at least as long as one, less one; arguments as for `spans`."""
    step = (tile - 2 * overlap) // multiple * multiple
    if step <= 0:
        raise ValueError(f"a tile of {tile} px has no room for overlaps of {overlap} px and steps of {multiple} px")
    return -(-(side - tile) // step)


def tiled_px(size, tile, overlap, multiple=1):
    """Pixels of all square tiles that an image of a size (height, width) is cut into; infinite if it is smaller."""
    if min(size) < tile:
        return math.inf
    return math.prod(tile * (1 + _gaps(side, tile, overlap, multiple)) for side in size)


@functools.cache
def common_tile(sizes, tiles, overlap, multiple=1, *, program):
    """The side of the square tiles in which images of several sizes share one program with the least work.

    Work is counted in pixels. Of an image that would take more of it in tiles than whole, by a program of its own, it
    is that.

    Args:
      sizes: tuple of (height, width) of each image, px, no two alike.
      tiles: range of sides to choose from, px, multiples of `multiple`.
      overlap, multiple: as for `spans`.
      program: pixels that are computed in the time in which a program is compiled.

    Returns:
      One of `tiles`; None where images take the least work whole.
    """
    def work(tile):
        return program + sum(min(tiled_px(size, tile, overlap, multiple), program + math.prod(size)) for size in sizes)

    best = min(tiles, key=work, default=None)
    whole = sum(program + math.prod(size) for size in sizes)
    return best if best is not None and work(best) < whole else None


def assemble(rows, run, finish, row_spans, column_spans, *, scale, at_once=1):
    """Runs a network on every tile and yields the SR image in bands.

    Args:
      rows: function (start, stop) to the LR rows [start, stop), array (stop - start, W, C); the starts never decrease.
      run: function of a tile (h, w, C) and its two spans to its SR (h * scale, w * scale, C), float32.
      finish: function of an SR array (h, w, C), element by element, to what is wanted of it: rounded, say.
      row_spans, column_spans: results of `spans`.
      scale: SR size over LR size.
      at_once: tiles of a row that run at the same time, each in a thread.

    Yields:
      Arrays (n, W * scale, C) of what `finish` makes, top to bottom.
    """
    width = column_spans[-1].high * scale
    fades = any(span.fade_in or span.fade_out for span in (*row_spans, *column_spans))
    kept = None  # rows of the band before, faded out, that this one is to be added to
    for row, following in zip(row_spans, [*row_spans[1:], None], strict=True):
        lr = rows(row.start, row.stop)
        band = np.empty((0, 0, 0))

        def run_tile(span, row=row, lr=lr):
            return run(lr[:, span.start:span.stop], row, span)

        for column, sr in _ahead(run_tile, column_spans, at_once):
            shown = sr[(row.low - row.start) * scale:(row.high - row.start) * scale,
                       (column.low - column.start) * scale:(column.high - column.start) * scale]
            if not fades:
                shown = finish(shown)
            if not band.size:  # the first tile tells channels and dtype
                band = np.zeros((len(shown), width, shown.shape[2]), shown.dtype)
            place = band[:, column.low * scale:column.high * scale]
            if fades:
                place += shown * row.weights(scale)[:, None, None] * column.weights(scale)[:, None]
            else:
                place[:] = shown
        if not fades:
            yield band
            continue
        if kept is not None:
            band[:len(kept)] += kept
        done = (following.low - row.low) * scale if following else len(band)
        yield finish(band[:done])
        kept = band[done:].copy()


def _ramp(length):
    return (np.arange(length, dtype=np.float32) + np.float32(0.5)) / np.float32(length)


def _ahead(function, items, count):
    """Yields (item, function(item)); threads work on the next `count` while the caller looks at this one."""
    with ThreadPoolExecutor(count) as pool:
        waiting = collections.deque()
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) > count:
                done, future = waiting.popleft()
                yield done, future.result()
        for done, future in waiting:
            yield done, future.result()

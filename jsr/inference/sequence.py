"""Frames that come one by one through networks that see several at once: windows, scenes, tiles."""

import collections
import functools
import math

import jax
import numpy as np

from jsr.clips.cuts import Cuts
from jsr.device import free_memory
from jsr.inference.resample import resize
from jsr.inference.tiles import assemble, spans

WINDOW, OVERLAP = 30, 5  # frames that networks without a window of their own see at once; a window's from its ends
_SIDES = (512, 384, 256, 192, 128, 96, 64)  # of tiles, px
_PROBE, _SMALL = 64, 128  # side of the tile whose memory tells that of others, and up to which nothing is asked, px
_FREE_SHARE, _CPU_BYTES = 0.3, 2_500_000_000
_STEP = 6   # lengths of short scenes are multiples of it, frames
_EDGE = 8  # px, part of a tile over which it is faded into its neighbour


class Sequence:
    """Frames in, frames out: an Upscaler whose networks see several frames at once.

    A scene is what lies between cuts (jsr.clips.cuts), and no frame is seen from another one. Networks of a window of n
    frames see the nearest ones, at the ends of a scene its first or last frame again. Recurrent networks see the whole
    scene, and what they know of it lies in a Store; without one they see windows of WINDOW frames, of which those
    OVERLAP from its ends are taken, and the whole of shorter scenes: the result is that of the whole scene but for what
    passes through more frames than that. Memory is bounded whatever the length, both ways.

    Args:
      upscaler: jsr.inference.upscaler.Upscaler, that `takes_clips`.
      store: jsr.inference.store.Store for recurrent networks, or None.
      check: called, with a store, before every frame of every pass through time; what it raises ends the work.

    Attributes:
      scenes: number of scenes begun.
      tile: (height, width) of the tiles, px, once one frame was seen.
    """

    def __init__(self, upscaler, store=None, check=lambda: None):
        self._upscaler, self._store, self._check, self.scenes, self.tile = upscaler, store, check, 0, None
        kinds = [chain.frames for chain in upscaler.chains]
        reach = max((kind // 2 for kind in kinds if isinstance(kind, int)), default=0)
        self._recurrent = "all" in kinds
        self._before = max(reach, OVERLAP) if self._recurrent else reach
        self._length = WINDOW if self._recurrent else 2 * reach + 1

    @property
    def text(self):
        """The way in which frames were seen, in words."""
        if self._recurrent and self._store:
            return f"each seen as a whole, its features on the disk meanwhile ({self._store.most / 1e6:.0f} MB at most)"
        return f"seen in windows of {self._length} frames" + self._recurrent * (
            f" that overlap by {2 * OVERLAP}: recurrence ends with them")

    def __call__(self, frames, wanted=lambda item: True):
        """Passes frames through.

        Args:
          frames: iterable of (item, float32 (H, W, C) in [0, 1]) in the order of showing, all of one size.
          wanted: function of an item that says whether its SR is needed.

        Yields:
          (item, float32 (H * scale, W * scale, C), not clipped) of those that are wanted, in order.
        """
        if self._recurrent and self._store:
            return self._in_scenes(frames, wanted, self._store)
        return self._in_windows(frames, wanted)

    def _in_scenes(self, frames, wanted, store):
        is_cut, items, each = Cuts(), [], 0
        for item, image in frames:
            if is_cut(image):
                yield from self._scene(items, wanted, store)
                items.clear()
                store.clear()
                self.scenes += 1
            each = each or self._bytes(*image.shape[:2])
            items.append(item)
            store.check_room(len(items) * (each + image.nbytes), "recurrent networks keep there what they know of a "
                             f"scene, this one of {len(items)} frames or more; free some space, or --windows "
                             "needs none")
            store["lr", len(items) - 1] = image
        yield from self._scene(items, wanted, store)

    def _scene(self, items, wanted, store):
        """The SR of the frames of a whole scene, whose LR is in the Store."""
        chosen = [index for index, item in enumerate(items) if wanted(item)]
        if not chosen:
            return
        upscaler = self._upscaler
        frame = functools.lru_cache(1)(lambda index: _colours(store["lr", index]))
        height, width = frame(0).shape[:2]
        rows, columns = self._spans(None, height, width)

        def part(row, column, index):
            return frame(index)[row.start:row.stop, column.start:column.stop]

        streams = {(row, column): upscaler.scene(functools.partial(part, row, column), len(items), chosen, store,
                                                 (row.start, column.start), self._check)
                   for row in rows for column in columns}
        for index in chosen:
            bands = assemble(lambda start, stop, index=index: frame(index)[start:stop],
                             lambda _, row, column: next(streams[row, column]), lambda sr: sr, rows, columns,
                             scale=upscaler.scale)
            yield items[index], self._finished(np.concatenate(list(bands)), store["lr", index])

    def _bytes(self, height, width):
        """The arrays that the Store gets for a frame of that size."""
        rows, columns = self._spans(None, height, width)
        chains = [chain for chain in self._upscaler.chains if chain.frames == "all"]
        return self._upscaler.copies * sum(
            chain.scene_bytes(*(chain.padding.target(span.stop - span.start) for span in (row, column)))
            for chain in chains for row in rows for column in columns)

    def _in_windows(self, frames, wanted):
        is_cut, held, given = Cuts(), collections.deque(), 0  # frames of one scene, and how many of them were given
        for item, image in frames:
            if is_cut(image):
                yield from self._run(held, given, len(held), wanted)
                held.clear()
                given = 0
                self.scenes += 1
            held.append((item, image))
            if len(held) >= self._length and len(held) - given >= self._length - self._before:
                stop = len(held) - self._before
                yield from self._run(held, given, stop, wanted)
                given = stop
            if len(held) >= self._length and given:  # so many stay that the last window has the length of all
                held.popleft()
                given -= 1
        yield from self._run(held, given, len(held), wanted)

    def _run(self, held, first, stop, wanted):
        """The SR of frames `first` to `stop` of those that are held."""
        chosen = [index for index in range(first, stop) if wanted(held[index][0])]
        if not chosen:
            return
        images = [image for _, image in held]
        if self._recurrent:
            start = max(0, len(images) - self._length)
            clip = np.stack([_colours(image) for image in images[start:]])
            if len(clip) < self._length:  # a short scene, stretched: each length is a program of its own
                clip = np.concatenate([clip, np.repeat(clip[-1:], -len(clip) % _STEP, axis=0)])
            made = self._tiled(clip, [index - start for index in chosen])
        else:
            made = (self._tiled(np.stack([_colours(images[place]) for place in self._around(index, len(images))]),
                                [self._length // 2])[0] for index in chosen)
        for index, sr in zip(chosen, made, strict=True):
            yield held[index][0], self._finished(sr, images[index])

    def _around(self, index, length):
        return np.clip(np.arange(self._length) - self._length // 2 + index, 0, length - 1)

    def _tiled(self, clip, wanted):
        """SR frames of (T, H, W, 3), whole or in tiles that are faded into one another."""
        length, height, width = clip.shape[:3]
        rows, columns = self._spans(length, height, width)
        if len(rows) == len(columns) == 1:
            return self._upscaler.frames(clip, wanted)
        scale = self._upscaler.scale
        folded = np.moveaxis(clip, 0, 2).reshape(height, width, -1)

        def run(tile, row, column):
            seen = np.moveaxis(tile.reshape(*tile.shape[:2], length, 3), 2, 0)
            sr = self._upscaler.frames(np.ascontiguousarray(seen), wanted)
            return np.moveaxis(sr, 0, 2).reshape(*sr.shape[1:3], -1)

        bands = assemble(lambda start, stop: folded[start:stop], run, lambda sr: sr, rows, columns, scale=scale)
        whole = np.concatenate(list(bands))
        return np.moveaxis(whole.reshape(*whole.shape[:2], len(wanted), 3), 2, 0)

    def _spans(self, length, height, width):
        """The tiles along both sides, tuples of Span; `length` as in `_memory`."""
        if self.tile is None:
            self.tile = self._tile(length, height, width)
        multiple = math.lcm(*(chain.padding.multiple for chain in self._upscaler.chains))
        return tuple(tuple(spans(side, tile, min(tile // _EDGE, 16), multiple=multiple, fade=True))
                     for side, tile in zip((height, width), self.tile, strict=True))

    def _tile(self, length, height, width):
        """(height, width) of tiles that memory has room for; the frame's own where it can be."""
        if height * width <= _SMALL**2:
            return height, width
        budget = free_memory() * _FREE_SHARE
        if jax.default_backend() == "cpu":
            budget = min(budget, _CPU_BYTES)
        multiple = math.lcm(*(chain.padding.multiple for chain in self._upscaler.chains))
        side = -(-_PROBE // multiple) * multiple
        each = max(_memory(chain, length, side) for chain in self._upscaler.chains) / side**2
        if each * height * width <= budget:
            return height, width
        fit = next((wanted for wanted in _SIDES if each * min(wanted, height) * min(wanted, width) <= budget),
                   _SIDES[-1])
        fit = max(fit // multiple, 1) * multiple
        return min(fit, height), min(fit, width)

    def _finished(self, sr, image):
        """SR with the channels of its frame: grey is the luma, alpha is enlarged by bicubic interpolation."""
        channels = image.shape[2]
        if channels < 3:
            sr = sr @ np.array([[0.299], [0.587], [0.114]], np.float32)
        if channels not in (2, 4):
            return sr
        alpha = np.clip(resize(image[..., -1:], sr.shape[:2]), 0, 1)
        colours = np.divide(sr, alpha, out=np.zeros_like(sr), where=alpha > 0)
        return np.concatenate([colours, alpha], axis=-1)


def _colours(image):
    """RGB of a frame, premultiplied where it has alpha."""
    channels = image.shape[2]
    colours = image[..., :1].repeat(3, axis=2) if channels < 3 else image[..., :3]
    return colours * image[..., -1:] if channels in (2, 4) else colours


@functools.cache
def _memory(chain, length, side):
    """Bytes that a tile of a number of frames takes; None means one frame after the other, in recurrent networks."""
    if chain.frames == "all" and length is None:
        return chain.scene_memory(side, side)
    frames = length if chain.frames == "all" else chain.frames
    shape = (1, side, side, 3) if frames is None else (1, frames, side, side, 3)
    found = chain.program(shape).memory_analysis()
    return found.temp_size_in_bytes + found.output_size_in_bytes

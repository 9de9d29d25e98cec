"""Images through trained networks: any size, depth and channels; whole or in tiles; ensembles."""

import collections
from collections.abc import Callable, Iterator, Sequence
import copy
import dataclasses
import functools
import hashlib
import logging
import math
import os
import threading
import time
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jsr import model_file, models
from jsr.device import check_fork, free_memory, usual_settings
from jsr.errors import UserError, is_out_of_memory, nearest
from jsr.inference import kinds, runtimes
from jsr.inference.chain import Chain
from jsr.inference.ensemble import TRANSFORMS, mean_of_bands, self_ensemble, shared_rows
from jsr.inference.resample import REACH, resize
from jsr.inference.store import Store
from jsr.inference.tiles import Span, assemble, common_tile, spans, tiled_px

_SIDES = (1024, 768, 512, 384, 256, 192, 128, 96, 64)  # of tiles that are chosen here, px
_PROBE = 256                     # side of the tile whose memory tells that of others, px
_FREE_SHARE = 0.3                # of free memory for a whole image: two may be at work, and files are decoded beside
_CPU_TILE_BYTES = 1_250_000_000  # for a tile: on a CPU more of it brings no more speed
_CPU_WHOLE_BYTES = 2_200_000_000  # for a whole image, with its LR and SR, so that the process stays below 3 GB
_STRIP = 1 << 20                 # values that are rounded at once
_PROGRAM_MACS = 1e10             # that a core computes in about the time in which it compiles a program
_LEAST_TILE = 64                 # side of tiles that several sizes share, px; with smaller ones calls would count
_EXACT_SHARE = 5                 # a tile has at least so many times the exact overlap, or it is too dear
_OVERLAP_SHARE = 8               # overlaps that are not exact are this part of a tile
_FRAMES = 16         # of a clip that pass at once through networks that see a window
_QUALITY_SIDE = 256  # of the part of an image whose JPEG quality is estimated, px
_JPEG_BLOCK = 16     # px, with its colours at half the size
_BEYOND = 0.5  # that floats may lie outside [0, 1], as resizing with negative lobes makes them
_NOT_FINITE = "the network's output is not finite; its weights are damaged, or not made for such images"
_DTYPES = ("float32", "bfloat16", "float16")
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # BT.601


@dataclasses.dataclass(frozen=True)
class Tiling:
    """The tiling of one image.

    Attributes:
      rows, columns: the tiles along the height and the width.
      overlap: px of LR around what is shown of a tile; 0 for a whole image.
      exact: whether the result is that of the whole image, but for float rounding: the networks see no farther than
        `overlap`.
      others: more ways in which it is cut, whose results are averaged with this one's.
    """

    rows: tuple[Span, ...]
    columns: tuple[Span, ...]
    overlap: int
    exact: bool
    others: tuple["Tiling", ...] = ()

    @property
    def whole(self):
        """Whether the image is not cut."""
        return self.count == 1 and not self.others

    @property
    def count(self):
        """Tiles in all, of the others none."""
        return len(self.rows) * len(self.columns)

    @property
    def size(self):
        """(height, width) of a tile, px."""
        return tuple(side[0].stop - side[0].start for side in (self.rows, self.columns))


class _Here:
    """Facts that an Upscaler has found in its process; in another one, to which it was pickled, it begins anew.

    Attributes:
      lock: lock for the next attributes.
      largest: side of the tiles that memory allows, px.
      free: bytes of memory that one image may take, None before it was asked for.
      float32: {Chain: the same in float32}, of those that have overflowed.
    """

    def __init__(self):
        self.lock, self.largest, self.float32 = threading.Lock(), _SIDES[0], {}
        self.free: float | None = None

    def __reduce__(self):
        return _Here, ()


class Upscaler:
    """Chains of networks that turn LR images into SR images, each alone or averaged; safe to use from several threads.

    Tiles, and the copies of an ensemble, pass one at a time, on each of the process's devices: the same image gives the
    same bits whatever else is done, but for what `expecting` says.

    Args:
      chains: one jsr.inference.chain.Chain, or several of one scale whose outputs are averaged.
      weights: weights of the chains in that average, equal by default.
      self_ensemble: averages the outputs for the eight flips and turns of an image, or of each of its tiles; names of
        jsr.inference.ensemble.TRANSFORMS average those alone.
      tile: side of tiles, LR px; "auto" takes images whole where memory allows and chooses a side for larger ones; None
        takes every image whole, "rows" too, with its rows split over all devices of this process: each takes a part of
        the memory, and floats differ from those of one device by rounding. Of several sides the results are averaged,
        once each where they cut an image alike.
      overlap: px of LR that each tile has around what is shown of it. None is as far as the networks see where that is
        affordable, so that the result is exact; else an eighth of the tile, and tiles are faded into one another.
      separate_alpha: takes the colours of images with alpha as if they were opaque, as textures need, whose alpha is no
        transparency; else they are premultiplied, and those under alpha 0 are lost.
      strength: 0..1, share of the networks' result; the rest is of the plain enlargement, Pillow's bicubic, or at
        scale 1 of the image itself.

    Attributes:
      chains, scale: SR size over LR size.
      separate_alpha: as given.

    Raises:
      UserError: chains of different scales or channels; weights that do not fit them; no such flip or turn; an overlap
        too large for the tile; a strength out of range; rows of clips, or in another runtime than JAX.
    """

    def __init__(self, chains: Sequence[Chain], *, weights: Sequence[float] | None = None,
                 self_ensemble: bool | Sequence[str] = False,
                 tile: int | Literal["auto", "rows"] | Sequence[int] | None = None,
                 overlap: int | None = None, separate_alpha: bool = False, strength: float = 1.0):
        scales = sorted({chain.scale for chain in chains})
        channels = sorted({chain.channels for chain in chains})
        if len(scales) != 1:
            raise UserError(f"models of different scales, {' and '.join(f'x{s}' for s in scales)}, cannot be averaged")
        if len(channels) != 1:
            raise UserError("models of different channels, " + " and ".join(f"{lr} to {sr}" for lr, sr in channels)
                            + ", cannot be averaged")
        weights = [1.0] * len(chains) if weights is None else weights
        if len(weights) != len(chains) or min(weights) < 0 or not 0 < sum(weights) < float("inf"):
            raise UserError(f"weights {', '.join(map(str, weights))}: expected one for each of {len(chains)} "
                            "models, none negative, not all zero")
        sides = [] if tile in (None, "auto", "rows") else list(tile) if isinstance(tile, Sequence) else [tile]
        if any(side < 1 for side in sides) or overlap is not None and overlap < 0:
            raise UserError(f"tile = {tile}, overlap = {overlap}: expected a positive tile, and no negative overlap")
        if not 0 <= strength <= 1:
            raise UserError(f"strength {strength:g}: must be from 0 to 1")
        named = () if isinstance(self_ensemble, bool) else tuple(self_ensemble)
        if unknown := [name for name in named if name not in TRANSFORMS]:
            raise UserError(f"self_ensemble: no flip or turn {unknown[0]!r}; {nearest(unknown[0], TRANSFORMS)}")
        if tile == "rows" and any(chain.runner.name in runtimes.OTHERS for chain in chains):
            raise UserError("tile rows: only the runtime jax splits images over devices")
        if tile == "rows" and any(chain.frames is not None for chain in chains):
            raise UserError("tile rows: networks for clips take no single images to split; leave it out")
        self.chains, self.scale, self._strength = tuple(chains), scales[0], strength
        self._weights = np.array(weights, np.float32) / np.float32(sum(weights))
        self._transforms = named or (tuple(TRANSFORMS) if self_ensemble is True else ("identity",))
        self._channels, self._overlap, self.separate_alpha = channels[0], overlap, separate_alpha
        self._multiple = int(np.lcm.reduce([chain.padding.multiple for chain in chains]))
        self._here, self._common, self._repeated = _Here(), None, frozenset()
        self._tiles = [-(-side // self._multiple) * self._multiple for side in sides] or [tile]
        self._by_rows = tile == "rows"
        for side in self._tiles if sides else ():
            self._check_room(side, overlap or 0)

    def upscale(self, image: Any) -> Any:
        """Upscales one image that is in memory, or a batch.

        Args:
          image: array (H, W), (H, W, 1) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB or (H, W, 4) RGB and alpha, or a
            batch (N, H, W, C), which is to networks for clips a clip (T, H, W, 3); uint8, uint16, or float32 in [0, 1].
            Alpha is straight (not premultiplied). It is of NumPy, JAX or PyTorch, or an image of Pillow, or the path of
            a picture file.

        Returns:
          The same kind, (H * scale, W * scale[, C]), with the channels and dtype of the input; floats are clipped to
          [0, 1], indexed colours of Pillow become RGB. For a path it is the one of the result, which is written beside
          the picture as `jsr upscale` does it: photo_x2.jpg, with profile, EXIF and all that belongs to it.

        Raises:
          ValueError: another shape or dtype, channels in front, floats far outside [0, 1], or NaN.
          UserError: out of memory, or the networks gave values that are not finite; a file cannot be read, or another
            one is in the way of the result.
        """
        if isinstance(image, (str, os.PathLike)):
            from jsr.inference import upscale_folder  # which imports this module

            found = upscale_folder.upscale_beside(self, image)
            return str(found) if isinstance(image, str) else found
        array, back = kinds.as_array(image)
        if self.takes_clips:
            return back(self._clip(array))
        if array.ndim == 4:
            return back(np.stack([self._upscale(each) for each in array]))
        return back(self._upscale(array))

    @property
    def recurrent(self) -> bool:
        """Whether its networks see a clip as a whole."""
        return any(chain.frames == "all" for chain in self.chains)

    @property
    def copies(self) -> int:
        """Flips and turns that are averaged, 1 of none."""
        return len(self._transforms)

    @property
    def takes_clips(self) -> bool:
        """Whether its networks see several frames at once."""
        return any(chain.frames is not None for chain in self.chains)

    def _clip(self, clip):
        """A whole clip (T, H, W, 3), as `upscale` takes it, through networks for clips."""
        if clip.ndim != 4 or clip.shape[3] != 3:
            raise ValueError(f"the network takes clips, expected (T, H, W, 3), got {clip.shape}")
        unit = to_unit(clip)
        step = len(clip) if self.recurrent else _FRAMES  # whose SR is held in float32
        return np.concatenate([from_unit(self.frames(unit, range(len(clip))[first:first + step]), clip.dtype,
                                         straight=True) for first in range(0, len(clip), step)])

    def frames(self, clip: np.ndarray, wanted: Sequence[int]) -> np.ndarray:
        """The SR of some frames of a clip; the network sees all of the clip, whole and not in tiles.

        Args:
          clip: float32 (T, H, W, 3) in [0, 1].
          wanted: indices of frames.

        Returns:
          float32 (len(wanted), H * scale, W * scale, 3), not clipped.
        """
        turned_back = []
        for turns, step in (TRANSFORMS[name] for name in self._transforms):
            seen = np.ascontiguousarray(np.rot90(clip, turns, axes=(1, 2))[:, :, ::step])
            sr = np.sum([weight * self._clip_through(chain, seen, wanted)
                         for weight, chain in zip(self._weights, self.chains, strict=True)], axis=0)
            turned_back.append(np.rot90(sr[:, :, ::step], -turns, axes=(1, 2)))
        sr = turned_back[0] if len(turned_back) == 1 else np.mean(turned_back, axis=0)
        return np.stack([self._blended(one, clip[index]) for one, index in zip(sr, wanted, strict=True)])

    def scene(self, frame: Callable[[int], np.ndarray], length: int, wanted: Sequence[int], store: Store,
              key: tuple = (), check: Callable[[], None] = lambda: None) -> Iterator[np.ndarray]:
        """The SR of some frames of a scene of any length; the network sees all of the scene; what `frames` gives of it.

        Args:
          frame: function of an index to its LR, float32 (H, W, 3) in [0, 1].
          length: length of the scene, frames.
          wanted: indices of frames, ascending.
          store: store for features that recurrent networks keep of a scene.
          key: start of its keys.
          check: called before every frame of every pass through time; what it raises ends the work.

        Yields:
          float32 (H * scale, W * scale, 3) of each, not clipped.
        """
        def turned(turns, step, index):
            return np.ascontiguousarray(np.rot90(frame(index), turns)[:, ::step])

        ways = [(*TRANSFORMS[name], weight, chain) for name in self._transforms
                for weight, chain in zip(self._weights, self.chains, strict=True)]
        streams = [self._scene_through(chain, functools.partial(turned, turns, step), length, wanted, store,
                                       (*key, number), check) for number, (turns, step, _, chain) in enumerate(ways)]
        for index in wanted:
            sr = np.sum([weight * np.rot90(next(stream)[:, ::step], -turns) for (turns, step, weight, _), stream in
                         zip(ways, streams, strict=True)], axis=0) / np.float32(len(self._transforms))
            yield self._blended(sr, frame(index))

    def _scene_through(self, chain, frame, length, wanted, store, key, check):
        """One chain's output for frames of a scene, one after the other."""
        if chain.frames == "all":
            found = chain.scene(frame, length, wanted, store, key, check)
        else:
            reach = (chain.frames or 1) // 2
            found = (self._clip_through(chain, np.stack([frame(min(max(near, 0), length - 1)) for near in
                                                         range(index - reach, index + reach + 1)]), [reach])[0]
                     for index in wanted)
        for sr in found:
            if not np.isfinite(sr).all():
                raise UserError(_NOT_FINITE)
            yield sr

    def _clip_through(self, chain, clip, wanted):
        """One chain's output for frames of a clip, float32; networks for images take them one by one."""
        sr = chain.clip(clip, wanted) if chain.frames else np.stack([chain(clip[t]) for t in wanted])
        if not _is_finite(sr):
            raise UserError(_NOT_FINITE)
        return sr

    def _upscale(self, image):
        """One array as `upscale` takes it."""
        if image.dtype == np.float32:
            low, high = image.min(), image.max()
            if not np.isfinite([low, high]).all():
                raise ValueError("image holds NaN or infinite values, expected floats in [0, 1]")
            if low < -_BEYOND or high > 1 + _BEYOND:
                raise ValueError(f"image is float32 from {low:g} to {high:g}, expected [0, 1]; give 8-bit values as "
                                 "uint8, or divide them by 255")
        pixels = image if image.ndim == 3 else image[..., None]
        height, width, channels = pixels.shape
        bands = self.stream(lambda start, stop: pixels[start:stop], height, width, image.dtype)
        sr = np.empty((height * self.scale, width * self.scale, channels), image.dtype)
        filled = 0
        for band in bands:
            sr[filled:filled + len(band)] = band
            filled += len(band)
        return sr if image.ndim == 3 else sr[..., 0]

    def stream(self, rows: Callable[[int, int], np.ndarray], height: int, width: int, dtype: np.dtype, *,
               on_band: Callable[[Tiling, int], None] = lambda tiling, done: None) -> Iterator[np.ndarray]:
        """Upscales an image of any size in bands: neither LR nor SR need fit into memory.

        Args:
          rows: function (start, stop) to the LR rows [start, stop), array (stop - start, width, C) as for `upscale`.
            The starts never decrease.
          height, width: size of the LR image, px.
          dtype: dtype of its pixels and of those yielded.
          on_band: called with the Tiling and the number of LR rows that are done before each band is yielded.

        Yields:
          Arrays (n, width * scale, C), top to bottom.

        Raises:
          UserError: as for `upscale`.
        """
        check_fork()
        started = False
        while not started:
            tiling = self.tiling(height, width)
            finish = functools.partial(from_unit, dtype=dtype, straight=self.separate_alpha or self._channels[0] == 4)
            bands, done = self._bands(tiling, rows, finish), 0
            try:
                for band in bands:
                    started = True
                    done += len(band) // self.scale
                    on_band(tiling, done)
                    yield band
            except (jax.errors.JaxRuntimeError, MemoryError) as e:
                if not is_out_of_memory(e):
                    raise
                self._shrink(tiling, retry=not started)

    def expecting(self, sizes: Sequence[tuple[int, int]], *, all_known: bool) -> "Upscaler":
        """The same Upscaler, told the sizes of images to come: those of many sizes need not each compile a program.

        Images of sizes that come once are cut into tiles of one size, where these give the whole image's pixels, but
        for float rounding, and take less time than programs of their own. What is compiled is shared.

        Args:
          sizes: (height, width) of images, px.
          all_known: whether there are no others; else nothing changes unless half of the images have a size that comes
            once, as then others have, too.
        """
        counts = collections.Counter(sizes)
        once = [size for size, count in counts.items() if count == 1]
        other = copy.copy(self)
        other._common, other._repeated = None, counts.keys() - {*once}
        if self._tiles != ["auto"] or self._overlap is not None or not (all_known or 2 * len(once) >= len(sizes)):
            return other
        if len(once) > 1 and (reach := self._reach(_PROBE // _EXACT_SHARE)) is not None:
            least = -(-max(_LEAST_TILE, _EXACT_SHARE * reach) // self._multiple) * self._multiple
            other._common = common_tile(tuple(size for size in once if self._exact(reach, *size)),
                                        range(least, _PROBE + 1, self._multiple), reach, self._multiple,
                                        program=self._program_px)
        return other

    @property
    def _program_px(self):
        """Pixels that the networks compute in about the time in which their programs are compiled.

        A parameter of a convolution is multiplied once a pixel.
        """
        parameters = sum(leaf.size for chain in self.chains for leaf in jax.tree.leaves(chain.variables))
        return len(self.chains) * _PROGRAM_MACS / max(parameters, 1)

    def _shared(self, height, width):
        """The side of the tiles that several sizes share, 0 where an image of that size is not cut into them."""
        if self._common is None or (height, width) in self._repeated:
            return 0
        reach = self._reach(self._common // _EXACT_SHARE)
        shares = reach is not None and self._exact(reach, height, width) and tiled_px(
            (height, width), self._common, reach, self._multiple) < height * width + self._program_px
        return self._common if shares else 0

    def digest(self) -> str:
        """SHA-256 of all that the results depend on: networks, parameters and how they are used."""
        found = hashlib.sha256(repr((self._weights.tolist(), self._transforms, self._tiles, self._overlap,
                                     self.separate_alpha, self._strength)).encode())
        for chain in self.chains:
            found.update(chain.digest().encode())
        return found.hexdigest()

    @property
    def for_jpeg(self) -> bool:
        """Whether the network restores JPEG pictures: it estimates their quality, or its protocol ends in JPEG."""
        return self.scale == 1 and any(chain.estimator or _made_for_jpeg(chain.meta) for chain in self.chains)

    @property
    def takes_quality(self) -> bool:
        """Whether it still needs the JPEG quality of images (`told`); untold, it takes them for clean."""
        return any(chain.takes_quality for chain in self.chains)

    def told(self, quality: float | None) -> "Upscaler":
        """The same Upscaler for images of a JPEG quality, 1..100; None is of images that never were JPEG files.

        What was compiled is shared. Networks that need not be told it are left alone.

        Raises:
          UserError: the quality is out of range, or the runtime that was asked for cannot compute the networks.
        """
        if not self.takes_quality:
            return self
        other = copy.copy(self)
        other.chains = tuple(chain.told(100 if quality is None else quality) if chain.takes_quality else chain
                             for chain in self.chains)
        return other

    def quality(self, rows: Callable[[int, int], np.ndarray], height: int, width: int) -> float | None:
        """The JPEG quality that the networks see in the middle of an image; the mean of those that estimate one.

        Args:
          rows, height, width: as for `stream`.

        Returns:
          A float of 1..100 or so; None where no network estimates it.
        """
        chains = [chain for chain in self.chains if chain.estimator]
        if not chains:
            return None
        (top, bottom), (left, right) = (middle(side, _QUALITY_SIDE) for side in (height, width))
        colours = to_unit(rows(top, bottom)[:, left:right])[..., :3]
        if colours.shape[2] < 3:
            colours = np.repeat(colours[..., :1], 3, axis=2)
        return float(np.mean([chain.quality(colours) for chain in chains]))

    def passes(self, height: int, width: int) -> tuple[int, int, int]:
        """(networks or chains, flips and turns, tilings): how often an image of that size passes is their product."""
        cuts = 1 if len(self._tiles) == 1 else 1 + len(self.tiling(height, width).others)  # which may compile
        return len(self.chains), len(self._transforms), cuts

    def seconds(self, height: int, width: int) -> float:
        """About what an image of that size takes in all its passes: one tile goes through each network to find out."""
        tiling, spent = self.tiling(height, width), 0.0
        tile = np.zeros((*tiling.size, self._channels[0]), np.float32)
        for chain in self.chains:
            multiple = chain.padding.multiple
            size = None if tiling.count == 1 else tuple(-(-side // multiple) * multiple for side in tiling.size)
            chain(tile, size, by_rows=self._by_rows)  # compiles
            start = time.perf_counter()
            chain(tile, size, by_rows=self._by_rows)
            spent += time.perf_counter() - start
        tiles = sum(cut.count * math.prod(cut.size) for cut in (tiling, *tiling.others)) / math.prod(tiling.size)
        return spent * len(self._transforms) * tiles

    def tiling(self, height: int, width: int) -> Tiling:
        """The Tiling of an image of that size."""
        first, *others = dict.fromkeys(self._cut(height, width, tile) for tile in self._tiles)
        return dataclasses.replace(first, exact=all(cut.exact for cut in (first, *others)), others=tuple(others))

    @property
    def _turns(self):
        """Whether networks see images otherwise than upright."""
        return self._transforms != ("identity",)

    def _bands(self, tiling, rows, finish):
        """The SR image in bands, `finish`ed."""
        def assembled(cut, rows, finish):
            return assemble(rows, functools.partial(self._run, cut), finish, cut.rows, cut.columns, scale=self.scale,
                            at_once=jax.local_device_count())

        if not tiling.others:
            return assembled(tiling, rows, finish)
        cuts = [tiling, *tiling.others]
        readers = shared_rows(rows, len(cuts))
        return map(finish, mean_of_bands(assembled(*pair, lambda sr: sr) for pair in zip(cuts, readers, strict=True)))

    def _cut(self, height, width, tile):
        """The Tiling of one side of tiles, as given to the constructor."""
        side = self._side(height, width, tile)
        if height <= side and width <= side:
            return Tiling((Span(0, height, 0, height),), (Span(0, width, 0, width),), 0, True)
        side = max(side // self._multiple, 1) * self._multiple
        overlap = self._overlap
        if overlap is None:
            reach = self._reach(side // _EXACT_SHARE)
            overlap = side // _OVERLAP_SHARE if reach is None else reach
        else:
            reach = self._reach(overlap)
        self._check_room(side, overlap)
        exact = self._exact(reach, height, width)
        rows, columns = (tuple(spans(length, side, overlap, multiple=self._multiple, fade=not exact))
                         for length in (height, width))
        return Tiling(rows, columns, overlap, exact)

    def runtime(self, tiling: Tiling) -> str:
        """The present runtime of such an image's tiles: "jax" or another of jsr.inference.runtimes.NAMES."""
        used = []
        for chain in self.chains:
            size = tiling.size if tiling.count > 1 else map(chain.padding.target, tiling.size)
            used.append(chain.runner.used(*size))
        return ", ".join(dict.fromkeys(used))

    def _side(self, height, width, tile):
        """The side of tiles for an image of that size, or the longer one of the image where it is taken whole."""
        longer = max(height, width)
        if tile in (None, "rows"):
            return longer
        if tile != "auto":
            return tile
        if shared := self._shared(height, width):
            return shared
        with self._here.lock:
            if self._here.free is None:
                self._here.free = free_memory() * _FREE_SHARE
            free, largest = self._here.free, self._here.largest
        if height * width <= min(_PROBE, largest)**2:
            return longer
        tile = whole = free
        if jax.default_backend() == "cpu":
            tile, whole = min(free, _CPU_TILE_BYTES), min(free, _CPU_WHOLE_BYTES - self._beside(height, width))
        if largest == _SIDES[0] and (self._fits((height, width), min(tile, whole)) or (
                tile != whole and self._fits((height, width), max(tile, whole))
                # A whole image takes more only where tiles would change its pixels
                and (tile > whole) == (self._overlap is None and self._exact(
                    self._reach(_SIDES[0] // _EXACT_SHARE), height, width)))):
            return longer
        for side in _SIDES:
            if side <= min(largest, longer) and self._fits((min(height, side), min(width, side)), tile):
                return side
        return _SIDES[-1]

    def _fits(self, shape, budget):
        """Whether an image or a tile of that shape takes at most `budget` bytes.

        Its own program, which is compiled anyway where it fits, tells; one for another shape is asked before only where
        this one may be much too large.
        """
        padded = [-(-side // self._multiple) * self._multiple for side in shape]
        small = max(chain.memory_bound(*padded) for chain in self.chains) <= budget
        return (small or self._estimate(shape) <= budget) and self._memory(shape) <= budget

    def _beside(self, height, width):
        """Bytes of an image that is taken whole besides what its networks take: LR as stored, twice in float32, SR."""
        lr, sr = self._channels
        return height * width * (9 * lr + sr * self.scale**2)

    def _estimate(self, shape):
        """Bytes, estimated from a tile of moderate size, without compiling anything for this shape."""
        side = -(-_PROBE // self._multiple) * self._multiple
        return max(chain.memory(side, side) for chain in self.chains) * shape[0] * shape[1] / side**2

    def _memory(self, shape):
        padded = [-(-side // self._multiple) * self._multiple for side in shape]
        try:
            return max(chain.memory(*padded) for chain in self.chains)
        except jax.errors.JaxRuntimeError as e:  # a GPU tries its algorithms while it compiles
            if not is_out_of_memory(e):
                raise
            return math.inf

    def _check_room(self, side, overlap):
        if side - 2 * overlap < self._multiple:
            raise UserError(f"a tile of {side} px has no room for overlaps of {overlap} px; choose a tile of at least "
                            f"{2 * overlap + self._multiple}")

    def _reach(self, limit):
        """Distance that the farthest-seeing chain sees, px, or None if it is above `limit`."""
        found = [chain.reach(limit) for chain in self.chains]
        if self._strength < 1 and self.scale > 1:
            found.append(REACH if limit >= REACH else None)
        return None if None in found else max(found)

    def _exact(self, reach, height, width):
        """Whether tiles that overlap by the networks' reach give the pixels of the whole image."""
        return reach is not None and not (self._turns and self._moves_windows(height, width))

    def _moves_windows(self, height, width):
        """Whether the tiles of a turned image have windows, or their padding, elsewhere than it has as a whole."""
        return any(chain.padding.always or height % chain.padding.multiple or width % chain.padding.multiple
                   for chain in self.chains)

    def _shrink(self, tiling, *, retry):
        """After an answer of "out of memory": makes the next tiles smaller, or says that nothing more can be done."""
        side = max(max(cut.size) for cut in (tiling, *tiling.others))
        smaller = [s for s in _SIDES if s < side]
        if self._tiles == ["auto"] and retry and smaller:
            with self._here.lock:
                self._here.largest = min(self._here.largest, smaller[0])
            logging.getLogger(__name__).warning("out of memory with tiles of %d px; going on with %d", side, smaller[0])
            return
        advice = f"choose smaller tiles than {side} px" if smaller else "tiles cannot be smaller; free some memory"
        raise UserError(f"out of memory; {advice}")

    def _run(self, tiling, lr, row, column):
        """A tile (h, w, C) as it is stored to float32 SR of as many channels, colours premultiplied or separate.

        Networks for grey images see each colour by itself, those for RGBA the alpha too, straight.
        """
        def through(unit):
            average = functools.partial(self._average, tiling, row, column)
            sr = self_ensemble(average, unit, self._transforms) if self._turns else average(unit)
            return self._blended(sr, unit)

        def colour(unit):
            if self._channels == (1, 1):
                return np.concatenate([through(unit[..., [channel]]) for channel in range(unit.shape[2])], axis=-1)
            if self._channels[0] == 1:
                return through(unit @ _LUMA[:, None]) if unit.shape[2] == 3 else through(unit) @ _LUMA[:, None]
            if unit.shape[2] == 1:  # grey passes as RGB of three equal channels and comes back as its luma
                return colour(np.repeat(unit, 3, axis=2)) @ _LUMA[:, None]
            return through(unit)

        unit = to_unit(lr)
        if self._channels[0] == 4:
            return self._with_alpha(through, unit)
        if unit.shape[2] not in (2, 4):
            return colour(unit)
        alpha = unit[..., -1:]
        if np.all(alpha == 1):
            sr_alpha = np.ones((len(lr) * self.scale, lr.shape[1] * self.scale, 1), np.float32)
        else:
            sr_alpha = _keep_flat(np.clip(colour(alpha), 0, 1), alpha, self.scale)
        return np.concatenate([colour(unit[..., :-1] * (1 if self.separate_alpha else alpha)), sr_alpha], axis=-1)

    def _with_alpha(self, through, unit):
        """As `_run` by a function of straight RGBA; what has no alpha is opaque, and loses it again."""
        has_alpha = unit.shape[2] in (2, 4)
        colours, alpha = (unit[..., :-1], unit[..., -1:]) if has_alpha else (unit, np.ones_like(unit[..., :1]))
        sr = through(np.concatenate([np.broadcast_to(colours, (*unit.shape[:2], 3)), alpha], axis=-1))
        sr_colours = sr[..., :3] @ _LUMA[:, None] if colours.shape[2] == 1 and sr.shape[2] > 1 else sr[..., :3]
        if not has_alpha:
            return sr_colours
        sr_alpha = sr[..., 3:] if sr.shape[2] == 4 else resize(alpha, sr.shape[:2])
        return np.concatenate([sr_colours, _keep_flat(np.clip(sr_alpha, 0, 1), alpha, self.scale)], axis=-1)

    def _blended(self, sr, lr):
        """The networks' result for float32 (h, w, C) with the share of the plain enlargement."""
        if self._strength == 1:
            return sr
        plain = (lr if self.scale == 1 else resize(lr, sr.shape[:2]))[..., :sr.shape[2]]  # grey is for all of RGB
        return np.float32(self._strength) * sr + np.float32(1 - self._strength) * plain

    def _average(self, tiling, row, column, lr):
        """Float32 (h, w, C), turned or not, through all chains."""
        outputs = [self._finite(chain, lr, self._size(chain, tiling, row, column, lr)) for chain in self.chains]
        if len(outputs) == 1:
            return outputs[0]
        return sum(weight * sr for weight, sr in zip(self._weights, outputs, strict=True))

    def _size(self, chain, tiling, row, column, lr):
        """The size that a tile is padded to: to a part of the whole image, padded."""
        if tiling.count == 1:
            return None
        if self._turns:
            return tuple(-(-side // chain.padding.multiple) * chain.padding.multiple for side in lr.shape[:2])
        return tuple(span.stop - span.start if span is not side[-1] else chain.padding.target(span.stop) - span.start
                     for span, side in ((row, tiling.rows), (column, tiling.columns)))

    @usual_settings()
    def _finite(self, chain, lr, size):
        """One chain's output; where half precision overflowed, that of float32."""
        sr = chain(lr, size, by_rows=self._by_rows)
        if _is_finite(sr):
            return sr
        if any(getattr(module, "dtype", None) not in (None, jnp.float32) for module in chain.networks.values()):
            with self._here.lock:
                if chain not in self._here.float32:
                    logging.getLogger(__name__).warning("values beyond the half-precision range; those tiles are "
                                                        "computed again in float32")
                    self._here.float32[chain] = chain.with_dtype(jnp.float32)
            sr = self._here.float32[chain](lr, size, by_rows=self._by_rows)
            if _is_finite(sr):
                return sr
        raise UserError(_NOT_FINITE)


@usual_settings()
def load(path, *more, weights=None, members=None, self_ensemble=None,
         tile: int | Literal["auto", "rows"] | Sequence[int] | None = "auto", overlap=None, dtype=None, runtime="jax",
         tlc=None, input_quality=None, separate_alpha=False, strength=1.0) -> Upscaler:
    """An Upscaler of a model file, or of several whose outputs are averaged; training branches are fused.

    Args:
      path, *more: model files of one scale, runs or names, see jsr.model_file.find; of one network or an ensemble.
      weights: weights of the files in the average, equal by default; an ensemble's is shared out among its members.
      members: how many of all networks are taken, the first ones; None takes all.
      overlap, separate_alpha, strength: as for Upscaler.
      self_ensemble: as for Upscaler; None is as the first file says.
      tile: as for Upscaler; "auto" is as the first file says, where it says something, of the overlap too.
      dtype: dtype of the computation, as "bfloat16"; None is as trained, float32.
      runtime: what computes on a CPU, of jsr.inference.runtimes.NAMES.
      tlc: as for jsr.inference.chain.Chain; None is as each file says.
      input_quality: JPEG quality of all images, 1..100, for networks that take one instead of their estimate, or the
        file's; None leaves it to them.

    Raises:
      UserError: a file cannot be read (jsr.model_file.load), or they do not fit together, as where a network comes
        twice; there are fewer members; the runtime is
        unknown, missing, for CPUs where JAX has another device, or cannot compute a network or the dtype.
    """
    check_fork()
    runtimes.check_name(runtime)
    if tlc is not None and tlc < 0:
        raise UserError(f"tlc = {tlc}: expected the side of windows, LR px, or 0")
    if input_quality is not None and runtime == "auto":
        runtime = "jax"
    if dtype is not None and runtime in runtimes.OTHERS:
        raise UserError(f"runtime {runtime}: computes in float32; for {dtype} use jax")
    files = (path, *more)
    if weights is not None and (len(weights) != len(files) or min(weights) < 0 or not 0 < sum(weights) < math.inf):
        raise UserError(f"weights {', '.join(map(str, weights))}: expected one for each of {len(files)} models, none "
                        "negative, not all zero")
    loaded = [(share * its.share, its) for file, share in zip(files, weights or [1.0] * len(files), strict=True)
              for its in model_file.load_members(file)]
    if members is not None and not 1 <= members <= len(loaded):
        raise UserError(f"members = {members}: expected 1 to {len(loaded)}, the number of networks")
    _check_unlike([its for _, its in loaded])
    computed, chains, shares = _computed_in(dtype), [], []
    for share, its in loaded[:members]:
        if blind := [name for name, network in its.networks.items() if models.card(network).auxiliary]:
            raise UserError(f"{its.name}: {blind[0]} gives features for losses and scores, not a picture; name another "
                            "model")
        meta, networks, variables, _ = model_file.fused(its.meta, its.networks, its.variables)
        of_file = (meta.get("ensemble") or {}).get("tlc", 0)
        chain = Chain(networks, variables, meta=meta, runtime=runtime, tlc=of_file if tlc is None else tlc)
        chain = chain if input_quality is None else chain.told(input_quality)
        chains.append(chain if computed is None else chain.with_dtype(computed))
        shares.append(share)
    ensemble = chains[0].meta.get("ensemble") or {}
    if self_ensemble is None:
        self_ensemble = bool(ensemble.get("self")) and (ensemble.get("transforms") or True)
    if tile == "auto":
        overlap = overlap if overlap is not None or not ensemble.get("tiles") else ensemble.get("overlap") or None
        tile = ensemble.get("tiles") or tile
    return Upscaler(chains, weights=shares, self_ensemble=self_ensemble, tile=tile, overlap=overlap,
                    separate_alpha=separate_alpha, strength=strength)


def _check_unlike(loaded):
    """Raises UserError where two of the jsr.model_file.Member are the same."""
    for number, one in enumerate(loaded):
        for other in loaded[:number]:
            if model_file.alike(one, other):
                raise UserError(f"{one.name}: is the same network as {other.name}; name each network once, and give it "
                                "a larger weight if it should count more")


def _computed_in(dtype):
    """The dtype of a computation by its name, or itself; UserError for one in which networks do not compute."""
    try:
        found = None if dtype is None else jnp.dtype(dtype)
    except TypeError:
        found = dtype
    if found is not None and found not in map(jnp.dtype, _DTYPES):
        raise UserError(f"dtype {dtype}: networks do not compute in it; {nearest(dtype, _DTYPES)}")
    return found


def _is_finite(sr):
    """Whether no value is NaN or infinite; takes no memory."""
    return bool(np.isfinite([sr.min(), sr.max()]).all())


def _made_for_jpeg(meta):
    """Whether the recipe of a model file is of a protocol whose LR images are JPEG files."""
    from jsr import degradations  # which networks that enlarge do without

    protocol = degradations.PROTOCOLS.get(meta.get("protocol"))
    return protocol is not None and protocol.steps[-1]["fn"] == "jpeg"


def middle(side, length):
    """(start, stop) of the middle `length` px of a side; it starts where a JPEG block does."""
    start = max(side - length, 0) // 2 // _JPEG_BLOCK * _JPEG_BLOCK
    return start, min(start + length, side)


def to_unit(pixels):
    """uint8 and uint16 to float32 in [0, 1]; floats as they are."""
    if pixels.dtype == np.float32:
        return pixels
    return np.divide(pixels, np.float32(np.iinfo(pixels.dtype).max), dtype=np.float32)


def from_unit(sr, dtype, *, straight):
    """Float32 to the stored dtype: straight alpha, clipped, rounded (not truncated).

    Args:
      sr: float32 (h, w, C); of 2 or 4 channels the last one is alpha.
      dtype: uint8, uint16 or float32.
      straight: whether the colours are straight; else they are premultiplied.
    """
    stored = np.empty(sr.shape, dtype)
    step = max(_STRIP // math.prod(sr.shape[1:]), 1)  # of a large image the copies on the way are larger than itself
    for top in range(0, len(sr), step):
        stored[top:top + step] = _stored(sr[top:top + step], dtype, straight)
    return stored


def _stored(sr, dtype, straight):
    """As from_unit, at once."""
    if sr.shape[2] in (2, 4) and not straight:
        alpha = sr[..., -1:]
        colours = np.divide(sr[..., :-1], alpha, out=np.zeros_like(sr[..., :-1]), where=alpha > 0)
        sr = np.concatenate([colours, alpha], axis=-1)
    sr = np.clip(sr, 0, 1)
    return sr if dtype == np.float32 else np.rint(sr * np.float32(np.iinfo(dtype).max)).astype(dtype)


def _keep_flat(sr_alpha, alpha, scale):
    """Alpha stays exactly opaque, or transparent, where the LR pixel and those around it are."""
    for value in (0, 1):
        same = np.pad(alpha[..., 0] == value, 1, mode="edge")
        flat = np.lib.stride_tricks.sliding_window_view(same, (3, 3)).all((-1, -2))
        sr_alpha[flat.repeat(scale, 0).repeat(scale, 1)] = value
    return sr_alpha

"""Refines an enlarged frame by similar frames of a database."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jsr.inference.tiles import spans
from jsr.retrieval.match import align

COUNT = 16  # references of a frame, NoahTerminalCV's


class Refiner:
    """A refinement network with a database behind it.

    Args:
      database: jsr.retrieval.database.Database, its index fresh.
      engine: jsr.retrieval.engine.Engine that it was made by.
      network: module that takes `refs`, as jsr.models.noahburst, or None, to find references alone.
      variables: its Flax collections.
      count: references of a frame, at most.
      patch: side of the patches that references are aligned to, px, a multiple of 8.
      margin: px of a patch, at each side, that are not shown where it has a neighbour.
    """

    def __init__(self, database, engine, network=None, variables=None, *, count=COUNT, patch=128, margin=16):
        self._database, self._engine, self._count = database, engine, count
        self._patch, self._margin, self._variables = patch, margin, variables
        self._run = network and jax.jit(lambda variables, image, refs: network.apply(variables, image, refs=refs))

    def references(self, lr, *, leave_out=()):
        """The images of the frames most like an LR frame, best first: [float32 (H, W, 3) in [0, 1]].

        Args:
          lr: uint8 (H, W, 3).
          leave_out: names of videos.
        """
        hits = self._database.search(self._engine.features(lr[None])[0], self._count, leave_out=leave_out)
        return [self._engine.decode(self._database.latents(hit.key)[None])[0] for hit in hits]

    def bursts(self, sr, references):
        """Yields (rows, columns, patch, refs): Spans of a patch of an image, the patch and its references.

        Args:
          sr: float32 (H, W, 3) in [0, 1], no side shorter than a patch or than 4 px.
          references: see `references`.

        Each patch is float32 (h, w, 3), its references (K, h, w, 3). References smaller than a patch are left out;
        without any, the patch is its own.
        """
        side = min(self._patch, sr.shape[0] // 4 * 4, sr.shape[1] // 4 * 4)
        places = list(itertools.product(*(spans(length, side, min(self._margin, side // 4), multiple=1)
                                          for length in sr.shape[:2])))
        patches = np.stack([sr[rows.start:rows.stop, columns.start:columns.stop] for rows, columns in places])
        fitting = [reference for reference in references if min(reference.shape[:2]) >= side]
        aligned = [np.asarray(align(patches, reference)[0]) for reference in fitting] or [patches]
        for index, (rows, columns) in enumerate(places):
            yield rows, columns, patches[index], np.stack([found[index] for found in aligned])

    def refine(self, lr, sr, *, leave_out=()):
        """The refined frame, float32 (H, W, 3), not clipped.

        Args:
          lr: uint8 (h, w, 3), that is looked for.
          sr: float32 (H, W, 3) in [0, 1], what another network made of it.
          leave_out: names of videos, whose frames are no references.
        """
        refined = np.empty_like(sr)
        for rows, columns, patch, refs in self.bursts(sr, self.references(lr, leave_out=leave_out)):
            found = np.asarray(self._run(self._variables, jnp.asarray(patch)[None], jnp.asarray(refs)[None]))[0]
            refined[rows.low:rows.high, columns.low:columns.high] = found[
                rows.low - rows.start:rows.high - rows.start, columns.low - columns.start:columns.high - columns.start]
        return refined

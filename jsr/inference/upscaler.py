"""Images through a trained chain of networks."""

import jax
import jax.numpy as jnp
import numpy as np

from jsr import models
from jsr.images import to_uint8
from jsr.inference import model_file
from jsr.inference.ensemble import self_ensemble
from jsr.layers.padding import crop_to, pad_to_multiple
from jsr.training.step import run_chain


class Upscaler:
    """A chain of networks with its parameters; `upscale` turns an LR image into an SR image.

    Args:
      networks: {name: module} in the order in which an image passes them.
      variables: {name: Flax collections}.
      ensemble: {"self": whether the outputs for the eight flips and turns of the image are averaged}; None is not.
      meta: the model file's metadata, {} for a network that never was in one.

    Every new image size is compiled once.
    """

    def __init__(self, networks, variables, *, ensemble=None, meta=None):
        self.networks, self.variables, self.meta = networks, variables, meta or {}
        self._ensemble = dict(ensemble or {"self": False})
        self.scale = int(np.prod([module.scale for module in networks.values()]))
        self._padding = models.card(next(iter(networks.values()))).padding
        chain = list(networks)
        self._run = jax.jit(lambda variables, lr: run_chain(networks, chain, variables, lr)[0]["sr"])

    def upscale(self, image):
        """Upscales one image.

        Args:
          image: uint8 array (H, W, 3), RGB.

        Returns:
          uint8 array (H * scale, W * scale, 3).

        Raises:
          ValueError: another shape or dtype.
        """
        image = np.asarray(image)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape:
            raise ValueError(f"image is {image.dtype} {image.shape}, expected uint8 (H, W, 3)")
        return to_uint8(self_ensemble(self._upscale, image) if self._ensemble["self"] else self._upscale(image))

    def _upscale(self, image):
        """The same before it is clipped and rounded, in float32."""
        lr = jnp.asarray(image, jnp.float32)[None] / 255
        height, width = image.shape[:2]
        sr = self._run(self.variables, pad_to_multiple(lr, self._padding))
        return crop_to(sr, height * self.scale, width * self.scale)[0]


def load(path):
    """An Upscaler of a model file; raises UserError where it cannot be read (jsr.inference.model_file.load)."""
    meta, networks, variables = model_file.load(path)
    return Upscaler(networks, variables, ensemble=meta.get("ensemble"), meta=meta)

"""A loss, a degradation with a codec of its own, and a dataset."""

import io
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from PIL import Image

from jsr.degradations import Codec, Degradation
from jsr.images import list_images


def squared_log(pred, target, *, eps=1e-3):
    """The mean squared difference of logarithms, which cares for the shadows."""
    return jnp.mean((jnp.log(pred.clip(0) + eps) - jnp.log(target + eps))**2)


def _encode(image, *, colours):
    file = io.BytesIO()
    Image.fromarray(image).quantize(colours).save(file, "PNG")
    return file.getvalue()


def _decode(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


palette = Codec(_encode, _decode, ".png", lambda *, colours: {
    "library": "Pillow's palettes", "decoded_by": "Pillow"})
few_colours = Degradation(2, ({"fn": "pillow_bicubic", "scale": 2}, {"fn": "jsr_guest.more:palette", "colours": 64}))


class Folder:
    """Every image file below a folder, as a source of jsr: it has a length, `names`, an `identity`, and is indexed."""

    def __init__(self, folder):
        self._files = list_images(folder)
        self.names = [path.name for path in self._files]
        self.identity = self.names

    def __len__(self):
        return len(self._files)

    def __getitem__(self, index):
        path = self._files[index]
        return {"name": path.name, "hr": path.read_bytes()}


def pictures(split):
    """The dataset: all images of the folder that the split names, "train" or "validation"."""
    return Folder(Path("pictures") / split)

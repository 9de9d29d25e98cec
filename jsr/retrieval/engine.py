"""The two networks of a database: features, by which frames are found, and an autoencoder, by which they are stored."""

import dataclasses
import functools
import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jsr import model_file, models
from jsr.degradations.resize import RESIZES
from jsr.errors import UserError

SCALE = 4  # HR size over the size of the LR images that the features are of
FEATURES, AUTOENCODER = "features", "autoencoder"  # names of the networks, and of their files in a run


@dataclasses.dataclass(frozen=True, eq=False)
class Engine:
    """The networks of a database, and their functions of images.

    Attributes:
      networks, variables: networks and variables of "features" and "autoencoder".
      meta: metadata of their model file.
    """

    networks: dict[str, Any]
    variables: dict[str, Any]
    meta: dict[str, Any]

    @functools.cached_property
    def fingerprint(self):
        """A hexadecimal sum of the networks, by which a database knows its engine."""
        found = hashlib.sha256(repr(sorted((name, repr(module)) for name, module in self.networks.items())).encode())
        for path, leaf in jax.tree_util.tree_leaves_with_path(self.variables):
            found.update(jax.tree_util.keystr(path).encode() + np.ascontiguousarray(leaf).tobytes())
        return found.hexdigest()

    @property
    def multiple(self):
        """Number that height and width of HR images are multiples of, px."""
        return max(SCALE, models.card(self.networks[AUTOENCODER]).padding.multiple)

    def features(self, lr):
        """Features of LR images, float32 (N, D) of length one.

        Args:
          lr: uint8 (N, H, W, 3).
        """
        found = np.asarray(self._features(self.variables[FEATURES], lr))
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)

    def encode(self, hr):
        """Latents of HR images in eight bits.

        Args:
          hr: uint8 (N, H, W, 3), H and W multiples of `multiple`.

        Returns:
          uint8 (N, h, w, C).
        """
        return np.asarray(self._encode(self.variables[AUTOENCODER], hr))

    def decode(self, latents):
        """The images of latents, float32 (N, H, W, 3) in [0, 1]."""
        return np.asarray(self._decode(self.variables[AUTOENCODER], latents))

    @functools.cached_property
    def _features(self):
        return jax.jit(lambda variables, lr: self.networks[FEATURES].apply(variables, lr.astype(jnp.float32) / 255))

    @functools.cached_property
    def _encode(self):
        module = self.networks[AUTOENCODER]
        return jax.jit(lambda variables, hr: jnp.round(
            (module.apply(variables, hr.astype(jnp.float32) / 255, method="encode") + 1) * 127.5).astype(jnp.uint8))

    @functools.cached_property
    def _decode(self):
        module = self.networks[AUTOENCODER]
        return jax.jit(lambda variables, latents: jnp.clip(module.apply(
            variables, latents.astype(jnp.float32) / 127.5 - 1, method="decode"), 0, 1))

    def save(self, path):
        """Writes both as one model file."""
        model_file.save(path, self.variables, self.meta)


def smaller(hr):
    """HR images as the LR images that features are of: Pillow's bicubic, without compression; uint8 (N, H, W, 3)."""
    size = hr.shape[1] // SCALE, hr.shape[2] // SCALE
    return np.stack([RESIZES["pillow_bicubic"](image, size) for image in hr])


def load(path):
    """The Engine of a run of the recipe `noah_engine`, or of the file in a database.

    Args:
      path: path of the run's folder, or of a model file that holds both networks.

    Raises:
      UserError: there are no such networks, or a file is damaged.
    """
    if path.is_dir():
        parts = [model_file.load(path / f"{name}.safetensors") for name in (FEATURES, AUTOENCODER)]
    else:
        parts = [model_file.load(path)]
    networks = {name: module for _, found, _ in parts for name, module in found.items()}
    variables = {name: tree for _, _, found in parts for name, tree in found.items()}
    rows = {row["name"]: row for meta, _, _ in parts for row in meta["networks"]}
    missing = [name for name in (FEATURES, AUTOENCODER) if name not in networks]
    if missing:
        raise UserError(f"{path}: holds no network {' and no '.join(missing)}; give the folder of a run of "
                        "aim22_t2:noah_engine")
    if not hasattr(networks[AUTOENCODER], "encode") or not models.card(networks[FEATURES]).auxiliary:
        raise UserError(f"{path}: its networks are no {FEATURES} of frames and no {AUTOENCODER}; give the folder of a "
                        "run of aim22_t2:noah_engine")
    names = FEATURES, AUTOENCODER
    meta = {key: value for key, value in parts[0][0].items() if key not in ("format", "sha256", "scores", "ensemble")}
    return Engine({name: networks[name] for name in names}, {name: variables[name] for name in names},
                  {**meta, "networks": [rows[name] for name in names]})

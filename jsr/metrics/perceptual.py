"""LPIPS and DISTS in float32 JAX: distances between the features that a network for ImageNet finds in two images.

Less is better, 0 is equal. They are held to their authors' code; the whole image counts, none is made smaller first.
Memory is for the features of both images at once: about 2 GB for 1 Mpx with VGG, a tenth of it with AlexNet.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jsr.layers.conv import convolve
from jsr.metrics import profiles, score_weights
from jsr.models import alexnet, vgg

# Layers, in torchvision's numbers, whose features are compared
_OF_ALEXNET, _OF_VGG = (1, 4, 7, 9, 11), (3, 8, 15, 22, 29)
_LEAST = {"alex": 31, "vgg": 16, "vgg16": 1}  # side, px, at which the last of them still has a feature


class L2Pool(nn.Module):
    """Square root of the mean square over 3x3 px, weighted by a Hann window, at every second place; with a name."""

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to (N, ceil(H / 2), ceil(W / 2), C), for values of 0 and more."""
        window = np.outer([1, 2, 1], [1, 2, 1]) / 16
        kernel = jnp.broadcast_to(jnp.asarray(window, x.dtype)[..., None, None], (3, 3, 1, x.shape[-1]))
        mean = convolve(jnp.square(x), kernel, strides=(2, 2), padding=(1, 1), groups=x.shape[-1])
        return jnp.sqrt(mean + 1e-12)


class SmoothVGG(vgg.VGG):
    """VGG as DISTS has it: with L2Pool for the largest of 2x2 px."""

    @nn.nowrap
    def layers(self) -> list[Any]:
        """As of VGG."""
        return [L2Pool if layer is vgg.MaxPool else layer for layer in super().layers()]


_NETWORKS = {"alex": (alexnet.Model(scale=1), _OF_ALEXNET), "vgg": (vgg.Model("vgg16", scale=1), _OF_VGG),
             "vgg16": (SmoothVGG(**vgg.VARIANTS["vgg16"]), _OF_VGG)}


def lpips(sr: np.ndarray, hr: np.ndarray, *, profile: str = "alex", crop_border: int = 0) -> float:
    """Learned perceptual image patch similarity (Zhang et al., CVPR 2018), version 0.1.

    Source: richzhang/PerceptualSimilarity `lpips.LPIPS(net=profile)`, of images in [-1, 1].

    Args:
      sr: uint8 (H, W, 3), or (H, W) or (H, W, 1), of which all three channels are made.
      hr: the same shape.
      profile: "alex" or "vgg", the network.
      crop_border: px cut off each side first.

    Returns:
      0 for equal images; above 1 for images that have nothing in common.

    Raises:
      ValueError: see jsr.metrics.profiles.check; sides below 31 px ("alex") or 16 px ("vgg") after the crop.
      UserError: the weights are not there (`jsr models get lpips-alex`, `lpips-vgg`).
    """
    pair, found = _prepare("lpips", sr, hr, profile, crop_border)
    linear = [found.arrays[f"lin{level}.model.1.weight"].reshape(-1) for level in range(len(_NETWORKS[profile][1]))]
    return float(_lpips(*_NETWORKS[profile], found.params, linear, pair))


def dists(sr: np.ndarray, hr: np.ndarray, *, profile: str = "vgg16", crop_border: int = 0) -> float:
    """Deep image structure and texture similarity (Ding et al., TPAMI 2020): means and covariances of features.

    Source: dingkeyan93/DISTS `DISTS_pytorch`, without its resizing to 256 px.

    Args, Returns, Raises: as `lpips`; the profile is "vgg16", any side does, the weights are `dists`.
    """
    pair, found = _prepare("dists", sr, hr, profile, crop_border)
    return float(_dists(*_NETWORKS[profile], found.params, found.arrays["alpha"].reshape(-1),
                        found.arrays["beta"].reshape(-1), pair))


def _prepare(metric, sr, hr, profile, crop_border):
    """Both images cropped, uint8 (2, H, W, 3), and the weights; ValueError and UserError as above."""
    sr, hr = np.asarray(sr), np.asarray(hr)
    what = f"{metric}[{profiles.of_perceptual(metric, profile)}]"
    profiles.check_images(what, (sr.shape, hr.shape), (sr.dtype, hr.dtype), crop_border=crop_border)
    profiles.check_side(metric, sr.shape, profile=profile, crop_border=crop_border, smallest=_LEAST[profile])
    height, width = profiles.size(sr.shape)
    inner = slice(crop_border, height - crop_border), slice(crop_border, width - crop_border)
    pair = np.stack([image.reshape(height, width, -1)[inner] for image in (sr, hr)])
    return np.broadcast_to(pair, (*pair.shape[:-1], 3)), score_weights.load(what)


def _features(network, taps, params, images):
    """[features after a layer of `taps`], float32 (2, H', W', C')."""
    names = {f"features_{index}" for index in taps}
    with jax.default_matmul_precision("highest"):
        _, found = network.apply({"params": params}, images, mutable=["intermediates"],
                                 capture_intermediates=lambda module, _: module.name in names)
    return [found["intermediates"][f"features_{index}"]["__call__"][0] for index in taps]


@partial(jax.jit, static_argnums=(0, 1))
def _lpips(network, taps, params, linear, pair):
    total = jnp.float32(0)
    for features, weights in zip(_features(network, taps, params, pair / jnp.float32(255)), linear, strict=True):
        unit = features / (jnp.sqrt(jnp.square(features).sum(-1, keepdims=True)) + 1e-10)
        total += (jnp.square(unit[0] - unit[1]) * weights).sum(-1).mean()
    return total


@partial(jax.jit, static_argnums=(0, 1))
def _dists(network, taps, params, alpha, beta, pair):
    images = pair / jnp.float32(255)
    both, tiny = [images, *_features(network, taps, params, images)], 1e-6
    mean = jnp.concatenate([x.mean((1, 2)) for x in both], -1)
    centred = [x - x.mean((1, 2), keepdims=True) for x in both]
    variance = jnp.concatenate([jnp.square(x).mean((1, 2)) for x in centred], -1)
    covariance = jnp.concatenate([(x[0] * x[1]).mean((0, 1)) for x in centred], -1)
    texture = (2 * mean[0] * mean[1] + tiny) / (jnp.square(mean).sum(0) + tiny)
    structure = (2 * covariance + tiny) / (variance.sum(0) + tiny)
    return 1 - ((alpha * texture).sum() + (beta * structure).sum()) / (alpha.sum() + beta.sum())

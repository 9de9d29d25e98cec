"""Losses of pixels. Float32 arrays of one shape to the mean over all elements; images are (N, H, W, C) in [0, 1]."""

import math

import jax.numpy as jnp


def l1(pred, target):
    """Mean absolute difference."""
    return jnp.mean(jnp.abs(pred - target))


def mse(pred, target):
    """Mean squared difference."""
    return jnp.mean(jnp.square(pred - target))


def charbonnier(pred, target, eps=1e-3):
    """Mean of sqrt(difference^2 + eps^2), the smooth L1 of Lai et al., LapSRN (CVPR 2017); eps 1e-3 as there."""
    return jnp.mean(jnp.sqrt(jnp.square(pred - target) + eps**2))


def psnr(pred, target, eps=1e-8):
    """Mean over images of 10 log10(MSE + eps), which is minus their PSNR in dB; below zero for anything useful.

    PSNRLoss of megvii-model/HINet and NAFNet, without its luma option; `eps` as there keeps it above -80.
    """
    error = jnp.mean(jnp.square(pred - target), axis=tuple(range(1, pred.ndim)))
    return 10 / math.log(10) * jnp.mean(jnp.log(error + eps))


def uncertainty_mse(pred, target, eps=1e-8):
    """MSE / (2 s^2) + log s at the uncertainty s that makes it smallest: log(MSE + eps) / 2 + 1 / 2.

    AIS 2024 (report, section 3.3, SAFMN++) names an uncertainty-based MSE and cites Hamilton et al., "It is likely that
    your loss should be a likelihood" (2020), and FeatUp (ICLR 2024), who learn s beside the network; the team's code is
    not public. Inferred: one s for the whole batch, as Hamilton et al.'s global scale, and not learnt but at its
    optimum, s^2 = MSE, so that nothing but the network has parameters. FeatUp's s is of every place, from a small
    network. The gradient is that of the MSE over twice its value: its size does not shrink as the error does.
    """
    return 0.5 * jnp.log(jnp.mean(jnp.square(pred - target)) + eps) + 0.5


def clip_l1(pred, target, low=0.0, high=10 / 255):
    """Mean of |difference| limited to [low, high]: what is nearer or farther has no gradient.

    ClipL1 of HolmesShuan/AIM2020-Real-Super-Resolution, whose limits for images in [0, 255] are 0 and 10.
    """
    return jnp.mean(jnp.clip(jnp.abs(pred - target), low, high))


def luma_mse(pred, target):
    """MSE of the luma of RGB images, BT.601 in 16 to 235 of 255, with coefficients of three digits.

    So IVL (AIM 2022, track 2) have them, whose network restores the luma alone.
    """
    red, green, blue = jnp.moveaxis(pred - target, -1, 0)
    return jnp.mean(jnp.square(0.257 * red + 0.504 * green + 0.098 * blue))


def ycbcr_l1(pred, target):
    """L1 in YCbCr, BT.601 with Y in [0, 1] and chroma in [-0.5, 0.5], for RGB images.

    A reading of the luminance-chrominance guidance that Unicorns (NTIRE 2024 blind JPEG, report) give their loss.
    """
    red, green, blue = jnp.moveaxis(pred - target, -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return jnp.mean(jnp.abs(jnp.stack([luma, (blue - luma) / 1.772, (red - luma) / 1.402])))

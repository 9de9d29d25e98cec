"""State dicts of YNOT, whose code has the form of training alone."""

import math

import numpy as np

from jsr.convert.engine import Rules
from jsr.convert.identify import count
from jsr.errors import UserError
from jsr.models.ynot import BANDS

_BLOCK = [*((f"conv{i + 1}", f"conv_{i}") for i in range(4)), ("fuse", "conv_fuse"),
          ("cca.atten_conv.0", "attention/conv1"), ("cca.atten_conv.2", "attention/conv2")]
_SPECTRAL = [("conv1.0", "conv1/conv/conv_0", "conv"), ("conv1.1", "conv1/conv/norm_1", "norm"),
             *((f"{theirs}.{part}", f"{ours}/spectrum/conv/{name}", layout)
               for theirs, ours in (("fu", "whole"), ("lfu", "quarters"))
               for part, name, layout in (("conv_layer", "conv_0", "conv"), ("bn", "norm_1", "norm"))),
             ("conv2", "conv2", "conv")]


def official(model):
    """ynot-team/YNOT_NTIRE2023, archi.py.

    Raises:
      UserError: the network is deployed.
    """
    if model.deploy:
        raise UserError("ynot: the original code has its BatchNorm beside its convolutions; convert with deploy=False")
    spectral = [(f"{source}.{part}", f"{target}/{name}", layout)
                for source, target in (("fea_conv", "conv_first"), ("LR_conv", "conv_after_body"))
                for part, name, layout in _SPECTRAL]
    return Rules(
        rows=[*spectral,
              *((f"IMDN{i + 1}.{source}", f"body_{i}/{target}", "conv") for i in range(model.num_block)
                for source, target in _BLOCK),
              *((f"{band}.{band}", f"pool_{band}", "conv") for band in BANDS),
              *((f"waveunpool.{band}", f"unpool_{band}", "conv") for band in BANDS),
              ("fuse.0", "conv_fuse", "conv"), ("upsampler.0", "conv_last", "conv")],
        constants={f"{source}.num_batches_tracked": np.array(0) for source, _, layout in spectral if layout == "norm"},
        ignore=["*.num_batches_tracked"])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    keys = {"fea_conv.lfu.conv_layer.weight", "waveunpool.LL.weight", "IMDN1.conv1.weight", "upsampler.0.weight"}
    if not keys <= state_dict.keys():
        return None
    return math.isqrt(state_dict["upsampler.0.weight"].shape[0] // 3), dict(
        num_feat=state_dict["IMDN1.conv1.weight"].shape[0], num_block=count(state_dict, "IMDN") - 1, deploy=False), []

"""State dicts of RLFN, and of ERLFN as deployed."""

import math

from jsr.convert.engine import Rules
from jsr.convert.identify import count
from jsr.errors import UserError

ESA = [("conv1", "conv1"), ("conv_f", "conv_f"), ("conv2", "conv2"), ("conv3", "conv3_0"), ("conv4", "conv4")]


def official(model):
    """bytedance/RLFN: RLFN, RLFN_S and RLFN_Prune.

    Raises:
      UserError: the network's blocks are in a training form, which that code does not have.
    """
    if model.block != "plain" and not model.deploy:
        raise UserError(f"rlfn: no public code has blocks that train as {model.block!r}; convert it deployed")
    attention = [] if model.esa_feat is None else ESA
    return Rules(
        rows=[("conv_1", "conv_first", "conv"),
              *((f"block_{i + 1}.{source}", f"body_{i}/{target}", "conv") for i in range(model.num_block)
                for source, target in [*((f"c{k}_r", f"conv{k}") for k in (1, 2, 3)), ("c5", "conv_last"),
                                       *((f"esa.{source}", f"esa/{target}") for source, target in attention)]),
              ("conv_2", "conv_after_body", "conv"),
              ("upsampler.0", "conv_last", "conv")])


SIBLINGS = ({"anchor": "none"}, {"anchor": "bilinear"})  # NTIRE 2024's team 16, LightRLFN: Amazingren/NTIRE2024_ESR
FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"conv_1.weight", "block_1.c1_r.weight", "block_1.c5.weight", "upsampler.0.weight"} <= state_dict.keys():
        return None
    mid_feat, num_feat = state_dict["block_1.c1_r.weight"].shape[:2]
    attention = state_dict.get("block_1.esa.conv1.weight")
    num_block = count({key.replace("block_", "block."): 0 for key in state_dict}, "block.") - 1  # they begin with 1
    return math.isqrt(state_dict["upsampler.0.weight"].shape[0] // 3), dict(
        num_feat=num_feat, mid_feat=None if mid_feat == num_feat else mid_feat, num_block=num_block,
        esa_feat=None if attention is None else attention.shape[0], block="plain", anchor="none",
        img_range=255.0), ["img_range 255", "anchor none"]

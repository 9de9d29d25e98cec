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
    return _rules(model, "conv_1", "block_", "conv_2")


def challenge(model):
    """team04_rlfn.py of ofsoundof/NTIRE2022_ESR: the same network and weights, by other names."""
    return _rules(model, "fea_conv", "B", "LR_conv")


def _rules(model, first, block, trunk):
    if model.block != "plain" and not model.deploy:
        raise UserError(f"rlfn: no public code has blocks that train as {model.block!r}; convert it deployed")
    attention = [] if model.esa_feat is None else ESA
    return Rules(
        rows=[(first, "conv_first", "conv"),
              *((f"{block}{i + 1}.{source}", f"body_{i}/{target}", "conv") for i in range(model.num_block)
                for source, target in [*((f"c{k}_r", f"conv{k}") for k in (1, 2, 3)), ("c5", "conv_last"),
                                       *((f"esa.{source}", f"esa/{target}") for source, target in attention)]),
              (trunk, "conv_after_body", "conv"),
              ("upsampler.0", "conv_last", "conv")])


SIBLINGS = ({"anchor": "none"}, {"anchor": "bilinear"})  # NTIRE 2024's team 16, LightRLFN: Amazingren/NTIRE2024_ESR
FORMATS = {"official": official, "challenge": challenge}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict in either format; None of another network's."""
    block = "block_" if "block_1.c5.weight" in state_dict else "B"
    known = {f"{block}1.c1_r.weight", f"{block}1.c5.weight", "upsampler.0.weight"} <= state_dict.keys()
    if not known or f"{block}1.c1_d.weight" in state_dict:  # RFDN's blocks distil
        return None
    mid_feat, num_feat = state_dict[f"{block}1.c1_r.weight"].shape[:2]
    attention = state_dict.get(f"{block}1.esa.conv1.weight")
    numbered = {key.replace(block, f"{block}.", 1): 0 for key in state_dict}
    num_block = count(numbered, f"{block}.") - 1  # they begin with 1
    return math.isqrt(state_dict["upsampler.0.weight"].shape[0] // 3), dict(
        num_feat=num_feat, mid_feat=None if mid_feat == num_feat else mid_feat, num_block=num_block,
        esa_feat=None if attention is None else attention.shape[0], block="plain", anchor="none",
        img_range=255.0), ["img_range 255", "anchor none"]

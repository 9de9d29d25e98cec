"""State dicts of RFDN."""

import math

from jsr.convert.engine import Rules
from jsr.errors import UserError

BLOCK = [*((f"c{i + 1}_d", f"distil_{i}") for i in range(3)), *((f"c{i + 1}_r", f"conv_{i}") for i in range(3)),
         ("c4", "conv_last"), ("c5", "conv_fuse"), ("esa.conv1", "esa/conv1"), ("esa.conv_f", "esa/conv_f"),
         ("esa.conv_max", "esa/conv3_0"), ("esa.conv2", "esa/conv2"), ("esa.conv3", "esa/conv3_1"),
         ("esa.conv3_", "esa/conv3_2"), ("esa.conv4", "esa/conv4")]


def official(model):
    """njulj/RFDN.

    Raises:
      UserError: the network is another than RFDN.
    """
    if model.block != "rfdb" or model.parallel:
        raise UserError("rfdn: neither FADN nor PRFDN has public code, so there are no names to convert from or to")
    return Rules(
        rows=[("fea_conv", "conv_first", "conv"),
              *((f"B{i + 1}.{source}", f"body_{i}/{target}", "conv") for i in range(model.num_block)
                for source, target in BLOCK),
              ("c.0", "conv_fuse", "conv"),
              ("LR_conv", "conv_after_body", "conv"),
              ("upsampler.0", "conv_last", "conv")])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"fea_conv.weight", "B1.c1_d.weight", "B1.esa.conv_max.weight", "upsampler.0.weight"} <= state_dict.keys():
        return None
    num_feat = state_dict["fea_conv.weight"].shape[0]
    num_block = state_dict["c.0.weight"].shape[1] // num_feat
    scale = math.isqrt(state_dict["upsampler.0.weight"].shape[0] // 3)
    return scale, dict(num_feat=num_feat, num_block=num_block), ["img_range 255"]

"""State dicts of IMDN."""

import math

from jsr.convert.engine import Rules

BLOCK = [*((f"c{i + 1}", f"conv_{i}") for i in range(4)), ("c5", "conv_fuse"), ("cca.conv_du.0", "attention/conv1"),
         ("cca.conv_du.2", "attention/conv2")]


def official(model):
    """Zheng222/IMDN, class IMDN."""
    return around("IMDB", BLOCK, model.num_block)


def around(name, block, num_block):
    """The Rules of IMDN and RFDN, which follows its code, for blocks called `name` with (theirs, ours) in `block`."""
    return Rules(
        rows=[("fea_conv", "conv_first", "conv"),
              *((f"{name}{i + 1}.{source}", f"body_{i}/{target}", "conv") for i in range(num_block)
                for source, target in block),
              ("c.0", "conv_fuse", "conv"),
              ("LR_conv", "conv_after_body", "conv"),
              ("upsampler.0", "conv_last", "conv")])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"fea_conv.weight", "IMDB1.cca.conv_du.0.weight", "c.0.weight", "upsampler.0.weight"} <= state_dict.keys():
        return None
    scale, fields = sizes(state_dict)
    return scale, fields, []


def sizes(state_dict):
    """(scale, fields) of a state dict of IMDN's or RFDN's."""
    num_feat = state_dict["fea_conv.weight"].shape[0]
    num_block = state_dict["c.0.weight"].shape[1] // num_feat
    return math.isqrt(state_dict["upsampler.0.weight"].shape[0] // 3), dict(num_feat=num_feat, num_block=num_block)

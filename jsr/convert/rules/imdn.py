"""State dicts of IMDN."""

import math

from jsr.convert.engine import Rules
from jsr.convert.identify import count

BLOCK = [*((f"c{i + 1}", f"conv_{i}") for i in range(4)), ("c5", "conv_fuse"), ("cca.conv_du.0", "attention/conv1"),
         ("cca.conv_du.2", "attention/conv2")]


def official(model):
    """Zheng222/IMDN, class IMDN; the plain form is cszn/KAIR's, models/network_imdn.py.

    ofsoundof/NTIRE2022_ESR has that one, too, as imdn_baseline.py.
    """
    if not model.plain:
        return around("IMDB", BLOCK, model.num_block)
    block = [*((f"conv{k + 1}.0", f"conv_{k}") for k in range(3)), ("conv4", "conv_3"), ("conv1x1", "conv_fuse")]
    return Rules(rows=[
        ("model.0", "conv_first", "conv"),
        *((f"model.1.sub.{i}.{theirs}", f"body_{i}/{ours}", "conv") for i in range(model.num_block)
          for theirs, ours in block),
        (f"model.1.sub.{model.num_block}", "conv_after_body", "conv"), ("model.2", "conv_last", "conv")])


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
    if {"model.0.weight", "model.1.sub.0.conv1x1.weight", "model.2.weight"} <= state_dict.keys():
        return math.isqrt(state_dict["model.2.weight"].shape[0] // 3), dict(
            num_feat=state_dict["model.0.weight"].shape[0], num_block=count(state_dict, "model.1.sub.") - 1,
            plain=True), []
    if not {"fea_conv.weight", "IMDB1.cca.conv_du.0.weight", "c.0.weight", "upsampler.0.weight"} <= state_dict.keys():
        return None
    scale, fields = sizes(state_dict)
    return scale, fields, []


def sizes(state_dict):
    """(scale, fields) of a state dict of IMDN's or RFDN's."""
    num_feat = state_dict["fea_conv.weight"].shape[0]
    num_block = state_dict["c.0.weight"].shape[1] // num_feat
    return math.isqrt(state_dict["upsampler.0.weight"].shape[0] // 3), dict(num_feat=num_feat, num_block=num_block)

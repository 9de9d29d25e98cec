"""State dicts of SPAN."""

import math

import numpy as np

from jsr.convert.engine import Rules
from jsr.errors import UserError

# Conv3XC's; it keeps the convolution that they are fused to beside them, and makes it anew whenever it is used.
BRANCHES = {"conv.0": "conv_0_0", "conv.1": "conv_0_1", "conv.2": "conv_0_2", "sk": "conv_1"}


def official(model):
    """hongyuanyu/SPAN, basicsr/archs/span_arch.py; of a deployed network, the fused convolutions (`eval_conv`) alone.

    neosr's and spandrel's have one tensor more where the input's range and mean stay as they are, `no_norm`.
    As trained, the fused ones are not read, and written as zeros: the official code computes them.

    Raises:
      UserError: the network has no official form.
    """
    if model.fusion != "four" or model.num_block != 6 or model.block != "conv3xc":
        raise UserError("span: the official code has six blocks of conv3xc and concatenates four maps")
    blocks = range(1, 7)
    convs = {"conv_1": "conv_first", "conv_2": "conv_after_body",
             **{f"block_{i}.c{k}_r": f"body_{i - 1}/conv_{k}" for i in blocks for k in (1, 2, 3)}}
    branches = {"eval_conv": ""} if model.deploy else BRANCHES
    rows = [(f"{theirs}.{branch}", f"{ours}/{part}".rstrip("/"), "conv")
            for theirs, ours in convs.items() for branch, part in branches.items()]
    rows += [("conv_cat", "fusion", "conv"), ("upsampler.0", "conv_last", "conv")]
    zeros: dict[str, np.ndarray] = {} if model.mean else {"no_norm": np.zeros(1, np.float32)}
    if model.deploy:
        return Rules(rows, constants=zeros, ignore=["no_norm"])
    for theirs in convs:
        channels = model.channels if theirs == "conv_1" else model.num_feat
        zeros[f"{theirs}.eval_conv.weight"] = np.zeros((model.num_feat, channels, 3, 3), np.float32)
        zeros[f"{theirs}.eval_conv.bias"] = np.zeros(model.num_feat, np.float32)
    return Rules(rows, constants=zeros, ignore=["*.eval_conv.*", "no_norm"])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"conv_cat.weight", "block_6.c1_r.eval_conv.weight", "upsampler.0.weight"} <= state_dict.keys():
        return None
    features, num_feat = state_dict["upsampler.0.weight"].shape[:2]
    channels = state_dict["conv_1.eval_conv.weight"].shape[1]
    fields = dict(num_feat=num_feat, num_block=6, fusion="four", channels=channels,
                  deploy="block_6.c1_r.sk.weight" not in state_dict)
    if "no_norm" in state_dict:
        return math.isqrt(features // channels), fields | dict(img_range=1.0, mean=()), []
    return math.isqrt(features // channels), fields, ["img_range 255"]

"""State dicts of EDSR."""

import numpy as np

from jsr.convert.engine import Rules
from jsr.convert.identify import count, shuffled_scale
from jsr.layers.upsample import factors


def official(model):
    """sanghyun-son/EDSR-PyTorch, and its copies in yulunzhang/RCAN and elsewhere.

    HolmesShuan/AIM2020-Real-Super-Resolution, which alone repeats the edge, shifts the mean by other tensors.
    """
    shift = np.float32(model.img_range) * np.asarray(model.mean, np.float32)
    identity = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    return Rules(
        rows=[("head.0", "conv_first", "conv"),
              *((f"body.{i}.body.{2 * k}", f"body_{i}/conv{k + 1}", "conv")
                for i in range(model.num_block) for k in range(2)),
              (f"body.{model.num_block}", "conv_after_body", "conv"),
              *((f"tail.0.{2 * k}", f"upsample/conv_{k}", "conv") for k in range(len(factors(model.scale)))),
              ("tail.1", "conv_last", "conv")],
        constants={"sub_mean.rgb_mean": -shift, "add_mean.rgb_mean": shift} if model.padding_mode == "replicate" else
        {"sub_mean.weight": identity, "sub_mean.bias": -shift, "add_mean.weight": identity, "add_mean.bias": shift})


def basicsr(model):
    """XPixelGroup/BasicSR, basicsr/archs/edsr_arch.py; its mean is no tensor of the state dict."""
    return Rules(
        rows=[("conv_first", "conv_first", "conv"),
              *((f"body.{i}.conv{k}", f"body_{i}/conv{k}", "conv") for i in range(model.num_block) for k in (1, 2)),
              ("conv_after_body", "conv_after_body", "conv"),
              *((f"upsample.{2 * k}", f"upsample/conv_{k}", "conv") for k in range(len(factors(model.scale)))),
              ("conv_last", "conv_last", "conv")])


FORMATS = {"official": official, "basicsr": basicsr}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict in either format; None of another network's."""
    if {"head.0.weight", "body.0.body.2.weight", "tail.1.weight"} <= state_dict.keys():
        head, blocks, up = "head.0.weight", count(state_dict, "body.") - 1, "tail.0."
    elif {"conv_first.weight", "body.0.conv2.weight", "conv_after_body.weight"} <= state_dict.keys():
        head, blocks, up = "conv_first.weight", count(state_dict, "body."), "upsample."
    else:
        return None
    num_feat = state_dict[head].shape[0]
    res_scale = 0.1 if num_feat >= 256 else 1.0  # as published
    padding_mode = "replicate" if "sub_mean.rgb_mean" in state_dict else "zeros"
    fields = dict(num_feat=num_feat, num_block=blocks, res_scale=res_scale, padding_mode=padding_mode)
    assumed = [f"res_scale {res_scale}"]
    mean = state_dict.get("sub_mean.rgb_mean", state_dict.get("sub_mean.bias"))
    if mean is not None:
        fields["img_range"] = 255.0 if np.abs(mean).max() > 1 else 1.0
    else:
        assumed.append("img_range 255")
    return shuffled_scale(state_dict, up), fields, assumed

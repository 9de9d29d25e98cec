"""State dicts of RCAN."""

import numpy as np

from jsr.convert.engine import Rules
from jsr.convert.identify import count, shuffled_scale
from jsr.errors import UserError
from jsr.layers.colour import RGB_MEAN
from jsr.layers.upsample import factors


def official(model):
    """yulunzhang/RCAN, and TimothyHTimothy/NADU-DMDR, which has the layers of the mean of [0, 255] without a use."""
    mean, img_range = (model.mean, model.img_range) if any(model.mean) else (RGB_MEAN, 255.0)
    shift, identity = np.float32(img_range) * np.asarray(mean, np.float32), np.eye(3, dtype=np.float32)[..., None, None]
    rules = _rules(model, first="head.0", block="body.{}.body.{}.body.{}", attention="3.conv_du.{}",
                   group="body.{}." + f"body.{model.num_block}", trunk=f"body.{model.num_group}", up="tail.0.{}",
                   last="tail.1")
    return Rules(rules, constants={"sub_mean.weight": identity, "sub_mean.bias": -shift,
                                   "add_mean.weight": identity, "add_mean.bias": shift})


def basicsr(model):
    """XPixelGroup/BasicSR, basicsr/archs/rcan_arch.py; its mean is no tensor of the state dict."""
    return Rules(_rules(model, first="conv_first", block="body.{}.residual_group.{}.rcab.{}",
                        attention="3.attention.{}", numbers=(1, 3), group="body.{}.conv", trunk="conv_after_body",
                        up="upsample.{}", last="conv_last"))


def _rules(model, *, first, block, attention, group, trunk, up, last, numbers=(0, 2)):
    if model.reductions:
        raise UserError("rcan: no public code has blocks of several sizes, so there are no names to convert from or to")
    blocks = [(i, j) for i in range(model.num_group) for j in range(model.num_block)]
    return [(first, "conv_first", "conv"),
            *((block.format(i, j, 2 * k), f"body_{i}_{j}/conv{k + 1}", "conv") for i, j in blocks for k in range(2)),
            *((block.format(i, j, attention.format(number)), f"body_{i}_{j}/attention/attention_{2 * k + 1}", "conv")
              for i, j in blocks for k, number in enumerate(numbers)),
            *((group.format(i), f"body_{i}_conv", "conv") for i in range(model.num_group)),
            (trunk, "conv_after_body", "conv"),
            *((up.format(2 * k), f"upsample/conv_{k}", "conv") for k in range(len(factors(model.scale)))),
            (last, "conv_last", "conv")]


FORMATS = {"official": official, "basicsr": basicsr}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict in either format; None of another network's."""
    if {"head.0.weight", "body.0.body.0.body.3.conv_du.0.weight", "tail.1.weight"} <= state_dict.keys():
        head, up, squeezed = "head.0.weight", "tail.0.", "body.0.body.0.body.3.conv_du.0.weight"
        groups, blocks = count(state_dict, "body.") - 1, count(state_dict, "body.0.body.") - 1
    elif {"conv_first.weight", "body.0.residual_group.0.rcab.3.attention.1.weight"} <= state_dict.keys():
        head, up, squeezed = "conv_first.weight", "upsample.", "body.0.residual_group.0.rcab.3.attention.1.weight"
        groups, blocks = count(state_dict, "body."), count(state_dict, "body.0.residual_group.")
    else:
        return None
    num_feat = state_dict[head].shape[0]
    img_range = 1.0 if np.abs(state_dict.get("sub_mean.bias", [255])).max() < 1 else 255.0
    fields = dict(num_feat=num_feat, num_group=groups, num_block=blocks, img_range=img_range,
                  squeeze_factor=num_feat // state_dict[squeezed].shape[0])
    return shuffled_scale(state_dict, up), fields, [f"img_range {img_range}", f"mean {RGB_MEAN}"]

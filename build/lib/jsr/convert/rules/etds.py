"""State dicts of ETDS."""

import math

from jsr.convert.engine import Rules
from jsr.convert.identify import count
from jsr.errors import UserError


def official(model):
    """ECNUSR/ETDS: `ETDS` as trained, or, of a deployed network, `ETDSForInference`; those without gradients.

    Raises:
      UserError: the network has no official form.
    """
    if model.num_gradient_feat or model.block != "plain":
        raise UserError("etds: the official code has neither gradients nor other blocks than plain ones")
    blocks = range(model.num_block)
    if model.deploy:
        return Rules(rows=[("conv_first", "conv_first", "conv"),
                           *((f"backbone_convs.{i}", f"body_{i}", "conv") for i in blocks),
                           ("conv_last", "conv_last", "conv"),
                           ("conv_clip", "conv_clip", "conv")])
    return Rules(rows=[("conv_first", "conv_first/conv", "conv"),
                       ("conv_residual_first", "residual_first", "conv"),
                       *((f"backbone_convs.{i}", f"body_{i}/conv", "conv") for i in blocks),
                       *((f"residual_convs.{i}", f"residual_{i}", "conv") for i in blocks),
                       *((f"add_residual_convs.{i}", f"residual_to_body_{i}", "conv") for i in blocks),
                       ("conv_last", "conv_last/conv", "conv"),
                       ("conv_residual_last", "residual_last", "conv")])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict in either form; None of another network's."""
    if not {"conv_first.weight", "backbone_convs.0.weight", "conv_last.weight"} <= state_dict.keys():
        return None
    if "conv_clip.weight" in state_dict:
        num_residual_feat, num_feat, assumed = 3, state_dict["conv_first.weight"].shape[0], ["num_residual_feat 3"]
    elif "conv_residual_first.weight" in state_dict:
        num_residual_feat = state_dict["conv_residual_first.weight"].shape[0]
        num_feat, assumed = state_dict["conv_first.weight"].shape[0] + num_residual_feat, []
    else:
        return None
    fields = dict(num_feat=num_feat, num_block=count(state_dict, "backbone_convs."), num_gradient_feat=0, block="plain",
                  num_residual_feat=num_residual_feat, deploy="conv_clip.weight" in state_dict)
    return math.isqrt(state_dict["conv_last.weight"].shape[0] // 3), fields, assumed

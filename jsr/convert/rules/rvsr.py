"""State dicts of RVSR, in training and in deployed form."""

import math

from jsr.convert.engine import Rules
from jsr.convert.identify import count

_REP = [("expand_conv", "conv_0_0"), ("fea_conv", "conv_0_1"), ("reduce_conv", "conv_0_2"),
        ("expand1_conv", "conv_1_0"), ("fea1_conv", "conv_1_1"), ("reduce1_conv", "conv_1_2"),
        ("res_conv3x3", "conv_2"), ("res_conv1x1", "conv_3")]
_BLOCK = [("attn.fc1", "excite/squeeze"), ("attn.fc2", "excite/excite"), ("channel_mixer.ffn.0", "expand"),
          ("channel_mixer.ffn.2", "reduce")]


def official(model):
    """huai-chang/RVSR, models/train_arch.py, or models/inference_arch.py where deployed."""
    blocks = range(model.num_block)
    reps = [(f"body.{i}.token_mixer", f"body_{i}") for i in blocks] + [("tail.0", "conv_after_body")]
    return Rules([
        ("head.0", "conv_first", "conv"), ("tail.1", "conv_last", "conv"),
        *((f"{source}.rep_conv", target, "conv") for source, target in reps if model.deploy),
        *((f"{source}.{part}", f"{target}/{name}", "conv") for source, target in reps if not model.deploy
          for part, name in _REP),
        *((f"body.{i}.{source}", f"body_{i}_{target}", "conv") for i in blocks for source, target in _BLOCK)])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    keys = {"head.0.weight", "body.0.channel_mixer.ffn.0.weight", "body.0.attn.fc1.weight", "tail.1.weight"}
    if not keys <= state_dict.keys():
        return None
    return math.isqrt(state_dict["tail.1.weight"].shape[0] // 3), dict(
        num_feat=state_dict["head.0.weight"].shape[0], num_block=count(state_dict, "body."),
        num_squeezed_feat=state_dict["body.0.attn.fc1.weight"].shape[0], block="rvsr",
        deploy="tail.0.rep_conv.weight" in state_dict), []

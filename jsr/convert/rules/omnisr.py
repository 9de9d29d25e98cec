"""State dicts of OmniSR."""

import math

from jsr.convert.engine import Rules
from jsr.convert.identify import count

ESA = [("conv1", "conv1"), ("conv_f", "conv_f"), ("conv2", "conv2"), ("conv3", "conv3_0"), ("conv4", "conv4")]
PIXELS = [("norm", "{}_norm", "norm"), ("fn.to_qkv", "{}/to_qkv", "linear"), ("fn.to_out.0", "{}/to_out", "linear")]
CHANNELS = [("norm", "{}_norm", "norm"), ("fn.temperature", "{}/temperature", "tensor"), ("fn.qkv", "{}/qkv", "conv"),
            ("fn.qkv_dwconv", "{}/qkv_dwconv", "conv"), ("fn.project_out", "{}/project_out", "conv")]
FEED_FORWARD = [("norm", "{}_norm", "norm"),
                *((f"fn.{name}", f"{{}}/{name}", "conv") for name in ("project_in", "dwconv", "project_out"))]
LAYERS = [(2, "window", PIXELS), (4, "ffn_0", FEED_FORWARD), (5, "channels", CHANNELS), (6, "ffn_1", FEED_FORWARD),
          (8, "grid", PIXELS), (10, "ffn_2", FEED_FORWARD), (11, "channels_grid", CHANNELS),
          (12, "ffn_3", FEED_FORWARD)]
MBCONV = [("0.fn.0", "mbconv/conv_0", "conv"), ("0.fn.2", "mbconv/conv_1", "conv"),
          ("0.fn.4.gate.1", "mbconv/gate_0", "linear"), ("0.fn.4.gate.3", "mbconv/gate_1", "linear"),
          ("0.fn.5", "mbconv/conv_2", "conv")]
BIAS = "residual_layer.0.residual_layer.0.layer.2.fn.rel_pos_bias.weight"


def official(model):
    """Francis0625/Omni-SR, components/OmniSR.py."""
    block = [*MBCONV, *((f"{place}.{theirs}", ours.format(name), layout) for place, name, rows in LAYERS
                        for theirs, ours, layout in rows)]
    if model.position_bias:
        block += [(f"{place}.fn.rel_pos_bias.weight", f"{name}/rel_pos_bias", "tensor")
                  for place, name in ((2, "window"), (8, "grid"))]
    groups = range(model.num_group)
    return Rules(rows=[
        ("input", "conv_first", "conv"),
        *((f"residual_layer.{g}.residual_layer.{b}.layer.{theirs}", f"body_{g}_{b}/{ours}", layout)
          for g in groups for b in range(model.num_block) for theirs, ours, layout in block),
        *((f"residual_layer.{g}.residual_layer.{model.num_block}", f"body_{g}_conv", "conv") for g in groups),
        *((f"residual_layer.{g}.esa.{theirs}", f"body_{g}_esa/{ours}", "conv") for g in groups for theirs, ours in ESA),
        ("output", "conv_after_body", "conv"),
        ("up.0", "conv_last", "conv")], ignore=["*.rel_pos_indices"])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    first = "residual_layer.0.residual_layer.0.layer.0.fn.0.weight"
    if not {first, "input.weight", "up.0.weight"} <= state_dict.keys():
        return None
    fields = dict(num_feat=state_dict["input.weight"].shape[0], num_group=count(state_dict, "residual_layer."),
                  num_block=count(state_dict, "residual_layer.0.residual_layer.") - 1,
                  position_bias=BIAS in state_dict)
    if BIAS in state_dict:
        fields["window_size"] = (math.isqrt(state_dict[BIAS].shape[0]) + 1) // 2
    return math.isqrt(state_dict["up.0.weight"].shape[0] // 3), fields, [] if BIAS in state_dict else ["window_size 8"]

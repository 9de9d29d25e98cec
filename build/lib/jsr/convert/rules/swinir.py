"""State dicts of SwinIR."""

from jsr.convert.engine import Rules
from jsr.convert.rules import _swin, _swin_shapes

LAYER = [("norm1", "norm"), ("attn.relative_position_bias_table", "tensor"), ("attn.qkv", "linear"),
         ("attn.proj", "linear"), ("norm2", "norm"), ("mlp.fc1", "linear"), ("mlp.fc2", "linear")]


def official(model):
    """JingyunLiang/SwinIR, models/network_swinir.py; BasicSR and KAIR name the tensors alike."""
    return Rules(
        rows=[*_swin.trunk_rows(len(model.depths), model.resi_connection), *_swin.layer_rows(model, LAYER),
              *_swin.head_rows(model.upsampler, model.scale)],
        constants=_swin.attention_masks(model) | _swin.position_indices(model.depths, model.window_size),
        ignore=["*.attn_mask"])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    known = {"conv_first.weight", f"{_swin_shapes.FIRST}attn.relative_position_bias_table"} <= state_dict.keys()
    others = any("overlap_attn" in key or key.endswith(".conv.fusion.weight") for key in state_dict)
    return told(state_dict) if known and not others else None


def told(state_dict):
    """(scale, fields, assumed) of a state dict of SwinIR's layers."""
    scale, head = _swin_shapes.head(state_dict)
    window_size = _swin_shapes.window_of(state_dict[f"{_swin_shapes.FIRST}attn.relative_position_bias_table"])
    img_range = _swin_shapes.img_range(window_size, head["upsampler"])
    fields = _swin_shapes.trunk(state_dict, ("attn.relative_position_bias_table", 1)) | head | dict(
        window_size=window_size, resi_connection=_swin_shapes.resi_connection(state_dict), img_range=img_range)
    return scale, fields, [f"img_range {img_range:g}"]

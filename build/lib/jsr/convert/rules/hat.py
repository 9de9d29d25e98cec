"""State dicts of HAT."""

import math

from jsr.convert.engine import Rules
from jsr.convert.rules import _swin, _swin_shapes
from jsr.layers.window import relative_position_index
from jsr.models.hat import overlap_index

LAYER = [("norm1", "norm"), ("attn.relative_position_bias_table", "tensor"), ("attn.qkv", "linear"),
         ("attn.proj", "linear"), ("conv_block.cab.0", "conv"), ("conv_block.cab.2", "conv"),
         ("conv_block.cab.3.attention.1", "conv"), ("conv_block.cab.3.attention.3", "conv"), ("norm2", "norm"),
         ("mlp.fc1", "linear"), ("mlp.fc2", "linear")]
OVERLAP = [("norm1", "norm"), ("qkv", "linear"), ("relative_position_bias_table", "tensor"), ("proj", "linear"),
           ("norm2", "norm"), ("mlp.fc1", "linear"), ("mlp.fc2", "linear")]


def official(model):
    """XPixelGroup/HAT, hat/archs/hat_arch.py."""
    groups = len(model.depths)
    return Rules(
        rows=[*_swin.trunk_rows(groups), *_swin.layer_rows(model, LAYER),
              *((f"layers.{g}.residual_group.overlap_attn.{name}",
                 f"layers_{g}/overlap_attn/{name.replace('.', '/')}", layout)
                for g in range(groups) for name, layout in OVERLAP),
              *_swin.head_rows("pixelshuffle", model.scale)],
        constants={"relative_position_index_SA": relative_position_index(model.window_size),
                   "relative_position_index_OCA": overlap_index(model.window_size, model.overlap)})


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    table, overlap_table = (f"layers.0.residual_group.{name}.relative_position_bias_table"
                            for name in ("blocks.0.attn", "overlap_attn"))
    if not {"conv_first.weight", table, overlap_table} <= state_dict.keys():
        return None
    scale, head = _swin_shapes.head(state_dict)
    trunk = _swin_shapes.trunk(state_dict, ("attn.relative_position_bias_table", 1))
    window_size = _swin_shapes.window_of(state_dict[table])
    larger = math.isqrt(state_dict[overlap_table].shape[0]) + 1 - window_size  # side of the keys' windows
    cab = f"{_swin_shapes.FIRST}conv_block.cab."
    patches = state_dict["conv_first.weight"].shape[1] == 27  # of three channels each
    return scale, trunk | dict(
        num_feat=head["num_feat"], patch_size=64 * patches, window_size=window_size,
        overlap_ratio=(larger - window_size) / window_size,
        compress_ratio=trunk["embed_dim"] // state_dict[f"{cab}0.weight"].shape[0],
        squeeze_factor=trunk["embed_dim"] // state_dict[f"{cab}3.attention.1.weight"].shape[0],
    ), ["conv_scale 0.01", "img_range 1"] + ["patch_size 64"] * patches

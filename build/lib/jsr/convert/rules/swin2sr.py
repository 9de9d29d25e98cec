"""State dicts of Swin2SR."""

import re

from jsr.convert.engine import Rules
from jsr.convert.rules import _swin, _swin_shapes
from jsr.layers.cosine import relative_coordinates
from jsr.layers.window import relative_position_index

LAYER = [("norm1", "norm"), ("attn.logit_scale", "tensor"), ("attn.q_bias", "tensor"), ("attn.v_bias", "tensor"),
         ("attn.cpb_mlp.0", "linear"), ("attn.cpb_mlp.2", "linear"), ("attn.qkv", "linear"), ("attn.proj", "linear"),
         ("norm2", "norm"), ("mlp.fc1", "linear"), ("mlp.fc2", "linear")]
AUX = [("conv_bicubic", "conv_bicubic"), ("conv_before_upsample.0", "conv_before_upsample"), ("conv_aux", "conv_aux"),
       ("conv_after_aux.0", "conv_after_aux"), ("conv_last", "conv_last")]
HF = [("conv_first_hf.0", "conv_first_hf", "conv"), ("conv_after_body_hf", "conv_after_body_hf", "conv")]


def official(model):
    """mv-lab/swin2sr, models/network_swin2sr.py."""
    window = (model.window_size,) * 2
    buffers = {"relative_coords_table": relative_coordinates(window, window)[None],
               "relative_position_index": relative_position_index(model.window_size)}
    groups = range(len(model.depths))
    rows = [*_swin.trunk_rows(len(groups), model.resi_connection), ("patch_embed.proj", "patch_embed_proj", "conv"),
            *((f"layers.{g}.patch_embed.proj", f"layers_{g}/patch_embed_proj", "conv") for g in groups),
            *_swin.layer_rows(model, LAYER), *_head_rows(model)]
    constants = _swin.attention_masks(model) | {
        f"layers.{g}.residual_group.blocks.{i}.attn.{name}": value
        for g in groups for i in range(model.depths[g]) for name, value in buffers.items()}
    if model.upsampler == "pixelshuffle_hf":
        rows += [*HF, *((_hf(source), _hf(target), layout) for source, target, layout in rows
                        if target.startswith(("layers_", "head/")))]
        constants |= {_hf(name): value for name, value in constants.items()}
    return Rules(rows=rows, constants=constants, ignore=["*.attn_mask"])


def _head_rows(model):
    if model.upsampler == "pixelshuffle_aux":
        return [*((source, f"head/{target}", "conv") for source, target in AUX), *_swin.upsample_rows(model.scale)]
    return _swin.head_rows(model.upsampler.removesuffix("_hf"), model.scale)


def _hf(name):
    """The second trunk's or head's: "layers.0.conv" is layers_hf.0.conv, "layers_0/conv" layers_hf_0/conv."""
    return re.sub(r"^[a-z]+(_[a-z]+)*", r"\g<0>_hf", name)


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"conv_first.weight", f"{_swin_shapes.FIRST}attn.logit_scale"} <= state_dict.keys():
        return None
    scale, head = _swin_shapes.head(state_dict)
    table = state_dict.get(f"{_swin_shapes.FIRST}attn.relative_coords_table")
    window_size = 8 if table is None else (table.shape[1] + 1) // 2
    img_range = _swin_shapes.img_range(window_size, head["upsampler"])
    fields = _swin_shapes.trunk(state_dict, ("attn.logit_scale", 0)) | head | dict(
        window_size=window_size, resi_connection=_swin_shapes.resi_connection(state_dict), img_range=img_range)
    return scale, fields, [f"img_range {img_range:g}", *(["window_size 8"] if table is None else [])]

"""State dicts of SRFormer."""

import numpy as np

from jsr.convert.engine import Rules
from jsr.convert.rules import _swin, _swin_shapes
from jsr.layers.window import shifted_regions
from jsr.models.srformer import aligned_position_index

LAYER = [("norm1", "norm"), ("attn.relative_position_bias_table", "tensor"), ("attn.q", "linear"),
         ("attn.kv", "linear"), ("attn.proj", "linear"), ("norm2", "norm"), ("mlp.fc1", "linear"),
         ("mlp.fc2", "linear")]


def official(model):
    """HVision-NKU/SRFormer, basicsr/archs/srformer_arch.py; its masks, written here, are those of its window's size."""
    layers = [(g, i) for g, depth in enumerate(model.depths) for i in range(depth)]
    window, side = model.window_size, 2 * model.window_size
    queries = shifted_regions(side, side, window, window // 2)
    keys = shifted_regions(window, window, window // 2, (window // 2 + 1) // 2)
    mask = np.where(queries[:, :, None] != keys[:, None, :], np.float32(-100), np.float32(0))
    theirs = "layers.{}.residual_group.blocks.{}."
    return Rules(
        rows=[*_swin.trunk_rows(len(model.depths), model.resi_connection), *_swin.layer_rows(model, LAYER),
              *((f"{theirs.format(g, i)}mlp.dwconv.depthwise_conv.0", f"layers_{g}/blocks_{i}/mlp/dwconv", "conv")
                for g, i in layers),
              *_swin.head_rows(model.upsampler, model.scale)],
        constants={f"{theirs.format(g, i)}attn.aligned_relative_position_index": aligned_position_index(window)
                   for g, i in layers}
        | {f"{theirs.format(g, i)}attn_mask": mask for g, i in layers if i % 2},
        ignore=["*.attn_mask"])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if f"{_swin_shapes.FIRST}mlp.dwconv.depthwise_conv.0.weight" not in state_dict:
        return None
    table = state_dict[f"{_swin_shapes.FIRST}attn.relative_position_bias_table"]
    scale, head = _swin_shapes.head(state_dict)
    fields = _swin_shapes.trunk(state_dict, ("attn.relative_position_bias_table", 1)) | head | dict(
        window_size=2 * _swin_shapes.window_of(table), resi_connection=_swin_shapes.resi_connection(state_dict))
    return scale, fields, ["img_range 1"]

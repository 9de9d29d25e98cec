"""State dicts of DRCT."""

import numpy as np

from jsr.convert.engine import Rules
from jsr.convert.identify import count
from jsr.convert.rules import _swin, _swin_shapes, swinir
from jsr.layers.window import relative_position_index, shifted_regions
from jsr.models.drct import LAYERS


def official(model):
    """ming053l/DRCT, drct/archs/DRCT_arch.py; its masks, written here, are those of img_size 64."""
    groups, layers, window = range(len(model.num_heads)), range(1, LAYERS + 1), model.window_size
    side = 64 - 64 % window
    regions = shifted_regions(side, side, window, window // 2)
    mask = np.where(regions[:, None, :] != regions[:, :, None], np.float32(-100), np.float32(0))
    return Rules(
        rows=[("conv_first", "conv_first", "conv"), ("patch_embed.norm", "patch_embed_norm", "norm"),
              *((f"layers.{g}.swin{k}.{name}", f"layers_{g}/swin{k}/{_swin.path(name)}", layout)
                for g in groups for k in layers for name, layout in swinir.LAYER),
              *((f"layers.{g}.adjust{k}", f"layers_{g}/adjust{k}", "conv") for g in groups for k in layers),
              ("norm", "norm", "norm"), *_swin.group_conv_rows("conv_after_body", "conv_after_body", "1conv"),
              *_swin.head_rows("pixelshuffle", model.scale)],
        constants={f"layers.{g}.swin{k}.attn.relative_position_index": relative_position_index(window)
                   for g in groups for k in layers}
        | {f"layers.{g}.swin{k}.attn_mask": mask for g in groups for k in layers if k % 2 == 0},
        ignore=["*.attn_mask"])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"layers.0.swin5.mlp.fc1.weight", "layers.0.adjust1.weight"} <= state_dict.keys():
        return None
    scale, head = _swin_shapes.head(state_dict)
    tables = [state_dict[f"layers.{g}.swin1.attn.relative_position_bias_table"]
              for g in range(count(state_dict, "layers."))]
    embed_dim = state_dict["conv_first.weight"].shape[0]
    return scale, dict(
        embed_dim=embed_dim, num_heads=tuple(table.shape[1] for table in tables), num_feat=head["num_feat"],
        window_size=_swin_shapes.window_of(tables[0]), gc=state_dict["layers.0.adjust1.weight"].shape[0],
        mlp_ratio=state_dict["layers.0.swin1.mlp.fc1.weight"].shape[0] / embed_dim), ["img_range 1"]

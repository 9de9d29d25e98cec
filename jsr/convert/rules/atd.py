"""State dicts of ATD."""

import numpy as np

from jsr.convert.engine import Rules
from jsr.convert.identify import count
from jsr.convert.rules import _swin, _swin_shapes
from jsr.layers.window import relative_position_index

LAYER = [*((name, name, "norm") for name in ("norm1", "norm2", "norm3")), ("sigma", "sigma", "tensor"),
         ("wqkv", "wqkv", "linear"), ("attn_win.relative_position_bias_table",) * 2 + ("tensor",),
         *((f"{name}.proj",) * 2 + ("linear",) for name in ("attn_win", "attn_aca")),
         *((f"attn_atd.{name}",) * 2 + ("linear",) for name in ("wq", "wk", "wv")),
         ("attn_atd.scale",) * 2 + ("tensor",), ("attn_aca.logit_scale",) * 2 + ("tensor",),
         *((f"convffn.{name}",) * 2 + ("linear",) for name in ("fc1", "fc2")),
         ("convffn.dwconv.depthwise_conv.0", "convffn.dwconv", "conv")]
GROUP, FIRST = "layers.{}.residual_group.", "layers.0.residual_group.layers.0."
NOT_OF_THE_LAST = "norm3", "sigma"


def official(model):
    """LabShuHangGU/Adaptive-Token-Dictionary, basicsr/archs/atd_arch.py; spandrel names the tensors alike."""
    rows = []
    for group, depth in enumerate(model.depths):
        theirs, ours = GROUP.format(group), f"layers_{group}_"
        rows += [(f"{theirs}td", f"{ours}td", "tensor"),
                 *_swin.group_conv_rows(f"layers.{group}.conv", f"{ours}conv", model.resi_connection),
                 *((f"{theirs}layers.{index}.{source}", f"{ours}blocks_{index}/{target.replace('.', '/')}", layout)
                   for index in range(depth) for source, target, layout in LAYER
                   if index < depth - 1 or source not in NOT_OF_THE_LAST)]
    unnormed = {} if any(model.mean) else {"no_norm": np.zeros(1, np.float32)}
    return Rules(
        rows=[("conv_first", "conv_first", "conv"), ("patch_embed.norm", "patch_embed_norm", "norm"), *rows,
              ("norm", "norm", "norm"),
              *_swin.group_conv_rows("conv_after_body", "conv_after_body", model.resi_connection),
              *_swin.head_rows(model.upsampler, model.scale)],
        constants={"relative_position_index_SA": relative_position_index(model.window_size)} | unnormed)


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {f"{FIRST}attn_atd.wq.weight", f"{FIRST}attn_aca.logit_scale"} <= state_dict.keys():
        return None
    scale, head = _swin_shapes.head(state_dict)
    groups = range(count(state_dict, "layers."))
    num_tokens, embed_dim = state_dict["layers.0.residual_group.td"].shape
    tables = [state_dict[f"{GROUP.format(g)}layers.0.attn_win.relative_position_bias_table"] for g in groups]
    category_size = 128 if head["upsampler"] == "pixelshuffledirect" else 256
    return scale, head | dict(
        embed_dim=embed_dim, num_tokens=num_tokens, category_size=category_size,
        depths=tuple(count(state_dict, f"{GROUP.format(g)}layers.") for g in groups),
        num_heads=tuple(table.shape[1] for table in tables), window_size=_swin_shapes.window_of(tables[0]),
        reducted_dim=state_dict[f"{FIRST}attn_atd.wq.weight"].shape[0],
        convffn_kernel_size=state_dict[f"{FIRST}convffn.dwconv.depthwise_conv.0.weight"].shape[2],
        mlp_ratio=state_dict[f"{FIRST}convffn.fc1.weight"].shape[0] / embed_dim,
        resi_connection="3conv" if "conv_after_body.4.weight" in state_dict else "1conv",
        **{"mean": (0.0, 0.0, 0.0)} if "no_norm" in state_dict else {}), [
            f"category_size {category_size}", "img_range 1"]

"""Recognising SwinIR, Swin2SR and HAT: the fields that their state dicts show alike."""

import math
from typing import Any

from jsr.convert.identify import count, shuffled_scale

FIRST = "layers.0.residual_group.blocks.0."


def window_of(table):
    """The window side of a table of relative position biases, ((2 * side - 1)**2, heads)."""
    return (math.isqrt(table.shape[0]) + 1) // 2


def trunk(state_dict, heads_of) -> dict[str, Any]:
    """Fields of the transformer layers; `heads_of` is the key, inside a layer, and the axis that counts its heads."""
    key, axis = heads_of
    groups = range(count(state_dict, "layers."))
    embed_dim = state_dict["conv_first.weight"].shape[0]
    return dict(
        embed_dim=embed_dim,
        depths=tuple(count(state_dict, f"layers.{g}.residual_group.blocks.") for g in groups),
        num_heads=tuple(state_dict[f"layers.{g}.residual_group.blocks.0.{key}"].shape[axis] for g in groups),
        mlp_ratio=state_dict[f"{FIRST}mlp.fc1.weight"].shape[0] / embed_dim)


def head(state_dict):
    """(scale, fields) of the head."""
    fields = {}
    if "conv_before_upsample.0.weight" in state_dict:
        fields["num_feat"] = state_dict["conv_before_upsample.0.weight"].shape[0]
    if "conv_up1.weight" in state_dict:
        return 4 if "conv_up2.weight" in state_dict else 2, fields | {"upsampler": "nearest+conv"}
    if fields:
        signs = {"conv_aux.weight": "pixelshuffle_aux", "conv_last_hf.weight": "pixelshuffle_hf"}
        upsampler = next((name for key, name in signs.items() if key in state_dict), "pixelshuffle")
        return shuffled_scale(state_dict, "upsample."), fields | {"upsampler": upsampler}
    if "upsample.0.weight" in state_dict:
        return math.isqrt(state_dict["upsample.0.weight"].shape[0] // 3), {"upsampler": "pixelshuffledirect"}
    return 1, {"upsampler": ""}


def resi_connection(state_dict):
    """The field of that name."""
    if "layers.0.conv.S.body.0.weight" in state_dict:
        features, inputs = state_dict["layers.0.conv.S.body.0.weight"].shape[:2]
        return "SFB" if features == inputs else "HSFB"
    return "3conv" if "layers.0.conv.0.weight" in state_dict else "1conv"


def img_range(window_size, upsampler):
    """The published networks': 255 against JPEG's artefacts, which have windows of 7, else 1."""
    return 255.0 if window_size == 7 and not upsampler else 1.0

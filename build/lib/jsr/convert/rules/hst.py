"""State dicts of HST."""

from types import SimpleNamespace

from jsr.convert.engine import Rules
from jsr.convert.identify import count, shuffled_scale
from jsr.convert.rules import _swin, _swin_shapes, swinir

_CONVOLUTIONS = [("conv1", "conv1"), ("conv2", "conv2"), ("conv3", "conv3"),
                 ("upconv1", "fusion_1/upconv"), ("conv_fuse_1", "fusion_1/conv_fuse"),
                 ("upconv2", "fusion_2/upconv"), ("conv_fuse_2", "fusion_2/conv_fuse"),
                 ("conv_before_up.0", "head/conv_before_upsample"), ("conv_last", "head/conv_last")]
_SIDES = 16, 32, 64  # of the branches' images, for which train_HST.py and test_HST.py construct them


def official(model):
    """lixinustc/HST-for-Compressed-Image-SR, model.py."""
    rows = [*((source, target, "conv") for source, target in _CONVOLUTIONS), *_swin.upsample_rows(model.scale)]
    constants = {}
    for number, (depths, side) in enumerate(zip(model.depths, _SIDES, strict=True)):
        theirs, ours = f"GRSTB_{number + 1}.", f"branch_{number}/"
        groups = [*_swin.trunk_rows(len(depths)), *_swin.layer_rows(SimpleNamespace(depths=depths), swinir.LAYER)]
        rows += [(theirs + source, ours + target, layout) for source, target, layout in groups
                 if not source.startswith("conv_")]
        rows.append((f"conv_after_grstb{number + 1}", f"{ours}conv_after_groups", "conv"))
        buffers = (_swin.position_indices(depths, model.window_size)
                   | _swin.masks_at(side - side % model.window_size, depths, model.window_size))
        constants |= {theirs + key: value for key, value in buffers.items()}
    return Rules(rows=rows, constants=constants, ignore=["*.attn_mask"])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if "GRSTB_1.patch_embed.norm.weight" not in state_dict:
        return None
    width = [state_dict[f"conv{number}.weight"].shape[0] for number in (3, 1, 2)]
    groups = {number: f"GRSTB_{number}.layers." for number in (1, 2, 3)}
    depths = tuple(tuple(count(state_dict, f"{prefix}{g}.residual_group.blocks.")
                         for g in range(count(state_dict, prefix))) for prefix in groups.values())
    first = f"{groups[1]}0.residual_group.blocks.0."
    table = state_dict[f"{first}attn.relative_position_bias_table"]
    return shuffled_scale(state_dict, "upsample."), dict(
        num_features=tuple(width), depths=depths, num_heads=table.shape[1], window_size=_swin_shapes.window_of(table),
        mlp_ratio=state_dict[f"{first}mlp.fc1.weight"].shape[0] / width[2],
        num_feat=state_dict["conv_before_up.0.weight"].shape[0]), []

"""State dicts of ART."""

from jsr.convert.engine import Rules
from jsr.convert.rules import _swin, _swin_shapes

POSITIONS = "attn.pos.pos_proj"
LAYER = [("norm1", "norm"), ("attn.qkv", "linear"), (POSITIONS, "linear"),
         *((f"attn.pos.pos{n}.{index}", layout) for n in (1, 2, 3) for index, layout in ((0, "norm"), (2, "linear"))),
         ("attn.proj", "linear"), ("norm2", "norm"), ("mlp.fc1", "linear"), ("mlp.fc2", "linear")]


def official(model):
    """gladzhang/ART, basicsr/archs/art_arch.py."""
    upsampler = "" if model.scale == 1 else "pixelshuffle"
    return Rules(rows=[*_swin.trunk_rows(len(model.depths)), *_swin.layer_rows(model, LAYER),
                       *_swin.head_rows(upsampler, model.scale)])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's.

    No parameter tells the groups of pixels: they are taken to be the published ones, for scale 1 the ones of "base".
    """
    if not {"conv_first.weight", f"{_swin_shapes.FIRST}{POSITIONS}.weight"} <= state_dict.keys():
        return None
    scale, head = _swin_shapes.head(state_dict)
    fields = _swin_shapes.trunk(state_dict, ("attn.pos.pos3.2.weight", 0))
    interval = 8 if fields["mlp_ratio"] == 2 else 4
    fields["interval"] = (interval,) * len(fields["depths"])
    if scale > 1:
        fields["num_feat"] = head["num_feat"]
    return scale, fields, ["window_size 8", f"interval {interval}", "img_range 1"]

"""State dicts of RDN."""

from jsr.convert.engine import Rules
from jsr.convert.identify import count, shuffled_scale
from jsr.layers.upsample import factors


def official(model):
    """yjn870/RDN-pytorch."""
    return Rules(rows=[
        ("sfe1", "conv_first", "conv"),
        ("sfe2", "conv_second", "conv"),
        *((f"rdbs.{i}.layers.{j}.conv", f"body_{i}/conv_{j}", "conv")
          for i in range(model.num_block) for j in range(model.num_layer)),
        *((f"rdbs.{i}.lff", f"body_{i}/fusion", "conv") for i in range(model.num_block)),
        ("gff.0", "fusion", "conv"),
        ("gff.1", "conv_after_body", "conv"),
        *((f"upscale.{2 * k}", f"upsample/conv_{k}", "conv") for k in range(len(factors(model.scale)))),
        ("output", "conv_last", "conv")])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"sfe1.weight", "rdbs.0.layers.0.conv.weight", "gff.1.weight"} <= state_dict.keys():
        return None
    grow, num_feat = state_dict["rdbs.0.layers.0.conv.weight"].shape[:2]
    fields = dict(num_feat=num_feat, num_block=count(state_dict, "rdbs."), num_grow_ch=grow,
                  num_layer=count(state_dict, "rdbs.0.layers."))
    return shuffled_scale(state_dict, "upscale."), fields, []

"""State dicts of SAFMN_BCIE."""

from jsr.convert.engine import Rules
from jsr.convert.identify import count
from jsr.convert.rules.safmn import block_rows

_MIXER = "feats.0.layers.0.ccm.ccm.0.weight"


def official(model):
    """sunny2109/SAFMN, basicsr/archs/safmn_bcie_arch.py."""
    return Rules(rows=[
        ("to_feat.1", "conv_first", "conv"),
        *((f"feats.{g}.layers.{i}.{theirs}", f"feats_{g}/layers_{i}/{ours}", layout)
          for g in range(model.num_group) for i in range(model.num_block)
          for theirs, ours, layout in block_rows(model.num_level)),
        *((f"feats.{g}.conv", f"feats_{g}/conv", "conv") for g in range(model.num_group)),
        ("to_img.0", "conv_up", "conv"), ("to_img.2", "conv_last", "conv")])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"to_feat.1.weight", _MIXER} <= state_dict.keys():
        return None
    features, num_feat = state_dict[_MIXER].shape[:2]
    return 1, dict(num_feat=num_feat, num_group=count(state_dict, "feats."), ffn_scale=features / num_feat,
                   num_block=count(state_dict, "feats.0.layers."),
                   num_level=count(state_dict, "feats.0.layers.0.safm.mfr.")), []

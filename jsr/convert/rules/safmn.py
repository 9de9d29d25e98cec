"""State dicts of SAFMN and SAFMN++."""

import math

from jsr.convert.engine import Rules
from jsr.convert.identify import count


def official(model):
    """sunny2109/SAFMN: basicsr/archs/safmn_arch.py, and AIS2024-RTSR/light_safmnpp_arch.py of a `simple` network."""
    block = _SIMPLE if model.simple else block_rows()
    return Rules(rows=[
        ("to_feat", "conv_first", "conv"),
        *((f"feats.{i}.{theirs}", f"body_{i}_{ours}", layout)
          for i in range(model.num_block) for theirs, ours, layout in block),
        ("to_img.0", "conv_last", "conv")])


def block_rows(num_level=4):
    """Rows of SAFM and CCM with their norms, relative to the block."""
    return [
        ("norm1", "norm1", "norm"),
        *((f"safm.mfr.{level}", f"safm/conv_{level}", "conv") for level in range(num_level)),
        ("safm.aggr", "safm/aggregate", "conv"),
        ("norm2", "norm2", "norm"),
        ("ccm.ccm.0", "ccm/conv_0", "conv"),
        ("ccm.ccm.2", "ccm/conv_1", "conv"),
    ]


_SIMPLE = [
    ("conv1.proj", "safm/project", "conv"),
    ("conv1.dwconv", "safm/conv", "conv"),
    ("conv1.out", "safm/aggregate", "conv"),
    ("conv2.conv.0", "ccm/conv_0", "conv"),
    ("conv2.conv.2", "ccm/conv_1", "conv"),
]

FORMATS = {"official": official}
TAKES = {"safmn/light_pp": "params"}  # as the authors' script does, though the file has averaged ones too


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"to_feat.weight", "to_img.0.weight"} <= state_dict.keys():
        return None
    simple = "feats.0.conv1.dwconv.weight" in state_dict
    mixer = "feats.0.conv2.conv.0.weight" if simple else "feats.0.ccm.ccm.0.weight"
    if mixer not in state_dict:
        return None
    features, num_feat = state_dict[mixer].shape[:2]
    fields = dict(num_feat=num_feat, num_block=count(state_dict, "feats."), ffn_scale=features / num_feat,
                  simple=simple)
    return math.isqrt(state_dict["to_img.0.weight"].shape[0] // 3), fields, []

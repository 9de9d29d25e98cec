"""State dicts of IMDeception."""

import math

from jsr.convert.engine import Rules

STAGE = [*((f"conv0.conv2d_block.{group}", f"conv_{group}") for group in range(4)), ("conv1", "conv_fuse")]
BLOCK = [
    *((f"{stage}.{theirs}", f"stage_{index}/{ours}")
      for index, stage in enumerate(("conv0", "conv1", "conv2", "conv3_shal")) for theirs, ours in STAGE),
    ("conv_fuse0", "conv_fuse"),
]
ATTENTION = [("conv_phi_theta_g", "conv_qkv"), ("conv_out", "conv_out")]


def official(model):
    """ofsoundof/NTIRE2022_ESR, models/team19_imdeception.py; other numbers of blocks are named alike."""
    names = [f"block{index + 1}" for index in range(model.num_block)]
    names[-1] += "_shal"
    return Rules(rows=[
        ("feat_conv0", "trunk/conv_first", "conv"),
        *((f"{name}.{theirs}", f"trunk/body_{index}/{ours}", "conv")
          for index, name in enumerate(names) for theirs, ours in BLOCK),
        *((f"self_attention{number}.{theirs}", f"trunk/attention_{index}/{ours}", "conv")
          for number, index in enumerate(model.attention, 1) for theirs, ours in ATTENTION),
        ("conv_fuse0", "trunk/conv_fuse", "conv"),
        ("conv_fuse1", "trunk/conv_after_body", "conv"),
        ("conv_out", "conv_last", "conv")])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"feat_conv0.weight", "block1.conv0.conv0.conv2d_block.0.weight", "conv_out.weight"} <= state_dict.keys():
        return None
    scale = math.isqrt(state_dict["conv_out.weight"].shape[0] // 3)
    return scale, dict(num_feat=state_dict["feat_conv0.weight"].shape[0]), []

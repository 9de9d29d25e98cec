"""State dicts of RT4KSR."""

import math

from jsr.convert.engine import Rules
from jsr.convert.identify import count

BRANCHES = {"expand_conv": "conv_0_0", "fea_conv": "conv_0_1_0", "reduce_conv": "conv_0_2"}


def official(model):
    """eduardzamfir/RT4KSR: `RT4KSR_Rep` as trained, or, of a deployed network, with is_train=False."""
    branches = {"rep_conv": ""} if model.deploy else BRANCHES

    def reconv(source, target):
        return [(f"{source}.{theirs}", f"{target}/{ours}".rstrip("/"), "conv") for theirs, ours in branches.items()]

    blocks = range(model.num_block)
    return Rules(rows=[
        ("gamma", "gamma", "tensor"),
        ("head.0", "head", "conv"),
        *reconv("hfb.0", "high"),
        *(row for i in blocks for row in reconv(f"body.{i}.conv1", f"body_{i}")),
        *((f"body.{i}.norm", f"body_{i}_norm", "norm") for i in blocks),
        ("tail.0", "tail_norm", "norm"),
        *reconv("tail.1", "tail"),
        ("upsample.0", "upsample", "conv")])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"gamma", "head.0.weight", "body.0.norm.weight", "upsample.0.weight"} <= state_dict.keys():
        return None
    features, num_feat = state_dict["upsample.0.weight"].shape[:2]
    fields = dict(num_feat=num_feat, num_block=count(state_dict, "body."),
                  deploy="tail.1.rep_conv.weight" in state_dict)
    return math.isqrt(features // 3) // 2, fields, ["forget False"]

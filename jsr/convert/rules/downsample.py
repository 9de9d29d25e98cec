"""State dicts of the way back of dual learning."""

from jsr.convert.engine import Rules
from jsr.convert.identify import count


def official(model):
    """TimothyHTimothy/NADU-DMDR, models/modules/SRResNet_arch.py, DownsampleNet."""
    return Rules(rows=[("conv_first", "conv_first", "conv"),
                       *((f"trunk.{i}.conv{k}", f"body_{i}_conv{k}", "conv")
                         for i in range(model.num_block) for k in (1, 2)),
                       ("LR_conv", "conv_lr", "conv"),
                       ("conv_last", "conv_last", "conv")])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"conv_first.weight", "trunk.0.conv2.weight", "LR_conv.weight"} <= state_dict.keys():
        return None
    fields = dict(num_feat=len(state_dict["conv_first.weight"]), num_block=count(state_dict, "trunk."))
    return 4, fields, ["scale 4 (all have the same keys and shapes)"]

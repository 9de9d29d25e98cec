"""State dicts of dual regression's way back."""

from jsr.convert.engine import Rules
from jsr.convert.identify import count
from jsr.models.downsample import STRIDES


def official(model):
    """guoyongcs/DRN, model/common.py, DownBlock."""
    steps = len(STRIDES[model.scale])
    return Rules(rows=[*((f"dual_module.{i}.0", f"conv_{i}", "conv") for i in range(steps)),
                       (f"dual_module.{steps}", "conv_last", "conv")])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if "dual_module.0.0.weight" not in state_dict:
        return None
    return 2**(count(state_dict, "dual_module.") - 1), dict(num_feat=len(state_dict["dual_module.0.0.weight"])), []

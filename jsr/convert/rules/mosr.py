"""State dicts of MoSR."""

import math

from jsr.convert.engine import Rules
from jsr.convert.identify import count
from jsr.convert.rules.realplksr import dysample
from jsr.models.mosr import DYSAMPLE_GROUPS, ENSEMBLE

BLOCK = [("norm", "norm"), ("fc1", "conv"), ("conv", "conv"), ("fc2", "conv")]
SHORTCUT = [("block.0", "shortcut_0"), ("block.2", "shortcut_1"), ("conv11", "shortcut_2")]
LAST = {"pixelshuffle": [("upsampler.0", "conv_last", "conv")],
        "geoensemble": [("upsampler.in_to_k", "conv_last", "conv")], "dysample": []}


def official(model):
    """umzi2/MoSR, neosr/archs/mosr_arch.py; spandrel names the tensors alike."""
    sampled, constants = dysample(model.upsampler == "dysample", "upsampler", model.scale, DYSAMPLE_GROUPS)
    return Rules(rows=[
        ("gblocks.0", "conv_first", "conv"),
        *((f"gblocks.{i + 1}.{name}", f"body_{i}/{name}", layout) for i in range(model.num_block)
          for name, layout in BLOCK),
        *((f"gblocks.{model.num_block + 1 + 2 * k}", f"conv_after_{k}", "conv") for k in range(3)),
        *((f"shortcut.{theirs}", ours, "conv") for theirs, ours in SHORTCUT),
        *LAST[model.upsampler], *sampled], constants=constants)


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"gblocks.0.weight", "gblocks.1.fc1.weight", "shortcut.conv11.weight"} <= state_dict.keys():
        return None
    num_feat = state_dict["gblocks.0.weight"].shape[0]
    convolved, _, kernel_size, _ = state_dict["gblocks.1.conv.weight"].shape
    keys = {"pixelshuffle": ("upsampler.0.weight", 3), "geoensemble": ("upsampler.in_to_k.weight", 3 * ENSEMBLE),
            "dysample": ("upsampler.offset.weight", 2 * DYSAMPLE_GROUPS)}
    upsampler = next(name for name, (key, _) in keys.items() if key in state_dict)
    key, features = keys[upsampler]
    return math.isqrt(state_dict[key].shape[0] // features), dict(
        num_feat=num_feat, num_block=count(state_dict, "gblocks.") - 6, kernel_size=kernel_size,
        expansion_ratio=state_dict["gblocks.1.fc1.weight"].shape[0] / num_feat / 2, conv_ratio=convolved / num_feat,
        upsampler=upsampler), []

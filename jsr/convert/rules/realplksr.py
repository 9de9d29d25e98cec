"""State dicts of RealPLKSR."""

import math

from jsr.convert.engine import Rules
from jsr.convert.identify import count
from jsr.layers.upsample import dysample_groups, initial_places

BLOCK = [("channel_mixer.0", "mixer_0"), ("channel_mixer.2", "mixer_2"), ("lk.conv", "large_kernel"),
         ("refine", "refine")]


def official(model):
    """neosr-project/neosr, realplksr_arch.py; traiNNer-redux and spandrel name the tensors alike."""
    block = [(*names, "conv") for names in [*BLOCK, *([("attn.f.0", "attention")] if model.attention else [])]]
    block += [("layer_norm", "layer_norm", "norm") if model.norm == "layer" else ("norm", "norm", "norm")]
    groups = dysample_groups(3, model.scale)
    sampled, constants = dysample(model.upsampler == "dysample", "to_img", model.scale, groups)
    return Rules(rows=[
        ("feats.0", "conv_first", "conv"),
        *((f"feats.{i + 1}.{source}", f"body_{i}/{target}", layout) for i in range(model.num_block)
          for source, target, layout in block),
        (f"feats.{model.num_block + 2}", "conv_last", "conv"),  # behind a dropout, which has no tensors
        *sampled], constants=constants)


def dysample(there, name, scale, groups):
    """(rows, constants) of a DySample `upsample` that is called `name`, where there is one."""
    if not there:
        return [], {}
    return [(f"{name}.{part}", f"upsample/{part}", "conv") for part in ("end_conv", "offset", "scope")], {
        f"{name}.init_pos": initial_places(scale, groups).reshape(1, -1, 1, 1)}


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"feats.0.weight", "feats.1.lk.conv.weight", "feats.1.channel_mixer.2.weight"} <= state_dict.keys():
        return None
    num_feat, places = state_dict["feats.0.weight"].shape[0], count(state_dict, "feats.")
    partial, _, kernel_size, _ = state_dict["feats.1.lk.conv.weight"].shape
    return math.isqrt(state_dict[f"feats.{places - 1}.weight"].shape[0] // 3), dict(
        num_feat=num_feat, num_block=places - 3, kernel_size=kernel_size, split_ratio=partial / num_feat,
        attention="feats.1.attn.f.0.weight" in state_dict,
        norm="layer" if "feats.1.layer_norm.weight" in state_dict else "group",
        upsampler="dysample" if "to_img.offset.weight" in state_dict else "pixelshuffle"), []

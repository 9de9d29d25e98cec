"""State dicts of BasicVSR++."""

import numpy as np

from jsr.convert.engine import Rules
from jsr.convert.identify import count
from jsr.models.basicvsrpp import LEVELS, MEAN, PASSES, STD


def official(model):
    """XPixelGroup/BasicSR, basicsr/archs/basicvsrpp_arch.py."""
    return _rules(model, "spynet.basic_module.{}.basic_module.{}".format, 2, ("upconv1", "upconv2"))


def mmagic(model):
    """open-mmlab/mmagic, and its older names: ckkelvinchan/BasicVSR_PlusPlus, mmediting."""
    return _rules(model, "spynet.basic_module.{}.basic_module.{}.conv".format, 1,
                  ("upsample1.upsample_conv", "upsample2.upsample_conv"))


def _rules(model, of_flow, step, upconvs):
    """Rules with the names of SPyNet's convolutions, of which `step` is from one number to the next."""
    first = "4.main" if model.scale == 1 else "main"
    blocks = {f"feat_extract.{first}": ("feat_extract", model.num_extract),
              "reconstruction.main": ("reconstruction", model.num_reconstruct),
              **{f"backbone.{name}.main": (f"{name}/backbone", model.num_block) for name in PASSES}}
    rows = [(f"{theirs}.{source}", f"{ours}/{target}", "conv") for theirs, (ours, number) in blocks.items()
            for source, target in [("0", "conv_first"), *((f"2.{i}.conv{k}", f"body_{i}/conv{k}")
                                                          for i in range(number) for k in (1, 2))]]
    rows += [(f"deform_align.{name}{source}", f"{name}/align/{target}", "conv") for name in PASSES
             for source, target in [("", "deform"), *((f".conv_offset.{2 * i}", f"conv_offset_{i}") for i in range(4))]]
    rows += [(of_flow(level, step * index), f"spynet/level_{level}_conv_{index}", "conv")
             for level in range(LEVELS) for index in range(len(model.flow_feat) + 1)]
    rows += [*zip(upconvs, ("upconv1", "upconv2"), ("conv", "conv"), strict=True),
             ("conv_hr", "conv_hr", "conv"), ("conv_last", "conv_last", "conv")]
    if model.scale == 1:
        rows += [(f"feat_extract.{2 * index}", f"conv_down_{index}", "conv") for index in (0, 1)]
    constants = {f"spynet.{name}": np.asarray(value, np.float32).reshape(1, 3, 1, 1)
                 for name, value in (("mean", MEAN), ("std", STD))}
    return Rules(rows, constants=constants)


FORMATS = {"official": official, "mmagic": mmagic}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    needed = {"deform_align.backward_1.weight", "backbone.forward_2.main.0.weight", "conv_hr.weight"}
    if not needed <= state_dict.keys():
        return None
    whole = "feat_extract.main.0.weight" in state_dict
    flow = "spynet.basic_module.0.basic_module."
    suffix = ".conv.weight" if f"{flow}0.conv.weight" in state_dict else ".weight"
    sizes = [state_dict[f"{flow}{number}{suffix}"].shape[0] for number in range(count(state_dict, flow))
             if f"{flow}{number}{suffix}" in state_dict]
    fields = dict(
        num_feat=state_dict["deform_align.backward_1.weight"].shape[0], num_hr=state_dict["conv_hr.weight"].shape[0],
        num_block=count(state_dict, "backbone.backward_1.main.2."),
        num_extract=count(state_dict, f"feat_extract.{'' if whole else '4.'}main.2."),
        num_reconstruct=count(state_dict, "reconstruction.main.2."),
        deform_groups=state_dict["deform_align.backward_1.conv_offset.6.bias"].shape[0] // 27,
        flow_feat=tuple(sizes[:-1]), peak_period=0, skip_repeats=False)
    return 4 if whole else 1, fields, ["max_residue_magnitude 10", "peak_period 0", "skip_repeats False"]

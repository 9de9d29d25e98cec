"""State dicts of OADDet."""

import math

import numpy as np

from jsr.convert.engine import Rules
from jsr.convert.identify import count
from jsr.layers.colour import RGB_MEAN


def official(model):
    """HolmesShuan/AIM2020-Real-Super-Resolution, src/model/dddet.py and wddet.py."""
    deep, blocks = model.deep_head, model.num_block
    rows = [("head.0", "head_0", "conv"), ("body_down.1", "body_down", "conv"),
            (f"body.{blocks}", "conv_after_body", "conv"),
            *((f"body_tail.{k}", f"body_tail_{k}", "conv") for k in (1, 3)),
            *((f"dynamic_kernel{i}.kernel_conv.{k}", f"dynamic_kernel{i}_{k}", "conv")
              for i in range(3) for k in (0, 2)),
            *((f"tail.{k}", f"tail_{k}", "conv") for k in (0, 2)),
            (f"head.{10 if deep else 9}", "head_last", "conv")]
    gates = [(f"head.{8 if deep else 7}", "head_gate", model.num_feat)]
    oriented = [(f"body.{i}", f"body_{i}", i >= blocks // 4 * 3) for i in range(blocks)]
    oriented += [(f"head.{i + 2}", f"head_{i + 2}", i > 1) for i in range(6)] if deep else [
        (f"head.{i}", f"head_{i}", False) for i in (2, 4, 6)]
    for source, target, attention in oriented:
        rows += [(f"{source}.{name}", f"{target}/{name}", "conv") for name in ("dia_conv", "hor_conv", "ver_conv")]
        rows.append((f"{source}.conv.{2 if attention else 1}", f"{target}/conv", "conv"))
        if attention:
            gates.append((f"{source}.conv.0", f"{target}/gate", sum(model.oriented_feat)))
    layers = [(f"{source}.ChannelGate.{{}}.{k}", f"{target}/{{}}_{k}", shape)
              for source, target, features in gates
              for k, shape in ((1, (features // 8, features)), (3, (features, features // 8)))]
    mlps = ("mlp0", "mlp1") if model.unused else ("mlp0",)
    rows += [(source.format(mlp), target.format(mlp), "linear") for mlp in mlps for source, target, _ in layers]
    shift = 255 * np.asarray(RGB_MEAN, np.float32)
    constants = {"sub_mean.rgb_mean": -shift, "add_mean.rgb_mean": shift}
    unused = {} if model.unused else {  # for the original's loader
        f"{source.format('mlp1')}.{leaf}": np.zeros(shape[:axes], np.float32)
        for source, _, shape in layers for leaf, axes in (("weight", 2), ("bias", 1))}
    return Rules(rows=rows, constants=constants | unused, ignore=list(unused))


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"body_down.1.weight", "dynamic_kernel0.kernel_conv.0.weight", "body.0.dia_conv.weight"} <= set(state_dict):
        return None

    def features(key):
        return state_dict[f"{key}.weight"].shape[0]

    def oriented(key):
        return tuple(features(f"{key}.{name}") for name in ("dia_conv", "hor_conv", "ver_conv"))

    deep = "head.3.dia_conv.weight" in state_dict
    fields = dict(
        num_feat=features("body_down.1"),
        num_block=count(state_dict, "body.") - 1,
        deep_head=deep,
        oriented_feat=oriented("body.0"),
        kernel_feat=tuple(features(f"dynamic_kernel{i}.kernel_conv.0") for i in range(3)),
        unused=any(".mlp1." in key for key in state_dict))
    if not deep:
        fields["shallow_feat"] = oriented("head.2")
    return math.isqrt(state_dict["body_down.1.weight"].shape[1] // 3), fields, []

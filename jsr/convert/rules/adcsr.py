"""State dicts of ADCSR."""

import math

import numpy as np

from jsr.convert.engine import Rules
from jsr.convert.identify import count
from jsr.errors import UserError
from jsr.layers.upsample import factors

_WEIGHTS = ("A01", "A12", "A23", "A34", "B01", "B02", "B03", "B04", "B12", "B13", "B14", "B23", "B24", "B34")


def official(model):
    """xxh96/ADCSR; fewer groups than 4 leave some of its weights without a use."""
    if model.spatial_attention:
        raise UserError("adcsr: no public code has the spatial attention, so there are no names to convert from or to")
    groups, steps, last = range(model.num_group), range(1, 5), ("A01", "A12", "A23", "A34", "B01", "B12", "B23", "B34")
    levels = {f"ADRUs.{i}": (f"body_{i}", "LFF") for i in groups}
    levels |= {f"ADRUs.{i}.wdb{j}": (f"body_{i}/step_{j}", "LFF_B") for i in groups for j in steps}
    own = [name for name in last if int(name[1]) < model.num_group]
    return Rules(
        rows=[("head.0", "conv_first", "conv"),
              *((f"{theirs}.{name}.scale", f"{ours}/{name}", "tensor")
                for theirs, (ours, _) in levels.items() for name in _WEIGHTS),
              *((f"{theirs}.{fusion}", f"{ours}/fusion", "conv") for theirs, (ours, fusion) in levels.items()),
              *((f"ADRUs.{i}.wdb{j}.get_Y{k}.body.{2 * m}", f"body_{i}/step_{j}/step_{k}/conv{m + 1}",
                 "weight_norm_conv") for i in groups for j in steps for k in steps for m in range(2)),
              *((f"{name}.scale", name, "tensor") for name in own),
              ("GFF.0", "fusion", "weight_norm_conv"),
              ("GFF.1", "conv_after_body", "weight_norm_conv"),
              *((f"tail.tail_{size}", f"tail_{size}", "weight_norm_conv") for size in (3, 5, 7, 9)),
              ("tail.TFF.0", "tail_fusion", "weight_norm_conv"),
              *((f"skip.{2 * k}", f"skip_{k}", "weight_norm_conv") for k in range(len(factors(model.scale))))],
        constants={f"{name}.scale": np.ones(1, np.float32) for name in last if name not in own})


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"ADRUs.0.wdb1.get_Y1.body.0.weight_v", "tail.tail_9.weight_v", "GFF.1.weight_v"} <= state_dict.keys():
        return None
    num_wide, num_feat = state_dict["ADRUs.0.wdb1.get_Y1.body.0.weight_v"].shape[:2]
    fields = dict(num_feat=num_feat, num_wide=num_wide, num_group=count(state_dict, "ADRUs."))
    return math.isqrt(state_dict["tail.tail_9.weight_v"].shape[0] // 3), fields, []

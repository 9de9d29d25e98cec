"""State dicts of DRLN."""

import itertools

import numpy as np

from jsr.convert.engine import Rules
from jsr.convert.identify import count, shuffled_scale
from jsr.errors import UserError
from jsr.layers.upsample import factors


def official(model):
    """saeed-anwar/DRLN."""
    if model.self_calibrated or model.image_skip:
        raise UserError("drln: no public code has OPPO CAMERA's network, so there are no names to convert from or to")
    mean, identity = np.asarray(model.mean, np.float32), np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    blocks = range(sum(model.groups))
    return Rules(
        rows=[("head", "conv_first", "conv"),
              *((f"b{i + 1}.r{k}.body.{2 * j}", f"body_{i}/unit{k}/conv{j + 1}", "conv")
                for i in blocks for k in (1, 2, 3) for j in range(2)),
              *((f"b{i + 1}.g.body.0", f"body_{i}/fusion", "conv") for i in blocks),
              *((f"b{i + 1}.ca.c{k}.body.0", f"body_{i}/attention/conv{k}", "conv")
                for i in blocks for k in (1, 2, 3, 4)),
              *((f"c{i + 1}.body.0", f"compress_{i}", "conv") for i in blocks),
              *((f"upsample.up.body.{3 * k}", f"upsample/conv_{k}", "conv") for k in range(len(factors(model.scale)))),
              ("tail", "conv_last", "conv")],
        constants={"sub_mean.shifter.weight": identity, "sub_mean.shifter.bias": -mean,
                   "add_mean.shifter.weight": identity, "add_mean.shifter.bias": mean})


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"head.weight", "b1.r3.body.2.weight", "b1.ca.c4.body.0.weight", "c1.body.0.weight"} <= state_dict.keys():
        return None
    num_feat = state_dict["head.weight"].shape[0]
    widths = [state_dict[f"c{i}.body.0.weight"].shape[1] // num_feat for i in range(1, count(state_dict, "c"))]
    starts = [index for index, width in enumerate(widths) if width == 2] + [len(widths)]  # of groups
    fields = dict(num_feat=num_feat, groups=tuple(end - start for start, end in itertools.pairwise(starts)),
                  squeeze_factor=num_feat // state_dict["b1.ca.c1.body.0.weight"].shape[0])
    return shuffled_scale(state_dict, "upsample.up.body."), fields, []

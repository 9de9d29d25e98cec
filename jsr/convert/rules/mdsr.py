"""State dicts of MDSR."""

from typing import Any

import numpy as np

from jsr.convert.engine import Rules
from jsr.convert.identify import count
from jsr.layers.upsample import factors
from jsr.models.mdsr import SCALES


def official(model):
    """sanghyun-son/EDSR-PyTorch, as its copy in yulunzhang/RCAN, and MaryAhn/AIM2020-RealSR-Track1-2-3."""
    shift = np.float32(model.img_range) * np.asarray(model.mean, np.float32)
    identity = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    blocks = {f"pre_process.{i}.{j}": f"pre_process_x{scale}_{j}" for i, scale in enumerate(SCALES) for j in range(2)}
    blocks |= {f"body.{i}": f"body_{i}" for i in range(model.num_block)}
    inside = [("0", "conv1"), ("2", "conv2")]
    if model.tv_attention:
        inside += [("3.mam_icd.0", "attention/squeeze"), ("3.mam_icd.2", "attention/excite"),
                   ("3.mam_csd", "attention/depthwise")]
    return Rules(
        rows=[("head.0", "conv_first", "conv"),
              *((f"{theirs}.body.{number}", f"{ours}/{name}", "conv")
                for theirs, ours in blocks.items() for number, name in inside),
              (f"body.{model.num_block}", "conv_after_body", "conv"),
              *((f"upsample.{i}.{2 * k}", f"upsample_x{scale}/conv_{k}", "conv")
                for i, scale in enumerate(SCALES) for k in range(len(factors(scale)))),
              ("tail.0", "conv_last", "conv")],
        constants={"sub_mean.weight": identity, "sub_mean.bias": -shift,
                   "add_mean.weight": identity, "add_mean.bias": shift})


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"pre_process.2.1.body.2.weight", "upsample.2.2.weight", "tail.0.weight"} <= state_dict.keys():
        return None
    fields: dict[str, Any] = dict(num_feat=state_dict["head.0.weight"].shape[0],
                                  num_block=count(state_dict, "body.") - 1)
    squeezed = state_dict.get("body.0.body.3.mam_icd.0.weight")
    if squeezed is not None:
        fields |= dict(tv_attention=True, squeeze_factor=fields["num_feat"] // squeezed.shape[0])
    if "sub_mean.bias" in state_dict:
        fields |= dict(img_range=255.0 if np.abs(state_dict["sub_mean.bias"]).max() > 1 else 1.0)
    return 2, fields, ["scale 2 (it has the parts of 2, 3 and 4)"]

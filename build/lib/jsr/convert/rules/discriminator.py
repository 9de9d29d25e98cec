"""State dicts of ESRGAN's critic."""

import math

import numpy as np

from jsr.convert.engine import Rules

_NORMS = [f"bn{stage}_{half}" for stage in range(5) for half in (0, 1) if stage or half]


def official(model):
    """RaoUmer/SRResCGAN, Discriminator_VGG_128, and BasicSR's VGGStyleDiscriminator for 128 px."""
    del model
    return Rules(
        rows=[*((f"conv{stage}_{half}",) * 2 + ("conv",) for stage in range(5) for half in (0, 1)),
              *((name, name, "norm") for name in _NORMS),
              *((name, name, "linear") for name in ("linear1", "linear2"))],
        constants={f"{name}.num_batches_tracked": np.array(0) for name in _NORMS},
        ignore=("*.num_batches_tracked",))


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's, of one for 256 px too."""
    known = {"conv0_0.bias", "bn4_1.running_mean", "linear1.weight"} <= state_dict.keys()
    if not known or "bn5_0.weight" in state_dict:
        return None
    num_feat, (num_hidden, inputs) = len(state_dict["conv0_0.bias"]), state_dict["linear1.weight"].shape
    fields = dict(size=32 * math.isqrt(inputs // (8 * num_feat)), num_feat=num_feat, num_hidden=num_hidden)
    return 1, fields, ["high_pass 0", "img_range 1"]

"""State dicts of EDSR."""

import numpy as np

from jsr.convert.engine import Rules


def official(model):
    """sanghyun-son/EDSR-PyTorch, and its copies in yulunzhang/RCAN and elsewhere."""
    shift = np.float32(model.img_range) * np.asarray(model.mean, np.float32)
    identity = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    return Rules(
        rows=[("head.0", "conv_first", "conv"),
              *((f"body.{i}.body.{2 * k}", f"body_{i}/conv{k + 1}", "conv")
                for i in range(model.num_block) for k in range(2)),
              (f"body.{model.num_block}", "conv_after_body", "conv"),
              *((f"tail.0.{2 * k}", f"upsample/conv_{k}", "conv") for k in range(_shuffles(model.scale))),
              ("tail.1", "conv_last", "conv")],
        constants={"sub_mean.weight": identity, "sub_mean.bias": -shift,
                   "add_mean.weight": identity, "add_mean.bias": shift})


def basicsr(model):
    """XPixelGroup/BasicSR, basicsr/archs/edsr_arch.py; its mean is no tensor of the state dict."""
    return Rules(
        rows=[("conv_first", "conv_first", "conv"),
              *((f"body.{i}.conv{k}", f"body_{i}/conv{k}", "conv") for i in range(model.num_block) for k in (1, 2)),
              ("conv_after_body", "conv_after_body", "conv"),
              *((f"upsample.{2 * k}", f"upsample/conv_{k}", "conv") for k in range(_shuffles(model.scale))),
              ("conv_last", "conv_last", "conv")])


def _shuffles(scale):
    return 2 if scale == 4 else 1


FORMATS = {"official": official, "basicsr": basicsr}

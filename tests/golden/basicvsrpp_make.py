"""Writes basicvsrpp.npz: small BasicVSR++ of the original code with random weights, clips and what it makes of them.

    python tests/golden/basicvsrpp_make.py BasicSR

The argument is a git clone of XPixelGroup/BasicSR; numpy and torch must be installed. Not run by the tests.

The original's deformable convolution runs on a GPU alone, by its own code or torchvision's: `deform_conv2d` below is
torchvision's in plain PyTorch, which tests/layers/test_deform.py holds to ONNX Runtime by way of ours. `lr` is uint8
(1, T, H, W, 3) of two levels, in blocks of 8x8 px at scale 1, to be small in a file; `sr` is float32, not clipped, and
the upper left part of what the network gives, since it takes no clips under 64 px. The case "mmagic" has the names of
that project on the same tensors: its code needs mmcv.
"""

import collections.abc
from itertools import repeat
import math
from pathlib import Path
import subprocess
import sys
import types
import warnings

import _official
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

SMALL = dict(num_feat=2, num_block=1, num_hr=4, deform_groups=2, flow_feat=(2, 2, 2, 2))
CASES = {  # model, size of the clip, fields
    "x4": ("basicvsrpp/c64n7", (4, 64, 65), dict(SMALL, scale=4, max_residue_magnitude=3.0)),
    "x1": ("basicvsrpp/c64n7", (2, 256, 264), dict(SMALL, scale=1)),
    "mmagic": ("basicvsrpp/c64n7", (2, 64, 64), dict(SMALL, scale=4), "mmagic"),
}
KEPT = 6, 12  # height and width of the part of `sr`
FILES = "arch_util", "spynet_arch", "basicvsr_arch", "basicvsrpp_arch"


def deform_conv2d(x, offset, weight, bias, stride, padding, dilation, mask):
    """torchvision.ops.deform_conv2d for stride 1 and one group of channels: bilinear samples, then a product."""
    n, channels, height, width = x.shape
    features, _, size, _ = weight.shape
    taps, groups = size**2, offset.shape[1] // (2 * size**2)
    offset, mask = offset.view(n, groups, taps, 2, height, width), mask.view(n, groups, 1, taps, height, width)
    steps = torch.arange(size) * dilation - padding
    places = [torch.arange(height).view(-1, 1) + steps.repeat_interleave(size).view(taps, 1, 1) + offset[:, :, :, 0],
              torch.arange(width) + steps.repeat(size).view(taps, 1, 1) + offset[:, :, :, 1]]
    grid = torch.stack([(2 * place + 1) / side - 1 for place, side in zip(places[::-1], (width, height), strict=True)],
                       -1)
    samples = F.grid_sample(x.reshape(n * groups, -1, height, width), grid.view(n * groups, taps * height, width, 2),
                            align_corners=False)
    samples = samples.view(n, groups, channels // groups, taps, height, width) * mask
    y = torch.einsum("nckp,fck->nfp", samples.reshape(n, channels, taps, -1), weight.reshape(features, channels, taps))
    return y.view(n, features, height, width) + bias.view(1, -1, 1, 1)


class ModulatedDeformConvPack(torch.nn.Module):
    """Parameters of the original's, of which the alignment is a subclass."""

    def __init__(self, in_channels, out_channels, kernel_size, padding, deformable_groups):
        super().__init__()
        self.in_channels, self.out_channels, self.deformable_groups = in_channels, out_channels, deformable_groups
        self.stride, self.padding, self.dilation = 1, padding, 1
        self.weight = torch.nn.Parameter(torch.empty(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = torch.nn.Parameter(torch.empty(out_channels))


def load(repository, fields):
    """{name: what the original's files define}, with the numbers of features that they have as constants."""
    flow, hr, groups = fields["flow_feat"], fields["num_hr"], fields["deform_groups"]
    replaced = {
        "torch.cuda.is_available()": "True", "64 * 4": f"{hr} * 4", "nn.Conv2d(64, 64, 3": f"nn.Conv2d({hr}, {hr}, 3",
        "nn.Conv2d(64, 3, 3": f"nn.Conv2d({hr}, 3, 3", "deformable_groups=16": f"deformable_groups={groups}",
        "channels=32,": f"channels={flow[0]},", "channels=64,": f"channels={flow[1]},",
        "channels=16,": f"channels={flow[3]},"}
    registry = types.SimpleNamespace(register=lambda: lambda cls: cls)
    torchvision = types.SimpleNamespace(ops=types.SimpleNamespace(deform_conv2d=deform_conv2d))
    names = dict(torch=torch, nn=nn, F=F, math=math, collections=collections, repeat=repeat, warnings=warnings,
                 init=nn.init, _BatchNorm=nn.BatchNorm2d, ARCH_REGISTRY=registry, torchvision=torchvision,
                 ModulatedDeformConvPack=ModulatedDeformConvPack)
    for file in FILES:
        text = Path(repository, f"basicsr/archs/{file}.py").read_text()
        for old, new in replaced.items():
            text = text.replace(old, new)
        lines = (line for line in text.splitlines() if not line.startswith(("import ", "from ")))
        exec("\n".join(lines), names)
    return names


def main(repository):
    commit = subprocess.run(["git", "-C", repository, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)

    def make(model, fields, style="official"):
        net = load(repository, fields)["BasicVSRPlusPlus"](
            fields["num_feat"], fields["num_block"], fields.get("max_residue_magnitude", 10),
            is_low_res_input=fields["scale"] == 4)
        if style == "mmagic":
            own = net.state_dict
            net.state_dict = lambda: {_renamed(key): value for key, value in own().items()}
        return net, f"BasicSR@{commit.stdout.strip()}:basicsr/archs/basicvsrpp_arch.py"

    def draw(rng, size):
        block = 8 if size[1] >= 256 else 1
        small = rng.integers(0, 2, (1, size[0], size[1] // block, size[2] // block, 3), np.uint8) * 192
        return small.repeat(block, 2).repeat(block, 3)

    def run(net, fields, lr):
        return {"sr": net(lr)[..., :KEPT[0], :KEPT[1]]}

    _official.write("basicvsrpp", CASES, make, run, draw=draw, sizes="of features and groups, patched from 64 and 16")


def _renamed(key):
    """A name of BasicSR's as mmagic has it."""
    for number in (1, 2):
        key = key.replace(f"upconv{number}.", f"upsample{number}.upsample_conv.")
    *start, number, leaf = key.split(".")
    return ".".join([*start, str(int(number) // 2), "conv", leaf]) if "basic_module" in key else key


if __name__ == "__main__":
    main(*sys.argv[1:])

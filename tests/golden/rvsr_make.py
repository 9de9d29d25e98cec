"""Writes rvsr.npz: small RVSRs of the original code with random weights, an input and what they make of it.

    python tests/golden/rvsr_make.py RVSR

The argument is a git clone of huai-chang/RVSR; numpy and torch must be installed. Not run by the tests. The format is
that of _official.write: `lr` is uint8, `sr` float32 NHWC in [0, 1] and not clipped. The network works on values of
[-1, 1], and has timm's squeeze and excitation, whose features are a quarter, but 8 at least.
"""

import sys
import types

import _clone
import _official
import torch
from torch import nn

CASES = {  # model, size of the input, fields
    "trained": ("rvsr/base", (9, 14), dict(scale=4, num_feat=3)),
    "deployed": ("rvsr/base", (7, 8), dict(scale=4, num_feat=4, deploy=True)),
}


class SqueezeExcite(nn.Module):
    """timm's, in which these are 1x1 convolutions called fc1 and fc2."""

    def __init__(self, channels, ratio):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, 8, 1), nn.Conv2d(8, channels, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.fc2(torch.relu(self.fc1(x.mean((2, 3), keepdim=True)))))


def main(repository):
    sys.modules["timm.models.layers"] = types.SimpleNamespace(SqueezeExcite=SqueezeExcite)
    sys.modules["timm"] = sys.modules["timm.models"] = sys.modules["timm.models.layers"]

    def make(_, fields):
        name = "inference_arch" if fields.get("deploy") else "train_arch"
        module, file = _clone.load(repository, f"models/{name}.py")
        return module.RVSR(sr_rate=fields["scale"], N=fields["num_feat"]), file

    _official.write("rvsr", CASES, make, lambda net, _, lr: {"sr": (net(2 * lr - 1) + 1) / 2})


if __name__ == "__main__":
    main(*sys.argv[1:])

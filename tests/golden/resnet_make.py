"""Writes resnet.npz: a narrow ResNet of the original code with random weights, an input and what it makes of it.

    python tests/golden/resnet_make.py VISION

The argument is a git clone of pytorch/vision; numpy and torch must be installed. Not run by the tests. The format is
_official.write's; the original's numbers of features are replaced by others.
"""

import sys

import _official
import torch
from torch import nn

CASES = {  # model, size of the input, fields
    "narrow": ("resnet/resnet34", (45, 66), dict(scale=1, num_block=(1, 2, 1, 1), num_feat=4, num_class=6)),
}
NARROW = {"from .utils import load_state_dict_from_url": "", "self.inplanes = 64": "self.inplanes = 4",
          "nn.Linear(512": "nn.Linear(32", **{f"block, {64 << level}, layers": f"block, {4 << level}, layers"
                                             for level in range(4)}}


def main(repository):
    module, file = _official.load(repository, "torchvision/models/resnet.py", replace=NARROW)

    def make(model, fields):
        net = module.ResNet(module.BasicBlock, fields["num_block"], fields["num_class"])
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.copy_(torch.randn(layer.num_features).mul(16).round() / 64)
                layer.running_var.copy_(torch.rand(layer.num_features).mul(64).round() / 64 + 0.5)
        return net, file

    _official.write("resnet", CASES, make, lambda net, fields, lr: {"sr": net(lr)[:, :, None, None]})


if __name__ == "__main__":
    main(*sys.argv[1:])

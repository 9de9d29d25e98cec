"""Writes fbcnn.npz: small FBCNNs of the original code with random weights, an input and what they make of it.

    python tests/golden/fbcnn_make.py FBCNN MUNet

The arguments are git clones of jiaxi-jiang/FBCNN and xinyaoict/MUNet, which is `batch_norm`; numpy and torch must be
installed. Not run by the tests. The format is that of _official.write; `qf` is (N, 1, 1, 1), `sr_given` what is
restored for the quality GIVEN. The width of the linear layers, 512 in the code, is patched to that of the lowest level.
"""

import sys
import types

import _official
import torch
from torch import nn

GIVEN = 0.25
CASES = {  # model, size of the input, fields
    "color": ("fbcnn/color", (21, 26), dict(scale=1, num_feat=1, num_block=2)),
    "batch_norm": ("fbcnn/batch_norm", (16, 11), dict(scale=1, num_feat=1, num_block=1)),
}


def main(fbcnn, munet):
    sys.modules["torchvision"] = types.ModuleType("torchvision")  # imported there, and not used
    sys.modules["torchvision.models"] = types.ModuleType("torchvision.models")

    def make(model, fields):
        widths = [fields["num_feat"] * 2**level for level in range(4)]
        normed = model == "fbcnn/batch_norm"
        repository, name = (munet, "MUNet") if normed else (fbcnn, "FBCNN")
        module, file = _official.load(repository, f"models/network_{name.lower()}.py", replace={"512": str(widths[-1])})
        net = getattr(module, name)(nc=widths, nb=fields["num_block"], act_mode="BR" if normed else "R")
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.copy_(torch.randn(layer.num_features).mul(16).round() / 64)
                layer.running_var.copy_(torch.rand(layer.num_features).mul(64).round() / 64 + 0.5)
        return net, file

    def run(net, fields, lr):
        plain, given = net(lr), net(lr, torch.full((1, 1), GIVEN))
        if isinstance(plain, torch.Tensor):
            return {"sr": plain, "sr_given": given}
        return {"sr": plain[0], "qf": plain[1][..., None, None], "sr_given": given[0]}

    _official.write("fbcnn", CASES, make, run, given=GIVEN)


if __name__ == "__main__":
    main(*sys.argv[1:])

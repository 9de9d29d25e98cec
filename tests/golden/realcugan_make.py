"""Writes realcugan.npz: small Real-CUGANs of the original code with random weights, inputs and their outputs.

    python tests/golden/realcugan_make.py AILAB

The argument is a git clone of bilibili/ailab; numpy and torch must be installed. Not run by the tests. The format is
that of _official.write. The original returns rounded values; here they are as they were before. A part of each image,
with three of its edges, is kept.
"""

import sys

import _official
import torch

CASES = {  # model, size of the input, fields
    "x2": ("realcugan", (21, 22), dict(scale=2, num_feat=4)),
    "x3_pro": ("realcugan/pro", (18, 16), dict(scale=3, num_feat=4)),
    "x4": ("realcugan", (20, 23), dict(scale=4, num_feat=4)),
}
FEATURES = {" 32,": " 4,", "64": "8", "128": "16", "256": "32"}  # of a network whose first convolutions have 4


def main(repository):
    module, file = _official.load(repository, "Real-CUGAN/upcunet_v3.py", replace=FEATURES | {
        "return (x * 255).round().clamp_(0, 255).byte()": "return x",
        "return ((x-0.15) * (255/0.7)).round().clamp_(0, 255).byte()": "return (x - 0.15) / 0.7"})

    def make(model, fields):
        net = getattr(module, f"UpCunet{fields['scale']}x")()
        if model == "realcugan/pro":
            net.register_buffer("pro", torch.zeros(1))
        return net, file

    def run(net, fields, lr):
        pro = hasattr(net, "pro")
        sr = net(lr * 0.7 + 0.15 if pro else lr, 0, 0, 1, pro)
        return {"sr": sr[:, :, :16] if fields["scale"] == 2 else sr[..., :8]}

    _official.write("realcugan", CASES, make, run)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Writes imdn.npz: small IMDNs of the original codes with random weights, inputs and what they make of them.

    python tests/golden/imdn_make.py IMDN KAIR

The arguments are git clones of Zheng222/IMDN and cszn/KAIR; numpy and torch must be installed. Not run by the tests.

The format is that of _official.write: `lr` is uint8, `sr` float32 NHWC in [0, 1] and not clipped. Blocks beyond
num_block are taken out.
"""

import sys

import _clone
import _official
import torch

CASES = {  # model, size of the input, fields
    "x3": ("imdn/imdn", (9, 14), dict(scale=3, num_feat=16, num_block=3)),
    "kair_x2": ("imdn/kair", (6, 5), dict(scale=2, num_feat=8, num_block=2)),
}


class Nothing(torch.nn.Module):
    """No features at all, for those that are concatenated."""

    def forward(self, x):
        return x[:, :0]


def main(repository, kair):
    module, file = _clone.load(repository, "model/architecture.py")
    theirs, kair_file = _clone.load(kair, "models/network_imdn.py")

    def make(model, fields):
        if model == "imdn/kair":
            return theirs.IMDN(nc=fields["num_feat"], nb=fields["num_block"], upscale=fields["scale"]), kair_file
        net = module.IMDN(nf=fields["num_feat"], num_modules=fields["num_block"], upscale=fields["scale"])
        for index in range(fields["num_block"], 6):
            setattr(net, f"IMDB{index + 1}", Nothing())
        return net, file

    _official.write("imdn", CASES, make, lambda net, _, lr: {"sr": net(lr)})


if __name__ == "__main__":
    main(*sys.argv[1:])

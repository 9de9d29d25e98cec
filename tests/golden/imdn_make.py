"""Writes imdn.npz: a small IMDN of the original code with random weights, an input and what it makes of it.

    python tests/golden/imdn_make.py IMDN

The argument is a git clone of Zheng222/IMDN; numpy and torch must be installed. Not run by the tests.

The format is that of _official.write: `lr` is uint8, `sr` float32 NHWC in [0, 1] and not clipped. Blocks beyond
num_block are taken out.
"""

import sys

import _clone
import _official
import torch

CASES = {"x3": ("imdn/imdn", (9, 14), dict(scale=3, num_feat=16, num_block=3))}  # model, size of the input, fields


class Nothing(torch.nn.Module):
    """No features at all, for those that are concatenated."""

    def forward(self, x):
        return x[:, :0]


def main(repository):
    module, file = _clone.load(repository, "model/architecture.py")

    def make(_, fields):
        net = module.IMDN(nf=fields["num_feat"], num_modules=fields["num_block"], upscale=fields["scale"])
        for index in range(fields["num_block"], 6):
            setattr(net, f"IMDB{index + 1}", Nothing())
        return net, file

    _official.write("imdn", CASES, make, lambda net, _, lr: {"sr": net(lr)})


if __name__ == "__main__":
    main(*sys.argv[1:])

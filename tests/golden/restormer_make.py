"""Writes restormer.npz: a small Restormer of the original code with random weights, an input and what it makes of it.

    python tests/golden/restormer_make.py Restormer

The argument is a git clone of swz30/Restormer; einops, numpy and torch must be installed. Not run by the tests. The
format is that of _official.write. The input is reflected up to multiples of 8, and the output cut, as by the original
test (demo.py).
"""

import sys

import _official
import torch

CASES = {  # model, size of the input, fields
    "base": ("restormer/base", (13, 22), dict(scale=1, dim=4, num_blocks=(2, 1, 1, 1), heads=(1, 2, 4, 2),
                                              num_refinement_blocks=1)),
}


def main(repository):
    module, file = _official.load(repository, "basicsr/models/archs/restormer_arch.py")

    def make(model, fields):
        return module.Restormer(**{name: value for name, value in fields.items() if name != "scale"}), file

    def run(net, fields, lr):
        height, width = lr.shape[2:]
        sr = net(torch.nn.functional.pad(lr, (0, -width % 8, 0, -height % 8), "reflect"))
        return {"sr": sr[:, :, :height, :width]}

    _official.write("restormer", CASES, make, run)


if __name__ == "__main__":
    main(*sys.argv[1:])

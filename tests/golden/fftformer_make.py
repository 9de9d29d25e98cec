"""Writes fftformer.npz: a small FFTformer of the original code with random weights, an input and what it makes of it.

    python tests/golden/fftformer_make.py FFTformer

The argument is a git clone of kkkls/FFTformer; einops, numpy and torch must be installed. Not run by the tests. The
format is that of _official.write. The input is reflected up to multiples of 32, and the output cut, as by the original
test (test.py).
"""

import sys

import _official
import torch

CASES = {  # model, size of the input, fields
    "base": ("fftformer/base", (23, 37), dict(scale=1, dim=4, num_blocks=(1, 1, 1), num_refinement_blocks=1,
                                              ffn_expansion_factor=1.5)),
}


def main(repository):
    module, file = _official.load(repository, "basicsr/models/archs/fftformer_arch.py")

    def make(model, fields):
        return module.fftformer(**{name: value for name, value in fields.items() if name != "scale"}), file

    def run(net, fields, lr):
        height, width = lr.shape[2:]
        sr = net(torch.nn.functional.pad(lr, (0, -width % 32, 0, -height % 32), "reflect"))
        return {"sr": sr[:, :, :height, :width]}

    _official.write("fftformer", CASES, make, run)


if __name__ == "__main__":
    main(*sys.argv[1:])

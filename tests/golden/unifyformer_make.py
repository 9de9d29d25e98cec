"""Writes unifyformer.npz: a small UnifyFormer of the original code, random weights, an input and what it makes of it.

    python tests/golden/unifyformer_make.py UnifyFormer

The argument is a git clone of yasharora102/UnifyFormer; einops, numpy and torch must be installed. Not run by the
tests. The format is that of _official.write. The input is reflected up to multiples of 8, and the output cut, as by the
original test (test.py).
"""

import sys

import _official
import torch

CASES = {  # model, size of the input, fields
    "small": ("unifyformer/base", (13, 22), dict(scale=1, dim=10, num_blocks=(1, 1, 1, 1), heads=(1, 2, 4, 2),
                                                 num_refinement_blocks=1, ffn_factor=1.0)),
}


def main(repository):
    module, file = _official.load(repository, "unifyformer_arch.py")

    def make(model, fields):
        options = {name: fields[name] for name in ("dim", "num_blocks", "heads", "num_refinement_blocks")}
        return module.UnifyFormer(**options, ffn_expansion_factor=fields["ffn_factor"]), file

    def run(net, fields, lr):
        for parameter in net.parameters():  # repeats itself, or the file would be too large
            parameter.copy_(parameter.flatten()[torch.arange(parameter.numel()) % 97].reshape(parameter.shape))
        height, width = lr.shape[2:]
        lr = torch.nn.functional.pad(lr, (0, -width % 8, 0, -height % 8), "reflect")
        return {"sr": net(lr)[:, :, :height, :width]}

    _official.write("unifyformer", CASES, make, run)


if __name__ == "__main__":
    main(*sys.argv[1:])

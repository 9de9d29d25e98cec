"""Writes retinexformer.npz: a small Retinexformer of the original code with random weights, an input and what it makes.

    python tests/golden/retinexformer_make.py RETINEXFORMER

The argument is a git clone of caiyuanhao1998/Retinexformer; einops, numpy and torch must be installed. Not run by the
tests. The format is that of _official.write. The input is reflected up to multiples of 4, and the output cut, as by the
original test (Enhancement/test_from_dataset.py).
"""

import sys

import _official
import torch

CASES = {  # model, size of the input, fields
    "two_stages": ("retinexformer/base", (9, 14), dict(scale=1, num_feat=4, num_blocks=(1, 0, 1), num_stage=2)),
}


def main(repository):
    module, file = _official.load(repository, "basicsr/models/archs/RetinexFormer_arch.py")

    def make(model, fields):
        return module.RetinexFormer(n_feat=fields["num_feat"], stage=fields["num_stage"],
                                    num_blocks=fields["num_blocks"]), file

    def run(net, fields, lr):
        height, width = lr.shape[2:]
        padded = torch.nn.functional.pad(lr, (0, -width % 4, 0, -height % 4), "reflect")
        return {"sr": net(padded)[:, :, :height, :width]}

    _official.write("retinexformer", CASES, make, run)


if __name__ == "__main__":
    main(*sys.argv[1:])

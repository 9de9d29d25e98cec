"""Writes downsample.npz: small dual models of the original code with random weights, an input and what they make of it.

    python tests/golden/downsample_make.py DRN

The argument is a git clone of guoyongcs/DRN; numpy and torch must be installed. Not run by the tests. The format is
that of _official.write.
"""

import sys
from types import SimpleNamespace

import _official

CASES = {  # model, size of the input, fields
    "x2": ("downsample/dual", (10, 14), dict(scale=2, num_feat=4)),
    "x4": ("downsample/dual", (12, 8), dict(scale=4, num_feat=3)),
}


def main(repository):
    module, file = _official.load(repository, "model/common.py")

    def make(model, fields):
        options = SimpleNamespace(negval=0.2, n_feats=fields["num_feat"], n_colors=3)
        return module.DownBlock(options, fields["scale"]), file

    _official.write("downsample", CASES, make, lambda net, fields, lr: {"sr": net(lr)})


if __name__ == "__main__":
    main(*sys.argv[1:])

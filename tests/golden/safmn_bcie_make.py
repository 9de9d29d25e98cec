"""Writes safmn_bcie.npz: a small SAFMN_BCIE of the original code with random weights, an input and what it makes of it.

    python tests/golden/safmn_bcie_make.py SAFMN

The argument is a git clone of sunny2109/SAFMN; numpy and torch must be installed. Not run by the tests. The format is
that of _official.write; half the input's size is odd, so that bins of the pooling overlap.
"""

import sys

import _official

CASES = {  # model, size of the input, fields
    "small": ("safmn_bcie/base", (18, 38), dict(scale=1, num_feat=8, num_group=2, num_block=2, ffn_scale=1.5)),
}


def main(repository):
    module, file = _official.load(repository, "basicsr/archs/safmn_bcie_arch.py")

    def make(model, fields):
        return module.SAFMN_BCIE(*(fields[f] for f in ("num_feat", "num_group", "num_block", "ffn_scale"))), file

    _official.write("safmn_bcie", CASES, make, lambda net, fields, lr: {"sr": net(lr)})


if __name__ == "__main__":
    main(*sys.argv[1:])

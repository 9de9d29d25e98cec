"""Writes imdeception.npz: a small IMDeception of the original code with random weights, an input and its output.

    python tests/golden/imdeception_make.py NTIRE2022_ESR

The argument is a git clone of ofsoundof/NTIRE2022_ESR; numpy and torch must be installed. Not run by the tests. The
format is that of _official.write; the size is more than an area of attention high, and odd.
"""

import sys

import _official

CASES = {  # model, size of the input, fields
    "x2": ("imdeception/base", (35, 13), dict(scale=2, num_feat=16)),
}


def main(repository):
    module, file = _official.load(repository, "models/team19_imdeception.py")

    def make(model, fields):
        return module.IMDeception(in_ch=3, scale=fields["scale"], core=fields["num_feat"] // 4), file

    _official.write("imdeception", CASES, make, lambda net, fields, lr: {"sr": net(lr)})


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Writes abpn.npz: a small ABPN of the original code with random weights, an input and what it makes of it.

    python tests/golden/abpn_make.py ABPN

The argument is a git clone of Holmes-Alan/ABPN; numpy and torch must be installed. Not run by the tests. The format is
that of _official.write.
"""

import sys

import _official

CASES = {  # model, size of the input, fields
    "base": ("abpn/base", (4, 6), dict(scale=4, dim=2, unused=True)),
}


def main(repository):
    module, file = _official.load(repository, "model.py")
    _official.write("abpn", CASES, lambda model, fields: (module.ABPN_v5(3, fields["dim"]), file),
                    lambda net, fields, lr: {"sr": net(lr.contiguous())})


if __name__ == "__main__":
    main(*sys.argv[1:])

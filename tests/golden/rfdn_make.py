"""Writes rfdn.npz: a small RFDN of the original code with random weights, an input and what it makes of it.

    python tests/golden/rfdn_make.py RFDN

The argument is a git clone of njulj/RFDN; numpy and torch must be installed. Not run by the tests.

The format is that of _official.write: `lr` is uint8, `sr` float32 NHWC in [0, 1] and not clipped. The network works on
values of [0, 255].
"""

import sys

import _clone
import _official

CASES = {"x4": ("rfdn/rfdn", (23, 15), dict(scale=4, num_feat=8))}  # model, size of the input, fields


def main(repository):
    module, file = _clone.load(repository, "RFDN.py")
    _official.write("rfdn", CASES, lambda _, fields: (module.RFDN(nf=fields["num_feat"]), file),
                lambda net, _, lr: {"sr": net(lr * 255) / 255})


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Writes rlfn.npz: a small RLFN of the original code with random weights, an input and what it makes of it.

    python tests/golden/rlfn_make.py RLFN

The argument is a git clone of bytedance/RLFN; numpy and torch must be installed. Not run by the tests.

The format is that of _official.write: `lr` is uint8, `sr` float32 NHWC in [0, 1] and not clipped. The network works on
values of [0, 255].
"""

import sys

import _clone
import _official

CASES = {"x2": ("rlfn/rlfn", (23, 15), dict(scale=2, num_feat=4, mid_feat=6, num_block=4))}  # model, size, fields


def main(repository):
    module, file = _clone.load(repository, "model/rlfn_ntire.py")

    def make(_, fields):
        return module.RLFN_Prune(feature_channels=fields["num_feat"], mid_channels=fields["mid_feat"],
                                 upscale=fields["scale"]), file

    _official.write("rlfn", CASES, make, lambda net, _, lr: {"sr": net(lr * 255) / 255})


if __name__ == "__main__":
    main(*sys.argv[1:])

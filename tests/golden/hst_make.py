"""Writes hst.npz: a small HST of the original code with random weights, an input and what it makes of it.

    python tests/golden/hst_make.py HST

The argument is a git clone of lixinustc/HST-for-Compressed-Image-SR; numpy and torch must be installed. Not run by the
tests.

The format is that of _official.write: `lr` is uint8, `sr` float32 NHWC in [0, 1] and not clipped. The input is
extended, and the output cut, as by the original test (test_HST.py).
"""

import sys

import _official

CASES = {"x4": ("hst/base", (9, 17), dict(  # model, size of the input, fields
    scale=4, num_features=(4, 2, 6), depths=((1,), (1,), (2,)), num_heads=2, window_size=4, num_feat=4))}
SMALL = {  # what no argument of the original makes small
    "depths=[6, 6, 6, 6, 6, 6], num_heads=[6, 6, 6, 6, 6, 6]": "depths=[2], num_heads=[2]",
    "depths=[6, 6, 6, 6], num_heads=[6, 6, 6, 6]": "depths=[1], num_heads=[2]",
    "depths=[6, 6], num_heads=[6, 6]": "depths=[1], num_heads=[2]",
    "64": "4",
    "import torchvision\n": ""}  # not used


def main(repository):
    sys.modules["swin_block"], _ = _official.load(repository, "swin_block.py")
    module, file = _official.load(repository, "model.py", replace=SMALL)

    def make(model, fields):
        # the smallest images that shift windows at a quarter of their size
        return module.HST(8 * fields["window_size"], fields["num_features"], window_size=fields["window_size"]), file

    def run(net, fields, lr):
        height, width = (side * fields["scale"] for side in lr.shape[2:])
        return {"sr": net(_official.extend(lr, 4 * fields["window_size"], always=True))[:, :, :height, :width]}

    _official.write("hst", CASES, make, run, patched="depths, heads and the head's 64 features")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Writes downsample.npz: small downsampling networks of the original code with random weights, inputs and outputs.

    python tests/golden/downsample_make.py NADU

The argument is a git clone of TimothyHTimothy/NADU-DMDR; numpy and torch must be installed. Not run by the tests. The
format is that of _official.write.
"""

from pathlib import Path
import sys
from types import ModuleType

import _clone
import _official

CASES = {  # model, size of the input, fields
    "x2": ("downsample/dual", (10, 14), dict(scale=2, num_feat=3, num_block=1)),
    "x3": ("downsample/dual", (12, 9), dict(scale=3, num_feat=2, num_block=2)),
    "x4": ("downsample/dual", (12, 8), dict(scale=4, num_feat=3, num_block=1)),
}
ROOT = "ESRGAN-FT with DRDM and MixCorrupt"


def main(repository):
    package = sys.modules["models"] = ModuleType("models")  # its own __init__ imports what is not needed
    package.__path__ = [str(Path(repository, ROOT, "models"))]
    module, file = _clone.load(repository, "models/modules/SRResNet_arch.py", ROOT)

    def make(model, fields):
        return module.DownsampleNet(nf=fields["num_feat"], nb=fields["num_block"], downscale=fields["scale"]), file

    _official.write("downsample", CASES, make, lambda net, fields, lr: {"sr": net(lr)})


if __name__ == "__main__":
    main(*sys.argv[1:])

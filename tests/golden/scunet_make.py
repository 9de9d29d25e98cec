"""Writes scunet.npz: a small SCUNet of the original code with random weights, an input and what it makes of it.

    python tests/golden/scunet_make.py SCUNet

The argument is a git clone of cszn/SCUNet; einops, numpy and torch must be installed. Not run by the tests. The format
is that of _official.write. The original pads the input and cuts the output itself.
"""

import copy
import sys

import _official

CASES = {  # model, size of the input, fields
    "small": ("scunet/base", (9, 70), dict(scale=1, dim=4, depths=(2, 0, 1, 1, 0, 1, 0), head_dim=2)),
}


def main(repository):
    def make(model, fields):
        module, file = _official.load(repository, "models/network_scunet.py", replace={
            "from thop import profile": "", "self.head_dim = 32": f"self.head_dim = {fields['head_dim']}"})
        return module.SCUNet(config=list(fields["depths"]), dim=fields["dim"]), file

    def run(net, fields, lr):  # in float64: in float32 it errs by 3e-5, since random weights make large features
        return {"sr": copy.deepcopy(net).double()(lr.double()).float()}

    _official.write("scunet", CASES, make, run, head_dim="patched from 32")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Writes vcbp.npz: a small VCBPv2 of the original code with random weights, an input and what it makes of it.

    python tests/golden/vcbp_make.py AIM20SRx2_LISA

The argument is a git clone of fsalmasri/AIM20SRx2_LISA; numpy and torch must be installed. Not run by the tests. The
format is that of _official.write.
"""

import sys

import _official

CASES = {  # model, size of the input, fields
    "base": ("vcbp/base", (6, 5), dict(scale=2, num_feat=12, num_large_feat=4, num_block=2, unused=True)),
}


def main(repository):
    sys.path.insert(0, repository)  # its modules.py

    def make(model, fields):
        module, file = _official.load(repository, "vCycle.py", replace={
            "nFeat2 = 48": f"nFeat2 = {fields['num_large_feat']}", "nFeat = 64": f"nFeat = {fields['num_feat']}",
            "self.loops = 10": f"self.loops = {fields['num_block']}"})
        return module.Cyclic(), file

    _official.write("vcbp", CASES, make, lambda net, fields, lr: {"sr": net(lr.contiguous())})


if __name__ == "__main__":
    main(*sys.argv[1:])

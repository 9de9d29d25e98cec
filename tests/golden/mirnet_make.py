"""Writes mirnet.npz: small MIRNets of the original code with random weights, an input and what they make of it.

    python tests/golden/mirnet_make.py MIRNet

The argument is a git clone of swz30/MIRNet; numpy and torch must be installed. Not run by the tests. The format is that
of _official.write.
"""

import sys

import _official

CASES = {  # model, size of the input, fields
    "two_streams": ("mirnet/base", (6, 8), dict(scale=1, n_feat=8, n_rrg=1, n_msrb=1, height=2)),
    "base": ("mirnet/base", (12, 8), dict(scale=1, n_feat=8, n_rrg=1, n_msrb=1)),
}
NAMES = {"n_rrg": "n_RRG", "n_msrb": "n_MSRB"}


def main(repository):
    antialias, _ = _official.load(repository, "utils/antialias.py")
    sys.modules["utils"] = sys.modules["utils.antialias"] = antialias

    def make(model, fields):
        module, file = _official.load(repository, "networks/MIRNet_model.py")
        return module.MIRNet(**{NAMES.get(key, key): value for key, value in fields.items() if key != "scale"}), file

    def run(net, fields, lr):
        for parameter in net.parameters():  # coarser than _official draws them, for the file's size
            parameter.mul_(16).round_().div_(16)
        return {"sr": net(lr.contiguous())}

    _official.write("mirnet", CASES, make, run)


if __name__ == "__main__":
    main(*sys.argv[1:])

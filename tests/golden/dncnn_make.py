"""Writes dncnn.npz: small DnCNNs and an IRCNN of the original code with random weights, inputs and their outputs.

    python tests/golden/dncnn_make.py KAIR

The argument is a git clone of cszn/KAIR; numpy and torch must be installed. Not run by the tests. The format is that of
_official.write.
"""

import sys
import types

import _official

CASES = {  # model, size of the input, fields
    "color": ("dncnn", (6, 7), dict(scale=1, num_feat=4, num_conv=4)),
    "norm": ("dncnn/norm", (6, 5), dict(scale=1, num_feat=5, num_conv=4)),
    "ircnn": ("dncnn/ircnn", (9, 8), dict(scale=1, num_feat=4)),
}


def main(repository):
    sys.modules["models"] = types.ModuleType("models")
    sys.modules["models.basicblock"], _ = _official.load(repository, "models/basicblock.py")
    sys.modules["models"].basicblock = sys.modules["models.basicblock"]
    module, file = _official.load(repository, "models/network_dncnn.py")

    def make(model, fields):
        if model == "dncnn/ircnn":
            return module.IRCNN(3, 3, fields["num_feat"]), file
        return module.DnCNN(3, 3, fields["num_feat"], fields["num_conv"], "BR" if model == "dncnn/norm" else "R"), file

    _official.write("dncnn", CASES, make, lambda net, fields, lr: {"sr": net(lr)})


if __name__ == "__main__":
    main(*sys.argv[1:])

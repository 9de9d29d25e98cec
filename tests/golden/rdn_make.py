"""Writes rdn.npz: small RDNs of a PyTorch code with random weights, an input and what they make of it.

    python tests/golden/rdn_make.py RDN

The argument is a git clone of yjn870/RDN-pytorch; numpy and torch must be installed. Not run by the tests. The format
is that of _official.write.
"""

import sys

import _clone
import _official

CASES = {  # model, size of the input, fields; the code wants as many features as a layer adds
    "x3": ("rdn", (5, 6), dict(scale=3, num_feat=3, num_block=2, num_layer=2, num_grow_ch=3)),
    "x4": ("rdn", (6, 5), dict(scale=4, num_feat=3, num_block=3, num_layer=1, num_grow_ch=3)),
}


def main(repository):
    module, file = _clone.load(repository, "models.py")

    def make(model, fields):
        return module.RDN(fields["scale"], 3, fields["num_feat"], fields["num_grow_ch"], fields["num_block"],
                          fields["num_layer"]), file

    _official.write("rdn", CASES, make, lambda net, fields, lr: {"sr": net(lr)})


if __name__ == "__main__":
    main(*sys.argv[1:])

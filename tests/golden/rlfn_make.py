"""Writes rlfn.npz: small RLFNs of the original codes with random weights, inputs and what they make of them.

    python tests/golden/rlfn_make.py RLFN NTIRE2022_ESR

The arguments are git clones of bytedance/RLFN and ofsoundof/NTIRE2022_ESR; numpy and torch must be installed. Not run
by the tests.

The format is that of _official.write: `lr` is uint8, `sr` float32 NHWC in [0, 1] and not clipped. The network works on
values of [0, 255].
"""

import copy
import sys

import _clone
import _official

CASES = {  # model, size of the input, fields, rules
    "x2": ("rlfn/rlfn", (23, 15), dict(scale=2, num_feat=4, mid_feat=6, num_block=4)),
    "challenge_x2": ("rlfn/rlfn", (16, 15), dict(scale=2, num_feat=4, mid_feat=6, num_block=4), "challenge"),
}


def main(repository, challenge):
    module, file = _clone.load(repository, "model/rlfn_ntire.py")
    theirs, challenge_file = _clone.load(challenge, "models/team04_rlfn.py")

    def make(_, fields, style="official"):
        if style == "challenge":
            net = theirs.RLFN_cut(nf=fields["num_feat"], mf=fields["mid_feat"], upscale=fields["scale"])
            return net, challenge_file
        return module.RLFN_Prune(feature_channels=fields["num_feat"], mid_channels=fields["mid_feat"],
                                 upscale=fields["scale"]), file

    def run(net, _, lr):  # in float64, whatever the machine: in float32 it is off by up to 2e-6
        return {"sr": (copy.deepcopy(net).double()(lr.double() * 255) / 255).float()}

    _official.write("rlfn", CASES, make, run)


if __name__ == "__main__":
    main(*sys.argv[1:])

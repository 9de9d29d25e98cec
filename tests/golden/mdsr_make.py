"""Writes mdsr.npz: small MDSRs of the original codes with random weights, an input and what they make of it.

    python tests/golden/mdsr_make.py RCAN MCML

The arguments are git clones of yulunzhang/RCAN, which has a copy of the official MDSR, and of
MaryAhn/AIM2020-RealSR-Track1-2-3; numpy and torch must be installed. Not run by the tests. The format is that of
_official.write. The layers that shift the mean have the values of MDSR's public weights.
"""

import sys
from types import SimpleNamespace

import _clone
import _official
from rcan_make import set_mean

CASES = {  # model, size of the input, fields
    "x3": ("mdsr/base", (4, 5), dict(scale=3, num_feat=2, num_block=2)),
    "tv_x4": ("mdsr/tv_attention", (5, 7), dict(scale=4, num_feat=4, num_block=1, squeeze_factor=2)),
}


def main(rcan_repository, mcml_repository):
    plain, plain_file = _clone.load(rcan_repository, "model/mdsr.py", "RCAN_TrainCode/code")
    sys.modules["models.base"] = SimpleNamespace(BaseModel=object)
    team, team_file = _clone.load(mcml_repository, "mdsr_mod5.py", "code/models")

    def make(model, fields):
        f = SimpleNamespace(**fields)
        if model == "mdsr/base":
            return plain.MDSR(SimpleNamespace(n_resblocks=f.num_block, n_feats=f.num_feat, scale=[2, 3, 4],
                                              rgb_range=255, n_colors=3)), plain_file
        team.MAMLayer.__init__.__defaults__ = f.squeeze_factor, 1  # of its reduction and coef
        options = SimpleNamespace(edsr_conv_features=f.num_feat, edsr_res_blocks=f.num_block, edsr_res_weight=1.0,
                                  coef=1)
        return team.MDSRModule(options, [2, 3, 4]), team_file

    def run(net, fields, lr):
        set_mean(net)
        if isinstance(net, plain.MDSR):
            net.set_scale(fields["scale"] - 2)
            return {"sr": net(lr * 255) / 255}
        return {"sr": net(lr * 255, scale=fields["scale"]) / 255}

    _official.write("mdsr", CASES, make, run)


if __name__ == "__main__":
    main(*sys.argv[1:])

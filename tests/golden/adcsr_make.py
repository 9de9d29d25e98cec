"""Writes adcsr.npz: small ADCSRs of the original code with random weights, an input and what they make of it.

    python tests/golden/adcsr_make.py ADCSR RCAN

The arguments are git clones of xxh96/ADCSR and of yulunzhang/RCAN, which has the file of EDSR-PyTorch that it imports;
numpy and torch must be installed. Not run by the tests. The format is that of _official.write.
"""

import sys
from types import SimpleNamespace

import _clone
import _official

CASES = {  # model, size of the input, fields
    "x2": ("adcsr", (5, 4), dict(scale=2, num_feat=3, num_wide=4, num_group=1)),
    "two_groups": ("adcsr", (4, 5), dict(scale=3, num_feat=2, num_wide=3, num_group=2)),
}


def main(adcsr_repository, rcan_repository):
    sys.path.insert(0, f"{rcan_repository}/RCAN_TrainCode/code")  # its `model.common` is EDSR-PyTorch's
    module, file = _clone.load(adcsr_repository, "adcsr.py")

    def make(model, fields):
        net = module.ADCSR(SimpleNamespace(
            n_resblocks=fields["num_group"], n_feats=fields["num_feat"], block_feats=fields["num_wide"], act="relu",
            scale=[fields["scale"]], n_colors=3, alpha=1.0, beta=1.0, cpu=True, r_mean=0.4488, g_mean=0.4371,
            b_mean=0.4040))
        for layer in net.modules():
            layer.cpu = True
        return net, file

    def run(net, fields, lr):
        for index in range(fields["num_group"], 4):  # without a use, and so never changed
            for weights in (net.A, net.B):
                weights[index].scale.data.fill_(1)
        return {"sr": net(lr * 255) / 255}

    _official.write("adcsr", CASES, make, run)


if __name__ == "__main__":
    main(*sys.argv[1:])

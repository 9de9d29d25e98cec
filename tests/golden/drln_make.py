"""Writes drln.npz: a narrow DRLN of the original code with random weights, an input and what it makes of it.

    python tests/golden/drln_make.py DRLN

The argument is a git clone of saeed-anwar/DRLN; numpy and torch must be installed. Not run by the tests. The format is
that of _official.write. The code writes out its 20 blocks; of `cut` the last 14 are cut out of it.
"""

from pathlib import Path
import sys
from types import SimpleNamespace

import _official
import torch

CASES = {  # model, size of the input, fields
    "whole": ("drln", (4, 5), dict(scale=2, num_feat=2, squeeze_factor=2)),
    "cut": ("drln", (5, 4), dict(scale=4, num_feat=3, squeeze_factor=3, groups=(3, 3))),
}
FILE = "TestCode/code/model/drln.py"


def main(repository):
    ops, _ = _official.load(repository, "TestCode/code/model/ops.py")
    sys.modules["model"] = SimpleNamespace(ops=ops)
    sys.modules["model.ops"] = ops
    source = Path(repository, FILE).read_text()
    rest = source[source.index("b7 = self.b7(a2)"):source.index("#c_out")]

    def make(model, fields):
        width, squeeze_factor, cut = fields["num_feat"], fields["squeeze_factor"], "groups" in fields
        module, file = _official.load(repository, FILE, replace={
            "chs=64": f"chs={width}", "reduction=16": f"reduction={squeeze_factor}",
            **({rest: "a6 = a2\n\n        "} if cut else {})})
        net = module.DRLN(SimpleNamespace(scale=[fields["scale"]]))
        for number in range(7, 21) if cut else ():
            delattr(net, f"b{number}")
            delattr(net, f"c{number}")
        return net, file

    def run(net, fields, lr):
        mean = torch.tensor([0.4488, 0.4371, 0.4040])
        for layer, sign in ((net.sub_mean.shifter, -1), (net.add_mean.shifter, 1)):
            layer.weight.data, layer.bias.data = torch.eye(3).view(3, 3, 1, 1), sign * mean  # as it is constructed
        return {"sr": net(lr * 255) / 255}

    _official.write("drln", CASES, make, run, patched="64 features, a reduction of 16, and of `cut` the last 14 blocks")


if __name__ == "__main__":
    main(*sys.argv[1:])

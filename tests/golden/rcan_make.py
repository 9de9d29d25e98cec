"""Writes rcan.npz: small RCANs of the original codes with random weights, an input and what they make of it.

    python tests/golden/rcan_make.py RCAN BASICSR NADU

The arguments are git clones of yulunzhang/RCAN, XPixelGroup/BasicSR and TimothyHTimothy/NADU-DMDR; numpy and torch must
be installed. Not run by the tests. The format is that of _official.write.
"""

from pathlib import Path
import sys
from types import ModuleType, SimpleNamespace
from unittest import mock

import _clone
import _official
import torch

CASES = {  # <whose code>_x<scale>: model, size of the input, fields, format
    "official_x3": ("rcan", (5, 6), dict(scale=3, num_feat=4, num_group=2, num_block=1, squeeze_factor=2)),
    "basicsr_x4": ("rcan", (6, 5), dict(scale=4, num_feat=3, num_group=2, num_block=2, squeeze_factor=1),
                   "basicsr"),
    "nadu_x3": ("rcan/nadu", (5, 4), dict(scale=3, num_feat=4, num_group=1, num_block=1, squeeze_factor=2)),
}
NADU = "ESRGAN-FT with DRDM and MixCorrupt/models/modules"
MEAN = torch.tensor([0.4488, 0.4371, 0.4040])


def set_mean(net):
    """The layers that shift the mean as the codes construct them, after random weights were drawn."""
    for layer, sign in ((net.sub_mean, -1), (net.add_mean, 1)):
        layer.weight.data, layer.bias.data = torch.eye(3).view(3, 3, 1, 1), sign * 255 * MEAN


def basicsr(repository):
    """Its RCAN alone: the package's own __init__ imports every network, and they need torchvision."""
    for name in ("basicsr.utils", "basicsr.ops", "basicsr.ops.dcn", "torchvision", "distutils", "distutils.version"):
        sys.modules[name] = mock.MagicMock()
    for name in ("basicsr", "basicsr.archs"):
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__path__ = [str(Path(repository, *name.split(".")))]
    registry = SimpleNamespace(register=lambda: lambda cls: cls)
    sys.modules["basicsr.utils.registry"] = SimpleNamespace(ARCH_REGISTRY=registry)
    # its one use of torchvision is a class that RCAN does not need
    sys.modules["basicsr.ops.dcn"].ModulatedDeformConvPack = torch.nn.Module
    return _clone.load(repository, "basicsr/archs/rcan_arch.py")


def main(rcan_repository, basicsr_repository, nadu_repository):
    ours, rcan_file = _clone.load(rcan_repository, "model/rcan.py", "RCAN_TrainCode/code")
    theirs, basicsr_file = basicsr(basicsr_repository)
    nadu, nadu_file = _clone.load(nadu_repository, "RCAN_arch.py", NADU)

    def make(model, fields, style="official"):
        f = SimpleNamespace(**fields)
        sizes = dict(n_resgroups=f.num_group, n_resblocks=f.num_block, reduction=f.squeeze_factor)
        if style == "basicsr":
            return theirs.RCAN(3, 3, f.num_feat, f.num_group, f.num_block, f.squeeze_factor, f.scale), basicsr_file
        if model == "rcan/nadu":
            return nadu.RCAN(sizes | dict(nf=f.num_feat, in_nc=3, out_nc=3, scale=f.scale)), nadu_file
        return ours.RCAN(SimpleNamespace(**sizes, n_feats=f.num_feat, scale=[f.scale], rgb_range=255, n_colors=3,
                                         res_scale=1)), rcan_file

    def run(net, fields, lr):
        if hasattr(net, "sub_mean"):
            set_mean(net)
        img_range = 255 if isinstance(net, ours.RCAN) else 1
        return {"sr": net(lr * img_range) / img_range}

    _official.write("rcan", CASES, make, run)


if __name__ == "__main__":
    main(*sys.argv[1:])

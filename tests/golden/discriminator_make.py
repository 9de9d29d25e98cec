"""Writes discriminator.npz: a narrow critic of the original code with random weights, an input and what it makes of it.

    python tests/golden/discriminator_make.py BASICSR SRRESCGAN

The arguments are git clones of XPixelGroup/BasicSR and RaoUmer/SRResCGAN; numpy and torch must be installed. Not run by
the tests. The format is that of _official.write. SRResCGAN's class has the same layers and one width; its high pass is
put before BasicSR's.
"""

import sys

import _official
import torch
from torch import nn

CASES = {  # model, size of the input, fields
    "srrescgan": ("discriminator/srrescgan", (128, 128), dict(scale=1, num_feat=1)),
}


def main(basicsr_repository, srrescgan_repository):
    module, file = _official.load(basicsr_repository, "basicsr/archs/discriminator_arch.py")
    filters, filters_file = _official.load(srrescgan_repository, "training_codes/modules/filters.py")

    def make(model, fields):
        net = module.VGGStyleDiscriminator(3, fields["num_feat"])
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.copy_(torch.randn(layer.num_features).mul(16).round() / 64)
                layer.running_var.copy_(torch.rand(layer.num_features).mul(64).round() / 64 + 0.5)
        return net, f"{file} {filters_file}"

    def run(net, fields, lr):
        return {"sr": net(filters.FilterHigh()(lr * 255))[:, :, None, None]}

    _official.write("discriminator", CASES, make, run)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Writes ynot.npz: a small YNOT of the original code with random weights, an input and what it makes of it.

    python tests/golden/ynot_make.py YNOT_NTIRE2023

The argument is a git clone of ynot-team/YNOT_NTIRE2023; numpy and torch must be installed. Not run by the tests. The
format is that of _official.write: `lr` is uint8, `sr` float32 NHWC in [0, 1] and not clipped. The Fourier transforms
that PyTorch had until 1.7 are written with those that it has now.
"""

import sys

import _clone
import _official
import torch
from torch import nn

CASES = {"x2": ("ynot/base", (10, 14), dict(scale=2, num_feat=16))}  # model, size of the input, fields


def rfft(x, signal_ndim, normalized):
    return torch.view_as_real(torch.fft.rfft2(x, norm="ortho"))


def irfft(x, signal_ndim, signal_sizes, normalized):
    return torch.fft.irfft2(torch.view_as_complex(x.contiguous()), s=signal_sizes, norm="ortho")


def main(repository):
    torch.rfft, torch.irfft = rfft, irfft

    def make(_, fields):
        module, file = _clone.load(repository, "archi.py")
        net = module.FFC14_ST_all_wavelet_front_module4(upscale_factor=fields["scale"], num_fea=fields["num_feat"])
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.copy_(torch.randn(layer.num_features).mul(16).round() / 64)
                layer.running_var.copy_(torch.rand(layer.num_features).mul(64).round() / 64 + 0.5)
        return net, file

    _official.write("ynot", CASES, make, lambda net, _, lr: {"sr": net(lr)})


if __name__ == "__main__":
    main(*sys.argv[1:])

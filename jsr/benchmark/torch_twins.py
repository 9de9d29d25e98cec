"""Networks of the zoo as plain PyTorch modules, to be measured against. Importing this imports PyTorch.

A twin is what a PyTorch user runs: NCHW, the layers and parameter names of XPixelGroup/BasicSR's network, so that it
takes what `jsr.convert` makes of the variables here. Twins are written by hand: a generic translation of our traced
operations would be the same function, but not one that PyTorch is fast at (its own softmax, layer norm and memory
layout in pieces), and beating that would mean nothing.
"""

import torch
from torch import nn
from torch.nn import functional as F


def conv(in_features, out_features):
    """A 3x3 convolution that keeps the size."""
    return nn.Conv2d(in_features, out_features, 3, padding=1)


class EDSRBlock(nn.Module):
    """Two convolutions with a ReLU between, scaled, and the input added."""

    def __init__(self, num_feat, res_scale):
        super().__init__()
        self.conv1, self.conv2, self.res_scale = conv(num_feat, num_feat), conv(num_feat, num_feat), res_scale

    def forward(self, x):
        return x + self.conv2(F.relu(self.conv1(x), inplace=True)) * self.res_scale


class EDSR(nn.Module):
    """The twin of a jsr.models.edsr.EDSR."""

    def __init__(self, model):
        super().__init__()
        features = model.num_feat
        factors = [3] if model.scale == 3 else [2] * (model.scale // 2)
        self.img_range = model.img_range
        self.register_buffer("mean", torch.tensor(model.mean).reshape(1, 3, 1, 1), persistent=False)
        self.conv_first = conv(3, features)
        self.body = nn.Sequential(*(EDSRBlock(features, model.res_scale) for _ in range(model.num_block)))
        self.conv_after_body = conv(features, features)
        self.upsample = nn.Sequential(*(
            layer for factor in factors for layer in (conv(features, features * factor**2), nn.PixelShuffle(factor))))
        self.conv_last = conv(features, 3)

    def forward(self, lr):
        head = self.conv_first((lr - self.mean) * self.img_range)
        x = self.conv_after_body(self.body(head)) + head
        return self.conv_last(self.upsample(x)) / self.img_range + self.mean


class DenseBlock(nn.Module):
    """Four convolutions that each see all features before them, and one back to the input's number of features."""

    def __init__(self, num_feat, num_grow_ch):
        super().__init__()
        for index in range(5):
            setattr(self, f"conv{index + 1}",
                    conv(num_feat + index * num_grow_ch, num_grow_ch if index < 4 else num_feat))

    def forward(self, x):
        features = [x]
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            features.append(_leaky_relu(layer(torch.cat(features, 1))))
        return x + 0.2 * self.conv5(torch.cat(features, 1))


class RRDB(nn.Module):
    """Three dense blocks inside one more residual connection."""

    def __init__(self, num_feat, num_grow_ch):
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (DenseBlock(num_feat, num_grow_ch) for _ in range(3))

    def forward(self, x):
        return x + 0.2 * self.rdb3(self.rdb2(self.rdb1(x)))


class RRDBNet(nn.Module):
    """The twin of a jsr.models.rrdbnet.RRDBNet."""

    def __init__(self, model):
        super().__init__()
        features = model.num_feat
        self.unshuffle, self.factors = model.size_multiple, model.upsample_factors
        self.conv_first = conv(3 * self.unshuffle**2, features)
        self.body = nn.Sequential(*(RRDB(features, model.num_grow_ch) for _ in range(model.num_block)))
        self.conv_body = conv(features, features)
        for index in range(len(self.factors)):
            setattr(self, f"conv_up{index + 1}", conv(features, features))
        self.conv_hr = conv(features, features)
        self.conv_last = conv(features, 3)

    def forward(self, lr):
        head = self.conv_first(F.pixel_unshuffle(lr, self.unshuffle) if self.unshuffle > 1 else lr)
        x = head + self.conv_body(self.body(head))
        for index, factor in enumerate(self.factors, 1):
            x = _leaky_relu(getattr(self, f"conv_up{index}")(F.interpolate(x, scale_factor=factor, mode="nearest")))
        return self.conv_last(_leaky_relu(self.conv_hr(x)))


def _leaky_relu(x):
    return F.leaky_relu(x, 0.2, inplace=True)


TWINS = {"edsr": EDSR, "rrdbnet": RRDBNet}  # file stem of the network: class, whose names are BasicSR's

"""Writes alexnet.npz: a narrow AlexNet with random weights, an input and what it makes of it.

    python tests/golden/alexnet_make.py

torch must be installed. Not run by the tests. torchvision is not needed: its `features` are written out here, with
its names, fewer features and its normalisation, without the last pooling. The format is that of _official.write;
besides `sr`, the last layer, a case has a layer in the middle.
"""

import _official
import torch
from torch import nn

CASES = {"base": ("alexnet/base", (67, 75), dict(scale=1, num_feat=2))}  # model, size of the input, fields


class Features(nn.Module):
    """torchvision/models/alexnet.py, with `num_feat` for its 64."""

    def __init__(self, num_feat):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, num_feat, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(num_feat, 3 * num_feat, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(3 * num_feat, 6 * num_feat, 3, padding=1), nn.ReLU(),
            nn.Conv2d(6 * num_feat, 4 * num_feat, 3, padding=1), nn.ReLU(),
            nn.Conv2d(4 * num_feat, 4 * num_feat, 3, padding=1), nn.ReLU())


def main():
    def make(model, fields):
        return Features(fields["num_feat"]), "torchvision/models/alexnet.py, written out"

    def run(net, fields, lr):
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        x, outputs = (lr - mean) / std, {}
        for index, layer in enumerate(net.features):
            x = layer(x)
            outputs |= {"features_4": x.clone()} if index == 4 else {}
        return outputs | {"sr": x}

    _official.write("alexnet", CASES, make, run)


if __name__ == "__main__":
    main()

"""Writes vgg.npz: narrow VGGs with random weights, an input and what they make of it.

    python tests/golden/vgg_make.py

torch must be installed. Not run by the tests. torchvision is not needed: its `features` are written out here, with
its names, fewer features and its normalisation. The format is that of _official.write; besides `sr`, the last layer,
a case has the layers that losses compare.
"""

import _official
import torch
from torch import nn

LAYERS = {  # features of each convolution, "M" for a pooling: torchvision/models/vgg.py, configurations D and E
    "vgg/vgg16": [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"],
    "vgg/vgg19": [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"],
}
CASES = {  # model, size of the input, fields
    "vgg16": ("vgg/vgg16", (33, 47), dict(scale=1, num_feat=2)),
    "vgg19": ("vgg/vgg19", (35, 32), dict(scale=1, num_feat=2, img_range=255.0)),
}
TAPS = {"vgg16": (7, 8), "vgg19": (34, 35)}


class Features(nn.Module):
    def __init__(self, layers, num_feat):
        super().__init__()
        modules, channels = [], 3
        for layer in layers:
            if layer == "M":
                modules.append(nn.MaxPool2d(2))
            else:
                features = layer * num_feat // 64
                modules += [nn.Conv2d(channels, features, 3, padding=1), nn.ReLU()]
                channels = features
        self.features = nn.Sequential(*modules)


def main():
    def make(model, fields):
        return Features(LAYERS[model], fields["num_feat"]), "torchvision/models/vgg.py, written out"

    def run(net, fields, lr):
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        x, outputs = (lr * fields.get("img_range", 1.0) - mean) / std, {}
        taps = TAPS["vgg19" if len(net.features) == 37 else "vgg16"]
        for index, layer in enumerate(net.features):
            x = layer(x)
            outputs |= {f"features_{index}": x.clone()} if index in taps else {}
        return outputs | {"sr": x}

    _official.write("vgg", CASES, make, run)


if __name__ == "__main__":
    main()

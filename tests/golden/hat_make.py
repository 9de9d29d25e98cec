"""Writes hat.npz: small HATs of the original code with random weights, an input and what they make of it.

    python tests/golden/hat_make.py HAT

The argument is a git clone of XPixelGroup/HAT; einops, numpy and torch must be installed. Not run by the tests.

The format is that of _official.write: `lr` is uint8, `sr` float32 NHWC in [0, 1] and not clipped. The input is
reflected up to whole windows, and the output cut, as by the original test (hat/models/hat_model.py).
"""

import sys

import _official
import torch

SMALL = dict(embed_dim=8, num_feat=4, window_size=4, compress_ratio=2, squeeze_factor=4, overlap_ratio=0.5,
             mlp_ratio=2.0)
CASES = {  # model, size of the input, fields
    "x4": ("hat/base", (9, 14), dict(SMALL, scale=4, depths=(2, 1), num_heads=(2, 4), conv_scale=0.3)),
    "x3": ("hat/base", (8, 12), dict(SMALL, scale=3, depths=(1,), num_heads=(1,), conv_scale=0.01)),
    "restore": ("hat/base", (4, 8), dict(SMALL, scale=1, depths=(2,), num_heads=(2,), conv_scale=0.3,
                                         overlap_ratio=1.0, img_range=2.0)),
    "patches": ("hat/mphat", (7, 12), dict(SMALL, embed_dim=4, scale=4, depths=(1,), num_heads=(1,), conv_scale=0.3,
                                           patch_size=3)),
}


def main(repository):
    module, file = _official.load(repository, "hat/archs/hat_arch.py", SMALL["num_feat"])

    def make(model, fields):
        options = {key: value for key, value in fields.items() if key not in ("scale", "num_feat", "patch_size")}
        patches = "patch_size" in fields
        net = module.HAT(upscale=fields["scale"], upsampler="pixelshuffle", in_chans=27 if patches else 3, **options)
        if patches:
            net.conv_last = torch.nn.Conv2d(fields["num_feat"], 3, 3, padding=1)  # it would have 27 outputs too
        return net, file

    def run(net, fields, lr):
        height, width = lr.shape[2:]
        pad = (0, -width % fields["window_size"], 0, -height % fields["window_size"])
        lr = torch.nn.functional.pad(lr, pad, "reflect")
        if "patch_size" in fields:
            side = fields["patch_size"]
            mirrored = torch.nn.functional.pad(lr, (side,) * 4, "reflect")
            lr = torch.cat([mirrored.roll((side * up, side * left), (2, 3))[:, :, side:-side, side:-side]
                            for up in (1, 0, -1) for left in (1, 0, -1)], 1)
        sr = net(lr)
        return {"sr": sr[:, :, :height * fields["scale"], :width * fields["scale"]]}

    _official.write("hat", CASES, make, run, num_feat="of the head, patched from 64")


if __name__ == "__main__":
    main(*sys.argv[1:])

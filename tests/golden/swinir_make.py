"""Writes swinir.npz: small SwinIRs of the original code with random weights, an input and what they make of it.

    python tests/golden/swinir_make.py SWINIR

The argument is a git clone of JingyunLiang/SwinIR; numpy and torch must be installed. Not run by the tests.

The format is that of _official.write: `lr` is uint8, `sr` float32 NHWC in [0, 1] and not clipped. The input is
extended, and the output cut, as by the original test script.
"""

import sys

import _official

SMALL = dict(embed_dim=8, num_feat=4, window_size=4, mlp_ratio=2.0)
CASES = {  # model, size of the input, fields
    "pixelshuffle_x4": ("swinir/classical", (13, 6), dict(SMALL, scale=4, depths=(2, 1), num_heads=(2, 4))),
    "pixelshuffle_x3": ("swinir/classical", (8, 12), dict(SMALL, scale=3, depths=(2,), num_heads=(1,))),
    "direct_x2": ("swinir/light", (5, 9), dict(SMALL, scale=2, depths=(2,), num_heads=(2,))),
    "nearest_3conv_x4": ("swinir/real_large", (7, 10), dict(SMALL, scale=4, depths=(2,), num_heads=(2,))),
    "nearest_x2": ("swinir/real", (7, 4), dict(SMALL, scale=2, depths=(1,), num_heads=(2,))),
    "car": ("swinir/car", (15, 20), dict(SMALL, scale=1, depths=(2,), num_heads=(2,), window_size=7)),
}
OPTIONS = {  # what the models are called with in main_test_swinir.py
    "swinir/classical": dict(upsampler="pixelshuffle"),
    "swinir/light": dict(upsampler="pixelshuffledirect"),
    "swinir/real": dict(upsampler="nearest+conv"),
    "swinir/real_large": dict(upsampler="nearest+conv", resi_connection="3conv"),
    "swinir/car": dict(upsampler="", img_range=255.0),
}


def main(repository):
    module, file = _official.load(repository, "models/network_swinir.py", SMALL["num_feat"])

    def make(model, fields):
        # the buffers attn_mask are of no interest: the smallest img_size that shifts windows
        options = OPTIONS[model] | {key: value for key, value in fields.items() if key not in ("scale", "num_feat")}
        return module.SwinIR(upscale=fields["scale"], img_size=2 * fields["window_size"], **options), file

    def run(net, fields, lr):
        sr = net(_official.extend(lr, fields["window_size"], always=True))
        height, width = (side * fields["scale"] for side in lr.shape[2:])
        return {"sr": sr[:, :, :height, :width]}

    _official.write("swinir", CASES, make, run, num_feat="of the head, patched from 64")


if __name__ == "__main__":
    main(*sys.argv[1:])

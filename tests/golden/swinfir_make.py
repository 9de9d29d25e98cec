"""Writes swinfir.npz: small SwinFIRs of the original code with random weights, an input and what they make of it.

    python tests/golden/swinfir_make.py SWINFIR

The argument is a git clone of Zdafeng/SwinFIR; einops, numpy and torch must be installed. Not run by the tests.

The format is that of _official.write: `lr` is uint8, `sr` float32 NHWC in [0, 1] and not clipped. The input is
extended, and the output cut, as by the original test (swinfir/models/swinfir_model.py).
"""

import sys

import _official

SMALL = dict(embed_dim=8, window_size=4, mlp_ratio=2.0)
CASES = {  # model, size of the input, fields
    "x4": ("swinfir/base", (9, 6), dict(SMALL, scale=4, num_feat=4, depths=(2,), num_heads=(2,))),
    # one group, an odd width of the extended input as windows of 5 give it
    "direct_x2": ("swinfir/base", (8, 11), dict(SMALL, scale=2, depths=(2,), num_heads=(2,), window_size=5,
                                                upsampler="pixelshuffledirect", resi_connection="HSFB")),
}


def main(repository):
    utils, _ = _official.load(repository, "swinfir/archs/swinfir_utils.py")
    sys.modules["swinfir.archs.swinfir_utils"] = utils
    module, file = _official.load(repository, "swinfir/archs/swinfir_arch.py", num_feat=4)

    def make(model, fields):
        options = {key: value for key, value in fields.items() if key not in ("scale", "num_feat")}
        defaults = dict(upsampler="pixelshuffle", img_size=2 * fields["window_size"])  # the least that shifts windows
        return module.SwinFIR(upscale=fields["scale"], **defaults | options), file

    def run(net, fields, lr):
        sr = net(_official.extend(lr, fields["window_size"], always=True))
        height, width = (side * fields["scale"] for side in lr.shape[2:])
        return {"sr": sr[:, :, :height, :width]}

    _official.write("swinfir", CASES, make, run, num_feat="of the head, patched from 64")


if __name__ == "__main__":
    main(*sys.argv[1:])

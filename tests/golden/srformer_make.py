"""Writes srformer.npz: small SRFormers of the original code with random weights, inputs and what they make of them.

    python tests/golden/srformer_make.py SRFORMER

The argument is a git clone of HVision-NKU/SRFormer; numpy and torch must be installed. Not run by the tests. The format
is that of _official.write.
"""

import sys

import _official

CASES = {  # model, size of the input, fields
    "x2": ("srformer", (11, 17), dict(scale=2, embed_dim=8, depths=(2, 1), num_heads=(2, 2), window_size=6,
                                      num_feat=4)),
    "light_x1": ("srformer/light", (8, 8), dict(scale=1, embed_dim=8, depths=(2,), num_heads=(2,), window_size=4)),
}


def main(repository):
    module, file = _official.load(repository, "basicsr/archs/srformer_arch.py", num_feat=4, replace={
        "from .arch_util": "from basicsr.archs.arch_util"})

    def make(model, fields):
        known = dict(upsampler="pixelshuffledirect" if model == "srformer/light" else "pixelshuffle", mlp_ratio=2)
        return module.SRFormer(upscale=fields["scale"], img_size=2 * fields["window_size"], **known, **{
            key: value for key, value in fields.items() if key not in ("scale", "num_feat")}), file

    _official.write("srformer", CASES, make, lambda net, fields, lr: {"sr": net(lr)})


if __name__ == "__main__":
    main(*sys.argv[1:])

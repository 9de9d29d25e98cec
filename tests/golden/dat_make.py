"""Writes dat.npz: small DATs of the original code with random weights, inputs and what they make of them.

    python tests/golden/dat_make.py DAT

The argument is a git clone of zhengchen1999/DAT; numpy, torch and einops must be installed. Not run by the tests. The
format is that of _official.write.
"""

import sys

import _official

CASES = {  # model, size of the input, fields
    "x2": ("dat", (9, 6), dict(scale=2, embed_dim=32, depths=(2, 1), num_heads=(2, 2), split_size=(2, 4),
                               expansion_factor=1.0, num_feat=4)),
    "light_x3": ("dat/light", (8, 8), dict(scale=3, embed_dim=32, depths=(1,), num_heads=(4,), split_size=(4, 4))),
}


def main(repository):
    module, file = _official.load(repository, "basicsr/archs/dat_arch.py", num_feat=4)

    def make(model, fields):
        light = dict(expansion_factor=2.0, resi_connection="3conv", upsampler="pixelshuffledirect")
        fields = (light if model == "dat/light" else {}) | fields
        known = {key: list(value) if isinstance(value, tuple) else value for key, value in fields.items()}
        return module.DAT(upscale=known.pop("scale"), depth=known.pop("depths"), img_size=8, **known), file

    _official.write("dat", CASES, make, lambda net, fields, lr: {"sr": net(lr)})


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Writes rgt.npz: a small RGT of the original code with random weights, an input and what it makes of it.

    python tests/golden/rgt_make.py RGT

The argument is a git clone of zhengchen1999/RGT; numpy, torch and einops must be installed. Not run by the tests. The
format is that of _official.write.
"""

import sys

import _official

CASES = {  # model, size of the input, fields
    "x2": ("rgt", (18, 35), dict(scale=2, embed_dim=32, depths=(2, 1), num_heads=(2, 2), split_size=(2, 4),
                                 num_feat=4)),
}


def main(repository):
    module, file = _official.load(repository, "basicsr/archs/rgt_arch.py", num_feat=4)

    def make(model, fields):
        known = {key: list(value) if isinstance(value, tuple) else value for key, value in fields.items()}
        return module.RGT(upscale=known.pop("scale"), depth=known.pop("depths"), mlp_ratio=2, c_ratio=0.5,
                          **known), file

    _official.write("rgt", CASES, make, lambda net, fields, lr: {"sr": net(lr)})


if __name__ == "__main__":
    main(*sys.argv[1:])

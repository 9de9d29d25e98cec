"""Writes art.npz: small ARTs of the original code with random weights, an input and what they make of it.

    python tests/golden/art_make.py ART

The argument is a git clone of gladzhang/ART; numpy and torch must be installed. Not run by the tests. The format is
that of _official.write. Sizes are no multiples of windows and intervals; `tiny` is lower than a window.
"""

import sys

import _official

SMALL = dict(embed_dim=32, num_feat=4, window_size=4, mlp_ratio=0.5, depths=(2,), num_heads=(2,))
CASES = {  # model, size of the input, fields
    "x4": ("art/base", (5, 7), dict(SMALL, scale=4, interval=(3,))),
    "restore": ("art/base", (9, 6), dict(SMALL, scale=1, num_heads=(4,), interval=(6,), img_range=2.0)),
    "tiny": ("art/base", (3, 8), dict(SMALL, scale=1, embed_dim=16, interval=(2,))),
}


def main(repository):
    module, file = _official.load(repository, "basicsr/archs/art_arch.py", SMALL["num_feat"])

    def make(model, fields):
        options = {key: value for key, value in fields.items() if key not in ("scale", "num_feat")}
        upsampler = "" if fields["scale"] == 1 else "pixelshuffle"
        return module.ART(upscale=fields["scale"], upsampler=upsampler, **options), file

    _official.write("art", CASES, make, lambda net, fields, lr: {"sr": net(lr)},
                    num_feat="of the head, patched from 64")


if __name__ == "__main__":
    main(*sys.argv[1:])

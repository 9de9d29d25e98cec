"""Writes drct.npz: a small DRCT of the original code with random weights, an input and what it makes of it.

    python tests/golden/drct_make.py DRCT

The argument is a git clone of ming053l/DRCT; numpy and torch must be installed. Not run by the tests. The format is
that of _official.write.
"""

import sys

import _official

CASES = {  # model, size of the input, fields
    "x2": ("drct", (8, 12), dict(scale=2, embed_dim=8, num_heads=(4,), window_size=4, gc=6, num_feat=4)),
}


def main(repository):
    module, file = _official.load(repository, "drct/archs/DRCT_arch.py", num_feat=4)

    def make(model, fields):
        return module.DRCT(upscale=fields["scale"], embed_dim=fields["embed_dim"], depths=(6,), gc=fields["gc"],
                           num_heads=fields["num_heads"], window_size=fields["window_size"], img_size=8, mlp_ratio=2,
                           upsampler="pixelshuffle"), file

    _official.write("drct", CASES, make, lambda net, fields, lr: {"sr": net(lr)})


if __name__ == "__main__":
    main(*sys.argv[1:])

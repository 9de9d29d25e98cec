"""Writes drct.npz: a small DRCT of the original code with random weights, an input and what it makes of it.

    python tests/golden/drct_make.py DRCT

The argument is a git clone of ming053l/DRCT; numpy and torch must be installed. Not run by the tests. The format is
that of _official.write; images are extended as its inference.py does it.
"""

import sys

import _official

CASES = {  # model, size of the input, fields
    "x2": ("drct", (7, 8), dict(scale=2, embed_dim=8, num_heads=(4,), window_size=4, gc=6, num_feat=4)),
}


def main(repository):
    module, file = _official.load(repository, "drct/archs/DRCT_arch.py", num_feat=4)

    def make(model, fields):
        return module.DRCT(upscale=fields["scale"], embed_dim=fields["embed_dim"], depths=(6,), gc=fields["gc"],
                           num_heads=fields["num_heads"], window_size=fields["window_size"], img_size=8, mlp_ratio=2,
                           upsampler="pixelshuffle"), file

    def run(net, fields, lr):
        height, width = (fields["scale"] * side for side in lr.shape[2:])
        extended = _official.extend(lr, fields["window_size"], always=True)
        return {"sr": net(extended)[:, :, :height, :width]}

    _official.write("drct", CASES, make, run)


if __name__ == "__main__":
    main(*sys.argv[1:])

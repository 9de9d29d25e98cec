"""Writes span.npz: a small SPAN of the original code with random weights, an input and what it makes of it.

    python tests/golden/span_make.py SPAN

The argument is a git clone of hongyuanyu/SPAN; numpy and torch must be installed. Not run by the tests. The format is
that of _official.write; the fused convolutions in the state dict are those that the original code made of the branches.
"""

import sys

import _official

CASES = {  # model, size of the input, fields
    "x2": ("span/c48", (9, 7), dict(scale=2, num_feat=4)),
    "x4": ("span/c48", (5, 6), dict(scale=4, num_feat=3)),
}


def main(repository):
    module, file = _official.load(repository, "basicsr/archs/span_arch.py")

    def make(model, fields):
        return module.SPAN(3, 3, feature_channels=fields["num_feat"], upscale=fields["scale"]), file

    _official.write("span", CASES, make, lambda net, fields, lr: {"sr": net(lr)})


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Writes compact.npz: small Compacts of the original code with random weights, inputs and what they make of them.

    python tests/golden/compact_make.py REAL-ESRGAN

The argument is a git clone of xinntao/Real-ESRGAN; numpy and torch must be installed. Not run by the tests. The format
is that of _official.write.
"""

import sys

import _official

CASES = {  # model, size of the input, fields
    "x4": ("compact", (5, 6), dict(scale=4, num_feat=4, num_conv=2)),
    "x2_leaky": ("compact", (6, 5), dict(scale=2, num_feat=5, num_conv=3, act="leaky_relu")),
    "x1": ("compact/ultra", (5, 5), dict(scale=1, num_feat=4, num_conv=1)),
}


def main(repository):
    module, file = _official.load(repository, "realesrgan/archs/srvgg_arch.py")

    def make(model, fields):
        fields = {"act": "prelu"} | fields
        return module.SRVGGNetCompact(num_feat=fields["num_feat"], num_conv=fields["num_conv"],
                                      upscale=fields["scale"], act_type=fields["act"].replace("_", "")), file

    _official.write("compact", CASES, make, lambda net, fields, lr: {"sr": net(lr)})


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Writes span.npz: small SPANs of the original codes with random weights, inputs and what they make of them.

    python tests/golden/span_make.py SPAN NEOSR

The arguments are git clones of hongyuanyu/SPAN and neosr-project/neosr; numpy and torch must be installed. Not run by
the tests. The format is that of _official.write; the fused convolutions in the state dict are those that the original
code made of the branches.
"""

import sys

import _official

CASES = {  # model, size of the input, fields
    "x2": ("span/c48", (9, 7), dict(scale=2, num_feat=4)),
    "x4": ("span/c48", (5, 6), dict(scale=4, num_feat=3)),
    "plain_range_x1": ("span/plain_range", (5, 6), dict(scale=1, num_feat=3)),
}


def main(repository, neosr):
    module, file = _official.load(repository, "basicsr/archs/span_arch.py")
    theirs, neosr_file = _official.load(neosr, "neosr/archs/span_arch.py", replace={
        "from neosr.archs.arch_util import net_opt": "", "from neosr.utils.registry": "from basicsr.utils.registry",
        "upscale, training = net_opt()": "upscale = 1", "upscale, __ = net_opt()": "upscale = 1"})

    def make(model, fields):
        if model == "span/plain_range":
            return theirs.span(feature_channels=fields["num_feat"], upscale=fields["scale"]), neosr_file
        return module.SPAN(3, 3, feature_channels=fields["num_feat"], upscale=fields["scale"]), file

    _official.write("span", CASES, make, lambda net, fields, lr: {"sr": net(lr)})


if __name__ == "__main__":
    main(*sys.argv[1:])

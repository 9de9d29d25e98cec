"""Writes safmn.npz: small SAFMNs of the original code with random weights, an input and what they make of it.

    python tests/golden/safmn_make.py SAFMN

The argument is a git clone of sunny2109/SAFMN; einops, numpy, torch and torchvision must be installed. Not run by the
tests. The format is that of _official.write; the sizes are no multiples of what the networks pool by.
"""

import sys

import _official

CASES = {  # model, size of the input, fields
    "x4": ("safmn/base", (9, 13), dict(scale=4, num_feat=8, num_block=2, ffn_scale=1.5)),
    "x3": ("safmn/base", (8, 16), dict(scale=3, num_feat=12, num_block=1)),
    "light_pp": ("safmn/light_pp", (17, 11), dict(scale=4, num_feat=8, num_block=2)),
}


def main(repository):
    base, base_file = _official.load(repository, "basicsr/archs/safmn_arch.py")
    light, light_file = _official.load(repository, "AIS2024-RTSR/light_safmnpp_arch.py")

    def make(model, fields):
        cls, ffn_scale, file = {"safmn/base": (base.SAFMN, 2.0, base_file),
                                "safmn/light_pp": (light.SAFMN_VIS24, 1.5, light_file)}[model]
        return cls(fields["num_feat"], fields["num_block"], fields.get("ffn_scale", ffn_scale), fields["scale"]), file

    _official.write("safmn", CASES, make, lambda net, fields, lr: {"sr": net(lr)})


if __name__ == "__main__":
    main(*sys.argv[1:])

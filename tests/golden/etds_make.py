"""Writes etds.npz: small ETDSs of the original code with random weights, an input and what they make of it.

    python tests/golden/etds_make.py ETDS

The argument is a git clone of ECNUSR/ETDS; numpy and torch must be installed. Not run by the tests. The format is that
of _official.write; of the networks as trained, `sr` is as the code gives it in training, and `residual` is its second.
"""

import sys

import _official

CASES = {  # model, size of the input, fields
    "x2": ("etds/m4c32", (9, 7), dict(scale=2, num_feat=10, num_block=2, num_residual_feat=4)),
    "x3": ("etds/m5c16", (6, 8), dict(scale=3, num_feat=8, num_block=1)),
    "deployed_x3": ("etds/m5c16", (5, 9), dict(scale=3, num_feat=8, num_block=2, deploy=True)),
    "deployed_x4": ("etds/m5c16", (7, 5), dict(scale=4, num_feat=6, num_block=1, deploy=True)),
}


def main(repository):
    module, file = _official.load(repository, "core/archs/ir/ETDS/arch.py")

    def make(model, fields):
        cls = module.ETDSForInference if fields.get("deploy") else module.ETDS
        residual = fields.get("num_residual_feat", 3)
        return cls(3, 3, fields["scale"], fields["num_block"], fields["num_feat"], residual), file

    def run(net, fields, lr):
        return {"sr": net(lr)} if fields.get("deploy") else dict(zip(("sr", "residual"), net(lr), strict=True))

    _official.write("etds", CASES, make, run)


if __name__ == "__main__":
    main(*sys.argv[1:])

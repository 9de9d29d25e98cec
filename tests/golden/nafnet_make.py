"""Writes nafnet.npz: small NAFNets of the original code with random weights, an input and what they make of it.

    python tests/golden/nafnet_make.py NAFNET

The argument is a git clone of megvii-research/NAFNet; numpy and torch must be installed. Not run by the tests. The
format is that of _official.write; the sizes are no multiples of what the networks take. `sr` of the case "local" is
what NAFNetLocal makes, for training crops of TRAIN_SIZE px.
"""

import sys

import _official

TRAIN_SIZE = 8
CASES = {  # model, size of the input, fields
    "global": ("nafnet/width32", (9, 14), dict(scale=1, width=4, enc_blk_nums=(1, 1), middle_blk_num=1,
                                              dec_blk_nums=(2, 1))),
    "local": ("nafnet/width32", (18, 21), dict(scale=1, width=4, enc_blk_nums=(1,), middle_blk_num=1,
                                               dec_blk_nums=(0,))),
}


def load(repository):
    """The original's module, after the two of its own package that it imports."""
    for name in ("arch_util", "local_arch"):
        module, _ = _official.load(repository, f"basicsr/models/archs/{name}.py", replace={
            "from basicsr.utils import get_root_logger": ""})
        sys.modules[f"basicsr.models.archs.{name}"] = module
    return _official.load(repository, "basicsr/models/archs/NAFNet_arch.py")


def main(repository):
    module, file = load(repository)

    def make(model, fields):
        numbers = {key: value for key, value in fields.items() if key != "scale"}
        if fields is CASES["global"][-1]:
            return module.NAFNet(**numbers), file
        return module.NAFNetLocal(train_size=(1, 3, TRAIN_SIZE, TRAIN_SIZE), **numbers), file

    _official.write("nafnet", CASES, make, lambda net, fields, lr: {"sr": net(lr)}, train_size=TRAIN_SIZE)


if __name__ == "__main__":
    main(*sys.argv[1:])

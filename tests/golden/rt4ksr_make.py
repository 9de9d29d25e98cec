"""Writes rt4ksr.npz: small RT4KSRs of the original code with random weights, an input and what they make of it.

    python tests/golden/rt4ksr_make.py RT4KSR

The argument is a git clone of eduardzamfir/RT4KSR; numpy, torch and torchvision must be installed. Not run by the
tests. The format is that of _official.write.
"""

import sys
import types

import _official
import torch

SMALL = dict(num_feat=6, num_block=2)
CASES = {  # model, size of the input, fields
    "x2": ("rt4ksr/base", (10, 6), dict(SMALL, scale=2)),
    "x3": ("rt4ksr/base", (6, 8), dict(SMALL, scale=3, forget=True)),
    "deployed": ("rt4ksr/base", (8, 6), dict(SMALL, scale=2, forget=True, deploy=True)),
}


def main(repository):
    for name, file in {"utils.rep_utils": "utils/rep_utils", "modules": "modules"}.items():
        module, _ = _official.load(repository, f"code/model/{file}.py")
        sys.modules[f"model.{name}"] = module
        sys.modules.setdefault("model.utils", types.SimpleNamespace(rep_utils=module))
    module, file = _official.load(repository, "code/model/arch.py")

    def make(model, fields):
        net = module.RT4KSR_Rep(
            3, fields["num_feat"], fields["num_block"], fields["scale"], torch.nn.GELU(), eca_gamma=0, layernorm=True,
            residual=False, is_train=not fields.get("deploy", False), forget=fields.get("forget", False))
        return net, file

    _official.write("rt4ksr", CASES, make, lambda net, fields, lr: {"sr": net(lr)})


if __name__ == "__main__":
    main(*sys.argv[1:])

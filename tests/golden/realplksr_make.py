"""Writes realplksr.npz: small RealPLKSRs of the original codes with random weights, inputs and what they make of them.

    python tests/golden/realplksr_make.py NEOSR TRAINNER SPANDREL

The arguments are git clones of neosr-project/neosr, the-database/traiNNer-redux and chaiNNer-org/spandrel, whose
DySample the second takes; numpy and torch must be installed. Not run by the tests. The format is that of
_official.write.
"""

import sys
import types

import _official

CASES = {  # model, size of the input, fields
    "x2": ("realplksr", (6, 5), dict(scale=2, num_feat=8, num_block=1, kernel_size=5)),
    "dysample_x4": ("realplksr/dysample", (4, 5), dict(scale=4, num_feat=4, num_block=1, kernel_size=5,
                                                       attention=False)),
    "dysample_x3": ("realplksr/dysample", (4, 5), dict(scale=3, num_feat=4, num_block=1, kernel_size=3)),
}


DYSAMPLE = "spandrel.architectures.__arch_helpers.dysample"


def main(neosr, trainner, spandrel):
    sys.modules["neosr.archs.arch_util"] = types.SimpleNamespace(net_opt=lambda: (4, None), DySample=None)
    theirs, file = _official.load(neosr, "neosr/archs/realplksr_arch.py", replace={"neosr.utils": "basicsr.utils"})
    parts = DYSAMPLE.split(".")
    sys.modules |= {".".join(parts[:n]): types.ModuleType("") for n in range(1, len(parts))}
    sys.modules[DYSAMPLE], _ = _official.load(spandrel, f"libs/spandrel/{DYSAMPLE.replace('.', '/')}.py")
    redux, redux_file = _official.load(trainner, "traiNNer/archs/realplksr_arch.py", replace={
        "traiNNer.utils": "basicsr.utils"})

    def make(model, fields):
        known = dict(dim=fields["num_feat"], n_blocks=fields["num_block"], kernel_size=fields["kernel_size"],
                     upscaling_factor=fields["scale"], use_ea=fields.get("attention", True))
        if model == "realplksr":
            return theirs.realplksr(**known), file
        return redux.RealPLKSR(**known, upsampler="dysample"), redux_file

    _official.write("realplksr", CASES, make, lambda net, fields, lr: {"sr": net(lr)})


if __name__ == "__main__":
    main(*sys.argv[1:])

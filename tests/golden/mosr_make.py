"""Writes mosr.npz: small MoSRs of the original code with random weights, inputs and what they make of them.

    python tests/golden/mosr_make.py MOSR

The argument is a git clone of umzi2/MoSR; numpy and torch must be installed. Not run by the tests. The format is that
of _official.write.
"""

import sys
import types

import _official

CASES = {  # model, size of the input, fields
    "x2": ("mosr", (6, 5), dict(scale=2, num_feat=6, num_block=2, kernel_size=5)),
    "geoensemble_x1": ("mosr/geoensemble", (6, 5), dict(scale=1, num_feat=4, num_block=1, kernel_size=3,
                                                        conv_ratio=0.5)),
    "dysample_x3": ("mosr/dysample", (4, 5), dict(scale=3, num_feat=4, num_block=1, kernel_size=3)),
}
UPSAMPLERS = {"mosr": "ps", "mosr/geoensemble": "gps", "mosr/dysample": "dys"}


def main(repository):
    sys.modules["neosr.utils.options"] = types.SimpleNamespace(parse_options=None)
    util = types.ModuleType("neosr.archs.arch_util")
    vars(util).update(vars(_official.load(repository, "neosr/archs/arch_util.py", replace={
        "pin_memory=True": "pin_memory=False"})[0]), net_opt=lambda: (4, None))
    sys.modules["neosr.archs.arch_util"] = util
    module, file = _official.load(repository, "neosr/archs/mosr_arch.py", replace={"neosr.utils": "basicsr.utils"})

    def make(model, fields):
        return module.mosr(upscale=fields["scale"], n_block=fields["num_block"], dim=fields["num_feat"],
                           upsampler=UPSAMPLERS[model], kernel_size=fields["kernel_size"],
                           conv_ratio=fields.get("conv_ratio", 1.0)), file

    _official.write("mosr", CASES, make, lambda net, fields, lr: {"sr": net(lr)})


if __name__ == "__main__":
    main(*sys.argv[1:])

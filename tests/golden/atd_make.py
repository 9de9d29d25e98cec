"""Writes atd.npz: small ATDs of the original code with random weights, inputs and what they make of them.

    python tests/golden/atd_make.py ATD

The argument is a git clone of LabShuHangGU/Adaptive-Token-Dictionary; numpy and torch must be installed. Not run by the
tests. The format is that of _official.write.
"""

import sys
import types

import _official

CASES = {  # model, size of the input, fields
    "x2": ("atd", (7, 12), dict(scale=2, embed_dim=8, depths=(2, 1), num_heads=(2, 2), window_size=4, category_size=9,
                                num_tokens=6, reducted_dim=3, convffn_kernel_size=3, num_feat=4)),
    "light_x3": ("atd/light", (8, 8), dict(scale=3, embed_dim=8, depths=(2,), num_heads=(4,), window_size=4,
                                           category_size=8, num_tokens=4, reducted_dim=2, convffn_kernel_size=3)),
}


def main(repository):
    sys.modules["fairscale"] = types.ModuleType("fairscale")
    sys.modules["fairscale.nn"] = types.SimpleNamespace(checkpoint_wrapper=None)
    module, file = _official.load(repository, "basicsr/archs/atd_arch.py", num_feat=4, replace={
        "stable=False": "stable=True"})  # else equal ones come in an order that the processor decides

    def make(model, fields):
        light = dict(mlp_ratio=1, upsampler="pixelshuffledirect")
        fields = (light if model == "atd/light" else dict(mlp_ratio=2, upsampler="pixelshuffle")) | fields
        known = {key: value for key, value in fields.items() if key != "num_feat"}
        return module.ATD(upscale=known.pop("scale"), img_size=8, **known), file

    _official.write("atd", CASES, make, lambda net, fields, lr: {"sr": net(lr)})


if __name__ == "__main__":
    main(*sys.argv[1:])

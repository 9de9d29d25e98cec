"""Writes promptcir.npz: a small PromptCIR of the original code with random weights, an input and what it makes of it.

    python tests/golden/promptcir_make.py PromptCIR-NTIRE24

The argument is a git clone of lbc12345/PromptCIR-NTIRE24; einops, numpy and torch must be installed. Not run by the
tests. The format is that of _official.write. The input is extended by its flip, and the output cut, as by the original
test (test_model.py).
"""

import sys

import _official

CASES = {  # model, size of the input, fields
    "base": ("promptcir/base", (11, 16), dict(
        scale=1, dim=4, num_blocks=(2, 1, 1, 1), heads=(1, 2, 4, 2), num_refinement_blocks=1, ffn_factor=1.25,
        window_size=4, compress_ratio=2, squeeze_factor=2, conv_scale=0.3, num_task=2, num_basis=(4, 3, 2),
        prompt_dim=(4, 8, 12))),
}
SMALLER = {  # what the original has as constants
    "2.66": "1.25",
    "WS = 16": "WS = 4",
    "conv_scale=0.01": "conv_scale=0.3",
    "num_task=7, num_basis=64, embed_dim=64": "num_task=2, num_basis=4, embed_dim=4",
    "num_task=7, num_basis=32, embed_dim=128": "num_task=2, num_basis=3, embed_dim=8",
    "num_task=7, num_basis=16, embed_dim=320": "num_task=2, num_basis=2, embed_dim=12",
    "+64,": "+4,",
    " + 128,": "+8,",
    "+128,": "+8,",
    " + 320,": "+12,",
    "+320,": "+12,",
}


def main(repository):
    module, file = _official.load(repository, "model.py", replace=SMALLER)

    def make(model, fields):
        names = ("dim", "num_blocks", "heads", "num_refinement_blocks", "compress_ratio", "squeeze_factor")
        return module.MyModel(decoder=True, window_size=fields["window_size"],
                              **{name: fields[name] for name in names}), file

    def run(net, fields, lr):
        height, width = lr.shape[2:]
        sr = net(_official.extend(lr, 2 * fields["window_size"], always=True))
        return {"sr": sr[:, :, :height, :width]}

    _official.write("promptcir", CASES, make, run)


if __name__ == "__main__":
    main(*sys.argv[1:])

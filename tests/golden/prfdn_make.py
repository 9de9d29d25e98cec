"""Writes prfdn.npz: small PRFDNs of the original code with random weights, an input and what they make of it.

    python tests/golden/prfdn_make.py NTIRE23-RTSR

The argument is a git clone of yindaheng98/NTIRE23-RTSR; numpy and torch must be installed. Not run by the tests. The
format is that of _official.write: `lr` is uint8, `sr` float32 NHWC in [0, 1] and not clipped. The networks are as the
code makes them of branches, before they are pruned. They work on values of [0, 255].
"""

import sys

import _clone
import _official

CASES = {  # model, size of the input, fields
    "x2": ("prfdn/base", (23, 18), dict(scale=2, num_head_feat=16, num_feat=4, num_small_feat=12, num_block_feat=16)),
    "x3": ("prfdn/base", (17, 22), dict(scale=3, num_head_feat=8, num_feat=4, num_small_feat=4, num_block_feat=8)),
}


def main(repository):
    sys.path.insert(0, f"{repository}/demo/utils")  # what its modules import one another from

    def make(_, fields):
        name = {2: "RFDNB4S", 3: "RFDNB2S"}[fields["scale"]]
        module, file = _clone.load(repository, f"demo/utils/models/rfdn_half/{name}.py")
        branches = getattr(module, name)(nf=fields["num_feat"], upscale=fields["scale"])
        return getattr(module, f"{name}_P")(branches, nf=fields["num_feat"]), file

    _official.write("prfdn", CASES, make, lambda net, _, lr: {"sr": net(lr * 255) / 255})


if __name__ == "__main__":
    main(*sys.argv[1:])

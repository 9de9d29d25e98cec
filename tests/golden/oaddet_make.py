"""Writes oaddet.npz: a small OADDet and a small Deep-OADDet of the original code with random weights, and what they do.

    python tests/golden/oaddet_make.py AIM2020-Real-Super-Resolution

The argument is a git clone of HolmesShuan/AIM2020-Real-Super-Resolution; numpy, Pillow and torch must be installed. Not
run by the tests. The format is that of _official.write. The original's rounding of the enlarged image, which jsr leaves
out, is taken out of it.
"""

import sys
import types

import _official

SMALL = dict(num_feat=8, num_block=4, oriented_feat=(4, 2, 2), kernel_feat=(2, 3, 2))
CASES = {  # model, size of the input, fields
    "base": ("oaddet/base", (5, 7), dict(scale=2, shallow_feat=(2, 4, 2), unused=True, **SMALL)),
    "deep": ("oaddet/deep", (5, 7), dict(scale=2, unused=True, **SMALL)),
}
BLOCKS = {".cuda()": "", "torch.round(255*torch.sum(out,dim = 3).permute(0,1,3,2))/255":
          "torch.sum(out,dim = 3).permute(0,1,3,2)",
          "n_feats, 96, kernel_size=3": "n_feats, 4, kernel_size=3", "n_feats, 64,": "n_feats, 2,",
          "224": "8", "n_feats, 48,": "n_feats, 2,", "n_feats, 96, kernel_size=(1,5)": "n_feats, 4, kernel_size=(1,5)",
          "96*2": "8", "n_feats, 96, kernel_size=kernel_size": "n_feats, 4, kernel_size=kernel_size"}
HEADS = {"n_feats, 64, 25": "n_feats, 2, 25", "n_feats, 64, 49": "n_feats, 3, 49", "n_feats, 96, 49": "n_feats, 3, 49",
         "n_feats, 64, 9": "n_feats, 2, 9"}


def main(repository):
    blocks, _ = _official.load(repository, "src/model/common.py", replace=BLOCKS)
    sys.modules["model"] = types.SimpleNamespace(common=blocks)

    def make(model, fields):
        name = "wddet" if model == "oaddet/deep" else "dddet"
        module, file = _official.load(repository, f"src/model/{name}.py", replace=HEADS)
        return module.make_model(types.SimpleNamespace(
            n_resblocks=fields["num_block"], n_feats=fields["num_feat"], scale=[fields["scale"]], rgb_range=255,
            n_colors=3)), file

    def run(net, fields, lr):
        net.tail[2].weight.div_(128)  # for values near those of images
        return {"sr": net(lr.contiguous() * 255) / 255}

    _official.write("oaddet", CASES, make, run)


if __name__ == "__main__":
    main(*sys.argv[1:])

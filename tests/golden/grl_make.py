"""Writes grl.npz: small GRLs of the original code with random weights, an input and what they make of it.

    python tests/golden/grl_make.py GRL

The argument is a git clone of ofsoundof/GRL-Image-Restoration; numpy and torch must be installed. Not run by the tests.

The format is that of _official.write: `lr` is uint8, `sr` float32 NHWC in [0, 1] and not clipped. The original pads its
input itself.
"""

import sys
import types

import _official

SMALL = dict(embed_dim=8, num_feat=4, window_size=4, stripe_size=(4, 8), down_factor=2, num_heads_window=(2,),
             num_heads_stripe=(1,))
CASES = {  # model, size of the input, fields
    "car": ("grl/small", (9, 14), dict(SMALL, scale=1, embed_dim=20, depths=(4,), local_connection=True,
                                       img_range=2.0)),
    "shuffle_x2": ("grl/sr_tiny", (8, 15), dict(SMALL, scale=2, depths=(1, 1), num_heads_window=(1, 2),
                                                num_heads_stripe=(2, 1), upsampler="pixelshuffle")),
    "direct_x3": ("grl/sr_tiny", (7, 8), dict(SMALL, scale=3, depths=(1,), mlp_ratio=1.5)),
    "nearest_x4": ("grl/sr_tiny", (8, 5), dict(SMALL, scale=4, depths=(1,), upsampler="nearest+conv")),
}
RENAMED = {"scale": "upscale", "down_factor": "anchor_window_down_factor"}
UPSAMPLERS = {"grl/small": "", "grl/sr_tiny": "pixelshuffledirect"}
STAND_INS = {
    "omegaconf": dict(OmegaConf=types.SimpleNamespace(create=lambda table: types.SimpleNamespace(**table))),
    "fairscale": {}, "fairscale.nn": dict(checkpoint_wrapper=None),
}


def main(repository):
    sys.path.insert(0, repository)
    sys.modules |= {name: types.SimpleNamespace(**content) for name, content in STAND_INS.items()}
    module, file = _official.load(repository, "models/networks/grl.py",
                                  replace={"num_out_feats = 64": f"num_out_feats = {SMALL['num_feat']}"})

    def make(model, fields):
        options = dict(upsampler=UPSAMPLERS[model], mlp_ratio=2.0, stripe_shift=True, stripe_groups=[None, None])
        options |= {RENAMED.get(key, key): value for key, value in fields.items() if key != "num_feat"}
        # the buffers mask_* are of no interest: the smallest image
        return module.GRL(img_size=max(fields["stripe_size"]), **options), file

    def run(net, fields, lr):
        for name, parameter in net.named_parameters():
            if "cpb_mlp" in name:  # 32 of 512 hidden units suffice, and keep the file small
                parameter[(..., slice(32, None)) if "mlp.2" in name else slice(32, None)] = 0
        return {"sr": net(lr)}

    _official.write("grl", CASES, make, run, num_feat="of the head, patched from 64")


if __name__ == "__main__":
    main(*sys.argv[1:])

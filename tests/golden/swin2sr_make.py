"""Writes swin2sr.npz: small Swin2SRs of the original code with random weights, an input and what they make of it.

    python tests/golden/swin2sr_make.py SWIN2SR

The argument is a git clone of mv-lab/swin2sr; numpy and torch must be installed. Not run by the tests.

The format is that of _official.write: `lr` is uint8, the outputs are float32 NHWC in [0, 1] and not clipped. The input
is extended, and what is larger than it cut, as by the original test script.
"""

import sys

import _official

SMALL = dict(embed_dim=8, num_feat=4, window_size=4, mlp_ratio=2.0)
CASES = {  # model, size of the input, fields
    "aux_x4": ("swin2sr/compressed", (5, 6), dict(SMALL, scale=4, depths=(1,), num_heads=(2,))),
    "pixelshuffle_x2": ("swin2sr/classical", (8, 9), dict(SMALL, scale=2, depths=(1, 2), num_heads=(2, 1))),
    "direct_x3": ("swin2sr/light", (5, 9), dict(SMALL, scale=3, depths=(1,), num_heads=(2,))),
    "nearest_3conv_x4": ("swin2sr/real", (3, 5), dict(SMALL, scale=4, depths=(1,), num_heads=(2,),
                                                      resi_connection="3conv")),
    "car": ("swin2sr/car", (9, 13), dict(SMALL, scale=1, depths=(2,), num_heads=(2,), window_size=7)),
    "hf_x2": ("swin2sr/classical", (3, 5), dict(SMALL, scale=2, embed_dim=4, depths=(2,), num_heads=(1,),
                                                upsampler="pixelshuffle_hf")),
}
OPTIONS = {  # what the models are called with in main_test_swin2sr.py
    "swin2sr/compressed": dict(upsampler="pixelshuffle_aux"),
    "swin2sr/classical": dict(upsampler="pixelshuffle"),
    "swin2sr/light": dict(upsampler="pixelshuffledirect"),
    "swin2sr/real": dict(upsampler="nearest+conv"),
    "swin2sr/car": dict(upsampler="", img_range=255.0),
}
OUTPUTS = {  # in the order in which the original returns them; else one image
    "pixelshuffle_aux": ("sr", "lr_clean"),
    "pixelshuffle_hf": ("sr_base", "sr", "high_frequency"),
}


def main(repository):
    module, file = _official.load(repository, "models/network_swin2sr.py", SMALL["num_feat"])

    def make(model, fields):
        # the buffers attn_mask are of no interest: the smallest img_size that shifts windows
        options = OPTIONS[model] | {key: value for key, value in fields.items() if key not in ("scale", "num_feat")}
        return module.Swin2SR(upscale=fields["scale"], img_size=2 * fields["window_size"], **options), file

    def run(net, fields, lr):
        outputs = net(_official.extend(lr, fields["window_size"], always=True))
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        names = OUTPUTS.get(net.upsampler, ("sr",))
        height, width = (side * fields["scale"] for side in lr.shape[2:])
        return {name: image if name == "lr_clean" else image[:, :, :height, :width]
                for name, image in zip(names, outputs, strict=True)}

    _official.write("swin2sr", CASES, make, run, num_feat="of the head, patched from 64")


if __name__ == "__main__":
    main(*sys.argv[1:])

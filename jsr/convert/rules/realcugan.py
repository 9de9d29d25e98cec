"""State dicts of Real-CUGAN."""

import numpy as np

from jsr.convert.engine import Rules

PAIR = [("conv.0", "conv_0"), ("conv.2", "conv_2"), ("seblock.conv1", "se_conv1"), ("seblock.conv2", "se_conv2")]
NETS = {  # {U-net: (pairs of convolutions, its other convolutions, those that enlarge)}
    "unet1": (("conv1", "conv2"), ("conv1_down", "conv3"), ("conv2_up", "conv_bottom")),
    "unet2": (("conv1", "conv2", "conv3", "conv4"), ("conv1_down", "conv2_down", "conv5", "conv_bottom"),
              ("conv3_up", "conv4_up"))}


def official(model):
    """bilibili/ailab, Real-CUGAN/upcunet_v3.py; spandrel names the tensors alike. `pro` stands in files of that form.
    """
    rows = []
    for net, (pairs, convs, ups) in NETS.items():
        rows += [(f"{net}.{pair}.{theirs}", f"{net}/{pair}/{ours}", "conv") for pair in pairs
                 for theirs, ours in PAIR[:2 if pair == "conv1" else 4]]
        rows += [(f"{net}.{name}", f"{net}/{name}", layout)
                 for names, layout in ((convs, "conv"), (ups, "transposed_conv")) for name in names]
    rows += [("conv_final", "conv_final", "conv")] if model.scale == 4 else []
    return Rules(rows, constants={"pro": np.zeros(1, np.float32)} if model.pro else {}, ignore=["pro"])


SIBLINGS = ({"pro": False}, {"pro": True})  # where the file's `pro` is no tensor
FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"unet1.conv_bottom.weight", "unet2.conv4_up.weight", "unet1.conv2.seblock.conv1.weight"} <= {*state_dict}:
        return None
    num_feat, channels = state_dict["unet1.conv1.conv.0.weight"].shape[:2]
    scale = {4: 2, 5: 3}[state_dict["unet1.conv_bottom.weight"].shape[2]]
    pro = "pro" in state_dict
    return 4 if "conv_final.weight" in state_dict else scale, dict(num_feat=num_feat, channels=channels, pro=pro), (
        [] if pro else ["pro False"])

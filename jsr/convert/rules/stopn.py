"""State dicts of STOPN."""

from jsr.convert.engine import Rules
from jsr.convert.identify import count


def official(model):
    """claudiom4sir/AIM2022SuperResolutionOfCompressedVideos, class MFVQE_SR_Y."""
    unet = [("in_conv.0", "in_conv", "conv"), ("out_conv.0", "out_conv", "conv"),
            ("tr_conv.0", "tr_conv_0", "conv"), ("tr_conv.2", "tr_conv_1", "conv"),
            ("tr_conv.4", "tr_conv_2", "transposed_conv")]
    for level in range(1, model.num_level):
        unet += [(f"dn_conv{level}.0", f"dn_conv{level}_0", "conv"), (f"dn_conv{level}.2", f"dn_conv{level}_1", "conv"),
                 (f"up_conv{level}.0", f"up_conv{level}_0", "conv"),
                 (f"up_conv{level}.2", f"up_conv{level}_1", "transposed_conv")]
    return Rules(
        rows=[("ffnet.initial_conv.0", "initial_conv", "conv"),
              *((f"ffnet.{source}", f"offsets/{target}", layout) for source, target, layout in unet),
              ("ffnet.offset", "offset", "conv"), ("ffnet.mask", "mask", "conv"),
              ("ffnet.weights", "weights", "kernel"),
              ("qenet.in_conv.0", "conv_fuse", "conv"),
              *((f"qenet.hid_conv_{part}.{2 * index}", f"hid_conv_{part}_{index}", "conv")
                for part in (1, 2) for index in range(model.num_conv)),
              *((f"qenet.up{part}", f"up{part}", "transposed_conv") for part in (1, 2)),
              ("qenet.out_conv", "conv_last", "conv")])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"ffnet.weights", "qenet.up2.weight", "qenet.hid_conv_1.0.weight"} <= state_dict.keys():
        return None
    return 4, dict(num_feat=state_dict["ffnet.in_conv.0.weight"].shape[0],
                   num_level=count(state_dict, "ffnet.dn_conv"),
                   num_conv=-(-count(state_dict, "qenet.hid_conv_1.") // 2)), []

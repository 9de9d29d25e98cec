"""State dicts of RFDN."""

from jsr.convert.rules import imdn
from jsr.errors import UserError

BLOCK = [*((f"c{i + 1}_d", f"distil_{i}") for i in range(3)), *((f"c{i + 1}_r", f"conv_{i}") for i in range(3)),
         ("c4", "conv_last"), ("c5", "conv_fuse"), ("esa.conv1", "esa/conv1"), ("esa.conv_f", "esa/conv_f"),
         ("esa.conv_max", "esa/conv3_0"), ("esa.conv2", "esa/conv2"), ("esa.conv3", "esa/conv3_1"),
         ("esa.conv3_", "esa/conv3_2"), ("esa.conv4", "esa/conv4")]


def official(model):
    """njulj/RFDN.

    Raises:
      UserError: the network is another than RFDN.
    """
    if model.block != "rfdb":
        raise UserError("rfdn: FADN has no public code, so there are no names to convert from or to")
    return imdn.around("B", BLOCK, model.num_block)


SIBLINGS = ({"dilations": (1, 1, 1)}, {"dilations": (1, 2, 5)})  # NTIRE 2022's team 13: ofsoundof/NTIRE2022_ESR
FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"fea_conv.weight", "B1.c1_d.weight", "B1.esa.conv_max.weight", "upsampler.0.weight"} <= state_dict.keys():
        return None
    scale, fields = imdn.sizes(state_dict)
    return scale, fields | dict(block="rfdb", img_range=255.0), ["img_range 255", "dilations 1"]

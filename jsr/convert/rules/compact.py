"""State dicts of Compact (SRVGGNetCompact)."""

import math

from jsr.convert.engine import Rules
from jsr.convert.identify import count


def official(model):
    """xinntao/Real-ESRGAN, realesrgan/archs/srvgg_arch.py: convolutions and activations in turn."""
    return Rules(rows=[
        *((f"body.{2 * i}", f"conv_{i}", "conv") for i in range(model.num_conv + 1)),
        *((f"body.{2 * i + 1}.weight", f"act_{i}/slope", "tensor") for i in range(model.num_conv + 1)
          if model.act == "prelu"),
        (f"body.{2 * model.num_conv + 2}", "conv_last", "conv")])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    places = count(state_dict, "body.")
    convs = {f"body.{place}.{part}" for place in range(0, places, 2) for part in ("weight", "bias")}
    slopes = {f"body.{place}.weight" for place in range(1, places, 2)}
    if places < 5 or state_dict.keys() not in (convs, convs | slopes):
        return None
    num_feat, channels = state_dict["body.0.weight"].shape[:2]
    if channels > 4:  # a shuffled image, as of Repnet
        return None
    fields = dict(num_feat=num_feat, num_conv=(places - 3) // 2, channels=channels,
                  act="prelu" if slopes <= state_dict.keys() else "leaky_relu")
    return math.isqrt(state_dict[f"body.{places - 1}.weight"].shape[0] // channels), fields, (
        [] if slopes <= state_dict.keys() else ["act leaky_relu"])

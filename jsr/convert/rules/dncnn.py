"""State dicts of DnCNN and IRCNN."""

import numpy as np

from jsr.convert.engine import Rules
from jsr.convert.identify import count
from jsr.models.dncnn import IRCNN


def official(model):
    """cszn/KAIR, models/network_dncnn.py: convolutions, norms and activations in a row; spandrel names them alike."""
    step = 3 if model.norm else 2
    places = [0, *(2 + step * index for index in range(model.num_conv - 1))]
    norms = {place + 1: index for index, place in enumerate(places[:-1]) if model.norm and index}
    return Rules(
        rows=[*((f"model.{place}", f"conv_{index}", "conv") for index, place in enumerate(places)),
              *((f"model.{place}", f"norm_{index}", "norm") for place, index in norms.items())],
        constants={f"model.{place}.num_batches_tracked": np.zeros((), np.int64) for place in norms},
        ignore=["*.num_batches_tracked"])


SIBLINGS = ({"dilations": ()}, {"dilations": IRCNN})  # of seven convolutions
FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's, as one that takes a map of the noise."""
    places = count(state_dict, "model.")
    norm = "model.3.running_mean" in state_dict
    step = 3 if norm else 2
    convs = [0, *range(2, places, step)]
    expected = {f"model.{place}.{part}" for place in convs for part in ("weight", "bias")}
    expected |= {f"model.{place + 1}.{part}" for place in convs[1:-1] if norm
                 for part in ("weight", "bias", "running_mean", "running_var")}
    found = {key for key in state_dict if not key.endswith(".num_batches_tracked")}
    if len(convs) < 3 or convs[-1] != places - 1 or found != expected:
        return None
    num_feat, channels = state_dict["model.0.weight"].shape[:2]
    if state_dict[f"model.{places - 1}.weight"].shape[0] != channels or channels > 4:
        return None
    fields = dict(num_feat=num_feat, num_conv=len(convs), norm=norm, channels=channels)
    if len(convs) == len(IRCNN) and not norm:
        return 1, fields | dict(dilations=IRCNN), [f"dilations {', '.join(map(str, IRCNN))}"]
    return 1, fields, []

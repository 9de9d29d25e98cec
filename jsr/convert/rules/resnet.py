"""State dicts of ResNet."""

import numpy as np

from jsr.convert.engine import Rules
from jsr.convert.identify import count


def official(model):
    """pytorch/vision, torchvision.models.resnet18 and resnet34, whose blocks have two convolutions."""
    places = [(level + 1, index) for level, blocks in enumerate(model.num_block) for index in range(blocks)]
    shortened = [(level, index) for level, index in places if level > 1 and not index]
    norms = [("bn1", "bn1"),
             *((f"layer{level}.{index}.bn{half}", f"layer{level}_{index}/bn{half}")
               for level, index in places for half in (1, 2)),
             *((f"layer{level}.{index}.downsample.1", f"layer{level}_{index}/downsample_1")
               for level, index in shortened)]
    return Rules(
        rows=[("conv1", "conv1", "conv"), *((*names, "norm") for names in norms),
              *((f"layer{level}.{index}.conv{half}", f"layer{level}_{index}/conv{half}", "conv")
                for level, index in places for half in (1, 2)),
              *((f"layer{level}.{index}.downsample.0", f"layer{level}_{index}/downsample_0", "conv")
                for level, index in shortened), ("fc", "fc", "linear")],
        constants={f"{name}.num_batches_tracked": np.array(0) for name, _ in norms},
        ignore=("*.num_batches_tracked",))


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's, of the deeper ones with 1x1 convolutions."""
    known = {"conv1.weight", "bn1.running_mean", "layer1.0.conv2.weight", "fc.weight"} <= state_dict.keys()
    if not known or "layer1.0.conv3.weight" in state_dict or state_dict["layer1.0.conv1.weight"].shape[2:] != (3, 3):
        return None
    num_block = tuple(count(state_dict, f"layer{level}.") for level in range(1, count(state_dict, "layer")))
    num_class, _ = state_dict["fc.weight"].shape
    return 1, dict(num_block=num_block, num_feat=len(state_dict["conv1.weight"]), num_class=num_class), []

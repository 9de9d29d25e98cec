"""State dicts of AlexNet."""

from jsr.convert.engine import Rules
from jsr.models.alexnet import LAYERS


def official(model):
    """pytorch/vision, torchvision.models.alexnet; the classifier is left out."""
    del model
    return Rules(rows=[(f"features.{index}", f"features_{index}", "conv") for index, *_ in LAYERS],
                 ignore=("classifier.*",))


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    own = {key for key in state_dict if key.startswith("features.")}
    if own != {f"features.{index}.{leaf}" for index, *_ in LAYERS for leaf in ("weight", "bias")}:
        return None
    return 1, {"num_feat": len(state_dict["features.0.bias"])}, []

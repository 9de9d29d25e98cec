"""State dicts of VGG."""

from jsr.convert.engine import Rules
from jsr.models.vgg import VARIANTS, VGG


def official(model):
    """pytorch/vision, torchvision.models.vgg16 and vgg19 without BatchNorm; the classifier is left out."""
    return Rules(rows=[(f"features.{i}", f"features_{i}", "conv") for i in _convolutions(model)],
                 ignore=("classifier.*",))


def _convolutions(model):
    return [index for index, layer in enumerate(model.layers()) if isinstance(layer, int)]


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    own = {key for key in state_dict if key.startswith("features.")}
    for fields in VARIANTS.values():
        if own == {f"features.{i}.{leaf}" for i in _convolutions(VGG(**fields)) for leaf in ("weight", "bias")}:
            return 1, fields | dict(num_feat=len(state_dict["features.0.bias"])), ["img_range 1"]
    return None

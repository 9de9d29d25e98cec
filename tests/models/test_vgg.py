"""Layers of VGG and AlexNet that losses and scores tap, against a Sequential of PyTorch with torchvision's names."""

import jax
import numpy as np
import pytest

from jsr import convert, models
from jsr.convert.identify import identify


@pytest.mark.parametrize("stem, case, before_relu", [("vgg", "vgg16", "features_7"), ("vgg", "vgg19", "features_34"),
                                                     ("alexnet", "base", "")])
def test_its_layers_give_what_torchvisions_give(golden, run, stem, case, before_relu):
    case = golden(stem, case)
    taps = sorted(case.outputs.keys() - {"sr"})
    _, found = run(case.model, case.variables, case.lr, mutable=["intermediates"],
                   capture_intermediates=lambda module, _: module.name in taps)
    for tap in taps:
        value, expected = found["intermediates"][tap]["__call__"][0], case.outputs[tap]
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-6 * np.abs(expected).max(), err_msg=tap)
        assert (expected.min() < 0) == (tap == before_relu)


@pytest.mark.parametrize("stem, case", [("vgg", "vgg16"), ("vgg", "vgg19"), ("alexnet", "base")])
def test_its_state_dict_tells_what_it_is(golden, stem, case):
    """With the classifier that torchvision's files have."""
    state_dict = golden(stem, case).state_dict | {"classifier.0.weight": np.zeros((4, 2), np.float32)}
    found = identify(state_dict)
    assert (found.model, found.scale, found.fields) == (f"{stem}/{case}", 1, {"num_feat": 2})
    assert identify({key: value for key, value in state_dict.items() if key != "features.0.bias"}) is None


def test_a_state_dict_with_its_classifier_is_read(golden):
    case = golden("vgg", "vgg16")
    state_dict = case.state_dict | {"classifier.6.bias": np.zeros(2, np.float32)}
    variables = convert.to_jax(state_dict, case.rules, case.abstract)
    assert variables["params"].keys() == {f"features_{i}" for i in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)}


def test_it_is_given_images_in_0_to_1():
    """The mean of ImageNet is zero inside: without biases nothing comes out."""
    model = models.create("vgg", scale=1, num_feat=2)
    variables = jax.tree_util.tree_map_with_path(
        lambda path, leaf: np.full(leaf.shape, 0.0 if path[-1].key == "bias" else 0.1, leaf.dtype),
        models.abstract("vgg", scale=1, num_feat=2))
    image = np.broadcast_to(np.float32([0.485, 0.456, 0.406]), (1, 32, 32, 3))
    np.testing.assert_array_equal(jax.jit(model.apply)(variables, image), 0)

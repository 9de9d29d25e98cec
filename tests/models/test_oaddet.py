"""OADDet: its filters, and the parameters that its code makes no use of."""

import numpy as np
import pytest

from jsr import convert, models
from jsr.analysis import counts
from jsr.models.oaddet import filtered


def test_every_pixel_and_colour_has_a_filter_of_its_own():
    rng = np.random.default_rng(0)
    image, kernels = rng.normal(size=(1, 4, 5, 2)), rng.normal(size=(1, 4, 5, 9 * 2))
    padded, expected = np.pad(image, [(0, 0), (1, 1), (1, 1), (0, 0)]), np.zeros_like(image)
    for y, x, colour in np.ndindex(4, 5, 2):
        window = padded[0, y:y + 3, x:x + 3, colour]
        expected[0, y, x, colour] = (window.ravel() * kernels[0, y, x, colour::2]).sum()
    np.testing.assert_allclose(filtered(image, kernels, 3), expected, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("model_id, scale, published", [
    ("oaddet/base", 2, 16_484_511), ("vcbp", 2, 6_163_755), ("abpn", 4, 2_514_757)])
def test_the_published_counts_have_what_is_not_used(model_id, scale, published):
    assert counts.count_params(models.abstract(model_id, scale=scale, unused=True)) == published


def test_its_loader_gets_zeros_for_what_is_not_used():
    fields = dict(scale=2, num_feat=16, num_block=4, oriented_feat=(4, 2, 2), shallow_feat=(2, 4, 2))
    written = {}
    for unused in (False, True):
        model = models.create("oaddet", unused=unused, **fields)
        zeros = {"params": _zeros(models.abstract("oaddet", unused=unused, **fields)["params"])}
        written[unused] = convert.to_torch(zeros, convert.formats(model)["official"])
    assert {key: value.shape for key, value in written[False].items()} == {
        key: value.shape for key, value in written[True].items()}
    assert any(".mlp1." in key for key in written[False])


def _zeros(tree):
    return {key: _zeros(value) if isinstance(value, dict) else np.zeros(value.shape, np.float32)
            for key, value in tree.items()}

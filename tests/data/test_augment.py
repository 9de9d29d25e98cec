"""Augmentations: what they do to the values, alike for all images of a sample."""

import numpy as np

from jsr.data import augment


def test_intensity_is_scaled_alike_in_all_images_and_nothing_else():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, -1)
    seen = set()
    for seed in range(30):
        found = augment.scale_intensity({"hr": image, "lr": image[:4, :4], "name": "a"}, np.random.default_rng(seed))
        factor = {255: 1.0, 178: 0.7, 128: 0.5}[int(found["hr"].max())]  # 255 * 0.7 is 178.5 less a little in float32
        assert found["name"] == "a" and found["hr"].dtype == np.uint8
        assert np.abs(found["hr"] - image * factor).max() <= 0.501
        np.testing.assert_array_equal(found["lr"], found["hr"][:4, :4])
        seen.add(factor)
    assert seen == {1.0, 0.7, 0.5}

"""Resampling in bands gives what resampling the whole does, which is Pillow's."""

import numpy as np
from PIL import Image
import pytest

from jsr.inference.resample import resampled, resize


@pytest.mark.parametrize("before, after", [
    ((200, 300), (150, 225)), ((200, 300), (17, 31)), ((90, 120), (333, 400)), ((1, 1), (3, 2)), ((200, 7), (1, 1)),
    ((150, 200), (149, 199)), ((300, 2), (150, 2)),
])
def test_bands_give_what_the_whole_gives(photograph, before, after):
    image = photograph(*before).astype(np.float32)
    whole = resize(image, after)
    pillow = np.asarray(Image.fromarray(image.astype(np.uint8)).resize(after[::-1], Image.Resampling.BICUBIC))
    assert np.abs(np.clip(whole, 0, 255) - pillow).max() < 12 and np.abs(np.clip(whole, 0, 255) - pillow).mean() < 0.4
    for rows in (1, 7, 64, before[0]):
        bands = [image[top:top + rows].astype(np.uint8) for top in range(0, before[0], rows)]
        parts = list(resampled(bands, before, after, lambda part: part.astype(np.float32), lambda part: part))
        np.testing.assert_allclose(np.concatenate(parts), whole, atol=0.01)
        assert max(map(len, parts)) <= 64

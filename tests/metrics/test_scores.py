import json
import math

import numpy as np
import pytest

from jsr import metrics


def test_score_by_key(photograph):
    sr, hr = photograph(40, 50, 1), photograph(40, 50, 2)
    scores = metrics.score(sr, hr, ["psnr[rgb]", "ssim[y_601]"], crop_border=3)
    assert scores == {"psnr[rgb]": metrics.psnr(sr, hr, crop_border=3),
                      "ssim[y_601]": metrics.ssim(sr, hr, profile="y_601", crop_border=3)}


@pytest.mark.parametrize("key, message", [
    ("psnr", r"score key 'psnr' is not of the form metric\[profile\]"),
    ("pnsr[rgb]", r"no metric 'pnsr'; did you mean 'psnr'\?"),
    ("tcc[rgb]", r"tcc\[rgb\]: is a score of clips, not of one image"),
    ("psnr[rgbb]", r"profile 'rgbb' is unknown; did you mean 'rgb'\?"),
])
def test_unknown_keys(key, message):
    image = np.zeros((16, 16, 3), np.uint8)
    with pytest.raises(ValueError, match=message):
        metrics.score(image, image, [key])


def test_labels():
    assert [metrics.label(key) for key in ("psnr[rgb]", "psnr_b[y_601]", "tcc[rgb]")] == [
        "PSNR[rgb]", "PSNR-B[y_601]", "TCC[rgb]"]


def test_json_ready_writes_infinities_as_strings():
    ready = metrics.json_ready({"a": [math.inf, 1.5, {"b": -math.inf}], "c": (None, "x")})
    assert json.dumps(ready, allow_nan=False) == '{"a": ["inf", 1.5, {"b": "-inf"}], "c": [null, "x"]}'
    assert float(ready["a"][0]) == math.inf

"""Contact sheets of records."""

import json

import numpy as np
import pytest

from jsr.datasets import show
from jsr.errors import UserError
from jsr.images import png_bytes


def test_what_made_the_lr_image_is_text():
    step = {"fn": "jpeg", "quality": 31, "library": "libjpeg 9e", "decoded_by": "libjpeg-turbo 3"}
    made = json.dumps({"protocol": "ntire24", "seed": "0001", "steps": [step, step | {"fn": "webp"}]})
    assert show._readable(made) == ("ntire24, seed 0001: jpeg(quality=31) [libjpeg 9e > libjpeg-turbo 3], then "
                                    "webp(quality=31) [libjpeg 9e > libjpeg-turbo 3]")


@pytest.mark.parametrize("size", [(8, 8), (40, 700), (900, 30)])
def test_pairs_of_any_size(size, photograph):
    hr = photograph(size[0] * 2, size[1] * 2)
    record = {"name": "a", "hr": png_bytes(hr), "lr": png_bytes(hr[::2, ::2]), "degradation": ""}
    sheet = show.contact_sheet([record, record], 9)
    assert sheet.shape[1] == show.WIDTH and sheet.shape[0] % 2 == 0
    np.testing.assert_array_equal(*np.split(sheet, 2))


def test_damage(photograph):
    with pytest.raises(UserError, match=r"a \(hr\): not an image"):
        show.contact_sheet([{"name": "a", "hr": b"nothing"}], 1)

import numpy as np
import pytest

from jsr import degradations
from jsr.degradations import heic
from jsr.errors import UserError

pytest.importorskip("pillow_heif", reason="HEIC needs pillow-heif")


def test_a_picture_comes_back_nearer_the_better_the_quality(photograph):
    image = photograph(64, 81, 1)
    errors = []
    for quality, subsampling in ((20, "4:2:0"), (60, "4:2:0"), (95, "4:2:0"), (95, "4:4:4")):
        data = heic.encode(image, quality, subsampling=subsampling)
        assert data[4:8] == b"ftyp" and data == heic.encode(image, quality, subsampling=subsampling)
        found = heic.decode(data)
        assert found.shape == image.shape and found.dtype == np.uint8
        errors.append(np.square(found.astype(float) - image).mean())
    assert errors == sorted(errors, reverse=True) and errors[-1] < 10


def test_a_row_is_made_again_and_cut_as_the_whole(photograph):
    hr = photograph(64, 80, 2)
    made = degradations.degrade("photo_x2_heic", hr, seed=3)
    assert made.suffix == ".heic" and "x265" in made.record["steps"][-1]["library"]
    assert degradations.replay(made.record, hr).lr_bytes == made.lr_bytes
    lr, part, _ = degradations.degrade_part("photo_x2_heic", hr, (4, 20), (8, 40), seed=3)
    np.testing.assert_array_equal(lr, made.decode()[4:20, 8:40])
    np.testing.assert_array_equal(part, hr[8:40, 16:80])


@pytest.mark.parametrize("quality, subsampling", [(101, "4:2:0"), (50.5, "4:2:0"), (50, "4:1:1")])
def test_settings_that_it_has_not(quality, subsampling):
    with pytest.raises(ValueError, match="must be"):
        heic.encode(np.zeros((16, 16, 3), np.uint8), quality, subsampling=subsampling)


def test_damage_is_one_line(photograph):
    data = heic.encode(photograph(32, 32, 1), 50)
    with pytest.raises(UserError, match="HEIC: cannot be decoded"):
        heic.decode(data[:len(data) // 2])

"""What is made of photographs: smaller ones, tiles, without most of the flat ones."""

import numpy as np
import pytest

from jsr.datasets import cut
from jsr.errors import UserError


@pytest.mark.parametrize("shrink, tiles, size, number", [
    (1, 0, (97, 130), 1), (2, 0, (48, 65), 1), (2.5, 0, (39, 52), 1), (1, 32, None, 12), (2, 40, None, 1),
    (1, 200, (97, 130), 1),
])
def test_tiles_cover_the_smaller_image(photograph, shrink, tiles, size, number):
    form, image = cut.Cut(shrink, tiles), photograph(97, 130)
    found = dict(cut.tiles(image, "a/b.jpg", form))
    assert {name: tile.shape[:2] for name, tile in found.items()} == cut.sizes("a/b.jpg", 97, 130, form)
    assert len(found) == number
    if size:
        assert [tile.shape for tile in found.values()] == [(*size, 3)] and (tiles or list(found) == ["a/b.jpg"])
    else:
        assert min(min(tile.shape[:2]) for tile in found.values()) >= tiles
        assert sum(tile.shape[0] * tile.shape[1] for tile in found.values()) == np.prod(form.size(97, 130))


def test_an_image_is_made_smaller_without_a_shift_or_a_change_of_level():
    ramp = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, :, None], (40, 200, 3))
    (_, smaller), = cut.tiles(np.ascontiguousarray(ramp), "a", cut.Cut(2.5))
    np.testing.assert_allclose(smaller[8, 5:-5, 0], 2.5 * np.arange(80)[5:-5] + 0.75, atol=1)


def test_flat_tiles_are_left_out_but_for_some():
    rng = np.random.default_rng(0)
    image = np.full((320, 320, 3), 128, np.uint8)
    image[:32] = rng.integers(0, 256, (32, 320, 3))
    form = cut.Cut(1, 32, 3)
    kept = [name for name, _ in cut.tiles(image, "a.png", form)]
    assert kept[:10] == [f"a.png__00_{column:02d}" for column in range(10)]
    assert 4 <= len(kept[10:]) <= 20  # of 90; one in eight
    assert [name for name, _ in cut.tiles(image, "/elsewhere/a.png", form)] == [f"/elsewhere/{name}" for name in kept]
    assert len(cut.tiles(image, "a.png", cut.Cut(1, 32))) == 100


def test_detail_is_in_levels():
    stripes = np.zeros((16, 16, 3), np.uint8)
    stripes[:, ::2] = 10
    assert cut.detail(stripes) == pytest.approx(10)  # 20 across, 0 down
    assert cut.detail(np.zeros((1, 2, 3), np.uint8)) == 0


@pytest.mark.parametrize("values, message", [
    (dict(shrink=0.5), "shrink 0.5: give a number of 1 or more"), (dict(shrink="2"), "shrink '2': give a number"),
    (dict(shrink=float("inf")), "shrink inf"), (dict(tiles=-1), "tiles -1: give a whole number of 0"),
    (dict(tiles=3.5), "tiles 3.5: give a whole number"), (dict(tiles=True), "tiles True"),
    (dict(detail=float("nan")), "detail nan: give a number of 0"),
])
def test_values_that_cannot_be(values, message):
    with pytest.raises(UserError, match=message):
        cut.Cut(**values)

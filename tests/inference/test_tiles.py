"""Tiles: they cover an image, keep their distance from what they do not know, and come together again."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from jsr.inference.tiles import assemble, common_tile, spans, tiled_px

sizes = st.fixed_dictionaries({
    "side": st.integers(1, 400), "multiple": st.sampled_from([1, 4, 8]),
    "tile": st.integers(4, 20).map(lambda n: 8 * n), "overlap": st.integers(0, 60), "fade": st.booleans(),
}).filter(lambda s: s["side"] <= s["tile"] or s["tile"] - 2 * s["overlap"] >= s["multiple"])


def cut(size):
    return spans(size["side"], size["tile"], size["overlap"], multiple=size["multiple"], fade=size["fade"])


@given(size=sizes)
@settings(max_examples=500, deadline=None)
def test_what_is_shown_is_far_enough_from_the_ends_of_its_tile(size):
    found = cut(size)
    for span in found:
        assert 0 <= span.start <= span.low < span.high <= span.stop <= size["side"]
        assert span.start % size["multiple"] == 0
        # where it counts for half and more, that is, up to the middle of a fade
        assert span.start == 0 or span.low + span.fade_in - span.start >= size["overlap"]
        assert span.stop == size["side"] or span.stop - (span.high - span.fade_out) >= size["overlap"]
    lengths = {span.stop - span.start for span in found}
    assert len(found) == 1 or lengths <= set(range(size["tile"] - size["multiple"] + 1, size["tile"] + 1))
    assert len(found) == 1 or {span.stop - span.start for span in found[:-1]} == {size["tile"]}


@given(size=sizes, scale=st.sampled_from([1, 2, 3]))
@settings(max_examples=300, deadline=None)
def test_the_weights_of_every_pixel_add_up_to_one(size, scale):
    total = np.zeros(size["side"] * scale)
    for span in cut(size):
        total[span.low * scale:span.high * scale] += span.weights(scale)
        assert span.weights(scale).dtype == np.float32 and (span.weights(scale) > 0).all()
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_no_more_tiles_than_needed():
    assert len(spans(1000, 256, 0)) == 4
    assert len(spans(1000, 256, 3)) == 4
    assert len(spans(1000, 256, 32)) == 5
    assert [span.start for span in spans(100, 64, 0, multiple=8)] == [0, 40]


def test_a_tile_without_room_is_refused():
    with pytest.raises(ValueError, match="a tile of 64 px has no room for overlaps of 32 px"):
        spans(100, 64, 32)


@pytest.mark.parametrize("fade", [False, True])
@pytest.mark.parametrize("height, width", [(50, 70), (33, 200), (200, 16)])
def test_assembled_tiles_are_the_image(height, width, fade):
    image = np.random.default_rng(0).random((height, width, 3), np.float32)
    asked = []

    def rows(start, stop):
        asked.append(start)
        return image[start:stop]

    bands = list(assemble(rows, lambda tile, *spans: tile.repeat(2, 0).repeat(2, 1), lambda sr: sr * 10,
                          *(spans(side, 32, 7, fade=fade) for side in (height, width)), scale=2))
    np.testing.assert_allclose(np.concatenate(bands), 10 * image.repeat(2, 0).repeat(2, 1), rtol=1e-6)
    assert asked == sorted(asked) and len(bands) == len(asked)


def test_fading_leaves_no_step_between_tiles_that_differ():
    tiles = iter(range(100))
    row, columns = spans(16, 32, 4), spans(200, 32, 8, fade=True)
    (band,) = assemble(lambda start, stop: np.zeros((stop - start, 200, 1)),
                       lambda tile, *spans: np.full((16, tile.shape[1], 1), next(tiles), np.float32),
                       lambda sr: sr, row, columns, scale=1)
    assert np.abs(np.diff(band[0, :, 0])).max() <= 1 / 8 + 1e-6
    cut = spans(200, 32, 8)
    tiles = iter(range(100))
    (band,) = assemble(lambda start, stop: np.zeros((stop - start, 200, 1)),
                       lambda tile, *spans: np.full((16, tile.shape[1], 1), next(tiles), np.float32),
                       lambda sr: sr, row, cut, scale=1)
    assert np.abs(np.diff(band[0, :, 0])).max() == 1


@given(size=sizes, other=st.integers(1, 400))
@settings(max_examples=200, deadline=None)
def test_pixels_of_tiles_are_counted_without_cutting(size, other):
    tile, overlap, multiple = size["tile"], size["overlap"], size["multiple"]
    if min(size["side"], other) < tile:
        assert tiled_px((size["side"], other), tile, overlap, multiple) == float("inf")
    else:
        counts = [len(spans(side, tile, overlap, multiple=multiple)) for side in (size["side"], other)]
        assert tiled_px((size["side"], other), tile, overlap, multiple) == tile**2 * counts[0] * counts[1]


def test_images_of_many_sizes_share_tiles_where_programs_are_dearer():
    set5 = ((512, 512), (288, 288), (256, 256), (280, 280), (344, 228))
    pixels = sum(height * width for height, width in set5)
    tile = common_tile(set5, range(64, 257), 7, program=116_000)
    work = sum(tiled_px(size, tile, 7) for size in set5)
    assert all(work <= sum(tiled_px(size, other, 7) for size in set5) for other in range(64, 257))
    assert 116_000 + work < 5 * 116_000 + pixels  # one program and the overlaps; five programs
    assert common_tile(set5, range(64, 257), 7, program=10_000) is None  # as of a large network
    assert common_tile((set5[0],), range(64, 257), 7, program=116_000) is None
    assert common_tile(set5, range(0), 7, program=116_000) is None

"""Times that files muddle, times of decoding, and cuts between scenes."""

from fractions import Fraction

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

from jsr import clips
from jsr.clips import clock, cuts

_TICK, _RATE = Fraction(1, 1000), Fraction(25)


@pytest.mark.parametrize("says, times, said", [
    ([0, 40, 80], [0, 40, 80], ""),
    ([None, None, None], [0, 40, 80], "3 frames had no time"),
    ([100, None, 180], [100, 140, 180], "1 frame had no time"),
    ([0, 40, 40, 120], [0, 40, 41, 120], "1 time repeated"),
    ([0, 40, 30, 80], [0, 40, 41, 80], "1 time repeated or ran backwards"),
    ([9000, 9040, 0, 40], [9000, 9040, 9080, 9120], "jumps back by 9.04 s at frame 2"),
])
def test_a_muddled_clock(says, times, said):
    mended = clock.Clock(_TICK, _RATE)
    assert [mended(time) for time in says] == times
    assert said in " ".join(mended.notes) and bool(said) == bool(mended.notes)


@hypothesis.given(strategies.lists(strategies.integers(0, 10_000), min_size=1, max_size=30, unique=True))
def test_times_of_decoding_grow_and_come_before_those_of_showing(times):
    decoded = clock.decode_times(times)
    assert all(before < after for before, after in zip(decoded, decoded[1:], strict=False))
    assert all(early <= late for early, late in zip(decoded, times, strict=True))
    if times == sorted(times):
        assert decoded == times


@pytest.mark.parametrize("text, found", [
    ("90", 90), ("1:30", 90), ("0:01:30.5", Fraction(181, 2)), ("0.04", 40 * _TICK)])
def test_seconds(text, found):
    assert clips.seconds(text) == found


@pytest.mark.parametrize("text", ["", ":30", "1:2:3:4", "a", "-3", "1.2.3"])
def test_no_seconds(text):
    with pytest.raises(ValueError):
        clips.seconds(text)


def test_cuts(odd_clips):
    """Cuts are found, and neither movement nor a fade, nor noise."""
    rng = np.random.default_rng(0)
    first = [odd_clips.picture(index) / 255 for index in range(6)]
    second = [0.4 * image[::-1] for image in first]
    fade = [first[5] * (1 - share) + second[0] * share for share in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)]
    scene = [*first, *second, *second[::-1], *(image + rng.normal(0, 0.05, image.shape) for image in second[:1])]
    is_cut = cuts.Cuts()
    assert [index for index, image in enumerate(scene) if is_cut(image)] == [0, 6]
    is_cut = cuts.Cuts()
    assert [index for index, image in enumerate([*first, *fade, *second]) if is_cut(image)] == [0]

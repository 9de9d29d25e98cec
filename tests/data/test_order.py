"""The turns that rows of a mix take."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from jsr.data.order import LONGEST, Order, turns


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=9))
def test_every_beginning_has_each_share_rounded_down_or_up(weights):
    rows, counts = turns(weights)
    assert np.bincount(rows, minlength=len(weights)).tolist() == counts
    number = np.arange(1, len(rows) + 1)
    for row, weight in enumerate(weights):
        assert (np.abs(np.cumsum(rows == row) * sum(weights) - number * weight) < sum(weights)).all()


@pytest.mark.parametrize("weights, counts", [
    ([0.25, 0.75], [1, 3]), ([0.3, 0.3, 0.6], [1, 1, 2]), ([800, 2650], [16, 53]), ([7], [1]), ([2 / 3, 1 / 3], [2, 1]),
])
def test_cycles_are_as_short_as_the_shares_allow(weights, counts):
    assert turns(weights)[1] == counts


def test_long_cycles_meet_the_shares_to_a_millionth(monkeypatch):
    monkeypatch.setattr("jsr.data.order.LONGEST", 1000)
    rows, counts = turns([999_983, 10_007, 3])
    assert counts == [990, 10, 1] and len(rows) == 1001
    assert LONGEST >= 1_000_000


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 6), st.integers(1, 6)), min_size=1, max_size=4),
       st.integers(1, 5))
def test_rows_take_part_in_their_steps_alone_and_miss_none_of_their_samples(rows, batch):
    order = Order([1, *(weight for weight, _, _ in rows)],
                  [None, *((first, first + length) for _, first, length in rows)], batch)
    drawn = [order[index] for index in range(15 * batch)]
    for number in range(1 + len(rows)):
        positions = [position for row, position in drawn if row == number]
        assert positions == list(range(len(positions)))
    for number, (_, first, length) in enumerate(rows, 1):
        assert all(first <= index // batch < first + length for index, (row, _) in enumerate(drawn) if row == number)


def test_a_sample_is_found_without_those_before_it():
    order = Order([3, 1], [None, (2, 5)], 4)
    assert [order[index] for index in (7, 8, 9, 10, 19, 20)] == [(0, 7), (0, 8), (1, 0), (0, 9), (0, 16), (0, 17)]
    assert order[20 + 10**12] == (0, 17 + 10**12) and len(order) > 10**15

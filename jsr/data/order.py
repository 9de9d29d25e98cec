"""The order of a mix: a pure function from a sample's number in a stage to its source."""

import bisect
from fractions import Fraction
import math
import sys

import grain
import numpy as np

LONGEST = 1 << 20  # samples in a cycle of turns; shares that need a longer one are met to a millionth


def turns(weights):
    """A schedule of turns that repeats: in any n turns each row gets n times its share, rounded down or up.

    Of the rows that are not ahead of their share, the one whose turn must come soonest is next. (This is the earliest
    deadline first of real-time scheduling, which meets all such deadlines.)

    Args:
      weights: one a row, above 0; their ratios are the shares.

    Returns:
      (rows, counts): int array (cycle,) of row numbers, and how many turns each row has in it.
    """
    weights = [Fraction(weight).limit_denominator(LONGEST) for weight in weights]
    common = math.lcm(*(weight.denominator for weight in weights))
    counts = [int(weight * common) for weight in weights]
    counts = [count // math.gcd(*counts) for count in counts]
    cycle = sum(counts)
    if cycle > LONGEST:
        counts = [max(1, round(count * LONGEST / cycle)) for count in counts]
        cycle = sum(counts)
    rows, given = np.empty(cycle, np.int32), [0] * len(counts)
    for turn in range(cycle):
        row = min((row for row, count in enumerate(counts) if given[row] * cycle <= turn * count),
                  key=lambda row: -(-(given[row] + 1) * cycle // counts[row]))
        rows[turn] = row
        given[row] += 1
    return rows, counts


class Order(grain.transforms.DatasetSelectionMap):
    """Sample of a stage to (row, which of the row's own samples).

    A row's samples follow each other without a gap, whatever begins or ends beside it.

    Args:
      weights: one a row, see `turns`.
      spans: one a row, the (first, last) step of the stage in which it takes part, without the last; None is always.
      batch: samples a step.
    """

    def __init__(self, weights, spans, batch):
        spans = [span or (0, math.inf) for span in spans]
        steps = sorted({step for span in spans for step in span if 0 < step < math.inf})
        self._firsts = [0, *(step * batch for step in steps)]
        self._phases, before = [], np.zeros(len(weights), int)
        for first, step, end in zip(self._firsts, [0, *steps], [*self._firsts[1:], None], strict=True):
            phase = _Phase([weight if begin <= step < stop else 0
                            for weight, (begin, stop) in zip(weights, spans, strict=True)])
            self._phases.append((phase, before))
            if end is not None:
                before = before + phase.given(end - first)

    def __len__(self):
        return sys.maxsize

    def __getitem__(self, index):
        number = bisect.bisect_right(self._firsts, index) - 1
        phase, before = self._phases[number]
        row, position = phase.turn(index - self._firsts[number])
        return row, int(before[row]) + position


class _Phase:
    """The turns between two steps at which a row begins or ends; those of weight 0 take none."""

    def __init__(self, weights):
        active = [row for row, weight in enumerate(weights) if weight]
        rows, _ = turns([weights[row] for row in active]) if active else (np.zeros(0, np.int32), [])
        self._rows = np.array(active, np.int32)[rows]
        self._counts = np.bincount(self._rows, minlength=len(weights))
        self._before = np.zeros(len(self._rows), np.int32)  # turns that the row of a turn has had in the cycle
        for row in active:
            own = self._rows == row
            self._before[own] = np.arange(own.sum())

    def given(self, samples):
        """The number of each row's samples among the first ones."""
        if not len(self._rows):
            return 0
        cycles, rest = divmod(samples, len(self._rows))
        return cycles * self._counts + np.bincount(self._rows[:rest], minlength=len(self._counts))

    def turn(self, index):
        cycle, place = divmod(index, len(self._rows))
        row = int(self._rows[place])
        return row, int(cycle * self._counts[row] + self._before[place])

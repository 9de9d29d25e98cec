"""The two strategies of a search, on an objective whose best candidate is known."""

import itertools
import math

import pytest

from jsr.training import search

SPACE = {"num_feat": [16, 24, 32, 48, 64, 96, 128, 160], "num_block": [4, 8, 12, 16, 20, 24, 28, 32],
         "num_stage": [1, 2, 3, 4]}
FOUND = [{"fields": dict(zip(SPACE, values, strict=True)), "params": 0, "gmacs": float(math.prod(values))}
         for values in itertools.product(*SPACE.values())]
PLANTED = {"num_feat": 96, "num_block": 20, "num_stage": 3}


class Objective:
    """A PSNR with one top, at `PLANTED`, of a hill that is steeper along some fields; it counts what it is asked for.

    As in a search's folder, what has been asked is known; a kill comes in place of trial number `killed_at`.
    """

    def __init__(self, killed_at=None):
        self.known, self.killed_at = {}, killed_at

    def __call__(self, candidate, steps):
        key = (*candidate["fields"].values(), steps)
        if key not in self.known:
            if len(self.known) == self.killed_at:
                raise KeyboardInterrupt
            off = [(values.index(candidate["fields"][field]) - values.index(PLANTED[field])) / len(values)
                   for field, values in SPACE.items()]
            ripple = 0.005 * math.sin(7 * sum(key))  # what another seed of the training would change
            self.known[key] = {"score": 31 - 4 * off[0]**2 - 2 * off[1]**2 - off[2]**2 + ripple - 50 / steps,
                               "codecs": ""}
        return self.known[key]


def explore(objective, **options):
    pytest.importorskip("sklearn", reason="the extra [search]")
    return search.explore(FOUND, objective, **{"steps": 1000, "trials": 20} | options)


def halve(objective, **options):
    return search.halve(FOUND, objective, steps=1000, **options)


@pytest.mark.parametrize("strategy, trials", [(explore, 20), (halve, 512)])
def test_a_planted_optimum_is_found(strategy, trials):
    """Of 256 candidates: by a Gaussian process in 20 trainings, by halving in 512, half of them of the first round."""
    objective = Objective()
    rows = strategy(objective)
    assert rows[0]["fields"] == PLANTED and len(objective.known) <= trials
    assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)


@pytest.mark.parametrize("seed", (1, pytest.param(2, marks=pytest.mark.slow)))
def test_the_process_finds_it_from_other_first_trials(seed):
    assert explore(Objective(), seed=seed)[0]["fields"] == PLANTED


@pytest.mark.parametrize("strategy", [explore, halve])
def test_a_search_that_was_killed_goes_on_with_the_same_trials(strategy):
    whole, killed = Objective(), Objective(killed_at=14)
    expected = strategy(whole)
    with pytest.raises(KeyboardInterrupt):
        strategy(killed)
    killed.killed_at = None
    assert strategy(killed) == expected and list(killed.known) == list(whole.known)


def test_candidates_of_one_kind_and_words_are_searched_too():
    words = [{"fields": {"act": act, "num_feat": 8}, "params": 0, "gmacs": 1.0} for act in ("relu", "gelu", "silu")]
    pytest.importorskip("sklearn", reason="the extra [search]")
    for found in (words, words[:1]):
        rows = search.explore(found, lambda its, steps: {"score": float(its["fields"]["act"] == "gelu")}, steps=1,
                              trials=9)
        assert len(rows) == len(found) and rows[0]["score"] == (len(found) > 1)

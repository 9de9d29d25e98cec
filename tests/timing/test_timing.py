"""Order of the timed calls, and the figures made of them."""

import json
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr.timing import timing


@pytest.mark.parametrize("long_s, calls_a_turn", [(10.0, 2), (0.0, 1)])
def test_calls_take_turns_and_short_ones_run_up(monkeypatch, long_s, calls_a_turn):
    monkeypatch.setattr(timing, "LONG_S", long_s)
    order = []
    found = timing.interleaved({name: lambda name=name: order.append(name) for name in "abc"}, 4)
    assert order[:6] == list("aabbcc")
    turns = order[6::calls_a_turn]
    assert "".join(turns) == "abc" "bca" "cab" "abc" and len(order) == 6 + 12 * calls_a_turn
    assert list(found) == ["a", "b", "c"]
    assert all(seconds.shape == (4,) and (seconds >= 0).all() for seconds in found.values())


@pytest.mark.parametrize("warm_up, max_seconds, rounds, calls", [
    (2, 1e9, 6, 2 + 2 * 6), (5, 1e9, 6, 5 + 2 * 6), (5, 0.0, timing.LEAST_ROUNDS, 2 + 2 * timing.LEAST_ROUNDS)])
def test_warm_up_and_rounds_end_with_the_time(warm_up, max_seconds, rounds, calls):
    made = []
    found = timing.interleaved({"a": lambda: made.append(1)}, 6, warm_up=warm_up, max_seconds=max_seconds)
    assert (len(found["a"]), len(made)) == (rounds, calls)


def test_rounds_are_as_many_as_the_time_allows():
    found = timing.interleaved({"a": lambda: time.sleep(0.01)}, 100, max_seconds=0.2)
    assert 3 <= len(found["a"]) <= 10  # each with a call before it


def test_seconds_are_those_of_the_call():
    assert timing.seconds_of(lambda: time.sleep(0.02)) >= 0.02


def test_spread():
    assert timing.spread(np.arange(11) / 1000 + 1) == pytest.approx(
        {"rounds": 11, "best_ms": 1000, "median_ms": 1005, "p10_ms": 1001, "p90_ms": 1009, "p99_ms": 1009.9})


def test_memory_counts_donated_arguments_once():
    values = jnp.zeros((16, 16))
    plain, donating = (timing.memory(jax.jit(lambda x: x + 1, donate_argnums=donate).lower(values).compile())
                       for donate in ((), (0,)))
    assert plain["arguments_bytes"] == plain["output_bytes"] == 1024
    assert plain["peak_bytes"] == 2048 + plain["temporary_bytes"]
    assert donating["peak_bytes"] == 1024 + donating["temporary_bytes"]


def test_a_head_is_json_and_names_command_and_machine():
    found = json.loads(json.dumps(timing.head(["jsr", "benchmark", "blocks", "a b"], "blocks")))
    assert list(found) == ["format", "command", "date", "machine", "versions", "what"]
    assert found["command"] == "jsr benchmark blocks 'a b'" and found["what"] == "blocks"
    assert found["machine"].keys() == {"platform", "cpu", "cores", "load_average", "devices"}
    assert found["machine"]["cores"] >= 1 and found["machine"]["cpu"]
    assert found["machine"]["devices"][0].startswith("cpu")
    assert found["versions"]["jax"] == jax.__version__ and "torch" in found["versions"]
    assert found["date"].endswith("+00:00")

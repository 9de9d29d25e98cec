"""What a run says of itself: norms by hand, and a clock that gives every second to one part."""

import time

import jax.numpy as jnp
import numpy as np
import pytest

from jsr.training import insight


def test_norms_by_hand():
    old = {"head": {"kernel": jnp.float32([3.0, 4.0])}, "tail": {"bias": jnp.float32([0.0, 0.0, 12.0])}}
    new = {"head": {"kernel": jnp.float32([3.0, 4.5])}, "tail": {"bias": jnp.float32([0.0, 0.0, 12.0])}}
    grads = {"head": {"kernel": jnp.float32([0.0, 2.0])}, "tail": {"bias": jnp.float32([1.0, 0.0, 2.0])}}
    average = {"head": {"kernel": jnp.float32([3.0, 4.5])}, "tail": {"bias": jnp.float32([0.0, 0.0, 6.0])}}
    found = insight.statistics({"sr": grads}, {"sr": old}, {"sr": {"variables": {"params": new}, "ema": average}})
    expected = {"grad_norm/sr": 3.0, "update_ratio/sr": 0.5 / 13, "ema_distance/sr": 6 / np.sqrt(9 + 4.5**2 + 144),
                "grad_norm/sr/head": 2.0, "update_ratio/sr/head": 0.1, "grad_norm/sr/tail": 5**0.5,
                "update_ratio/sr/tail": 0.0}
    assert {name: pytest.approx(float(value), rel=1e-6) for name, value in found.items()} == expected


def test_only_the_largest_submodules_have_norms_of_their_own():
    params = {f"body_{number}": {"kernel": jnp.ones(number + 1)} for number in range(8)}
    found = insight.statistics({"sr": params}, {"sr": params}, {"sr": {"variables": {"params": params}}})
    parts = [name for name in found if name.startswith("grad_norm/sr/")]
    assert parts == [f"grad_norm/sr/body_{number}" for number in range(4, 8)]
    alone = {"gain": jnp.float32(1)}
    assert set(insight.statistics({"a": alone}, {"a": alone}, {"a": {"variables": {"params": alone}}})) == {
        "grad_norm/a", "update_ratio/a"}


def test_every_second_goes_to_one_part(monkeypatch):
    now = iter(range(0, 1000))
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    clock = insight.Clock()
    assert list(clock.waiting(iter("ab"))) == ["a", "b"]  # two items, and the end: three waits
    with clock.part("validation"), clock.part("picture"):
        pass
    with pytest.raises(KeyError), clock.part("checkpoint"):
        raise KeyError
    spent = clock.taken()
    assert spent == {"step": 6, "data": 3, "start": 0, "validation": 2, "picture": 1, "checkpoint": 1}
    assert insight.shares(spent)["time/step"] == 6 / 13 and insight.shares(spent)["seconds"] == 13
    assert sum(clock.taken().values()) == 1  # only the time since


def test_times_add_up_over_log_lines():
    rows = [{"step": 1, "kind": "train", **insight.shares({part: 1.0 for part in insight.PARTS})},
            {"step": 1, "kind": "eval", "psnr": 1.0},
            {"step": 2, "kind": "train", **insight.shares({part: 2.0 for part in insight.PARTS})}]
    assert insight.times(rows) == pytest.approx({part: 3.0 for part in insight.PARTS})
    assert insight.time_table(insight.times(rows)).row_count == len(insight.PARTS)


def test_advice_where_data_come_too_slowly():
    assert insight.advice({"step": 9.0, "data": 1.0}, 2) == ""
    assert "50% of the training waited for data" in insight.advice({"step": 1.0, "data": 1.0}, 2)
    assert "--config.data.num_workers=4" in insight.advice({"step": 1.0, "data": 1.0}, 2)
    assert "--config.data.num_workers=2" in insight.advice({"step": 0.0, "data": 1.0}, 0)


def test_blocks_without_gradient_are_named_once():
    alarm = insight.Alarm()
    zero = {"grad_norm": 1.0, "grad_norm/sr": 1.0, "grad_norm/sr/body_0": 0.0, "grad_norm/sr/body_1": 0.0,
            "grad_norm/sr/tail": 1.0}
    assert not alarm.trained(1, zero)  # a last convolution that starts at zero lets none through at first
    assert not alarm.trained(2, {**zero, "grad_norm/sr/body_0": 0.1, "grad_norm/sr/body_1": 0.1})
    assert not alarm.trained(3, zero)
    text = alarm.trained(4, {**zero, "grad_norm/sr/body_1": 0.1})
    assert text.startswith("step 4: the gradients of sr/body_0 are all zero, so these do not learn; dead ReLUs")
    assert "leaky" in text and "lower learning rate" in text and "\n" not in text
    assert not alarm.trained(5, zero)


def test_a_network_whose_blocks_all_stand_still_is_named_by_them():
    alarm = insight.Alarm()
    alarm.trained(1, {"player1/grad_norm/sr": 0.0, "player1/grad_norm/sr/a": 0.0})
    assert "gradients of sr/a are" in alarm.trained(2, {"player1/grad_norm/sr": 0.0, "player1/grad_norm/sr/a": 0.0})


def test_a_gain_that_stays_exactly_zero_is_said_once():
    alarm = insight.Alarm()
    assert [bool(alarm.validated(step, gain)) for step, gain in enumerate([0.0, 0.0, 1e-9, 0.0, 0.0])] == [False] * 5
    alarm.trained(5, {"grad_norm/sr/body_0": 0.0})
    text = alarm.validated(5, 0.0)
    assert text.startswith("step 5: the gain was exactly 0 at 3 validations in a row") and "reaches sr/body_0" in text
    assert not any(alarm.validated(step, 0.0) for step in range(6, 20))

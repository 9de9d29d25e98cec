"""Schedules at the steps that matter, optimizers against their formulas."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jsr.errors import UserError
from jsr.training import optim


def rates(row, steps, peak=1e-3):
    schedule = optim.make_schedule(row, peak=peak, steps=steps)
    return [float(schedule(step)) for step in range(steps)]


def test_constant():
    np.testing.assert_allclose(rates({"name": "constant"}, 3), [1e-3] * 3, rtol=1e-6)


def test_multi_step_counts_milestones_from_the_stages_start_with_and_without_warmup():
    np.testing.assert_allclose(rates(dict(name="multi_step", milestones=[2, 4], factor=0.5), 6),
                               [1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4, 2.5e-4], rtol=1e-6)
    np.testing.assert_allclose(rates(dict(name="multi_step", milestones=[3], factor=0.1, warmup_steps=2), 5),
                               [5e-4, 1e-3, 1e-3, 1e-4, 1e-4], rtol=1e-6)


def test_cosine_with_warmup():
    found = rates(dict(name="cosine", end=1e-5, warmup_steps=4), 104)
    np.testing.assert_allclose(found[:5], [2.5e-4, 5e-4, 7.5e-4, 1e-3, 1e-3], rtol=1e-5)
    np.testing.assert_allclose(found[54], (1e-3 + 1e-5) / 2, rtol=1e-4)
    assert found[4:] == sorted(found[4:], reverse=True) and 1e-5 <= found[-1] < 2e-5


def test_cosine_restarts_begin_lower_each_time():
    found = rates(dict(name="cosine_restarts", period=4, factor=0.5, end=1e-6), 12)
    for cycle, top in enumerate((1e-3, 5e-4, 2.5e-4)):
        expected = [1e-6 + (top - 1e-6) * share for share in (1, (2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4)]
        np.testing.assert_allclose(found[4 * cycle:4 * cycle + 4], expected, rtol=1e-5)
    same = rates(dict(name="cosine_restarts", period=4, warmup_steps=2), 10)
    np.testing.assert_allclose(same[2:6], same[6:], rtol=1e-5)
    assert same[:3] == pytest.approx([5e-4, 1e-3, 1e-3])


def test_piecewise_linear_joins_its_points_and_jumps_where_two_are_at_one_step():
    points = [[0, 1.0], [4, 0.5], [6, 0.5], [6, 0.1], [8, 0.1]]
    expected = [1e-3, 8.75e-4, 7.5e-4, 6.25e-4, 5e-4, 5e-4, 1e-4, 1e-4, 1e-4, 1e-4]
    np.testing.assert_allclose(rates(dict(name="piecewise_linear", points=points), 10), expected, rtol=1e-6)
    warm = rates(dict(name="piecewise_linear", points=points, warmup_steps=2), 10)
    np.testing.assert_allclose(warm, [5e-4, 1e-3, *expected[2:]], rtol=1e-6)


def test_adam_is_optaxs_adam():
    params = grads = {"w": jnp.array([1.0, -2.0, 3.0])}
    ours, theirs = optim.make_optimizer({"name": "adam"}), optax.adam(0.1)
    our_state, their_state = ours.init(params), theirs.init(params)
    for _ in range(3):
        direction, our_state = ours.update(grads, our_state, params)
        update, their_state = theirs.update(grads, their_state, params)
        np.testing.assert_allclose(-0.1 * direction["w"], update["w"], rtol=1e-6)


def test_adamw_decays_by_the_learning_rate():
    params, grads = {"w": jnp.array([2.0])}, {"w": jnp.array([0.0])}
    optimizer = optim.make_optimizer(dict(name="adamw", weight_decay=0.1))
    direction, _ = optimizer.update(grads, optimizer.init(params), params)
    np.testing.assert_allclose(direction["w"], [0.2], rtol=1e-6)


@pytest.mark.parametrize("make, message", [
    (lambda: optim.make_optimizer({"name": "adan"}), "optimizer 'adan' is unknown; did you mean 'adam'"),
    (lambda: optim.make_optimizer({"name": "adam", "beta1": 0.9}), "optimizer adam: unknown argument 'beta1'; did you mean"),
    (lambda: optim.make_schedule({"name": "cosin"}, peak=1, steps=1), "schedule 'cosin' is unknown; did you mean 'cosine'"),
    (lambda: optim.make_schedule({"name": "cosine", "peek": 1}, peak=1, steps=1), "schedule cosine: unknown argument 'peek'"),
])
def test_mistakes_name_the_nearest(make, message):
    with pytest.raises(UserError, match=message):
        make()

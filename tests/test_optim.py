"""Schedules and optimizers: PyTorch's where that is installed, and what PyTorch has not."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jsr import optim
from jsr.errors import UserError

NO_TORCH = "compares with PyTorch (pip install torch)"


def rates(row, steps, peak=1e-3):
    schedule = optim.make_schedule(row, peak=peak, steps=steps)
    return [float(schedule(step)) for step in range(steps)]


@pytest.mark.parametrize("row, theirs, options", [
    (dict(name="multi_step", milestones=[20, 35], factor=0.3), "MultiStepLR", dict(milestones=[20, 35], gamma=0.3)),
    (dict(name="cosine", end=1e-5), "CosineAnnealingLR", dict(T_max=50, eta_min=1e-5)),
    (dict(name="cosine_restarts", period=15, end=1e-6), "CosineAnnealingWarmRestarts", dict(T_0=15, eta_min=1e-6)),
    (dict(name="linear", end=1e-4), "LinearLR", dict(start_factor=1.0, end_factor=0.1, total_iters=50)),
    (dict(name="cyclic", start=1e-4, up=7, down=4), "CyclicLR",
     dict(base_lr=1e-4, max_lr=1e-3, step_size_up=7, step_size_down=4)),
    (dict(name="cyclic", start=1e-4, up=6, factor=0.5), "CyclicLR",
     dict(base_lr=1e-4, max_lr=1e-3, step_size_up=6, mode="triangular2")),
])
def test_schedules_are_pytorchs(row, theirs, options):
    torch = pytest.importorskip("torch", reason=NO_TORCH)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    scheduler, expected = getattr(torch.optim.lr_scheduler, theirs)(optimizer, **options), []
    for _ in range(50):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(rates(row, 50), expected, rtol=1e-5)


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


def test_plateau_linear_holds_and_falls_and_a_cycle_rises_and_falls():
    held = [1e-3] * 4 + [1e-3 - 2e-4 * n for n in range(1, 4)]
    np.testing.assert_allclose(rates(dict(name="plateau_linear", hold=3, end=0.0), 8)[:7],
                               [1e-3] * 4 + [8e-4, 6e-4, 4e-4], rtol=1e-5)
    np.testing.assert_allclose(rates(dict(name="plateau_linear", hold=3, warmup_steps=2), 8)[:7],
                               [5e-4, *held[1:4], 8e-4, 6e-4, 4e-4], rtol=1e-5)
    np.testing.assert_allclose(rates(dict(name="cyclic", start=2e-4, up=2, down=4), 8),
                               [2e-4, 6e-4, 1e-3, 8e-4, 6e-4, 4e-4, 2e-4, 6e-4], rtol=1e-5)


GRADS = np.random.default_rng(0).standard_normal((10, 6)).astype(np.float32)


def followed(row, grads, rate=0.1, **schedule):
    """Parameters after each update, beginning with [1, ...], for gradients that do not depend on them."""
    optimizer, params = optim.make_optimizer(row, **schedule), {"w": jnp.ones(grads.shape[1])}
    state, found = optimizer.init(params), []
    for grad in grads:
        updates, state = optimizer.update({"w": grad}, state, params, learning_rate=rate, value=jnp.float32(1))
        params = optax.apply_updates(params, updates)
        found.append(np.asarray(params["w"]))
    return np.array(found), state, params


@pytest.mark.parametrize("row, theirs, options", [
    (dict(name="adam", b1=0.8, b2=0.99, weight_decay=0.2), "Adam", dict(betas=(0.8, 0.99), weight_decay=0.2)),
    (dict(name="adamw", weight_decay=0.2), "AdamW", dict(weight_decay=0.2)),
    (dict(name="adamw"), "AdamW", {}),
    (dict(name="sgd", momentum=0.9, weight_decay=0.2), "SGD", dict(momentum=0.9, weight_decay=0.2)),
    (dict(name="sgd", momentum=0.9, nesterov=True), "SGD", dict(momentum=0.9, nesterov=True)),
])
def test_optimizers_are_pytorchs(row, theirs, options):
    torch = pytest.importorskip("torch", reason=NO_TORCH)
    param = torch.nn.Parameter(torch.ones(GRADS.shape[1]))
    optimizer, expected = getattr(torch.optim, theirs)([param], lr=0.1, **options), []
    for grad in GRADS:
        param.grad = torch.from_numpy(grad)
        optimizer.step()
        expected.append(param.detach().numpy().copy())
    np.testing.assert_allclose(followed(row, GRADS)[0], expected, rtol=1e-5, atol=1e-5)  # rates of 0.1 in float32


def test_lion_moves_by_signs():
    found = followed(dict(name="lion", b1=0.5, b2=0.5, weight_decay=0.1), np.float32([[1, -2], [-3, 1]]))[0]
    # m = 0.5 g1 after the first; then the sign of 0.5 m + 0.5 g2
    np.testing.assert_allclose(found, [[1 - 0.1 - 0.01, 1 + 0.1 - 0.01],
                                       [0.89 + 0.1 - 0.0089, 1.09 - 0.1 * 0 - 0.0109]], rtol=1e-6)


def test_adan_follows_its_formula():
    row = dict(name="adan", b1=0.9, b2=0.8, b3=0.7, eps=1e-3, weight_decay=0.2)
    mean, change, square, theta, expected = 0.0, 0.0, 0.0, 1.0, []
    for step, (grad, before) in enumerate(zip(GRADS.astype(float), [GRADS[0], *GRADS], strict=False), 1):
        difference = grad - before
        mean = 0.9 * mean + 0.1 * grad
        change = 0.8 * change + 0.2 * difference
        square = 0.7 * square + 0.3 * (grad + 0.8 * difference)**2
        theta = theta - 0.1 * (mean / (1 - 0.9**step) + 0.8 * change / (1 - 0.8**step)) / (
            np.sqrt(square / (1 - 0.7**step)) + 1e-3)
        theta = theta / (1 + 0.1 * 0.2)
        expected.append(theta)
    np.testing.assert_allclose(followed(row, GRADS)[0], expected, rtol=1e-4, atol=1e-5)


def test_muon_makes_updates_of_kernels_orthogonal_and_of_biases_adams():
    rng = np.random.default_rng(0)
    params = {"kernel": jnp.zeros((3, 3, 4, 6)), "bias": jnp.zeros(6)}
    grads = jax.tree.map(lambda leaf: jnp.float32(rng.standard_normal(leaf.shape)), params)
    optimizer = optim.make_optimizer({"name": "muon"})
    updates, _ = optimizer.update(grads, optimizer.init(params), params, learning_rate=1.0, value=0.0)
    values = np.linalg.svd(updates["kernel"].reshape(36, 6), compute_uv=False)
    np.testing.assert_allclose(values, 0.2 * 6, rtol=0.35)  # five steps of Newton and Schulz come so near
    np.testing.assert_array_equal(np.sign(updates["bias"]), -np.sign(grads["bias"]))


def test_prodigy_finds_its_rate():
    optimizer, params = optim.make_optimizer({"name": "prodigy"}), {"w": jnp.full(4, 3.0)}

    @jax.jit
    def step(_, both):
        params, state = both
        updates, state = optimizer.update(params, state, params, learning_rate=1.0, value=0.0)
        return optax.apply_updates(params, updates), state

    found, _ = jax.lax.fori_loop(0, 300, step, (params, optimizer.init(params)))
    assert float(jnp.abs(found["w"]).max()) < 0.3  # of |w|^2 / 2, from 3, by guesses that begin at 1e-6


def test_schedule_free_averages_by_its_formula():
    """y = (1 - b1) z + b1 x, of which z is plain AdamW's way, here by a constant gradient's sign, and x its mean."""
    found, state, params = followed(dict(name="schedule_free_adamw", b1=0.9), np.ones((5, 2), np.float32))
    z = 1 - 0.1 * np.arange(1, 6)
    x = np.cumsum(z) / np.arange(1, 6)
    np.testing.assert_allclose(found[:, 0], 0.1 * z + 0.9 * x, rtol=1e-4)
    np.testing.assert_allclose(optim.evaluated(state, params)["w"], x[-1], rtol=1e-4)
    np.testing.assert_array_equal(optim.evaluated(optim.make_optimizer({"name": "adam"}).init(params), params)["w"],
                                  params["w"])


def test_a_plateau_lowers_the_rate():
    schedule = dict(name="plateau", window=1, patience=2, factor=0.1)
    found, state, _ = followed(dict(name="sgd"), np.ones((5, 1), np.float32), schedule=schedule, peak=0.1)
    np.testing.assert_allclose(-np.diff(found[:, 0], prepend=1), [0.1, 0.1, 0.01, 0.01, 0.001], rtol=1e-3)
    assert float(optim.plateau_scale(state)) == pytest.approx(0.01)


def test_learning_rates_have_factors_by_place_and_time():
    params = {"sr": {"a": {"kernel": 1.0, "bias": 1.0}, "b": {"kernel": 1.0}}}
    rows = [dict(pattern="sr/a/*", steps=3, factor=0.5), "*/kernel"]
    for step, bias in ((2, 0.5), (3, 1.0)):
        found = optim.rate_factors(rows, params, jnp.int32(step))
        assert jax.tree.map(float, found) == {"sr": {"a": {"kernel": 0.0, "bias": bias}, "b": {"kernel": 0.0}}}


@pytest.mark.parametrize("make, message", [
    (lambda: optim.make_optimizer({"name": "adann"}), "optimizer 'adann' is unknown; did you mean 'adan'"),
    (lambda: optim.make_optimizer({"name": "adam", "beta1": 0.9}),
     "optimizer adam: unknown argument 'beta1'; did you mean"),
    (lambda: optim.make_optimizer({"name": "schedule_free_adamw"}, {"name": "plateau"}),
     "schedule_free_adamw: cannot follow the schedule plateau"),
    (lambda: optim.make_schedule({"name": "cosin"}, peak=1, steps=1),
     "schedule 'cosin' is unknown; did you mean 'cosine'"),
    (lambda: optim.make_schedule({"name": "cosine", "peek": 1}, peak=1, steps=1),
     "schedule cosine: unknown argument 'peek'"),
    (lambda: optim.make_schedule({"name": "cyclic", "up": 1}, peak=1, steps=1), "schedule cyclic: lacks start"),
    (lambda: optim.rate_factors(["sr/bb/*"], {"sr": {"b": {"c": 1}}}, 0),
     "freeze: no parameter fits 'sr/bb/.'; did you mean 'sr/b'"),
    (lambda: optim.rate_factors([dict(pattern="sr/b/*", step=3)], {"sr": {"b": {"c": 1}}}, 0),
     "freeze: unknown key 'step'; did you mean 'steps'"),
])
def test_mistakes_name_the_nearest(make, message):
    with pytest.raises(UserError, match=message):
        make()

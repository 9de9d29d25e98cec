"""The train step: players, keys of losses, averages, skipped steps, chains, parts of a batch."""

import dataclasses
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import models, optim, recipes, sharding
from jsr.chain import run_chain
from jsr.errors import UserError
from jsr.layers.repeated import in_turn
from jsr.recipes import player, recipe, stage
from jsr.training import stages
from jsr.training import state as states
from jsr.training import step as steps
from jsr.training.checkpoints import Checkpoints
from jsr.training.step import make_step

L1 = [dict(fn="l1", pred="sr", target="hr", weight=1.0)]
SGD = dict(name="sgd")


RNG = np.random.default_rng(0)
EIGHT = {key: RNG.integers(0, 256, (8, 8, 8, 3), np.uint8) for key in ("lr", "hr")}


class Gain(nn.Module):
    """Multiplies an image by one parameter that starts at 1, and counts its training passes."""

    scale: int = 1

    @nn.compact
    def __call__(self, lr, *, train=False):
        passes = self.variable("count", "passes", lambda: jnp.int32(0))
        if train and not self.is_initializing():
            passes.value += 1
        return lr * self.param("gain", lambda key: jnp.float32(1))


class Critic(nn.Module):
    """An image to one logit."""

    @nn.compact
    def __call__(self, image, *, train=False):
        return nn.Dense(1, name="logit")(nn.tanh(nn.Dense(2, name="features")(image)).mean((1, 2)))


class Blocks(nn.Module):
    """Residual blocks of convolutions, with BatchNorm or without."""

    num_block: int = 1
    norm: bool = False
    scale: int = 1

    @nn.compact
    def __call__(self, lr, *, train=False):
        x = nn.Conv(4, (3, 3), name="conv_first")(lr)
        for index in range(self.num_block):
            x = Block(self.norm, name=f"body_{index}")(x, train=train)
        return nn.Conv(3, (3, 3), name="conv_last")(x)


class Block(nn.Module):
    norm: bool

    @nn.compact
    def __call__(self, x, *, train):
        y = nn.tanh(nn.Conv(x.shape[-1], (3, 3), name="conv1")(x))
        y = nn.BatchNorm(use_running_average=not train, name="norm")(y) if self.norm else y
        return x + nn.tanh(nn.Conv(x.shape[-1], (3, 3), name="conv2")(y))


def one(**more):
    """A stage with one player."""
    return stage(**dict(steps=50, crop=4, batch=2, losses=L1, learning_rate=0.1, augment=()) | more)


def several(*players, **more):
    return stage(**dict(steps=50, crop=4, batch=2, players=players, augment=()) | more)


def start(*its_stages, index=0, chain=("sr",), networks=None, ema_decay=0.9, frozen=(), **more):
    """(plan, initial state, jitted step) of a recipe whose networks are Gains, or those given."""
    networks = networks or {name: Gain() for name in chain}
    config = recipe(title="", protocol="aim22_t1", stages=its_stages or [one()], chain=chain, ema_decay=ema_decay,
                    networks={name: dict(model="", scale=1) for name in networks},
                    data=dict(train=dict(dataset="none"), eval=dict(dataset="none")), **more)
    plan = stages.StagePlan(recipes.read(config), index, networks)
    variables = {name: networks[name].init(jax.random.key(n), jnp.ones((1, 8, 8, 3)))
                 for n, name in enumerate(networks) if name not in frozen}
    return plan, states.make_state(plan, variables), jax.jit(make_step(plan))


def batch(lr=100, hr=200):
    return {"lr": np.full((2, 4, 4, 3), lr, np.uint8), "hr": np.full((2, 4, 4, 3), hr, np.uint8)}


def gain(state, name="sr"):
    return float(state.nets[name]["variables"]["params"]["gain"])


def params(state, name="sr"):
    return state.nets[name]["variables"]["params"]


def equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_one_step_by_hand(optimized):
    _, state, step = start()
    new, metrics = step(state, batch(), jax.random.key(0))
    np.testing.assert_allclose(metrics["loss"], 100 / 255, rtol=1e-6)
    np.testing.assert_allclose(metrics["grad_norm"], 100 / 255, rtol=1e-6)
    np.testing.assert_allclose(gain(new), 1.1, rtol=1e-5)  # Adam's first step is the learning rate
    np.testing.assert_allclose(new.nets["sr"]["ema"]["gain"], 1 + 0.9 * 0.1, rtol=1e-5)  # 0.9: the first step's
    later, _ = step(dataclasses.replace(state, step=jnp.int32(1000)), batch(), jax.random.key(0))
    np.testing.assert_allclose(later.nets["sr"]["ema"]["gain"], 1 + 0.1 * (gain(later) - 1), rtol=1e-5)
    assert gain(later) > 1.01
    assert (int(new.step), int(new.skipped)) == (1, 0)
    assert int(new.nets["sr"]["variables"]["count"]["passes"]) == 1


class Told(nn.Module):
    """What must be told the quality adds so much of 1 - quality / 100."""

    scale = 1
    takes_quality = True

    @nn.compact
    def __call__(self, lr, *, train=False, qf_input=None):
        qf = jnp.zeros((1, 1)) if qf_input is None else qf_input
        return lr + self.param("gain", nn.initializers.ones, ()) * qf[:, None, None]


def test_each_sample_comes_with_its_quality():
    _, state, step = start(networks={"sr": Told()})
    _, metrics = step(state, batch(lr=0, hr=0) | {"lr_quality": np.array([90, 40], np.float32)}, jax.random.key(0))
    np.testing.assert_allclose(metrics["loss"], (0.1 + 0.6) / 2, rtol=1e-5)


def test_clipping_bounds_the_global_norm():
    _, state, step = start(one(clip_norm=0.01, optimizer=SGD, learning_rate=1.0), chain=("a", "b"))
    new, metrics = step(state, batch(), jax.random.key(0))
    moved = np.array([gain(new, "a") - 1, gain(new, "b") - 1])
    assert metrics["grad_norm"] > 0.1
    np.testing.assert_allclose(np.linalg.norm(moved), 0.01, rtol=1e-4)


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_step_that_is_not_finite_changes_only_the_counts(poison):
    _, state, step = start()
    bad = {"lr": np.full((2, 4, 4, 3), poison, np.float32), "hr": np.ones((2, 4, 4, 3), np.float32)}
    state, _ = step(state, batch(), jax.random.key(0))
    new, metrics = step(state, bad, jax.random.key(0))
    equal(new.nets, state.nets)
    assert (int(new.step), int(new.skipped)) == (2, 1)
    assert not np.isfinite(metrics["loss"])


def test_players_update_their_own_networks_at_their_own_pace():
    rows = dict(losses=L1, learning_rate=0.1)
    _, state, step = start(several(player(nets=["a"], **rows), player(nets=["b"], every=2, **rows)), chain=("a", "b"))
    history = []
    for _ in range(4):
        before = gain(state, "a"), gain(state, "b")
        state, metrics = step(state, batch(), jax.random.key(0))
        history.append((gain(state, "a") != before[0], gain(state, "b") != before[1]))
    assert history == [(True, True), (True, False), (True, True), (True, False)]
    assert {"loss", "player1/loss", "player1/grad_norm"} <= set(metrics)


def test_a_network_that_no_player_names_is_frozen_and_runs_as_it_is_used():
    _, state, step = start(several(player(nets=["b"], losses=L1, learning_rate=0.1)), chain=("a", "b"))
    new, _ = step(state, batch(), jax.random.key(0))
    assert gain(new, "a") == 1 and gain(new, "b") != 1
    assert int(new.nets["a"]["variables"]["count"]["passes"]) == 0 and "opt" not in new.nets["a"]


def test_chain_names_the_outputs_of_earlier_networks():
    plan, state, _ = start(chain=("a", "b"))
    variables = states.eval_variables(plan.recipe, state)
    variables["a"]["params"] = {"gain": jnp.float32(2)}
    outputs, _ = run_chain({"a": Gain(), "b": Gain()}, ["a", "b"], variables, jnp.ones((1, 2, 2, 3)))
    assert set(outputs) == {"a/sr", "sr"} and float(outputs["sr"].mean()) == 2


# ---- keys of losses

def test_a_teacher_is_compared_with_and_never_changes():
    taught = [dict(fn="l1", pred="sr", target="teacher(lr)", weight=1.0)]
    _, state, step = start(one(losses=taught), networks={"sr": Gain(), "teacher": Gain()}, frozen=["teacher"])
    teachers = {"teacher": {"params": {"gain": jnp.float32(1.5)}, "count": {"passes": jnp.int32(0)}}}
    new, metrics = step(state, batch(), jax.random.key(0), teachers)
    np.testing.assert_allclose(metrics["loss"], 0.5 * 100 / 255, rtol=1e-6)
    assert set(new.nets) == {"sr"} and gain(new) > 1


def test_networks_are_applied_to_what_keys_name_each_once():
    """Of `lr`, `sr` and what another network made; target and pred may be of the batch or of the outputs."""
    traced = []

    class Traced(Gain):
        def __call__(self, lr, *, train=False):
            traced.append(self.name)
            return super().__call__(lr, train=train)

    rows = [dict(fn="l1", pred="t(lr)", target="hr", weight=1.0),
            dict(fn="mse", pred="t(lr)", target="t(t(lr))", weight=1.0),
            dict(fn="l1", pred="hr", target="t(sr)", weight=1.0), dict(fn="l1", pred="sr", target="sr", weight=1.0)]
    networks = {"sr": Gain(), "t": Traced(name="t")}
    plan, state, _ = start(one(losses=rows), networks={"sr": Gain(), "t": Gain()}, frozen=["t"])
    frozen = {"t": {"params": {"gain": jnp.float32(2)}, "count": {"passes": jnp.int32(0)}}}
    step = jax.jit(make_step(dataclasses.replace(plan, networks=networks)))
    _, metrics = step(state, batch(), jax.random.key(0), frozen)
    assert len(traced) == 3  # t(lr), t(t(lr)), t(sr)
    np.testing.assert_allclose([metrics["loss/l1_t(lr)"], metrics["loss/mse_t(lr)"], metrics["loss/l1_hr"]],
                               [0, (200 / 255)**2, 0], rtol=1e-6, atol=1e-7)


def test_losses_compare_what_submodules_of_student_and_teacher_give():
    rows = [dict(fn="mse", pred="sr@body_0/conv1", target="teacher(lr)@body_0/conv1", weight=1.0)]
    networks = {"sr": Blocks(), "teacher": Blocks()}
    _, state, step = start(one(losses=rows), networks=networks, frozen=["teacher"], chain=["sr"])
    teacher = Blocks().init(jax.random.key(5), jnp.ones((1, 8, 8, 3)))
    variables = {"sr": state.nets["sr"]["variables"], "teacher": teacher}
    data = {"lr": EIGHT["lr"], "hr": EIGHT["lr"]}
    new, metrics = step(state, data, jax.random.key(0), {"teacher": variables["teacher"]})

    def features(v):
        _, kept = networks["sr"].apply(v, data["lr"] / np.float32(255), capture_intermediates=True)
        return kept["intermediates"]["body_0"]["conv1"]["__call__"][0]

    expected = jnp.square(features(variables["sr"]) - features(variables["teacher"])).mean()
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-5)
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), params(new), variables["sr"]["params"])
    assert moved["conv_first"]["kernel"] and not moved["conv_last"]["kernel"]


@pytest.mark.parametrize("key, message", [
    ("srr", "compares with 'srr', which no network gives and no batch has; did you mean 'sr'"),
    ("teacher/sr", "compares with 'teacher/sr', which no network gives"),
    ("techer(lr)", "compares with 'techer.lr.', but there is no network 'techer'; did you mean 'teacher'"),
    ("teacher(hrr)", "compares with 'hrr', which no network gives and no batch has; did you mean 'hr'"),
    ("sr@body_3", "compares with 'sr@body_3', but sr has no submodule body_3 .parameters.txt"),
    ("teacher(lr)@body_3", "compares with 'teacher.lr.@body_3', but teacher.lr. has no submodule body_3"),
    ("teacher(lr", "'teacher.lr' is no loss key; write for example sr"),
])
def test_a_key_of_nothing_names_the_nearest(key, message):
    with pytest.raises(UserError, match=message):
        rows = [dict(fn="l1", pred="sr", target=key, weight=1.0)]
        _, state, step = start(one(losses=rows), networks={"sr": Gain(), "teacher": Gain()}, frozen=["teacher"])
        step(state, batch(), jax.random.key(0), {"teacher": state.nets["sr"]["variables"]})


# ---- two players

GENERATOR = dict(losses=[*L1, dict(fn="relativistic_generator", pred="critic(sr)", target="critic(hr)", weight=0.1)],
                 learning_rate=0.01, nets=["sr"])
CRITIC = dict(losses=[dict(fn="relativistic_critic", pred="critic(sr)", target="critic(hr)", weight=1.0)],
              learning_rate=0.02, nets=["critic"])


def adversaries(*players, **more):
    return start(several(*players, **more), networks={"sr": Gain(), "critic": Critic()})


def test_generator_and_critic_play_at_the_same_time_and_leave_each_other_alone():
    both, generator, critic = (adversaries(*(player(**row) for row in rows))
                               for rows in ((GENERATOR, CRITIC), (GENERATOR,), (CRITIC,)))
    after = [step(state, batch(), jax.random.key(0))[0] for _, state, step in (both, generator, critic)]
    _, before, _ = both
    for name, alone, other in (("sr", after[1], after[2]), ("critic", after[2], after[1])):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6),
                     params(after[0], name), params(alone, name))
        equal(params(other, name), params(before, name))
        moved = jax.tree.leaves(jax.tree.map(lambda a, b: np.any(a != b), params(after[0], name), params(before, name)))
        assert any(moved)
    assert "ema" in after[0].nets["sr"] and "ema" not in after[0].nets["critic"]
    assert set(states.eval_variables(both[0].recipe, after[0])) == {"sr"}


def test_players_and_losses_that_learn_resume_to_the_bit(tmp_path):
    robust = dict(fn="robust", pred="sr", target="hr", weight=1.0)
    generator = player(**GENERATOR | dict(losses=[*GENERATOR["losses"], robust]))
    _, first, step = adversaries(generator, player(**CRITIC))
    checkpoints = Checkpoints(tmp_path, keep=1)
    state, seen = first, []
    for number in range(4):
        if number == 2:
            checkpoints.save(2, state, {})
        state, metrics = step(state, batch(100 + number), jax.random.key(0))
        seen.append(float(metrics["loss/robust_sr/alpha"]))
    assert len(set(seen)) == 4 and set(state.loss_params) == {"player0"}
    _, restored, _ = checkpoints.restore(lambda number: jax.eval_shape(lambda: first))
    checkpoints.close()
    for number in (2, 3):
        restored, _ = step(restored, batch(100 + number), jax.random.key(0))
    equal(restored, state)


# ---- what moves, and how

def test_frozen_parameters_stay_for_ever_or_for_a_while():
    rows = dict(freeze=["critic/features/kernel", dict(pattern="critic/features/b*", steps=2),
                        dict(pattern="critic/logit/kernel", factor=0.5)], optimizer=dict(name="sgd", weight_decay=0.1))
    _, before, step = adversaries(player(**GENERATOR), player(**CRITIC | rows))
    _, _, free_step = adversaries(player(**GENERATOR), player(**CRITIC | dict(optimizer=rows["optimizer"])))
    state, free = before, free_step(before, batch(), jax.random.key(0))[0]
    history = [before]
    for _ in range(3):
        state, _ = step(state, batch(), jax.random.key(0))
        history.append(state)
    features = [params(state, "critic")["features"] for state in history]
    equal(features[0]["kernel"], features[-1]["kernel"])
    assert [bool((b["bias"] != a["bias"]).any()) for a, b in itertools.pairwise(features)] == [False, False, True]
    moved, full = (np.asarray(params(x, "critic")["logit"]["kernel"] - params(before, "critic")["logit"]["kernel"])
                   for x in (history[1], free))
    np.testing.assert_allclose(moved, full / 2, rtol=1e-4, atol=1e-8)


def test_a_schedule_free_optimizer_is_evaluated_at_its_average():
    plan, state, step = start(one(optimizer=dict(name="schedule_free_adamw"), learning_rate=0.01), ema_decay=0.0)
    for _ in range(5):
        state, _ = step(state, batch(), jax.random.key(0))
    evaluated = float(states.eval_variables(plan.recipe, state)["sr"]["params"]["gain"])
    assert 1 < evaluated < gain(state)
    again = states.begin_stage(plan, state, states.versions(state))  # the next stage starts from the average
    assert gain(again) == pytest.approx(evaluated)


def as_vectors(plan, state):
    return states.placed(plan, state, sharding.make_mesh(jax.devices()[:1]))


def check_vectors(name, **options):
    """Two steps on a state of vectors and by names: the same bits, but for norms, which are sums in another order."""
    plan, by_name, _ = start(one(optimizer=dict(name=name), learning_rate=0.01, **options), networks={"sr": Blocks()})
    step, flat = jax.jit(make_step(plan)), as_vectors(plan, by_name)
    assert len(sharding.flats(flat)) == (0 if name in optim.BY_SHAPES else len(jax.tree.leaves(flat)) - len(
        jax.tree.leaves((flat.step, flat.skipped, [x for x in jax.tree.leaves(flat.nets) if not x.ndim]))))
    for _ in range(2):
        (by_name, expected), (flat, found) = (step(its, batch(), jax.random.key(0)) for its in (by_name, flat))
    np.testing.assert_allclose([found[key] for key in expected], [*expected.values()], rtol=1e-5)
    found = states.by_names(flat)
    assert jax.tree.structure(found) == jax.tree.structure(by_name)
    for one_leaf, other in zip(jax.tree.leaves(found), jax.tree.leaves(by_name), strict=True):
        np.testing.assert_allclose(one_leaf, other, rtol=1e-5, atol=1e-7)


def test_a_state_of_vectors_gives_what_one_of_names_gives():
    check_vectors("adam", clip_norm=0.1, freeze=["sr/conv_last/*", dict(pattern="sr/body_0/*", factor=0.5)])


@pytest.mark.slow
@pytest.mark.parametrize("name", optim.OPTIMIZERS)
def test_every_optimizer_updates_vectors_or_keeps_its_matrices(name):
    check_vectors(name)


def test_learning_rate_follows_the_stages_own_step_and_the_plateau():
    schedule = dict(name="linear", end=0.1)
    _, state, step = start(one(steps=5), one(steps=50, learning_rate=0.2, schedule=schedule), index=1)
    _, metrics = step(state.replace(step=jnp.int32(7)), batch(), jax.random.key(0))
    np.testing.assert_allclose(metrics["learning_rate"], 0.2 - 0.1 * 2 / 50, rtol=1e-6)
    _, state, step = start(one(optimizer=SGD, learning_rate=1e-6, schedule=dict(name="plateau", window=2, patience=1)))
    rates = []
    for _ in range(8):  # in windows of 2 steps, of which the first one is the best
        state, metrics = step(state, batch(), jax.random.key(0))
        rates.append(float(metrics["learning_rate"]) * 1e6)
    np.testing.assert_allclose(rates, [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.125], rtol=1e-5)


# ---- precision and memory

def test_bfloat16_computes_in_bfloat16_and_keeps_float32_parameters():
    recipe = recipes.load("aim22_t1", [("dtype", "bfloat16"),
                                       ("networks.sr.fields", "{'num_feat': 4, 'num_block': 1}")])
    plan = stages.plan_of(recipe, 0)
    networks, abstract = plan.networks, stages.abstract_variables(plan)
    assert {leaf.dtype for leaf in jax.tree.leaves(abstract)} == {jnp.dtype("float32")}
    image = jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32)
    jaxpr = str(jax.make_jaxpr(lambda v, x: run_chain(networks, ["sr"], v, x)[0]["sr"])(abstract, image))
    convolutions = [line for line in jaxpr.splitlines() if "conv_general_dilated[" in line]
    assert convolutions and all("bf16" in line.split("=")[0] for line in convolutions)


def test_float16_scales_its_loss(monkeypatch):
    class Half(Gain):
        def __call__(self, lr, *, train=False):
            return super().__call__(lr.astype(jnp.float16) * jnp.float16(1), train=train).astype(jnp.float16)

    monkeypatch.setattr(steps, "SCALE_AFTER", 2)
    _, state, step = start(networks={"sr": Half()}, dtype="float16")
    first = float(state.loss_scale["scale"])
    good, large = batch(), {name: value * np.float32(1e4) for name, value in batch().items()}
    found = []
    for data in (good, large, good, good, good):  # 2**15 * 200 * 1e4 is above 65504
        new, metrics = step(state, data, jax.random.key(0))
        if data is large:
            equal((new.nets, new.loss_params), (state.nets, state.loss_params))
        state = new
        found.append((float(state.loss_scale["scale"]) / first, int(state.skipped)))
    assert found == [(1, 0), (0.5, 1), (0.5, 1), (1, 1), (1, 1)]
    assert params(state)["gain"].dtype == jnp.float32 and metrics["loss_scale"] == first


def taken(settings, network, data, **compiler_options):
    """(initial state, state, metrics, memory of the program) of a step of a network."""
    _, before, step = start(one(**dict(optimizer=SGD, learning_rate=1.0, batch=8) | settings), networks={"sr": network},
                            ema_decay=0.0)
    program = step.lower(before, data, jax.random.key(0)).compile(compiler_options=compiler_options)
    after, metrics = program(before, data, jax.random.key(0))
    return before, after, metrics, program.memory_analysis().temp_size_in_bytes


def close(a, b, norm):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=0, atol=2e-6 * float(norm)), a, b)


def test_parts_of_a_batch_and_recomputed_blocks_give_the_same_step_in_less_memory():
    """XLA for CPUs undoes what jax.checkpoint wants, but for that pass of its."""
    whole, parts, again = (
        taken(dict(augment=["flip_rotate"], **more), Blocks(6), EIGHT, xla_disable_hlo_passes="cse_barrier_expander")
        for more in ({}, dict(accumulate=4), dict(remat="blocks")))
    _, state, metrics, memory = whole
    for _, other, its_metrics, less in (parts, again):
        close(params(state), params(other), metrics["grad_norm"])
        np.testing.assert_allclose(its_metrics["loss"], metrics["loss"], rtol=1e-5)
        assert less < 0.6 * memory


def test_frozen_statistics_are_used_and_stay():
    (before, renewed, metrics, _), (_, kept, its_metrics, _) = (
        taken(dict(frozen_statistics=frozen), Blocks(norm=True), EIGHT) for frozen in (False, True))
    statistics = [state.nets["sr"]["variables"]["batch_stats"] for state in (before, renewed, kept)]
    equal(statistics[0], statistics[2])
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a != b).any()), *statistics[:2]))
    assert metrics["loss"] != its_metrics["loss"]


@pytest.mark.parametrize("norm, frozen, by_each", [(False, False, True), (True, False, False), (True, True, True)])
def test_batch_norm_that_learns_is_left_to_xla(norm, frozen, by_each):
    """Over several devices its statistics are the whole batch's, so none computes a gradient of its own samples."""
    plan, state, _ = start(one(frozen_statistics=frozen), networks={"sr": Blocks(norm=norm)})
    mesh = jax.sharding.AbstractMesh((8, 1), (sharding.DATA, sharding.ROWS))
    traced = jax.make_jaxpr(make_step(plan, mesh))(state, EIGHT, jax.random.key(0))
    assert (" shard_map[" in str(traced)) == by_each


class Repeated(nn.Module):
    """Four equal layers in turn."""

    scale: int = 1

    @nn.compact
    def __call__(self, lr, *, train=False):
        return in_turn([nn.Dense(3, name=f"body_{index}") for index in range(4)], lr)


@pytest.mark.parametrize("platform, remat, tap, scans", [
    ("cpu", "blocks", "", 0), ("tpu", "", "", 0), ("tpu", "blocks", "", 2), ("tpu", "blocks", "@body_1", 0)])
def test_accelerators_scan_equal_layers_that_are_recomputed(platform, remat, tap, scans, monkeypatch):
    """Forwards and backwards; layers that a loss looks at stay apart."""
    row = dict(fn="l1", pred=f"sr{tap}", target="hr", weight=1.0)
    plan, state, _ = start(one(losses=[*L1, row], remat=remat), networks={"sr": Repeated()})
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    traced = jax.make_jaxpr(make_step(plan))(state, EIGHT, jax.random.key(0))
    assert str(traced).count(" scan[") == scans


@pytest.mark.slow
def test_a_fused_step_is_the_step_through_the_branches():
    network = models.create("plain/basicvision", scale=4, num_feat=4, num_block=1)
    data = {"lr": EIGHT["lr"][:2], "hr": np.tile(EIGHT["hr"][:2], (1, 4, 4, 1))}
    _, state, step = start(one(optimizer=SGD), networks={"sr": network})
    _, _, fused_step = start(one(optimizer=SGD, fused=True), networks={"sr": network})
    (branches, its_metrics), (fused, metrics) = (its(state, data, jax.random.key(0)) for its in (step, fused_step))
    np.testing.assert_allclose(metrics["loss"], its_metrics["loss"], rtol=1e-5)
    np.testing.assert_allclose(metrics["grad_norm"], its_metrics["grad_norm"], rtol=1e-5)
    close(branches.nets, fused.nets, metrics["grad_norm"])


def test_augmentation_sees_what_networks_without_parameters_make_of_lr():
    """CutBlur needs LR at HR size: an enlarging head of the chain is applied before it."""
    networks = {"up": models.create("enlarge/nearest", scale=2), "sr": Gain()}
    stage_of = one(augment=["cutblur"], optimizer=SGD, losses=[dict(fn="l1", pred="sr", target="lr", weight=1.0)])
    plan, _, _ = start(stage_of, chain=("up", "sr"), networks={"up": Gain(), "sr": Gain()})
    plan = dataclasses.replace(plan, networks=networks)
    variables = {"up": {"params": {}}, "sr": {"params": {"gain": jnp.float32(2)}, "count": {"passes": jnp.int32(0)}}}
    state = states.make_state(plan, variables)
    data = batch() | {"hr": np.full((2, 8, 8, 3), 200, np.uint8)}
    new, metrics = jax.jit(make_step(plan))(state, data, jax.random.key(0))
    assert 100 / 255 < metrics["loss"] < 200 / 255  # of what is between LR and HR: part of LR is HR
    assert gain(new) < 2 and params(new, "up") == {}

"""The train step: players, losses, averaging, skipped steps, chains, and many devices against one."""

import os
import subprocess
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np
import optax
import pytest

from jsr import config as configs
from jsr import models
from jsr.errors import UserError
from jsr.training import optim, stages
from jsr.training import state as states
from jsr.training.step import make_step, run_chain

L1 = [dict(fn="l1", pred="sr", target="hr", weight=1.0)]


class Gain(nn.Module):
    """Multiplies an image by one parameter that starts at 1, and counts its training passes."""

    scale: int = 1

    @nn.compact
    def __call__(self, lr, *, train=False):
        passes = self.variable("count", "passes", lambda: jnp.int32(0))
        if train and not self.is_initializing():
            passes.value += 1
        return lr * self.param("gain", lambda key: jnp.float32(1))


def start(names=("sr",), ema=True, optimizer="adam"):
    networks = {name: Gain() for name in names}
    optimizers = {name: optim.make_optimizer({"name": optimizer}) for name in names}
    variables = {name: module.init(jax.random.key(0), jnp.ones((1, 2, 2, 3))) for name, module in networks.items()}
    return networks, optimizers, states.make_state(variables, optimizers, ema=ema)


def player(nets=("sr",), losses=L1, clip_norm=0.0, every=1):
    return ConfigDict(dict(nets=list(nets), losses=losses, clip_norm=clip_norm, every=every))


def steps(networks, chain, players, optimizers, *, learning_rate=0.1, ema_decay=0.9, first_step=0):
    schedules = [lambda step: learning_rate] * len(players)
    return jax.jit(make_step(networks, chain, players, optimizers, schedules, first_step=first_step, ema_decay=ema_decay))


def batch(lr=100, hr=200):
    return {"lr": np.full((2, 4, 4, 3), lr, np.uint8), "hr": np.full((2, 4, 4, 3), hr, np.uint8)}


def gain(state, name="sr"):
    return float(state.nets[name]["variables"]["params"]["gain"])


def test_one_step_by_hand():
    networks, optimizers, state = start()
    new, metrics = steps(networks, ["sr"], [player()], optimizers)(state, batch(), jax.random.key(0))
    np.testing.assert_allclose(metrics["loss"], 100 / 255, rtol=1e-6)
    np.testing.assert_allclose(metrics["grad_norm"], 100 / 255, rtol=1e-6)
    np.testing.assert_allclose(gain(new), 1.1, rtol=1e-5)  # Adam's first step is the learning rate
    np.testing.assert_allclose(new.nets["sr"]["ema"]["gain"], 1 + 0.1 * 0.1, rtol=1e-5)
    assert (int(new.step), int(new.skipped)) == (1, 0)
    assert int(new.nets["sr"]["variables"]["count"]["passes"]) == 1


def test_clipping_bounds_the_global_norm():
    networks, _, state = start(("a", "b"))
    optimizers = {name: optax.identity() for name in networks}
    state = states.make_state({n: net["variables"] for n, net in state.nets.items()}, optimizers, ema=False)
    step = steps(networks, ["a", "b"], [player(("a", "b"), clip_norm=0.01)], optimizers, learning_rate=1.0)
    new, metrics = step(state, batch(), jax.random.key(0))
    moved = np.array([gain(new, "a") - 1, gain(new, "b") - 1])
    assert metrics["grad_norm"] > 0.1
    np.testing.assert_allclose(np.linalg.norm(moved), 0.01, rtol=1e-4)


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_step_that_is_not_finite_changes_only_the_counts(poison):
    networks, optimizers, state = start()
    bad = {"lr": np.full((2, 4, 4, 3), poison, np.float32), "hr": np.ones((2, 4, 4, 3), np.float32)}
    step = steps(networks, ["sr"], [player()], optimizers)
    state, _ = step(state, batch(), jax.random.key(0))
    new, metrics = step(state, bad, jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, new.nets, state.nets)
    assert (int(new.step), int(new.skipped)) == (2, 1)
    assert not np.isfinite(metrics["loss"])


def test_players_update_their_own_networks_at_their_own_pace():
    networks, optimizers, state = start(("a", "b"))
    step = steps(networks, ["a", "b"], [player(["a"]), player(["b"], every=2)], optimizers)
    history = []
    for _ in range(4):
        before = gain(state, "a"), gain(state, "b")
        state, metrics = step(state, batch(), jax.random.key(0))
        history.append((gain(state, "a") != before[0], gain(state, "b") != before[1]))
    assert history == [(True, True), (True, False), (True, True), (True, False)]
    assert {"loss", "player1/loss", "player1/grad_norm"} <= set(metrics)


def test_a_network_that_no_player_names_is_frozen():
    networks, optimizers, state = start(("a", "b"))
    new, _ = steps(networks, ["a", "b"], [player(["b"])], optimizers)(state, batch(), jax.random.key(0))
    assert gain(new, "a") == 1 and gain(new, "b") != 1


def test_chain_names_the_outputs_of_earlier_networks():
    networks, _, state = start(("a", "b"))
    variables = states.eval_variables(state)
    variables["a"]["params"] = {"gain": jnp.float32(2)}
    outputs, _ = run_chain(networks, ["a", "b"], variables, jnp.ones((1, 2, 2, 3)))
    assert set(outputs) == {"a/sr", "sr"} and float(outputs["sr"].mean()) == 2


def test_a_teacher_outside_the_chain_is_compared_with_and_never_changes():
    networks, optimizers, state = start()
    networks["teacher"] = Gain()
    taught = [dict(fn="l1", pred="sr", target="teacher/sr", weight=1.0)]
    teachers = {"teacher": {"params": {"gain": jnp.float32(1.5)}, "count": {"passes": jnp.int32(0)}}}
    step = steps(networks, ["sr"], [player(losses=taught)], optimizers)
    new, metrics = step(state, batch(), jax.random.key(0), teachers)
    np.testing.assert_allclose(metrics["loss"], 0.5 * 100 / 255, rtol=1e-6)
    assert set(new.nets) == {"sr"} and gain(new) > 1


def test_losses_compare_what_submodules_of_student_and_teacher_give():
    fields = dict(scale=2, num_feat=4, num_block=1)
    networks = {name: models.create("edsr", **fields) for name in ("sr", "teacher")}
    variables = {name: models.init(module, jax.random.key(n)) for n, (name, module) in enumerate(networks.items())}
    rows = [dict(fn="mse", pred="sr@body_0/conv1", target="teacher@body_0/conv1", weight=1.0)]
    optimizers = {"sr": optax.identity()}
    state = states.make_state({"sr": variables["sr"]}, optimizers, ema=False)
    data = {"lr": np.random.default_rng(0).integers(0, 256, (2, 6, 6, 3), np.uint8)}
    step = steps(networks, ["sr"], [player(losses=rows)], optimizers)
    new, metrics = step(state, data, jax.random.key(0), {"teacher": variables["teacher"]})

    def features(v):
        _, kept = networks["sr"].apply(v, data["lr"] / np.float32(255), capture_intermediates=True)
        return kept["intermediates"]["body_0"]["conv1"]["__call__"][0]

    expected = jnp.square(features(variables["sr"]) - features(variables["teacher"])).mean()
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-5)
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), new.nets["sr"]["variables"], variables["sr"])["params"]
    assert moved["conv_first"]["kernel"] and not moved["conv_last"]["kernel"]
    rows[0]["target"] = "teacher@body_0/conv3"
    with pytest.raises(UserError, match="'teacher@body_0/conv3', but teacher has no submodule body_0/conv3"):
        steps(networks, ["sr"], [player(losses=rows)], optimizers)(state, data, jax.random.key(0),
                                                                   {"teacher": variables["teacher"]})


def test_a_fused_step_is_the_step_through_the_branches():
    network = models.create("plain/basicvision", scale=4, num_feat=4)
    variables, optimizers = models.init(network, jax.random.key(0)), {"sr": optax.identity()}
    state = states.make_state({"sr": variables}, optimizers, ema=False)
    rng = np.random.default_rng(0)
    data = {"lr": rng.random((2, 8, 8, 3), np.float32), "hr": rng.random((2, 32, 32, 3), np.float32)}
    results = [jax.jit(make_step({"sr": network}, ["sr"], [player()], optimizers, [lambda s: 0.1], first_step=0,
                                 ema_decay=0.9, fused=fused))(state, data, jax.random.key(0)) for fused in (False, True)]
    (branches, its_metrics), (fused, metrics) = results
    np.testing.assert_allclose(metrics["loss"], its_metrics["loss"], rtol=1e-5)
    np.testing.assert_allclose(metrics["grad_norm"], its_metrics["grad_norm"], rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-6 * float(metrics["grad_norm"])),
                 branches.nets, fused.nets)


def test_learning_rate_follows_the_stages_own_step():
    networks, optimizers, state = start()
    state = state.replace(step=jnp.int32(7))
    step = jax.jit(make_step(networks, ["sr"], [player()], optimizers, [lambda s: 0.01 * (s + 1)], first_step=5, ema_decay=0.9))
    _, metrics = step(state, batch(), jax.random.key(0))
    np.testing.assert_allclose(metrics["learning_rate"], 0.03, rtol=1e-6)


def test_bfloat16_computes_in_bfloat16_and_keeps_float32_parameters():
    recipe = configs.load("aim22_t1", [("dtype", "bfloat16"), ("networks.sr.fields", "{'num_feat': 4, 'num_block': 1}")])
    networks, abstract = stages.make_networks(recipe, 0), stages.abstract_variables(recipe, 0)
    assert {leaf.dtype for leaf in jax.tree.leaves(abstract)} == {jnp.dtype("float32")}
    image = jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32)
    jaxpr = str(jax.make_jaxpr(lambda v, x: run_chain(networks, ["sr"], v, x)[0]["sr"])(abstract, image))
    convolutions = [line for line in jaxpr.splitlines() if "conv_general_dilated[" in line]
    assert convolutions and all("bf16" in line.split("=")[0] for line in convolutions)


DEVICES = """
import jax, numpy as np
from jsr import config, models, sharding
from jsr.errors import UserError
from jsr.training import optim, stages, state as states
from jsr.training.step import make_step
recipe = config.load("aim22_t1", [("networks.sr.fields", "{'num_feat': 8, 'num_block': 2}")])
networks, stage = stages.make_networks(recipe, 0), recipe.stages[0]
optimizers = {"sr": optim.make_optimizer(stage.players[0].optimizer)}
schedule = optim.make_schedule(stage.players[0].schedule, peak=1e-3, steps=20)
def train(devices):
    mesh = sharding.make_mesh(devices)
    state = states.make_state({"sr": models.init(networks["sr"], jax.random.key(0))}, optimizers, ema=True)
    state = jax.device_put(state, sharding.replicated(mesh))
    step = jax.jit(make_step(networks, ["sr"], stage.players, optimizers, [schedule], first_step=0, ema_decay=0.9))
    rng, losses = np.random.default_rng(0), []
    for _ in range(20):
        batch = {"lr": rng.integers(0, 256, (8, 6, 6, 3), np.uint8), "hr": rng.integers(0, 256, (8, 24, 24, 3), np.uint8)}
        state, metrics = step(state, sharding.put_batch(batch, mesh), jax.random.key(1))
        losses.append(float(metrics["loss"]))
    assert len(state.step.devices()) == len(devices)
    return jax.device_get(state), losses
one, eight = train(jax.devices()[:1]), train(jax.devices())
assert len(jax.devices()) == 8
try:
    sharding.check_batch(12, sharding.make_mesh())
except UserError as e:
    assert "batch 12 cannot be split evenly over 8 devices; use a multiple of 8" in str(e)
else:
    raise AssertionError("a batch of 12 over 8 devices")
params = [np.concatenate([x.ravel() for x in jax.tree.leaves(s.nets["sr"]["variables"])]) for s, _ in (one, eight)]
print(np.abs(params[0] - params[1]).max(), np.abs(np.subtract(one[1], eight[1])).max())
"""


def test_eight_devices_train_as_one():
    """20 steps on 8 fake devices: parameters within 1e-4 and losses within 1e-5 of one device's (sums in another order)."""
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    done = subprocess.run([sys.executable, "-c", DEVICES], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    parameters, losses = map(float, done.stdout.split())
    assert parameters < 1e-4 and losses < 1e-5

"""The one train step. Distillation, freezing and adversaries are players of it; there is never a second step."""

import functools

import jax
import jax.numpy as jnp
import optax

from jsr import losses, models, reparam
from jsr.errors import UserError


def run_chain(networks, chain, variables, lr, *, train=False, rngs=None, taps=()):
    """Passes `lr` through the networks of a chain.

    Args:
      networks: {name: module}.
      chain: names in order; each gets the `sr` of the one before.
      variables: {name: Flax collections}.
      lr: float array (N, H, W, 3) in [0, 1].
      train: passed to the networks; their statistics are updated where True.
      rngs: PRNG keys for the networks, as Flax takes them.
      taps: what else to return: "sr@body_1" is what the submodule body_1 of the network sr gives.

    Returns:
      (outputs, updated): the last network's outputs as a dict with `sr`, every earlier one's as `<name>/<key>`, the
      taps, and {name: the changed non-parameter collections}.

    Raises:
      UserError: there is no submodule of that path.
    """
    outputs, updated, image = {}, {}, lr
    for name in chain:
        tapped = {tap: tuple(path.split("/")) for tap in taps for net, _, path in [tap.partition("@")] if net == name}
        result, changed = networks[name].apply(
            variables[name], image, train=train, rngs=rngs,
            mutable=[*(c for c in variables[name] if train and c != "params"), *(["intermediates"] if tapped else [])],
            capture_intermediates=lambda module, method: method == "__call__" and module.path in tapped.values())
        captured = changed.pop("intermediates", {})
        outputs |= {tap: _tap(captured, tap, path) for tap, path in tapped.items()}
        updated[name] = changed
        result = models.outputs(result)
        image = result["sr"]
        outputs |= {key if name == chain[-1] else f"{name}/{key}": value for key, value in result.items()}
    return outputs, updated


def _tap(captured, tap, path):
    try:
        return functools.reduce(lambda tree, key: tree[key], path, captured)["__call__"][0]
    except KeyError:
        net, _, place = tap.partition("@")
        raise UserError(f"a loss compares with {tap!r}, but {net} has no submodule {place} (parameters.txt in the "
                        "run's folder lists them)") from None


def make_step(networks, chain, players, optimizers, schedules, *, first_step, ema_decay, fused=False):
    """Builds the step of one stage.

    Args:
      networks: {name: module}.
      chain: names in the order in which an image passes them.
      players: rows {nets, losses, clip_norm, every, ...}; each updates its own networks from its own losses.
      optimizers: {net name: optax transformation}.
      schedules: one a player, from the stage's step to the learning rate.
      first_step: the run's step at which the stage begins.
      ema_decay: of the averaged parameters; unused where the state has none.
      fused: computes with the fused kernels of the training branches (jsr.reparam.fuse_params): the same gradients.

    Returns:
      step(state, batch, key, teachers) -> (state, metrics). `batch` holds uint8 images (N, H, W, C); `key` is the
      stage's PRNG key; `teachers` are {name: variables} of the networks outside the chain, each of which is given the
      LR images, and losses find what it gives in the batch as `<name>/sr`; metrics are float32 scalars, from
      the second player on named `player<i>/...`. A step whose loss or gradient is not finite changes nothing but the
      counts.
    """
    used = {key for player in players for row in player.losses for key in (row["pred"], row["target"])}
    taps = sorted(key for key in used if "@" in key)
    trained = {name: reparam.deployed(networks[name]) if fused else networks[name] for name in chain}

    def play(player, schedule, state, batch, key):
        frozen = {name: net["variables"] for name, net in state.nets.items()}

        def loss_of(params):
            variables = {**frozen, **{name: {**frozen[name], "params": params[name]} for name in player.nets}}
            if fused:
                variables = {name: reparam.fuse_params(networks[name], variables[name]) for name in chain}
            outputs, updated = run_chain(trained, chain, variables, batch["lr"], train=True, rngs={"dropout": key},
                                         taps=taps)
            loss, values = losses.total(player.losses, outputs, batch)
            return loss, (values, updated)

        params = {name: frozen[name]["params"] for name in player.nets}
        (loss, (values, updated)), grads = jax.value_and_grad(loss_of, has_aux=True)(params)
        norm = optax.tree.norm(grads)
        if player.clip_norm:
            factor = jnp.minimum(1.0, player.clip_norm / jnp.maximum(norm, 1e-12))
            grads = jax.tree.map(lambda g: g * factor, grads)
        learning_rate = schedule(state.step - first_step)
        nets = dict(state.nets)
        for name in player.nets:
            direction, opt = optimizers[name].update(grads[name], nets[name]["opt"], params[name])
            new = jax.tree.map(lambda p, d: p - learning_rate * d, params[name], direction)
            nets[name] = {**nets[name], "variables": {**frozen[name], **updated[name], "params": new}, "opt": opt}
            if "ema" in nets[name]:
                nets[name]["ema"] = jax.tree.map(lambda e, p: e + (1 - ema_decay) * (p - e), nets[name]["ema"], new)
        metrics = {"loss": loss, **values, "grad_norm": norm, "learning_rate": learning_rate}
        return nets, metrics, jnp.isfinite(loss) & jnp.isfinite(norm)

    def step(state, batch, key, teachers=None):
        batch = {name: value.astype(jnp.float32) / 255 if value.dtype == jnp.uint8 else value
                 for name, value in batch.items()}
        for name, variables in (teachers or {}).items():
            outputs, _ = run_chain(networks, [name], {name: variables}, batch["lr"], taps=taps)
            batch |= {key if "@" in key else f"{name}/{key}": value for key, value in outputs.items()}
        key = jax.random.fold_in(key, state.step)
        skipped, metrics = jnp.int32(0), {}
        for index, (player, schedule) in enumerate(zip(players, schedules, strict=True)):
            nets, values, finite = play(player, schedule, state, batch, jax.random.fold_in(key, index))
            due = (state.step - first_step) % player.every == 0
            state = state.replace(nets=_where(finite & due, nets, state.nets))
            skipped |= (due & ~finite).astype(jnp.int32)
            prefix = f"player{index}/" if index else ""
            metrics.update({prefix + name: jnp.asarray(value, jnp.float32) for name, value in values.items()})
        return state.replace(step=state.step + 1, skipped=state.skipped + skipped), metrics

    return step


def _where(condition, new, old):
    return jax.tree.map(lambda n, o: jnp.where(condition, n, o), new, old)


"""The one train step. Distillation, freezing and adversaries are players of it; there is never a second step."""

import contextlib
import functools
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jsr import augment, losses, optim, reparam, sharding
from jsr.chain import apply, referred, run_chain, takes_quality, told
from jsr.errors import UserError, nearest
from jsr.layers.repeated import scanned, within_scan
from jsr.training import insight, stages
from jsr.training.state import purpose_key

SCALE_AFTER = 2000  # good steps, after which the loss scale doubles


def forward(networks, chain, variables, batch, keys, *, train=(), rngs=None):
    """Passes a batch through the chain, and through the other networks that keys of loss rows name, once per key.

    Args:
      networks, chain, variables, train, rngs: see `run_chain`; networks and variables of all networks.
      batch: dict of float arrays; `refs` are of networks that refine by references (jsr.chain.referred).
      keys: keys of loss rows (jsr.losses), those within them too.

    Returns:
      (outputs, updated) as `run_chain`; outputs has all keys that are not in the batch.

    Raises:
      UserError: a key names what is not there.
    """
    parsed = {key: losses.parse(key) for key in keys}
    paths = {}
    for key in parsed.values():
        if key.path:
            paths.setdefault(key.source, []).append(key.path)
    chained = {name: networks[name] for name in chain}
    takers = takes_quality(chained)
    conditions = {**(told(takers, batch["lr_quality"]) if takers else {}),
                  **(referred(chained, batch["refs"]) if "refs" in batch else {})}
    outputs, updated = run_chain(networks, chain, variables, batch["lr"], train=train, rngs=rngs,
                                 taps=[key for key, its in parsed.items() if its.path and not its.net],
                                 conditions=conditions)

    def find(key):
        for arrays in (outputs, batch):
            if key in arrays:
                return arrays[key]
        net, of, path = losses.parse(key)
        if net in networks and not path:
            own = {**variables[net], **updated.get(net, {})}
            result, tapped, changed = apply(networks[net], own, find(of), train=net in train, rngs=rngs,
                                            taps=paths.get(key, ()))
            updated[net] = updated.get(net, {}) | changed
            outputs.update({key: result["sr"], **{f"{key}@{its}": value for its, value in tapped.items()}})
            return outputs[key]
        raise UserError(_unknown(key, net, path, networks, [*outputs, *batch]))

    for key, its in parsed.items():
        find(its.source)
        find(key)
    return outputs, updated


def _unknown(key, net, path, networks, known):
    """The UserError for a key that names nothing."""
    if net and net not in networks:
        return f"a loss compares with {key!r}, but there is no network {net!r}; {nearest(net, networks)}"
    if path and key.rpartition("@")[0] in (*networks, *known):
        return (f"a loss compares with {key!r}, but {key.rpartition('@')[0]} has no submodule {path} (parameters.txt "
                "in the run's folder lists them)")
    return f"a loss compares with {key!r}, which no network gives and no batch has; {nearest(key, known)}"


def prepare(plan, variables, batch, key, mesh=None):
    """A batch as the networks with parameters see it.

    Args:
      plan: StagePlan.
      variables: {name: Flax collections} of all networks.
      batch: dict of arrays, images uint8.
      key: the step's PRNG key.
      mesh: Mesh that the batch lies on, None of one device.

    Returns:
      dict of arrays, images in [0, 1]: degraded where that is left to the device, through the networks without
      parameters at the head of the chain, augmented.
    """
    networks, chain = plan.networks, list(plan.recipe.chain)
    if plan.recipe.data.degrade_on != "host":
        from jsr.data import mix  # the loader's libraries, which a step needs not
        from jsr.degradations import degrade_device

        form = mix.device_form(plan.recipe, plan.stage)
        batch = sharding.by_samples(functools.partial(degrade_device.degraded, form), mesh)(batch)
    batch = {name: value.astype(jnp.float32) / 255 if value.dtype == jnp.uint8 else value
             for name, value in batch.items()}
    head = [name for name in chain if stages.in_head(variables, chain, name)]
    batch["lr"] = run_chain(networks, head, variables, batch["lr"])[0]["sr"] if head else batch["lr"]
    return augment.apply(plan.stage.augment, batch, purpose_key(key, "augment"))


def make_step(plan, mesh=None):
    """Builds the step of a stage of a recipe.

    Args:
      plan: StagePlan of the stage.
      mesh: Mesh that the state and the batches lie on. Over several devices of its axis `data` each computes the
        gradient of its samples, and one reduction in float32 their mean (`sharding.means_over`); None leaves all to
        XLA, and so do rows, networks whose BatchNorm learns of the whole batch, and losses over the batch.

    Returns:
      step(state, batch, key, frozen, seen) -> (state, metrics). `batch` holds uint8 images (N, H, W, C); `key` is the
      stage's PRNG key; `frozen` are {name: variables} of the networks that are not in the state. Metrics are float32
      scalars, from the second player on named `player<i>/...`.

      Players play at the same time: each sees the networks as they are before the step. The networks that some player
      of the stage updates are in training, all others as they are used. Networks without parameters at the head of the
      chain are applied to `lr` before the augmentation, which so sees what they give; so do losses.

      A step where a loss or gradient is not finite changes nothing but the counts and the loss scale, and its metric
      `skipped` is 1. `seen`: skipped steps that the caller has already handled. While state.skipped is larger, a step
      changes nothing at all, so that the caller can save the inputs of the step that failed (jsr.training.blackbox);
      None does without.
    """
    stage, chain, networks, first_step = plan.stage, list(plan.recipe.chain), plan.networks, plan.first_step
    ema_decay = plan.recipe.ema_decay
    forms = networks | ({name: reparam.deployed(networks[name]) for name in chain} if stage.fused else {})
    platform = mesh.devices.flat[0].platform if isinstance(mesh, jax.sharding.Mesh) else jax.default_backend()
    accelerated = platform != "cpu"
    in_training = {name for player in stage.players for name in player.nets}
    apart = mesh is not None and mesh.shape[sharding.DATA] > 1 and mesh.shape[sharding.ROWS] == 1 and all(
        losses.is_mean(row) for player in stage.players for row in player.losses)

    def loss_of(params, number, variables, statistics, batch, key, loss_scale):
        player = stage.players[number]
        variables = {name: {**collections, **statistics.get(name, {}),
                            **({"params": params["nets"][name]} if name in params["nets"] else {})}
                     for name, collections in variables.items()}
        if stage.fused:
            variables |= {name: reparam.fuse_params(networks[name], variables[name], at_once=accelerated)
                          for name in chain}
        passed = [name for name in chain if not stages.in_head(variables, chain, name)]
        with intercepted(stage.remat, stage.frozen_statistics), scanned(accelerated and bool(stage.remat)):
            outputs, updated = forward(forms, passed, variables, batch, losses.keys(player.losses), train=in_training,
                                       rngs={"dropout": key})
        loss, values = losses.total(player.losses, outputs, batch, params["losses"])
        statistics = {name: own | updated.get(name, {}) for name, own in statistics.items()}
        return loss * loss_scale, ({"loss": loss, **values}, statistics)

    def play(number, state, variables, batch, key):
        """(nets, loss_params, metrics, whether all is finite) after the update of a player."""
        player, stage_step = stage.players[number], state.step - first_step
        own = [name for name in player.nets if variables[name]["params"]]
        kept = {name: state.nets[name]["variables"]["params"] for name in own}  # Flat, or a tree
        loss_params = state.loss_params.get(f"player{number}", {})
        params = {"nets": {name: variables[name]["params"] for name in own},
                  "losses": {name: row["params"] for name, row in loss_params.items()}}
        statistics = {name: {c: v for c, v in variables[name].items() if c != "params"} for name in own}
        factors = optim.rate_factors(player.freeze, params["nets"], stage_step)
        given = {"params": params, "variables": variables, "statistics": statistics,
                 "loss_scale": state.loss_scale.get("scale", 1.0)}

        def gradient(given, batch, key):
            def grad_of(statistics, batch, key):
                def loss_of_moving(params):
                    held = jax.tree.map(_held, params["nets"], factors)
                    return loss_of(params | {"nets": held}, number, given["variables"], statistics, batch, key,
                                   given["loss_scale"])

                (_, (values, after)), grads = jax.value_and_grad(loss_of_moving, has_aux=True)(given["params"])
                return after, jax.tree.map(lambda g: g / given["loss_scale"], grads) | {"values": values}

            return _in_parts(grad_of, stage.accumulate, given["statistics"], batch, key)

        flat = {name: its for name, its in kept.items() if isinstance(its, sharding.Flat)}
        if apart and (stage.frozen_statistics or not any("batch_stats" in variables[name] for name in in_training)):
            gradient = sharding.means_over(gradient, mesh, flat)
        statistics, found = gradient(given, batch, key)
        values = found.pop("values")
        grads = {**found, "nets": found["nets"] | {
            name: (its if isinstance(its, sharding.Flat) else flat[name].alike(its)).laid
            for name, its in found["nets"].items() if name in flat}}
        factors |= {name: its.each(factors[name]) for name, its in flat.items()}
        params = {**params, "nets": kept}
        finite = jnp.isfinite(values["loss"]) & jnp.isfinite(optax.tree.norm(grads))
        moving = jax.tree.map(lambda g, factor: jnp.where(factor != 0, g, 0), grads["nets"], factors)
        norm = optax.tree.norm(moving)
        shrink = jnp.minimum(1.0, player.clip_norm / jnp.maximum(norm, 1e-12)) if player.clip_norm else 1.0
        given = {"learning_rate": plan.schedules[number](stage_step), "value": values["loss"]}
        # Much at first, or the average of a short run would be mostly of the parameters that it began with
        fresh = 1 - jnp.minimum(ema_decay, (1 + state.step) / (10 + state.step))
        nets, plateau = {}, 1.0
        for name in own:  # what is frozen for a while is watched by its optimizer all the same
            clipped = jax.tree.map(lambda g: g * shrink, grads["nets"][name])
            updates, opt = plan.optimizers[name].update(clipped, state.nets[name]["opt"], params["nets"][name], **given)
            new = jax.tree.map(lambda p, u, factor: p + u * factor, params["nets"][name], updates, factors[name])
            nets[name] = {**state.nets[name], "variables": {**statistics[name], "params": new}, "opt": opt}
            if "ema" in nets[name]:
                nets[name]["ema"] = jax.tree.map(lambda e, p: e + fresh.astype(e.dtype) * (p - e), nets[name]["ema"],
                                                 optim.evaluated(opt, new))
            plateau = optim.plateau_scale(opt)
        learnt = {name: _learn(row, grads["losses"][name], given) for name, row in loss_params.items()}
        metrics = {**values, "grad_norm": norm, "learning_rate": given["learning_rate"] * plateau,
                   **losses.learnt(player.losses, {name: row["params"] for name, row in learnt.items()}),
                   **insight.statistics(moving, params["nets"], nets)}
        return nets, learnt, metrics, finite

    def step(state, batch, key, frozen=None, seen=None):
        key = jax.random.fold_in(key, state.step)
        variables = {name: sharding.named(net["variables"]) for name, net in state.nets.items()} | (frozen or {})
        batch = prepare(plan, variables, batch, key, mesh)
        nets, loss_params, skipped, metrics = dict(state.nets), dict(state.loss_params), jnp.bool_(False), {}
        for number, player in enumerate(stage.players):
            played, learnt, values, finite = play(number, state, variables, batch, key)
            due = (state.step - first_step) % player.every == 0
            nets |= {name: _where(due, net, state.nets[name]) for name, net in played.items()}
            if learnt:
                loss_params[f"player{number}"] = _where(due, learnt, loss_params[f"player{number}"])
            skipped |= due & ~finite
            prefix = f"player{number}/" if number else ""
            metrics |= {prefix + name: jnp.asarray(value, jnp.float32) for name, value in values.items()}
        metrics |= {"skipped": jnp.asarray(skipped, jnp.float32)}
        if "scale" in state.loss_scale:
            metrics["loss_scale"] = state.loss_scale["scale"]
        nets, loss_params = _where(skipped, (state.nets, state.loss_params), (nets, loss_params))
        new = state.replace(step=state.step + 1, skipped=state.skipped + skipped, nets=nets, loss_params=loss_params,
                            loss_scale=_next_scale(state.loss_scale, skipped))
        return new if seen is None else _where(state.skipped == seen, new, state), metrics

    return step


def _held(param, factor):
    """A parameter as the loss sees it: one that never moves needs no gradient."""
    return jax.lax.stop_gradient(param) if isinstance(factor, float) and factor == 0 else param


def _in_parts(fn, parts, statistics, batch, key):
    """`fn` on a batch in parts, one after the other: the last statistics, and the mean of the rest of the results.

    A part has every `parts`-th sample, so that each device has a share of each part.
    """
    if parts == 1:
        return fn(statistics, batch, key)
    split = jax.tree.map(lambda x: jnp.moveaxis(x.reshape(len(x) // parts, parts, *x.shape[1:]), 1, 0), batch)

    def add(carry, part):
        statistics, sums = carry
        number, images = part
        statistics, results = fn(statistics, images, jax.random.fold_in(key, number))
        return (statistics, optax.tree.add(sums, results)), None

    shapes = jax.eval_shape(fn, statistics, jax.tree.map(lambda x: x[0], split), key)[1]
    zeros = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)
    (statistics, sums), _ = jax.lax.scan(add, (statistics, zeros), (jnp.arange(parts), split))
    return statistics, jax.tree.map(lambda x: x / parts, sums)


def _learn(row, grads, given):
    """The {params, opt} of a loss after an update by Adam."""
    updates, opt = optim.make_optimizer({"name": "adam"}).update(grads, row["opt"], row["params"], **given)
    return {"params": optax.apply_updates(row["params"], updates), "opt": opt}


def _next_scale(loss_scale, skipped):
    """The loss scale after a step: halved where it was skipped, doubled after SCALE_AFTER that were not; {} stays."""
    if not loss_scale:
        return loss_scale
    scale, good = loss_scale["scale"], loss_scale["good"] + 1
    grown = jnp.where(good == SCALE_AFTER, scale * 2, scale)
    return {"scale": jnp.where(skipped, jnp.maximum(scale / 2, 1.0), grown),
            "good": jnp.where(skipped | (good == SCALE_AFTER), 0, good)}


@contextlib.contextmanager
def intercepted(remat, frozen_statistics):
    """While it is entered, networks recompute their blocks and keep their norms' statistics, as a stage wants it."""
    with contextlib.ExitStack() as stack:
        if remat:
            stack.enter_context(nn.intercept_methods(_Recompute()))
        if frozen_statistics:
            stack.enter_context(nn.intercept_methods(_with_running_statistics))
        yield


class _Recompute:
    """An interceptor of methods: activations within a block are computed again in the backward pass.

    A block is a submodule whose name ends in a number, as "body_3", and that lies in no other.
    """

    def __init__(self):
        self._inside = False

    def __call__(self, call, args, kwargs, context):
        module = context.module
        is_block = context.method_name == "__call__" and re.search(r"_\d+$", module.name or "")
        if self._inside or not is_block or within_scan():
            return call(*args, **kwargs)
        self._inside = True
        try:
            return nn.remat(lambda its, *images: type(its).__call__(its, *images, **kwargs))(module, *args)
        finally:
            self._inside = False


def _with_running_statistics(call, args, kwargs, context):
    """An interceptor of methods: BatchNorm as it is used, in training too."""
    if isinstance(context.module, nn.BatchNorm) and context.method_name == "__call__":
        kwargs = {key: value for key, value in kwargs.items() if key != "use_running_average"}
        object.__setattr__(context.module, "use_running_average", True)  # Linen takes it from one place alone
    return call(*args, **kwargs)


def _where(condition, new, old):
    return jax.tree.map(lambda n, o: jnp.where(condition, n, o), new, old)

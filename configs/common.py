"""The two helpers that all track files share: `stage` and `recipe`. One level, no inheritance.

A recipe is plain data (`ml_collections.ConfigDict`):

  recipe       "<track>:<name>"
  id           the entry's id in the catalogue of published methods, "" for a recipe of our own
  title        one line for listings
  protocol     the challenge whose degradation, metrics and table apply (jsr.challenges)
  seed         the one integer behind every random draw
  networks     {name: {model, scale, fields, copies, start_from}}; fields override the variant's; start_from is a model
               file, of a run or of `jsr convert`, whose parameters training starts from, "" for fresh ones
  chain        network names in the order in which an image passes them
  data         {train, eval: {dataset, split, degrade}, data_dir, num_workers}
  stages       a list of `stage(...)`
  ensemble     {self}: at evaluation, average the outputs for the eight flips and turns of an image
  ema_decay    of the averaged parameters that are evaluated and kept; 0 turns averaging off
  dtype        compute type of the networks, "float32" or "bfloat16"; parameters stay float32
  log_every, eval_every, checkpoint_every, keep_checkpoints      in steps; checkpoints kept
  inferred     what the source does not state and we chose, short texts
  report       the published figures
"""

from ml_collections import ConfigDict

from jsr.config import nearest
from jsr.errors import UserError


def stage(*, steps, crop, batch, losses, learning_rate, schedule=None, optimizer=None, clip_norm=0.0,
          augment=("flip_rotate",)):
    """One stage of training with one player that updates every network of the chain.

    Args:
      steps: updates.
      crop: side of the square HR crop, px.
      batch: samples per step over all devices.
      losses: rows {fn, pred, target, weight} (jsr.losses).
      learning_rate: the schedule's highest.
      schedule: row {name, ...} (jsr.training.optim.SCHEDULES); constant by default.
      optimizer: row {name, ...} (jsr.training.optim.OPTIMIZERS); Adam (0.9, 0.999) by default.
      clip_norm: largest global norm of the gradient; 0 does not clip.
      augment: names of jsr.data.augment.
    """
    player = dict(nets=[], losses=[dict(row) for row in losses], learning_rate=float(learning_rate),
                  schedule=dict(schedule or {"name": "constant"}), optimizer=dict(optimizer or {"name": "adam"}),
                  clip_norm=float(clip_norm), every=1)
    return ConfigDict(dict(steps=steps, crop=crop, batch=batch, augment=list(augment), players=[ConfigDict(player)]))


def recipe(*, title, protocol, networks, data, stages, id="", chain=None, seed=0, ema_decay=0.999, dtype="float32",
           log_every=100, eval_every=5000, checkpoint_every=1000, keep_checkpoints=3, ensemble=None, inferred=(),
           report=None):
    """A recipe with the defaults that most published ones share; the fields are explained above."""
    networks = {name: {"fields": {}, "copies": 1, "start_from": "", **net} for name, net in networks.items()}
    source = {"split": "", "degrade": ""}
    data = {"data_dir": "", "num_workers": 2, **data,
            "train": {**source, "split": "train", **data["train"]},
            "eval": {**source, "split": "validation", **data["eval"]}}
    chain = list(chain or networks)
    for player in (p for s in stages for p in s.players if not p.nets):
        player.nets = list(chain)
    return ConfigDict(dict(
        recipe="", id=id, title=title, protocol=protocol, seed=seed, networks=networks, chain=chain, data=data,
        stages=list(stages), ensemble={"self": False, **(ensemble or {})}, ema_decay=float(ema_decay), dtype=dtype,
        log_every=log_every, eval_every=eval_every, checkpoint_every=checkpoint_every,
        keep_checkpoints=keep_checkpoints, inferred=list(inferred), report=dict(report or {})))


def pick(track, recipes, name):
    """A copy of the recipe `name` from a track's table, labelled `<track>:<name>`; UserError names the nearest."""
    if name not in recipes:
        raise UserError(f"{track}: no recipe {name!r}; {nearest(name, recipes)}")
    config = recipes[name].copy_and_resolve_references()
    config.recipe = f"{track}:{name}"
    return config

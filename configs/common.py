"""The helpers that all track files share: `recipe`, `stage` and `source`. One level, no inheritance.

A recipe is plain data (`ml_collections.ConfigDict`):

  recipe       "<track>:<name>"
  id           the entry's id in the catalogue of published methods, "" for a recipe of our own
  title        one line for listings
  protocol     the challenge whose degradation, metrics and table apply (jsr.challenges)
  seed         the one integer behind every random draw
  networks     {name: {model, scale, fields, copies, start_from, carry}}; fields override the variant's; start_from is a
               model file, of a run or of `jsr convert`, whose parameters training starts from, "" for fresh ones, and
               carry = "match" takes of it what fits: another scale's, fewer blocks'
  chain        network names in the order in which an image passes them; one outside it is a trained teacher, which
               `start_from` must name, and whose outputs losses find as "<name>/sr"
  data         {train: rows of `source`, or one; eval: {dataset, split, degrade, set}; data_dir, num_workers}
  stages       a list of `stage(...)`
  ensemble     {self}: at evaluation, average the outputs for the eight flips and turns of an image
  ema_decay    of the averaged parameters that are evaluated and kept; 0 turns averaging off
  dtype        compute type of the networks, "float32" or "bfloat16"; parameters stay float32
  log_every, eval_every, checkpoint_every, keep_checkpoints      in steps; checkpoints kept
  input_hw     [height, width] of the LR image that costs are counted for
  inferred     what the source does not state and we chose, short texts
  report       the published figures
"""

from ml_collections import ConfigDict

from jsr.config import nearest
from jsr.errors import UserError


def source(dataset, *, split="train", degrade="", set=None, files="", repeat=1, weight=0.0, steps=()):
    """A row of the data that samples are taken from; a recipe may have them as plain dicts with these keys.

    Args:
      dataset: "<dataset>[/<config>]", or the path of a folder of images.
      split: of the dataset; may be a slice as "train[:100]".
      degrade: "" takes the stored LR; a protocol's name (jsr.degradations) makes it from the HR crop.
      set: parameters of `degrade`, as {"qp": 31}; of a list of numbers one is drawn for each sample.
      files: a text file with the names to keep, one a line; "" keeps all.
      repeat: how often each image counts beside other rows' images.
      weight: share of the samples, for all rows or for none; without weights it is images times `repeat`.
      steps: [first, last) of the stage in which the row takes part; () is always.
    """
    return ConfigDict(dict(dataset=dataset, split=split, degrade=degrade, set=dict(set or {}), files=files,
                           repeat=repeat, weight=float(weight), steps=list(steps)))


def stage(*, steps, crop, batch, losses, learning_rate, schedule=None, optimizer=None, clip_norm=0.0,
          augment=("flip_rotate",), fused=False, begin=(), data=(), frames=0):
    """One stage of training with one player that updates every network of the chain.

    Args:
      steps: updates.
      crop: side of the square HR crop, px.
      batch: samples per step over all devices.
      losses: rows {fn, pred, target, weight} and what else the function takes (jsr.losses).
      learning_rate: the schedule's highest.
      schedule: row {name, ...} (jsr.training.optim.SCHEDULES); constant by default.
      optimizer: row {name, ...} (jsr.training.optim.OPTIMIZERS); Adam (0.9, 0.999) by default.
      clip_norm: largest global norm of the gradient; 0 does not clip.
      augment: names of jsr.data.augment.
      fused: trains through the fused kernels of re-parameterised blocks: the same gradients, sooner.
      begin: rows {net, carry, fields} (jsr.training.stages): what becomes of a network's form as the stage begins.
      data: rows of `source`, instead of the recipe's.
      frames: of a sample, from datasets of clips; 0 is for images.
    """
    player = dict(nets=[], losses=[dict(row) for row in losses], learning_rate=float(learning_rate),
                  schedule=dict(schedule or {"name": "constant"}), optimizer=dict(optimizer or {"name": "adam"}),
                  clip_norm=float(clip_norm), every=1)
    return ConfigDict(dict(steps=steps, crop=crop, batch=batch, augment=list(augment), players=[ConfigDict(player)],
                           fused=fused, begin=[ConfigDict(row) for row in begin],
                           data=[source(**row) for row in data], frames=frames))


def recipe(*, title, protocol, networks, data, stages, id="", chain=None, seed=0, ema_decay=0.999, dtype="float32",
           log_every=100, eval_every=5000, checkpoint_every=1000, keep_checkpoints=3, ensemble=None, inferred=(),
           report=None, input_hw=(192, 192)):
    """A recipe with the defaults that most published ones share; the fields are explained above."""
    absent = {"fields": {}, "copies": 1, "start_from": "", "carry": ""}
    networks = {name: {**absent, **net} for name, net in networks.items()}
    train = [data["train"]] if isinstance(data["train"], (dict, ConfigDict)) else data["train"]
    data = {"data_dir": "", "num_workers": 2, **data, "train": [source(**row) for row in train],
            "eval": {"split": "validation", "degrade": "", "set": {}, **data["eval"]}}
    chain = list(chain or networks)
    for player in (p for s in stages for p in s.players if not p.nets):
        player.nets = list(chain)
    return ConfigDict(dict(
        recipe="", id=id, title=title, protocol=protocol, seed=seed, networks=networks, chain=chain, data=data,
        stages=list(stages), ensemble={"self": False, **(ensemble or {})}, ema_decay=float(ema_decay), dtype=dtype,
        log_every=log_every, eval_every=eval_every, checkpoint_every=checkpoint_every,
        keep_checkpoints=keep_checkpoints, input_hw=list(input_hw), inferred=list(inferred), report=dict(report or {})))


def pick(track, recipes, name):
    """A copy of the recipe `name` from a track's table, labelled `<track>:<name>`; UserError names the nearest."""
    if name not in recipes:
        raise UserError(f"{track}: no recipe {name!r}; {nearest(name, recipes)}")
    config = recipes[name].copy_and_resolve_references()
    config.recipe = f"{track}:{name}"
    return config

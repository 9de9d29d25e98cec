"""The helpers that all track files share: `recipe`, `stage`, `player` and `source`. One level, no inheritance.

A recipe is plain data (`ml_collections.ConfigDict`):

  recipe       "<track>:<name>"
  id           the entry's id in the catalogue of published methods, "" for a recipe of our own
  title        one line for listings
  protocol     the challenge whose degradation, metrics and table apply (jsr.challenges)
  ranking      the score that the log shows and the best file has most of, as "psnr[rgb]"; "" is the protocol's
  seed         the one integer behind every random draw
  networks     {name: {model, scale, fields, copies, start_from, carry}}; fields override the variant's; start_from is a
               model file, of a run or of `jsr convert`, whose parameters training starts from, "" for fresh ones, and
               carry = "match" takes of it what fits: another scale's, fewer blocks'
  chain        network names in the order in which an image passes them; losses apply those outside it, as "critic(sr)".
               One that no player updates, as a teacher, must have `start_from`; one that a player updates has no
               average of its parameters, and is in checkpoints, but not in the model files
  data         {train: rows of `source`, or one; eval: {dataset, split, degrade, set}; data_dir, num_workers}
  stages       a list of `stage(...)`
  ensemble     {self, tiles, tlc}, for the finished model: self averages the outputs for the eight flips and turns of an
               image, tiles those for several sides of tiles (LR px); tlc is the side (LR px, 1.5 times the crop) of
               windows whose means stand for those of the whole image (jsr.layers.pool), 0 for none
  ema_decay    of the averaged parameters that are evaluated and kept; 0 turns averaging off
  dtype        compute type of the networks, "float32", "bfloat16" or "float16"; parameters stay float32. In float16
               losses are scaled so that gradients neither vanish nor overflow; a step that overflows is skipped
  log_every, eval_every, checkpoint_every, keep_checkpoints      in steps; checkpoints kept
  input_hw     [height, width] of the LR image that costs are counted for
  inferred     what the source does not state and we chose, short texts
  report       the published figures
"""

from ml_collections import ConfigDict

from jsr.config import nearest
from jsr.errors import UserError


def source(dataset, *, split="train", degrade="", set=None, files="", repeat=1, weight=0.0, steps=(), shrink=1.0, tiles=0,
           detail=0.0):
    """A row of the data that samples are taken from; a recipe may have them as plain dicts with these keys.

    Args:
      dataset: "<dataset>[/<config>]", or the path of a folder of images.
      split: of the dataset; may be a slice as "train[:100]".
      degrade: "" takes the stored LR; a protocol's name (jsr.degradations) makes it, of as much of the HR image as the
        crop depends on.
      set: parameters of `degrade`, as {"qp": 31}; of a range, "60-100", or a list of numbers one is drawn for each
        sample, each as likely.
      files: a text file with the names to keep, one a line; "" keeps all.
      repeat: how often each image counts beside other rows' images.
      weight: share of the samples, for all rows or for none; without weights it is images times `repeat`.
      steps: [first, last) of the stage in which the row takes part; () is always.
      shrink: factor, as 2 or 2.5, by which the photographs of a folder are made smaller, until the traces of sensor and
        JPEG are gone.
      tiles: least side, px, of the tiles that they are then cut into; 0 takes crops of the whole.
      detail: least mean second difference, levels, of a tile, as 3; one in eight of the flatter ones is kept. 0 keeps all.
    """
    return ConfigDict(dict(dataset=dataset, split=split, degrade=degrade, set=dict(set or {}), files=files,
                           repeat=repeat, weight=float(weight), steps=list(steps), shrink=float(shrink), tiles=tiles,
                           detail=float(detail)))


def player(*, losses, learning_rate, nets=(), schedule=None, optimizer=None, clip_norm=0.0, every=1, freeze=()):
    """One of the players of a stage: it updates its networks so that its losses become smaller.

    Args:
      losses: rows {fn, pred, target, weight} and what else the function takes (jsr.losses).
      learning_rate: the schedule's highest.
      nets: networks that it updates, which no other player of the stage may; () is the whole chain. Those outside the
        chain, as a critic, are drawn at the run's start, or of the file in start_from.
      schedule: row {name, ...} (jsr.training.optim.SCHEDULES); constant by default.
      optimizer: row {name, ...} (jsr.training.optim.OPTIMIZERS); Adam (0.9, 0.999) by default.
      clip_norm: largest global norm of the gradient; 0 does not clip.
      every: it plays in every n-th step.
      freeze: patterns of parameters, as "sr/body_*", that stay as they are, or rows {pattern, steps, factor}: for the
        stage's first steps (0: for all) their learning rate is multiplied by factor (0 by default).
    """
    return ConfigDict(dict(
        nets=list(nets), losses=[dict(row) for row in losses], learning_rate=float(learning_rate),
        schedule=dict(schedule or {"name": "constant"}), optimizer=dict(optimizer or {"name": "adam"}),
        clip_norm=float(clip_norm), every=every, freeze=list(freeze)))


def stage(*, steps, crop, batch, players=(), augment=("flip_rotate",), fused=False, accumulate=1, remat="",
          frozen_statistics=False, begin=(), data=(), frames=0, **only):
    """One stage of training.

    Args:
      steps: updates.
      crop: side of the square HR crop, px.
      batch: samples per step over all devices.
      players: as of `player`, playing at the same time. For one that updates the whole chain, give its arguments here
        instead: stage(losses=..., learning_rate=..., ...).
      augment: rows of jsr.training.augment.
      fused: trains through the fused kernels of re-parameterised blocks: the same gradients, sooner.
      accumulate: the batch is computed in so many parts, one after the other, with less memory. The gradient is that of
        the whole for losses that are means over samples; BatchNorm sees, and drop-path draws for, a part at a time.
      remat: "blocks" computes the activations within blocks, submodules with a number in their names, twice instead of
        keeping them: less memory on accelerators (CPUs take no notice), the same numbers.
      frozen_statistics: BatchNorm stays as it is, in training too.
      begin: rows {net, carry, fields} (jsr.training.stages): what becomes of a network's form as the stage begins.
      data: rows of `source`, instead of the recipe's.
      frames: of a sample, from datasets of clips; 0 is for images.
      **only: arguments of `player`.
    """
    if bool(players) == bool(only):
        raise TypeError("a stage has either players or the arguments of one player")
    return ConfigDict(dict(steps=steps, crop=crop, batch=batch, augment=list(augment),
                           players=list(players) or [player(**only)], fused=fused, accumulate=accumulate, remat=remat,
                           frozen_statistics=frozen_statistics, begin=[ConfigDict(row) for row in begin],
                           data=[source(**row) for row in data], frames=frames))


def recipe(*, title, protocol, networks, data, stages, id="", chain=None, seed=0, ema_decay=0.999, dtype="float32",
           log_every=100, eval_every=5000, checkpoint_every=1000, keep_checkpoints=3, ensemble=None, inferred=(),
           report=None, input_hw=(192, 192), ranking=""):
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
        recipe="", id=id, title=title, protocol=protocol, ranking=ranking, seed=seed, networks=networks, chain=chain, data=data,
        stages=list(stages), ensemble={"self": False, "tiles": [], "tlc": 0, **(ensemble or {})},
        ema_decay=float(ema_decay), dtype=dtype,
        log_every=log_every, eval_every=eval_every, checkpoint_every=checkpoint_every,
        keep_checkpoints=keep_checkpoints, input_hw=list(input_hw), inferred=list(inferred), report=dict(report or {})))


def pick(track, recipes, name):
    """A copy of the recipe `name` from a track's table, labelled `<track>:<name>`; UserError names the nearest."""
    if name not in recipes:
        raise UserError(f"{track}: no recipe {name!r}; {nearest(name, recipes)}")
    config = recipes[name].copy_and_resolve_references()
    config.recipe = f"{track}:{name}"
    return config

"""Validations of a run: its present networks over the pairs of the recipe, the best of them kept in a model file."""

import functools
import itertools
import logging

import jax

from jsr import challenges, crops, degradations, distributed, evaluation, metrics, model_file
from jsr.data import mix, validation
from jsr.degradations.enlarge import enlarge
from jsr.errors import UserError
from jsr.inference.chain import Chain
from jsr.inference.upscaler import Upscaler
from jsr.training import state as states
from jsr.trees import plain

log = logging.getLogger("jsr")

PRUNE_IMAGES = 8  # validation images that decide which channels go


class Judge:
    """Scores a run's networks; the Upscalers of one form share what they compile.

    Args:
      recipe: Recipe.
      meta: {"best": the best ranking score or None, "still": validations since, "fingerprint", and once known
        "baseline"}; kept up to date.
      leave_out: called with a line for each image that is damaged.
      opened: the recipe's data, where they are open, see `jsr.data.mix.open_sources`.
    """

    def __init__(self, recipe, meta, leave_out=None, opened=None):
        self._opened = opened or {}
        self._pairs = functools.partial(validation.pairs, recipe, leave_out)
        self._recipe, self._meta, self._protocol = recipe, meta, challenges.of(recipe.protocol, recipe.ranking)
        self._chain_of = functools.cache(self._make_chain)

    def _records(self):
        return self._opened[mix.EVAL] if mix.EVAL in self._opened else mix.validation_source(self._recipe)

    def _make_chain(self, tlc, *modules):
        return Chain(dict(zip(self._recipe.chain, modules, strict=True)), {}, tlc=tlc)

    def upscaler(self, networks, variables, *, tlc=0, **ensemble):
        """An Upscaler of the chain.

        Args:
          networks: {name: module} of all networks.
          variables: {name: Flax collections} of the chain.
          tlc: see `jsr.inference.chain.Chain`.
          **ensemble: arguments of Upscaler.
        """
        chain = self._chain_of(tlc, *(networks[name] for name in self._recipe.chain))
        return Upscaler([chain.with_variables(variables)], **ensemble)

    def ranking_score(self, networks, variables):
        """The mean over the first validation images, which decides what is pruned."""
        def score():
            pairs = itertools.islice(self._pairs(self._records()), PRUNE_IMAGES)
            return evaluation.ranking_score(self.upscaler(networks, variables), pairs, self._protocol)

        return distributed.first(score)

    def info(self, plan, steps, scores, *, names=None):
        """The metadata of a model file of a stage's networks after some steps, see `jsr.model_file.save`.

        `names` are those of the networks, by default the chain's.
        """
        recipe = self._recipe
        fields = recipe.fields_at(plan.index)
        return {"networks": [{"name": name, "model": recipe.networks[name].model, "scale": recipe.networks[name].scale,
                              "fields": fields[name], "deployed": fields[name].get("deploy", False)}
                             for name in names or recipe.chain],
                "ema": recipe.ema_decay > 0 and not names, "recipe": recipe.recipe, "protocol": recipe.protocol,
                "steps": steps, "ensemble": plain(recipe.ensemble), "scores": scores,
                "data": mix.described(recipe, self._opened), "fingerprint": self._meta["fingerprint"]}

    def validate(self, plan, step, state, *, workdir, logbook, clock):
        """Scores the networks as they are, and writes best.safetensors where they are the best so far.

        Of several processes each takes a share of the images.

        Args:
          plan: StagePlan of the stage.
          step: steps of the run so far.
          state: TrainState.
          workdir: the run's folder.
          logbook: Logbook that takes the scores and the first image; None in other processes than the first.
          clock: insight.Clock that the picture's time is booked on.

        Returns:
          The gain over the baseline.
        """
        variables = jax.device_get(states.eval_variables(self._recipe, state))
        upscaler = self.upscaler(plan.networks, variables)  # the ensemble would take eight times as long
        rows = list(distributed.merged(self._rows(upscaler, step, logbook, clock)))
        gain, self._meta["best"], self._meta["still"], self._meta["baseline"] = distributed.first(
            lambda: self._judged(rows, plan, step, variables, workdir, logbook))
        return gain

    def _rows(self, upscaler, step, logbook, clock):
        """Yields [scores, the baseline's scores where they are needed, else None] of this process's images."""
        protocol = self._protocol
        for place, (name, lr, hr, made) in enumerate(self._pairs(distributed.share(self._records()))):
            sr, baseline = upscaler.told(degradations.jpeg_quality(made)).upscale(lr), None
            if not place or "baseline" not in self._meta:
                baseline = enlarge(lr, self._recipe.scale, protocol.kernel)
            if not place and logbook:
                with clock.part("picture"):
                    logbook.picture(step, name, crops.strip(lr, baseline, sr, hr))
            yield [None if image is None else evaluation.score(name, image, hr, protocol, [protocol.ranking])
                   for image in (sr, baseline)]

    def _judged(self, rows, plan, step, variables, workdir, logbook):
        """(gain, best score so far, validations since, score of the baseline); the best networks are kept."""
        meta, protocol, best_key = self._meta, self._protocol, self._protocol.ranking
        if not rows:
            raise UserError("no image to evaluate on can be read")
        score = evaluation.mean_scores([ours for ours, _ in rows])
        if "baseline" not in meta:
            meta["baseline"] = evaluation.mean_scores([baseline for _, baseline in rows])[best_key]
        gain = metrics.gain(score[best_key], meta["baseline"])
        logbook.scalars(step, "eval", {**score, "gain": gain})
        improved = meta["best"] is None or score[best_key] > meta["best"]
        unit = " dB" if best_key.startswith("psnr") else ""
        what = "clips" if protocol.video else "images"
        log.info("step %d: %s %.4f%s on %d %s, %+.4f over %s%s", step, metrics.label(best_key), score[best_key], unit,
                 len(rows), what, gain, protocol.baseline, ", the best so far" if improved else "")
        if improved:
            meta["best"] = score[best_key]
            model_file.save(workdir / "best.safetensors", variables, self.info(plan, step, score))
        return gain, meta["best"], 0 if improved else meta["still"] + 1, meta["baseline"]

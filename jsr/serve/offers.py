"""The models that the page offers, each with one sentence."""

import dataclasses
import math
from pathlib import Path
import re

from jsr import model_file, weights
from jsr.errors import UserError
from jsr.inference import choice
from jsr.weights import public


@dataclasses.dataclass(frozen=True)
class Offer:
    """One choice of a model.

    Attributes:
      id: id by which the page names it.
      name: its name, here and in the results' notes.
      sentence: one sentence on its purpose.
      scale: SR size over LR size; 0 of the one that is chosen for each picture.
      file: its Path; None of that one.
    """

    id: str
    name: str
    sentence: str
    scale: int
    file: Path | None


AUTOMATIC = Offer("auto", "Automatic", "Chooses for each picture, by its format and the size you want; right for most.",
                  0, None)


def offers(runs=()):
    """{id: Offer} of the models that are there, the automatic choice first.

    Args:
      runs: (name, folder) of runs, whose model files are offered too.
    """
    found = [AUTOMATIC]
    shipped = {name: weights.files()[name] for name in choice.BOX}  # the usual one first
    for name, path in (shipped | weights.files()).items():
        found += _offer(name, name, path, _sentence(name, path))
    for name, folder in runs:
        try:
            path = model_file.find(folder)
        except UserError:
            continue
        found += _offer(f"run:{name}", folder.absolute().name, path, "")
    return {offer.id: offer for offer in found}


def _offer(identity, name, path, sentence):
    """[the Offer], [] of a file that is no model."""
    try:
        meta, _ = model_file.describe(path)
    except UserError:
        return []
    scale = math.prod(net["scale"] for net in model_file.chains(meta)[0])
    steps = f", {meta['steps']:,} steps" if meta.get("steps") is not None else ""
    made = f"Trained by {meta['recipe']}{steps}." if meta.get("recipe") else "Converted from PyTorch weights."
    shown = identity.removeprefix("run:")
    return [Offer(identity, name, sentence or (f"{made} ({shown})" if identity != shown else made), scale, path)]


def _sentence(name, path):
    """The first sentence of a shipped model's card, or a public model's purpose in the table; "" of others."""
    card = path.with_suffix(".md")
    if path.parent == weights.SHIPPED and card.is_file():
        text = " ".join(card.read_text(encoding="utf-8").partition("\n\n")[0].split())
        return re.split(r"(?<=\.)\s", text, maxsplit=1)[0]
    known = public.models().get(name)
    return f"Made for {known.purpose}." if known else ""

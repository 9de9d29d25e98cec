"""Counts of networks as trained and as deployed; the zoo's lie in a file, since counting all takes over a minute."""

import csv
import functools
import json
from pathlib import Path
from typing import NamedTuple

from jsr import convert, models, reparam
from jsr.analysis import counts
from jsr.files import atomic_write

TABLE = Path(__file__).with_name("counted.csv")


class Key(NamedTuple):
    """The network, scale and fields that are counted.

    Attributes:
      model: full id of the network.
      scale: SR size over LR size.
      fields: those that override the variant's, as JSON with sorted keys.
      height, width: LR image, px. A network that takes multiples of a size is counted at the next one.
    """

    model: str
    scale: int
    fields: str
    height: int
    width: int


class Counted(NamedTuple):
    """Parameters as trained and as deployed; `macs` and `hook_macs` of the deployed form, as in jsr.analysis.counts.

    `official` is 1 where a state dict of official names can be made of it, trained or deployed (jsr.convert), else 0.
    """

    params: int
    params_deployed: int
    macs: int
    hook_macs: int
    official: int


def count(model_id, scale, fields, height, width):
    """The Counted of a network: of the file where it has it, else of the network itself; arguments as in Key."""
    key = Key(models.resolve(model_id), scale, fields, height, width)
    return known().get(key) or fresh(key)


@functools.cache
def known():
    """{Key: Counted} of the file."""
    with open(TABLE, encoding="utf-8", newline="") as file:
        rows = [{name: value if name in ("model", "fields") else int(value) for name, value in row.items()}
                for row in csv.DictReader(file)]
    return {Key(*map(row.get, Key._fields)): Counted(*map(row.get, Counted._fields)) for row in rows}


@functools.cache
def fresh(key):
    """The Counted of a Key, counted now."""
    fields = json.loads(key.fields)
    model = models.create(key.model, scale=key.scale, **fields)
    card = models.card(model)
    height, width = (-(-side // card.padding.multiple) * card.padding.multiple for side in (key.height, key.width))
    deployed = reparam.deployed(model)
    found = counts.tally(deployed, card.lr_shape(height, width))
    forms = {model: models.abstract(key.model, scale=key.scale, **fields)}
    if deployed != model:
        forms[deployed] = models.abstract(key.model, scale=key.scale, **fields | {"deploy": True})
    official = any(convert.official(*form) for form in forms.items())
    return Counted(counts.count_params(forms[model]), found.params, found.macs, found.hook_macs, int(official))


def write(keys):
    """Counts every Key of an iterable and writes the file anew."""
    rows = {key: fresh(key) for key in keys}
    with atomic_write(TABLE, "w") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*Key._fields, *Counted._fields])
        table.writerows([*key, *found] for key, found in sorted(rows.items()))
    known.cache_clear()

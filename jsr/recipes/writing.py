"""The functions that track files are written with: `recipe`, `stage`, `player` and `source`. One level, no inheritance.

They give plain data, every key with its value; `jsr.recipes.schema` says what the keys mean, and `jsr config RECIPE`
prints them. What is wrong in a recipe is said when it is loaded.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ml_collections import ConfigDict

from jsr.errors import UserError, nearest
from jsr.recipes import schema
from jsr.recipes.overrides import from_plain
from jsr.trees import plain


def source(dataset: str = "", **keys: Any) -> dict[str, Any]:
    """Writes a row of training data (schema.Source): a dataset, or hr="DIR", lr="DIR"."""
    return _whole(schema.Source, dataset=dataset, **keys)


def player(**keys: Any) -> dict[str, Any]:
    """Writes one of a stage's players (schema.Player)."""
    return _whole(schema.Player, **keys)


def stage(*, players: Iterable[Mapping] = (), **keys: Any) -> dict[str, Any]:
    """Writes a stage of training.

    Args:
      players: players, at the same time. For one that updates the whole chain give its keys (schema.Player) among
        `keys` instead: stage(losses=..., learning_rate=..., ...).
      **keys: keys of schema.Stage.
    """
    only = {key: keys.pop(key) for key in list(keys) if key in schema.types_of(schema.Player)}
    if bool(players) == bool(only):
        raise TypeError("a stage has either players or the keys of one player")
    data = [source(**row) for row in keys.pop("data", ())]
    begin = [_whole(schema.Begin, **row) for row in keys.pop("begin", ())]
    return _whole(schema.Stage, players=list(players) or [player(**only)], begin=begin, data=data, **keys)


def recipe(*, networks: Mapping[str, Mapping], data: Mapping, **keys: Any) -> dict[str, Any]:
    """Writes a recipe, as plain data.

    Args:
      networks: {name: keys of schema.Net}.
      data: keys of schema.Data; `train` is a row, or a list of them, with the keys of schema.Source, `eval` has those
        of schema.Validation.
      **keys: keys of schema.Recipe. `members` have the keys of schema.Member; of a network those that differ suffice.
    """
    networks = {name: _whole(schema.Net, **net) for name, net in networks.items()}
    train = [data["train"]] if isinstance(data["train"], Mapping) else data["train"]
    data = _whole(schema.Data, **{**data, "train": [source(**row) for row in train],
                                  "eval": _whole(schema.Validation, **data["eval"])})
    members = [_member(networks, **row) for row in keys.pop("members", ())]
    ensemble = _whole(schema.Ensemble, **keys.pop("ensemble", None) or {})
    chain = list(keys.pop("chain", ()) or networks)
    return _whole(schema.Recipe, networks=networks, data=data, members=members, ensemble=ensemble, chain=chain, **keys)


def _member(of_recipe, *, networks: Mapping[str, Mapping] | None = None, **keys: Any) -> dict[str, Any]:
    """A member of an ensemble; its networks have what they do not say from the recipe's of the same name."""
    own = {name: _whole(schema.Net, **{**of_recipe.get(name, {}), **net}) for name, net in (networks or {}).items()}
    return _whole(schema.Member, networks=own, **keys)


def pick(track: str, recipes: Mapping[str, Mapping], name: str) -> ConfigDict:
    """The recipe `name` of a track's table as a ConfigDict of its own, labelled `<track>:<name>`.

    Raises:
      UserError: there is none of this name; the nearest is named.
    """
    if name not in recipes:
        raise UserError(f"{track}: no recipe {name!r}; {nearest(name, recipes)}")
    return from_plain({**plain(recipes[name]), "recipe": f"{track}:{name}"}).unlock()


def _whole(kind, /, **given: Any) -> dict[str, Any]:
    """The keys of a class of the schema with defaults for those that are not given; unknown ones stay, to be named."""
    types = schema.types_of(kind)
    listed = {key: list(value) if isinstance(value, tuple) else value
              for key, value in (plain(schema.defaults(kind)) | given).items()}
    return {key: float(value) if types.get(key) is float and type(value) is int else value
            for key, value in listed.items()}

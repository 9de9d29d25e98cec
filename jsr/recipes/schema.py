"""The schema of recipes: every key with its meaning, unit and range, stated here and nowhere else.

`read` makes a `Recipe` of plain data and names everything that is wrong in it at once; `jsr.trees.plain` gives the data
back. Rows of losses, optimizers, schedules and augmentations stay dicts, because the function that a row names decides
which keys it has (jsr.losses, jsr.optim, jsr.augment).
"""

from collections.abc import Mapping
import dataclasses
import functools
import math
import types
import typing
from typing import Any

from ml_collections import ConfigDict

from jsr.errors import nearest
from jsr.recipes.mistakes import Mistakes
from jsr.trees import plain

_REQUIRED = dataclasses.MISSING
RETIRED = ("id", "report")  # what config.json of older runs holds besides; it had no part in their training
CARRIES = ("match", "fuse", "select_channels", "prune")  # rules of jsr.training.stages
TRANSFORMS = ("identity", "hflip", "vflip", "rot90", "rot180", "rot270", "transpose", "transverse")
RETIRED_OF_NETS = ("copies",)  # of their networks: a member's now


@dataclasses.dataclass(frozen=True)
class About:
    """Meaning of a key.

    Attributes:
      text: one sentence or phrase.
      unit: unit of the value, "" where it has none.
      least, above: the value is this or more; it is more than this. None for no bound.
      most, below: the value is this or less; it is less than this.
      choices: all values that there are; () for any.
    """

    text: str
    unit: str = ""
    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    choices: tuple = ()

    def range(self) -> str:
        """The range in words, "" where any value goes."""
        if self.choices:
            return " or ".join(repr(choice) for choice in self.choices)
        low = "" if self.least is None else f"{self.least:,} or more"
        low = low if self.above is None else f"more than {self.above:,}"
        high = "" if self.most is None else f"{self.most:,} or less"
        high = high if self.below is None else f"less than {self.below:,}"
        return " and ".join(filter(None, (low, high)))

    def holds(self, value: Any) -> bool:
        """Whether a value of the right type is in the range."""
        if self.choices:
            return value in self.choices
        if isinstance(value, tuple):
            return all(map(self.holds, value))
        return ((self.least is None or value >= self.least) and (self.above is None or value > self.above)
                and (self.most is None or value <= self.most) and (self.below is None or value < self.below))


def key(text: str, default: Any = _REQUIRED, **bounds: Any) -> Any:
    """A field of a dataclass of this module; arguments as in `About`. Lists and dicts are defaults too."""
    metadata = {"about": About(text, **bounds)}
    if isinstance(default, dict):
        return dataclasses.field(metadata=metadata, default_factory=default.copy)
    return dataclasses.field(metadata=metadata, default=default)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Net:
    """A network of a recipe."""

    model: str = key('network and variant, "edsr/baseline" (jsr zoo lists them), or a guest\'s, "mypkg.mynet/base"')
    scale: int = key("SR size over LR size", least=1)
    fields: dict = key("fields of the network that differ from the variant's", {})
    start_from: str = key("model file, of a run or of `jsr convert`, or its name, whose parameters training starts "
                          'from; "" for fresh ones', "")
    search: dict = key('values of fields that `jsr search` tries, {"num_feat": [16, 24]}; training takes no notice',
                       {})
    carry: str = key('"match" takes of the file whatever fits, of another scale or with fewer blocks; "" wants all',
                     "", choices=("", "match"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A row of the data that samples are taken from."""

    dataset: str = key('"<dataset>[/<config>]", or the path of a folder of images or clips, or "folders/imagenet" and '
                       "so (jsr zoo datasets), folders that you fill, without which the row is left out; \"\" where hr "
                       "and lr are given", "")
    hr: str = key("folder of HR images or clips, whose LR ones are in `lr`", "")
    lr: str = key("folder of their LR ones, of the same names, perhaps with something added (0801x4.png)", "")
    split: str = key('split of the dataset, perhaps a slice, "train[:100]"', "train")
    degrade: str = key("degradation (jsr.degradations) that makes LR crops from HR ones; \"\" takes the stored LR", "")
    set: dict = key('parameters of `degrade`, {"qp": 31}; of a range, "60-100", or of a list one value is drawn for '
                    "each sample, each as likely", {})
    flip_rotate: bool = key("the HR image is flipped and turned, each of the eight ways as likely, before `degrade` "
                            "makes an LR image of it; a stage's `augment` turns both, after it", False)
    files: str = key('text file with the names to keep, one a line; "" keeps all', "")
    repeat: int = key("number of times each image counts beside other rows' images", 1, least=1)
    weight: float = key("share of the samples, given to all rows or to none; without it the share follows images "
                        "times `repeat`", 0.0, least=0, most=1e6)
    steps: tuple[int, ...] = key("[first, last) of the stage's steps in which the row takes part; () for all", ())
    shrink: float = key("factor by which photographs of a folder are made smaller, until traces of sensor and JPEG are "
                        "gone", 1.0, least=1, below=1 << 16)
    tiles: int = key("least side of the tiles that they are then cut into; 0 takes crops of the whole", 0, unit="px",
                     least=0, below=1 << 16)
    detail: float = key("least mean second difference of a tile; one in eight of the flatter ones is kept, 0 keeps all",
                        0.0, unit="levels", least=0, below=1 << 16)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Validation:
    """The pairs that a recipe is evaluated on."""

    dataset: str = key('"<dataset>[/<config>]", or the path of a folder of images or clips; "" where hr and lr are '
                       "given", "")
    hr: str = key("folder of HR images or clips, whose LR ones are in `lr`", "")
    lr: str = key("folder of their LR images or clips", "")
    split: str = key("split of the dataset", "validation")
    degrade: str = key('degradation that makes the LR images; "" takes the stored LR', "")
    set: dict = key("parameters of `degrade`", {})
    frames: int = key("frames of each clip, the first ones; 0 takes all", 0, least=0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """The data of a recipe."""

    train: tuple[Source, ...] = key("rows that samples are taken from")
    eval: Validation = key("the pairs of validation")
    data_dir: str = key('folder of built datasets; "" is $JSR_DATA_DIR, else $TFDS_DATA_DIR, else '
                        "~/tensorflow_datasets", "")
    num_workers: int = key("processes that make samples; 0 makes them in the training's own", 2, least=0, most=1024)
    degrade_on: str = key('"host" degrades samples in the processes that make them, "device" within the training step, '
                          "which takes that work from them; the same bits. Pillow's and MATLAB's resizes and JPEG "
                          "have a form on the device", "host", choices=("host", "device"))
    max_damaged: int = key("images that a run goes on without where they turn out to be damaged: another stands in for "
                           "each, and the log names it", 100, least=0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Player:
    """A player of a stage: it updates its networks so that its losses become smaller."""

    losses: tuple[dict, ...] = key("rows {fn, pred, target, weight} and options of the function (jsr.losses); one of "
                                   "weight 0 is left out")
    learning_rate: float = key("highest learning rate of the schedule", above=0, most=1e30)
    nets: tuple[str, ...] = key("networks that the player updates, which no other player of the stage may; () is the "
                                "whole chain. Others, such as a critic, are drawn at the run's start, or start_from a "
                                "file", ())
    schedule: dict = key("row {name, warmup_steps, ...} (jsr.optim.SCHEDULES)", {"name": "constant"})
    optimizer: dict = key("row {name, ...} (jsr.optim.OPTIMIZERS)", {"name": "adam"})
    clip_norm: float = key("largest global norm of the gradient; 0 does not clip", 0.0, least=0)
    every: int = key("the player plays in every n-th step", 1, unit="steps", least=1)
    freeze: tuple[str | dict, ...] = key('patterns of parameters, "sr/body_*", that stay as they are, or rows '
                                         "{pattern, steps, factor}: for the stage's first steps (0: for all) their "
                                         "learning rate is multiplied by factor (0 by default)", ())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Begin:
    """A change of a network's form as a stage begins."""

    net: str = key("the network")
    carry: str = key("rule by which parameters pass on (jsr.training.stages)", choices=CARRIES)
    fields: dict = key("fields of the network from here on", {})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage of training."""

    steps: int = key("updates", unit="steps", least=1, below=1 << 30)
    crop: int | tuple[int, ...] = key("side of the square HR crop, or [height, width] of one that is none", unit="px",
                                      least=1, most=1 << 14)
    batch: int = key("samples a step, over all devices", least=1, most=1 << 20)
    players: tuple[Player, ...] = key("players, at the same time; most stages have one, which updates the chain")
    augment: tuple[str | dict, ...] = key("rows of jsr.augment: a name, or {name, p, per, options}", ("flip_rotate",))
    fused: bool = key("trains through the fused kernels of re-parameterised blocks: the same gradients, sooner", False)
    accumulate: int = key("parts that a batch is computed in, one after the other, with less memory. The gradient is "
                          "the whole batch's for losses that are means over samples; BatchNorm sees a part at a time, "
                          "and drop-path draws for one", 1, least=1)
    remat: str = key('"blocks" computes activations within blocks twice instead of keeping them: less memory on '
                     "accelerators (CPUs take no notice), which compile the groups of HAT, SwinIR and Swin2SR once. "
                     "The numbers stay the same, but for the paths that stochastic depth drops", "",
                     choices=("", "blocks"))
    frozen_statistics: bool = key("BatchNorm stays as it is, in training too", False)
    begin: tuple[Begin, ...] = key("changes of networks as the stage begins", ())
    data: tuple[Source, ...] = key("rows instead of the recipe's; () for those", ())
    frames: int = key("frames of a sample, from datasets of clips; 0 is for images", 0, least=0, most=1024)

    @property
    def crop_hw(self) -> tuple[int, ...]:
        """(height, width) of the HR crop, px."""
        return (self.crop, self.crop) if isinstance(self.crop, int) else self.crop


@dataclasses.dataclass(frozen=True, kw_only=True)
class Member:
    """A network, or several, of an ensemble: what it has of its own, all else being the recipe's."""

    networks: dict[str, Net] = key("networks instead of the recipe's of the same names; {} for those", {})
    stages: tuple[Stage, ...] = key("stages instead of the recipe's; () for those", ())
    seed: int = key("added to the recipe's seed; each further copy has the next one", 0, least=0, below=1 << 16)
    copies: int = key("number of such networks, of other seeds", 1, least=1, most=100)
    weight: float = key("weight of each in the average", 1.0, above=0, most=10**6)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ensemble:
    """The averages that the finished model takes."""

    self: bool = key("averages the outputs for the eight flips and turns of an image, or for `transforms`", False)
    transforms: tuple[str, ...] = key(f"those that `self` averages, of {', '.join(TRANSFORMS)}; () for all eight", ())
    tiles: tuple[int, ...] = key("sides of tiles whose outputs are averaged", (), unit="LR px")
    overlap: int = key("pixels around what is shown of each of these tiles; 0 for as many as the networks see, or an "
                       "eighth of the tile", 0, unit="LR px", least=0)
    tlc: int = key("side of the windows, 1.5 times the crop, whose means stand for the means of the whole image "
                   "(jsr.layers.pool); 0 for none", 0, unit="LR px", least=0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """All parts of a training."""

    recipe: str = key('"<track>:<name>"', "")
    entry: str = key('id of the line of the protocol\'s published table that the recipe follows, "casr_x4"; "" for a '
                     "recipe of our own", "")
    title: str = key("one line for listings", "")
    protocol: str = key("challenge whose degradation, metrics and table apply (jsr.challenges)")
    ranking: str = key('score that the log shows and the best file has most of, "psnr[rgb]"; "" is the protocol\'s', "")
    seed: int = key("the one integer behind every random draw", 0, least=0, below=1 << 32)
    networks: dict[str, Net] = key("networks by name")
    chain: tuple[str, ...] = key("networks in the order in which an image passes them; losses apply the others, as "
                                 '"critic(sr)". One that no player updates, such as a teacher, must start_from a file; '
                                 "one outside the chain has no average and is not in the chain's model files; one that "
                                 "is trained so has a file of its own at the end, <name>.safetensors",
                                 ())
    data: Data = key("what is trained and evaluated on")
    stages: tuple[Stage, ...] = key("stages, one after the other")
    members: tuple[Member, ...] = key("networks that are trained one after the other, each as the recipe says but for "
                                      "what is its own, and whose outputs are averaged; () trains the recipe's alone",
                                      ())
    ensemble: Ensemble = key("what the finished model averages, of each member", Ensemble())
    ema_decay: float = key("decay a step of the averaged parameters, which are evaluated and kept; at most (1 + step) "
                           "/ (10 + step), so that short runs average their end; 0 averages none",
                           0.999, least=0, below=1)
    average_at: tuple[float, ...] = key("shares of the last stage's steps: the finished model has the mean of the "
                                        "parameters after each of them, kept as step<N>.safetensors, and at the end; "
                                        "() for those at the end", (), above=0, below=1)
    dtype: str = key("compute type of the networks; parameters stay float32. In float16 losses are scaled so that "
                     "gradients neither vanish nor overflow; a step that overflows is skipped", "float32",
                     choices=("float32", "bfloat16", "float16"))
    mesh: dict = key("devices that a batch is split over: {'data': N} by samples, {'data': N, 'rows': M} also the rows "
                     "of its images, over M devices of one host; -1 is all that are left", {"data": -1})
    state: str = key('"replicated" keeps parameters, averages and moments on every device; "sharded" keeps a part of '
                     "them on each device", "replicated", choices=("replicated", "sharded"))
    log_every: int = key("steps from one line of the log to the next", 100, unit="steps", least=1)
    eval_every: int = key("steps from one validation to the next", 5000, unit="steps", least=1)
    patience: int = key("validations in a row of the last stage without a better `ranking` score, after which the run "
                        "ends; 0 trains all steps. best.safetensors is of the best", 0, least=0)
    checkpoint_every: int = key("steps from one checkpoint to the next", 1000, unit="steps", least=1)
    keep_checkpoints: int = key("newest checkpoints that are kept", 3, least=1)
    input_hw: tuple[int, ...] = key("[height, width] of the LR image that costs are counted for", (192, 192), unit="px")
    inferred: tuple[str, ...] = key("what the source does not state and we chose, short texts", ())
    left_out: tuple[str, ...] = key("what the source states and the recipe does not do, short texts", ())

    @functools.cached_property
    def scale(self) -> int:
        """SR size over LR size of the whole chain."""
        return math.prod(self.networks[name].scale for name in self.chain)

    @functools.cached_property
    def trained(self) -> tuple[str, ...]:
        """The networks that a run carries in its state: the chain, then what else any player updates."""
        others = {name for stage in self.stages for player in stage.players for name in player.nets}
        return *self.chain, *(name for name in self.networks if name in others - set(self.chain))

    @functools.cached_property
    def first_steps(self) -> tuple[int, ...]:
        """Steps before every stage, and at the end all steps."""
        return tuple(sum(stage.steps for stage in self.stages[:index]) for index in range(len(self.stages) + 1))

    @functools.cached_property
    def runs(self) -> tuple["Recipe", ...]:
        """The recipes of its members, a run each, without members of their own; of none itself alone."""
        return tuple(_of_member(self, its, copy) for its in self.members for copy in range(its.copies)) or (self,)

    @functools.cached_property
    def averaged_steps(self) -> tuple[int, ...]:
        """The steps before the last one after which parameters enter the finished model's mean, ascending."""
        *_, first, last = self.first_steps
        return tuple(sorted({first + round(share * (last - first)) for share in self.average_at} - {first, last}))

    @property
    def weights(self) -> tuple[float, ...]:
        """Weights of its `runs` in the average."""
        return tuple(its.weight for its in self.members for _ in range(its.copies)) or (1.0,)

    @property
    def passes(self) -> int:
        """The number of passes of an image through networks: once for each member, flip or turn, and size of tiles."""
        turns = (len(self.ensemble.transforms) or len(TRANSFORMS)) if self.ensemble.self else 1
        return len(self.runs) * turns * (len(self.ensemble.tiles) or 1)

    @property
    def last_step(self) -> int:
        """Steps of all stages."""
        return self.first_steps[-1]

    def stage_at(self, step: int) -> int:
        """The number of the stage that step number `step` belongs to, counted from 1; 0 is before the first."""
        return max(next(index for index, first in enumerate(self.first_steps) if step <= first) - 1, 0)

    def fields_at(self, stage: int) -> dict[str, dict]:
        """{network: fields} during a stage; stage -1 is before the first one's own changes."""
        fields = {name: dict(net.fields) for name, net in self.networks.items()}
        for row in (row for earlier in self.stages[:stage + 1] for row in earlier.begin):
            fields[row.net] = {**fields[row.net], **row.fields}
        return fields

    def rows(self, stage: Stage) -> tuple[Source, ...]:
        """The rows of data of one of its stages."""
        return stage.data or self.data.train


def _of_member(recipe, member, copy):
    """The recipe of one copy of a member."""
    return with_nets(dataclasses.replace(recipe, networks={**recipe.networks, **member.networks}, members=(),
                                         stages=member.stages or recipe.stages,
                                         seed=(recipe.seed + member.seed + copy) % (1 << 32)))


def about(kind: type, name: str) -> About:
    """The meaning of a key of one of the classes above."""
    return kind.__dataclass_fields__[name].metadata["about"]


@functools.cache
def types_of(kind: type) -> dict[str, Any]:
    """{key: type} of one of the classes above."""
    return typing.get_type_hints(kind)


def defaults(kind: type) -> dict[str, Any]:
    """{key: default} of one of the classes above, without the keys that must be given."""
    found = {}
    for field in dataclasses.fields(kind):
        if field.default_factory is not _REQUIRED:
            found[field.name] = field.default_factory()
        elif field.default is not _REQUIRED:
            found[field.name] = field.default
    return found


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of recipes as `jsr.trees.plain` gives them."""
    kinds = (Net, Source, Validation, Data, Player, Begin, Stage, Member, Ensemble)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "recipe of jsr", **_object(Recipe),
            "$defs": {kind.__name__: _object(kind) for kind in kinds}}


def _object(kind):
    required = [name for name in types_of(kind) if name not in defaults(kind)]
    properties = {name: _property(kind, name, its) for name, its in types_of(kind).items()}
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _property(kind, name, its):
    meaning, default = about(kind, name), {"default": plain(defaults(kind)[name])} if name in defaults(kind) else {}
    bounds = {"minimum": meaning.least, "exclusiveMinimum": meaning.above, "maximum": meaning.most,
              "exclusiveMaximum": meaning.below, "enum": list(meaning.choices) or None}
    text = f"{meaning.text} ({meaning.unit})" if meaning.unit else meaning.text
    return {"description": text, **_type(its), **{word: value for word, value in bounds.items() if value is not None},
            **default}


def _type(kind: Any) -> dict[str, Any]:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if origin is types.UnionType:
        return {"anyOf": [_type(each) for each in inner]}
    if origin is tuple:
        return {"type": "array", "items": _type(inner[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _type(inner[1])}
    return {"type": {dict: "object", int: "integer", float: "number", bool: "boolean", str: "string"}[kind]}


def read(data: Mapping[str, Any] | ConfigDict) -> Recipe:
    """Makes a Recipe from plain data: dicts, lists, numbers and texts.

    Args:
      data: what `jsr.recipes.recipe` gives, or a run's config.json holds. Keys with a default may be absent.

    Raises:
      UserError: unknown or absent keys, values of another type or out of range: a line each, with the key's place.
    """
    problems = Mistakes()
    found = _read(Recipe, plain(data), "", problems)
    problems.done()
    return with_nets(found)


def read_further(data: Mapping[str, Any] | ConfigDict, problems: Mistakes) -> Recipe:
    """Reads as `read` does, but adds mistakes to a list; other values of the type stand for wrong ones then."""
    return with_nets(_read(Recipe, plain(data), "", problems))


def with_nets(recipe: Recipe) -> Recipe:
    """A recipe whose chain and whose players name their networks: all networks and the whole chain by default.

    Losses of weight 0 are gone, unless a player has no other.
    """
    chain = recipe.chain or tuple(recipe.networks)

    def named(stage):
        players = (dataclasses.replace(player, nets=player.nets or chain,
                                       losses=tuple(filter(_weighs, player.losses)) or player.losses)
                   for player in stage.players)
        return dataclasses.replace(stage, players=tuple(players))

    return dataclasses.replace(recipe, chain=chain, stages=tuple(map(named, recipe.stages)))


def _weighs(loss):
    return loss.get("weight", 1) != 0


def _read(kind: Any, value: Any, place: str, problems: Mistakes) -> Any:
    """A value as a type says; what is wrong is added to `problems`, and another value of the type stands for it."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _read_keys(kind, value, place, problems)
    if origin is types.UnionType:  # of the first where it is of neither
        kinds = {typing.get_origin(each) or each: each for each in inner}
        own = dict if isinstance(value, Mapping) else tuple if isinstance(value, (list, tuple)) else None
        return _read(kinds.get(own, inner[0]), value, place, problems)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            return _wrong(kind, problems, place, f"{shown(value)} is no list")
        return tuple(_read(inner[0], item, f"{place}[{number}]", problems) for number, item in enumerate(value))
    if kind is dict or origin is dict:
        if not isinstance(value, Mapping):
            return _wrong(kind, problems, place, f"{shown(value)} is no dict")
        if not all(isinstance(name, str) for name in value):
            return _wrong(kind, problems, place, "has keys that are no text")
        each = inner[1] if inner else object
        return {name: _read(each, value[name], f"{place}.{name}", problems) for name in value}
    return _read_leaf(kind, value, place, problems)


_WORDS = {int: "a whole number", float: "a number", bool: "True or False", str: "text"}


def _read_leaf(kind, value, place, problems):
    if kind is object:
        return _copied(value)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is float and number and math.isfinite(value):
        return float(value)
    if kind is not float and isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    return _wrong(kind, problems, place, f"{shown(value)}; give {_WORDS[kind]}")


def _read_keys(kind, value, place, problems):
    if not isinstance(value, Mapping):
        return _wrong(kind, problems, place, f"{shown(value)} is no dict; give one with {', '.join(types_of(kind))}")
    known, found, absent = types_of(kind), defaults(kind), []
    for name in value:
        if name not in known:
            problems.add(f"{place}.{shown(name)[1:-1]}".lstrip("."), f"unknown key {name!r}; {nearest(name, known)}")
    for name, its in known.items():
        if name in value:
            found[name] = _read_one(kind, name, its, value[name], f"{place}.{name}", problems)
        elif name not in found:
            absent.append(name)
            found[name] = stand_in(its)
    if absent:
        _wrong(kind, problems, place, f"lacks {', '.join(absent)}")
    return kind(**found)


def _read_one(kind, name, its, value, place, problems):
    before = len(problems.lines)
    found, meaning = _read(its, value, place, problems), about(kind, name)
    if len(problems.lines) == before and not meaning.holds(found):
        return _wrong(its, problems, place, f"{shown(value)}; give {meaning.range()}")
    return found


def _wrong(kind, problems, place, text):
    problems.add(place.lstrip("."), text)
    return stand_in(kind)


def stand_in(kind: Any) -> Any:
    """A value of a type of a key, so that what does not depend on a wrong one can still be judged."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return kind(**{name: stand_in(its) for name, its in types_of(kind).items()} | defaults(kind))
    origin = typing.get_origin(kind)
    if origin is types.UnionType:
        return stand_in(typing.get_args(kind)[0])
    return {int: 1 << 30, float: 1.0, bool: False, tuple: (), dict: {}}.get(origin or kind, "")


def shown(value: Any) -> str:
    """A value as messages show it, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # a number of thousands of digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _copied(value):
    """A value of a row as plain data: dicts and lists are copies."""
    if isinstance(value, Mapping):
        return {name: _copied(value[name]) for name in value}
    return [_copied(item) for item in value] if isinstance(value, (list, tuple)) else value

"""The catalogue: entries of the challenges' published tables, built or not, and our own recipes, found by any name."""

import collections
import dataclasses
import functools
import json
import re
import unicodedata

from jsr import challenges, models
from jsr.analysis import counted
from jsr.datasets.folders import FOLDERS
from jsr.recipes import all_recipes
from jsr.recipes.schema import Recipe
from jsr.trees import plain

LISTED_HW = 192, 192  # LR image for which networks by themselves are counted
CLIP = 5  # frames of the clip that recurrent networks are counted for, as jsr.models.Card.lr_shape has it


@dataclasses.dataclass(frozen=True, eq=False)
class Entry:
    """A published entry or a recipe of our own.

    Attributes:
      id: id of the entry in the catalogue; "" for a recipe of our own.
      challenge: name of its challenge, as in "aim22_t1".
      row: line of the challenge's table, see `challenges.printed`; {} of a recipe of our own.
      recipe: Recipe; None where it is not built yet.
    """

    id: str
    challenge: str
    row: dict[str, str]
    recipe: Recipe | None

    @property
    def team(self):
        """Name of the team, as printed; "" of a recipe of our own."""
        return self.row.get("team", "")

    @property
    def method(self):
        """Name of the method, in more words where the table has them."""
        return self.row.get("description") or self.row.get("method", "")

    @property
    def title(self):
        """One line: the recipe's, or the team and the method."""
        return self.recipe.title if self.recipe else f"{self.team}: {self.method}"

    @property
    def protocol(self):
        """Its challenge, a jsr.challenges.Protocol."""
        return challenges.CHALLENGES[self.challenge]

    @property
    def section(self):
        """Section of the report that describes it, for example "4.1"."""
        return self.row.get("section", "")

    @property
    def scale(self):
        """HR size over LR size."""
        return self.recipe.scale if self.recipe else self.protocol.scale

    @property
    def task(self):
        """Task in the word of the networks' cards."""
        return "super-resolution" if self.scale > 1 else "restoration"

    @property
    def networks(self):
        """Full ids of its networks, each once, in the order in which they are passed; [] where it is not built yet."""
        return list(dict.fromkeys(key.model for chain in _chains(self.recipe) for _, key in chain)
                    ) if self.recipe else []

    @property
    def shown_networks(self):
        """Its networks in a text, "a/base > b/base" of a chain, "3 of a/base" or "a/base + b/base" of an ensemble."""
        chains = _chains(self.recipe) if self.recipe else {}
        return " + ".join((f"{copies} of " if copies > 1 else "") + " > ".join(key.model for _, key in chain)
                          for chain, copies in chains.items())

    @property
    def names(self):
        """All that it is found by."""
        recipe = [self.recipe.recipe] if self.recipe else []
        challenge = self.challenge if challenges.printed(self.challenge) else ""  # not a clean benchmark's
        return [name for name in (self.id, challenge, *recipe, self.team, self.row.get("method", ""), self.method)
                if name]

    @property
    def published(self):
        """Counts and time that the report prints: {params_M, gmacs, runtime_ms, model_mb}, None where it is silent."""
        return challenges.figures(self.row)


def entries():
    """The whole catalogue, [Entry]: those with recipes in the recipes' order, then the others in their tables'."""
    rows = {row["id"]: (name, row) for name in challenges.CHALLENGES for row in challenges.printed(name)}
    built = [Entry(recipe.entry, recipe.protocol, rows.pop(recipe.entry)[1] if recipe.entry else {}, recipe)
             for _, _, recipe in all_recipes()]
    return built + [Entry(id, challenge, row, None) for id, (challenge, row) in rows.items()]


def matches(query, names):
    """Whether names answer a query: whole words of one of them do, or of several, one for each part of the query.

    Case, accents, punctuation and spaces do not count: "casr" is "CASR", but not a part of "pcrtsr"; "noah terminal
    vision" is "Noah_TerminalVision".

    Args:
      query: text that a user typed.
      names: names of one thing, for example the team and the method of an entry.
    """
    known, whole = [_runs(name) for name in names], _joined(query)
    parts = list(filter(None, map(_joined, query.split())))
    return any(whole in runs for runs in known) or bool(parts) and set().union(*known).issuperset(parts)


def figures(recipe):
    """Counts of a recipe with the networks in the form of its last stage.

    Returns:
      {params, params_deployed, gmacs, hook_gmacs, passes, input_hw, networks, model_mb, to_pytorch}, see jsr.cli.zoo.
    """
    networks, different, hooked, size, official = [], {}, 0, 0, []
    recurrent = {models.card(model).frames for chain in _chains(recipe) for model, _ in chain}
    for (model, key), copies in ((row, copies) for chain, copies in _chains(recipe).items() for row in chain):
        found = counted.count(*key)
        # Of a clip each frame goes through the networks that are for images
        frames = CLIP if "all" in recurrent and models.card(model).frames is None else 1
        networks.append(dict(model=model, scale=key.scale, copies=copies, params=found.params,
                             params_deployed=found.params_deployed, gmacs=frames * found.macs / 1e9))
        different[key[:3]] = found.params, found.params_deployed
        hooked += copies * frames * found.hook_macs / 1e9
        official.append(found.official and len(recipe.chain) == 1)
        size += copies * found.params_deployed * 4 / 2**20
    params, deployed = map(sum, zip(*different.values(), strict=True))
    return dict(params=params, params_deployed=deployed, gmacs=sum(net["copies"] * net["gmacs"] for net in networks),
                hook_gmacs=hooked, passes=recipe.passes, input_hw=list(recipe.input_hw), networks=networks,
                model_mb=size, to_pytorch="official" if all(official) else "written")


def datasets(recipe):
    """The names of the datasets that a recipe trains on, each once, in the order of its rows."""
    named = (row.dataset or row.hr for stage in recipe.stages for row in recipe.rows(stage))
    return list(dict.fromkeys(named))


def to_fill(recipe):
    """{name: which images} of those of its datasets whose folders the user fills, see jsr.datasets.folders."""
    return {name: FOLDERS[name] for name in datasets(recipe) if name in FOLDERS}


def limited(entry):
    """The figures of an entry that a challenge may limit: {"published": {...}, "ours": {...}}, ours where it is built.

    See `jsr.challenges.kept`.
    """
    ours = {"ours": {"model_mb": figures(entry.recipe)["model_mb"]}} if entry.recipe else {}
    return {"published": entry.published, **ours}


def counted_keys():
    """The Keys of jsr.analysis.counted that listings need: of every network at its scales, and of every recipe's."""
    keys = [counted.Key(model_id, scale, "{}", *LISTED_HW)
            for model_id in models.list_models() for scale in models.card(model_id).scales]
    return list(dict.fromkeys([*keys, *(key for _, _, recipe in all_recipes() for chain in _chains(recipe)
                                        for _, key in chain)]))


def _chains(recipe):
    """{chain: how many of its members have it}, a chain being (model as the recipe names it, its Key) in order."""
    return collections.Counter(map(_chain, recipe.runs))


def _chain(run):
    height, width = run.input_hw
    found, last = [], run.fields_at(len(run.stages) - 1)
    for name in run.chain:
        net = run.networks[name]
        fields = json.dumps(plain({key: value for key, value in last[name].items() if key != "deploy"}), sort_keys=True)
        found.append((net.model, counted.Key(models.resolve(net.model), net.scale, fields, height, width)))
        height, width = height * net.scale, width * net.scale
    return tuple(found)


def _words(text):
    plain_letters = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.findall(r"[^\W_]+", "".join(plain_letters).casefold())


@functools.cache  # a listing asks for each word of every entry
def _joined(text):
    return "".join(_words(text))


@functools.cache
def _runs(name):
    """Every run of consecutive words of a name, joined."""
    words = _words(name)
    return {"".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)}

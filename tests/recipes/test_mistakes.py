"""What can be wrong in a recipe: each mistake is one line that begins with its key, all of them are said at once."""

import json
import re

from ml_collections import ConfigDict
import pytest

from jsr import recipes, trees
from jsr.errors import UserError
from jsr.recipes.mistakes import Mistakes
from jsr.recipes.overrides import parts

L1 = dict(fn="l1", pred="sr", target="hr", weight=1.0)
NET = dict(model="edsr/baseline", scale=4, fields={})
STAGE = recipes.stage(steps=100, crop=64, batch=1, losses=[L1], learning_rate=1e-3)


def changed(*changes):
    """The lines that a small recipe gets for values at places such as "stages[0].batch"; None deletes what is there."""
    data = recipes.template("aim22_t1")
    for place, value in changes:
        *parents, last = [int(part) if part.isdigit() else part for part in parts(place)]
        node = data
        for part in parents:
            node = node[part]
        with node.unlocked() if isinstance(node, ConfigDict) else data.unlocked():
            if value is None:
                del node[last]
            elif isinstance(node, ConfigDict):
                with node.ignore_type():
                    node[last] = value
            else:
                node[last] = value
    try:
        recipes.checked(recipes.read(data))
    except UserError as e:
        return str(e).splitlines()
    return []


# Place, value, and the line without "--config."
MISTAKES = [
    # 13 values that ended in a traceback or trained noise
    ("dtype", "bf16", "dtype: 'bf16'; give 'float32' or 'bfloat16' or 'float16'"),
    ("dtype", "fp16", "dtype: 'fp16'; give 'float32' or"),
    ("stages[0].batch", 0, "stages[0].batch: 0; give 1 or more"),
    ("stages[0].steps", 0, "stages[0].steps: 0; give 1 or more"),
    ("stages[0].crop", 0, "stages[0].crop: 0; give 1 or more"),
    ("stages[0].crop", [64, 0], "stages[0].crop: [64, 0]; give 1 or more"),
    ("stages[0].crop", [64], "stages[0].crop: [64]; give a side, or [height, width]"),
    ("stages[0].crop", [64, 30], "stages[0].crop: 30 is not a multiple of the scale 4"),
    ("stages[0].crop", "64", "stages[0].crop: '64'; give a whole number"),
    ("stages[0].accumulate", 0, "stages[0].accumulate: 0; give 1 or more"),
    ("log_every", 0, "log_every: 0; give 1 or more"),
    ("eval_every", 0, "eval_every: 0; give 1 or more"),
    ("checkpoint_every", 0, "checkpoint_every: 0; give 1 or more"),
    ("keep_checkpoints", -1, "keep_checkpoints: -1; give 1 or more"),
    ("data.num_workers", -1, "data.num_workers: -1; give 0 or more"),
    ("seed", -1, "seed: -1; give 0 or more and less than"),
    ("ema_decay", 1.5, "ema_decay: 1.5; give 0 or more and less than 1"),
    # types and ranges
    ("stages[0].players[0].learning_rate", -1.0, "stages[0].players[0].learning_rate: -1.0; give more than 0"),
    ("stages[0].players[0].learning_rate", float("nan"), "learning_rate: nan; give a number"),
    ("stages[0].players[0].every", 0, "stages[0].players[0].every: 0; give 1 or more"),
    ("stages[0].players[0].clip_norm", -0.5, "clip_norm: -0.5; give 0 or more"),
    ("stages[0].steps", 1.5, "stages[0].steps: 1.5; give a whole number"),
    ("stages[0].batch", True, "stages[0].batch: True; give a whole number"),
    ("stages[0].fused", 1, "stages[0].fused: 1; give True or False"),
    ("stages[0].augment", "flip", "stages[0].augment: 'flip' is no list"),
    ("stages[0].augment", [3], "stages[0].augment[0]: 3; give text"),
    ("stages[0].remat", "block", "stages[0].remat: 'block'; give '' or 'blocks'"),
    ("stages", 5, "stages: 5 is no list"),
    ("data", "photos", "data: 'photos' is no dict; give one with train, eval"),
    ("data.train[0].repeat", 0, "data.train[0].repeat: 0; give 1 or more"),
    ("data.train[0].weight", -1.0, "data.train[0].weight: -1.0; give 0 or more"),
    ("data.train[0].shrink", 0.5, "data.train[0].shrink: 0.5; give 1 or more"),
    ("title", None, ""),  # has a default
    # keys
    ("stages[0].stesp", 3, "stages[0].stesp: unknown key 'stesp'; did you mean 'steps'"),
    ("stages[0].crop", None, "stages[0]: lacks crop"),
    ("data.train[0]", {"dataset": "photos", "wieght": 1}, "data.train[0].wieght: unknown key 'wieght'; did you mean"),
    ("data.train[0]", "photos", "data.train[0]: 'photos' is no dict; give one with dataset"),
    # names of things that are not there
    ("networks.sr.model", "esdr/baseline", "networks.sr: esdr/baseline: no network 'esdr'; did you mean 'edsr'"),
    ("networks.sr.fields", {"num_fet": 3}, "networks.sr: edsr/baseline: no field 'num_fet'; did you mean 'num_feat'"),
    ("networks.sr.fields", {"num_feat": "wide"}, "field num_feat: 'wide' must be of type int, like 64"),
    ("networks.sr.fields", {"dtype": "x"}, "networks.sr.fields: dtype is no field to set here; the recipe's dtype"),
    ("input_hw", [1, 2, 3], "input_hw: [1, 2, 3]; give [height, width]"),
    ("ensemble.tiles", [0], "ensemble.tiles: [0]; give sides of 1 or more"),
    ("ensemble", {"overlap": 5}, "ensemble.overlap: is of tiles, but ensemble.tiles names none"),
    ("ensemble", {"overlap": 5, "tiles": [120, 10]}, "ensemble.overlap: 5 px at both ends leave nothing of tiles of"),
    ("average_at", [0.5, 1.0], "average_at: [0.5, 1.0]; give more than 0 and less than 1"),
    ("networks.sr.search", {"num_feat": 8}, "networks.sr.search.num_feat: 8; give a list of values"),
    ("networks.sr.search", {"num_feats": [8]}, "no field 'num_feats'; did you mean 'num_feat'"),
    ("ensemble", {"self": True, "transforms": ["hflip", "hflop"]}, "ensemble.transforms: no flip or turn 'hflop'; did"),
    ("ensemble", {"self": True, "transforms": ["hflip", "hflip"]}, "ensemble.transforms: ['hflip', 'hflip'] names one"),
    ("ensemble", {"transforms": ["hflip"]}, "ensemble.transforms: names flips and turns, but ensemble.self is False"),
    ("members", [{}, {"seed": 1}], ""),
    ("members", [{}], "members: is one network, of which there is nothing to average; give two, or []"),
    ("members", [{}, {"copies": 2}], "members[1]: is the network of members[0] once more; give it another seed ("),
    ("members", [{"copies": 0}], "members[0].copies: 0; give 1 or more and 100 or less"),
    ("members", [{}, {"seed": 1, "weight": 0.0}], "members[1].weight: 0.0; give more than 0 and 1,000,000 or less"),
    ("members", [{}, {"networks": {"rs": NET}}], "members[1].networks: no network 'rs'; did you mean 'sr'"),
    ("members", [{}, {"networks": {"sr": NET | {"scale": 2}}}], "members[1]: is for x2, the recipe for x4; members"),
    ("members", [{}, {"networks": {"sr": NET | {"fields": {"num_fet": 1}}}}], "members[1].networks.sr: edsr/baseline"),
    ("members", [{}, {"stages": [STAGE | {"crop": 30}]}], "members[1].stages[0].crop: 30 is not a multiple of the "),
    ("data.eval.degrade", "bicubic_x2", "data.eval.degrade: bicubic_x2 makes LR images for x2, the networks are"),
    ("stages[0].players[0].losses[0]", L1 | {"weight": float("inf")}, "losses[0]: loss l1: weight=inf; give a number"),
    ("stages[0].players[0].schedule", {"name": "piecewise_linear"}, "players[0]: cannot be ("),
    ("stages[0].players[0].optimizer", {"name": ["adam"]}, "players[0]: cannot be ("),
    ("stages[0].players[0].freeze", [{"pattern": "sr/*", "factor": -2}], "freeze: factor: -2; give 0 or more"),
    ("networks.sr.scale", 7, "networks.sr: edsr/baseline: no scale 7; it has"),
    ("protocol", "aim22", "protocol: challenge protocol 'aim22' is unknown; did you mean 'aim22_t1'"),
    ("ranking", "psnr[xyz]", "ranking: "),
    ("entry", "aim22_vue", "entry: aim22_t1: no entry 'aim22_vue' in its table; did you mean 'aim22_vue_tcir'"),
    ("chain", ["rs"], "chain[0]: no network 'rs'; did you mean 'sr'"),
    ("chain", ["sr", "sr"], "chain[1]: sr stands in the chain twice"),
    ("data.train", [], "data.train: names no dataset"),
    ("data.train[0].dataset", "", "data.train[0].dataset: names no dataset"),
    ("data.train[0]", {"hr": "a", "lr": "b"}, ""),
    ("data.train[0]", {"hr": "a"}, "data.train[0].lr: names no folder, but data.train[0].hr does; give both"),
    ("data.train[0]", {"hr": "a", "lr": "b", "degrade": "aim22_t1"}, "data.train[0].degrade: makes LR images, but "),
    ("data.train[0]", {"hr": "a", "lr": "b", "tiles": 64}, "data.train[0].tiles: is for folders without LR images"),
    ("data.eval", {"hr": "a", "lr": "b", "dataset": "c"}, "data.eval.dataset: c, but data.eval.hr and lr name folders"),
    ("data.train[0].degrade", "aim22_t3", "data.train[0].degrade: "),
    ("data.train[0].steps", [3], "data.train[0].steps: [3]; give [first, last), or [] for always"),
    ("data.train[0].steps", [0, 3], "data.train: no row takes part at step 3 of the stage's"),
    ("stages[0].augment", ["flop"], "stages[0].augment: augmentation 'flop' is unknown; did you mean 'flip'"),
    ("stages[0].augment", [{"name": "one_of", "of": []}], "stages[0].augment: augmentation one_of"),
    ("stages[0].accumulate", 3, "stages[0].accumulate: a batch of 8 is not 3 equal parts"),
    ("stages[0].players", [], "stages[0].players: has none: nothing would be trained"),
    ("stages[0].players[0].losses", [], "stages[0].players[0].losses: has none: nothing would be learnt"),
    ("stages[0].players[0].losses[0]", {"fn": "l1"}, "losses[0]: loss row {'fn': 'l1'}: lacks pred, target, weight"),
    ("stages[0].players[0].losses[0]", L1 | {"fn": "l7"}, "losses[0]: loss 'l7' is unknown"),
    ("stages[0].players[0].losses[0]", L1 | {"fn": 7}, "losses[0]: loss row {'fn': 7"),
    ("stages[0].players[0].nets", ["rs"], "stages[0].players[0].nets: no network 'rs'; did you mean 'sr'"),
    ("stages[0].players[0].optimizer", {"name": "adma"}, "players[0]: optimizer 'adma' is unknown; did you mean 'ad"),
    ("stages[0].players[0].optimizer", {"name": "adam", "b1": 2}, "optimizer adam: b1: 2; give from 0 to below 1"),
    ("stages[0].players[0].optimizer", {"name": "adam", "b1": "x"}, "b1: 'x' must be of type float"),
    ("stages[0].players[0].optimizer", {}, "players[0]: optimizer '' is unknown"),
    ("stages[0].players[0].schedule", {"name": "multi_step", "milestones": "x"}, "milestones: 'x' must be of type"),
    ("stages[0].players[0].schedule", {"name": "cosine_restarts"}, "schedule cosine_restarts: lacks period"),
    ("stages[0].players[0].schedule", {"name": "cosine_restarts", "period": 0}, "period: 0; give 1 or more"),
    ("stages[0].players[0].schedule", {"name": "constant", "warmup_steps": -3}, "warmup_steps: -3; give 0 or more"),
    ("stages[0].players[0].freeze", [{"patern": "sr/*"}], "freeze: unknown key 'patern'; did you mean 'pattern'"),
    # said late, or never
    ("stages[0].players[0].losses[0]", L1 | {"weight": 0}, "players[0].losses: all weights are 0: nothing would be"),
    ("stages[0].players[0].losses[0]", L1 | {"weight": -1}, "losses[0]: loss l1: weight=-1; give 0 or more"),
    ("stages[0].players[0].losses[0]", L1 | {"target": "sr"}, "losses[0]: loss l1: compares sr with sr, which nothing"),
    ("stages[0].players[0].losses[0]", L1 | {"pred": "lr"}, "losses[0]: loss l1: compares lr with hr, which nothing"),
    ("stages[0].players[0].losses[0]", L1 | {"pred": "cr(sr)"}, "losses[0]: compares with 'cr(sr)', but there is no"),
    ("stages[0].players[0].losses[0]", L1 | {"fn": "clip_l1", "low": 0.5}, "low=0.5 is not below high=0.03922"),
    ("stages[0].players[0].losses[0]", L1 | {"fn": "charbonnier", "eps": -1.0}, "eps=-1.0; give more than 0"),
    ("stages[0].players[0].losses[0]", L1 | {"fn": "os.path:join"}, "os.path:join: is a function, but must be a func"),
    ("stages[0].players[0].losses[0]", L1 | {"fn": "os.path:sep"}, "os.path:sep: is of type str, but must be a func"),
    ("stages[0].players[0].schedule", {"name": "piecewise_linear", "points": [[5, 1], [2, 1]]}, "in the order of the"),
    ("stages[0].players[0].schedule", {"name": "multi_step", "milestones": [5, 5]}, "steps of 0 or more, each once"),
    ("stages[0].players[0].every", 10**6, "stages[0].players[0].every: 1000000, but the stage has "),
    ("stages[0].players[0].learning_rate", 1e39, "learning_rate: 1e+39; give more than 0 and 1e+30 or less"),
    ("stages[0].augment", [{"name": "mixup", "alpha": float("inf")}], "augmentation mixup: alpha=inf must be above 0"),
    ("stages[0].begin", [{"net": "sr", "carry": "prune"}], "stages[0].begin[0].fields: changes nothing of sr, for "),
    ("stages[0].crop", 30, "stages[0].crop: 30 is not a multiple of the scale 4"),
    ("ensemble.tlc", 1, "ensemble.tlc: 1 is smaller than the LR crop that was trained with; give "),
    ("networks.sr.fields", {"num_block": -1}, "networks.sr: edsr/baseline: field num_block: -1; give from 0 to 4,096"),
    ("networks.sr.fields", {"num_feat": 10**11}, "edsr/baseline: field num_feat: 100000000000; give from 0 to 4,096"),
    ("networks.sr.fields", {"mean": [0.1, float("nan"), 0.1]}, "edsr/baseline: field mean: nan; give a number"),
    ("data.train[0].weight", 1e-300, "data.train: the weight 1e-300 is less than a millionth of 1"),
    ("data.train[0].degrade", "os.path:join", "data.train[0].degrade: os.path:join: is a function, but must be a j"),
    ("data.num_workers", 10**5, "data.num_workers: 100000; give 0 or more and 1,024 or less"),
    ("recipe", "a/../../b", "recipe: 'a/../../b' names the folder of its runs, <track>:<name>; give two words"),
    ("recipe", "..:quick", "recipe: '..:quick' names the folder of its runs"),
    ("protocol", "\u0430im22_t1", "is unknown; did you mean 'aim22_t1'"),  # a Cyrillic letter
    ("stages[0].begin", [{"net": "rs", "carry": "match"}], "stages[0].begin[0].net: no network 'rs' is trained"),
    ("stages[0].begin", [{"net": "sr", "carry": "mach"}], "stages[0].begin[0].carry: 'mach'; give 'match' or"),
    ("stages[0].begin", [{"net": "sr", "carry": "match", "fields": {"num_feats": 3}}], "begin[0].fields: edsr/b"),
]


@pytest.mark.parametrize("place, value, line", MISTAKES, ids=[f"{p}={v}" for p, v, _ in MISTAKES])
def test_each_is_one_line_that_names_its_key(place, value, line):
    lines = changed((place, value))
    assert len(lines) == bool(line) and all(text.startswith("--config.") and line in text for text in lines), lines


@pytest.mark.parametrize("rows, line", [
    ([dict(weight=1.0), dict()], "data.train: weights 1, 0; give every row one above 0, or none"),
    ([dict(weight=1.0, repeat=2)], "data.train: has both repeat and weight"),
    ([dict(steps=[0, 3]), dict(steps=[4, 1000000])], "data.train: no row takes part at step 3 of the stage's"),
    ([dict(set=dict(qualty=3), degrade="aim22_t1")], "data.train[0]: set.qualty: aim22_t1 has no parameter"),
    ([dict(set=dict(quality="60-101"), degrade="aim22_t1")], "set.quality: aim22_t1: jpeg cannot encode this"),
    ([dict(set=dict(encoder=["9d"]), degrade="aim22_t1")], "set.encoder: ['9d'] must be a list of whole numbers"),
    ([dict(flip_rotate=True)], "data.train[0].flip_rotate: turns images before they are degraded, but data.train[0]."),
    ([dict(flip_rotate=True, degrade="aim22_t1")], "augment: turns once more what a row of data has turned before it"),
    ([dict(set=dict(quality=3))], "data.train[0].set: sets quality of a degradation, but data.train[0].degrade names"),
])
def test_mistakes_in_rows_of_data(rows, line):
    lines = changed(("data.train", [recipes.source("photos", **row) for row in rows]))
    assert len(lines) == 1 and line in lines[0], lines


@pytest.mark.parametrize("name", ["a/b", "a@b", "", "lr", "2x"])
def test_a_network_s_name_is_a_word(name):
    line, = changed(("networks", {name: dict(model="edsr", scale=4)}), ("chain", [name]))
    assert line.startswith(f"--config.networks: a network cannot be called {name!r}; use letters, digits and _")


def test_all_are_said_at_once():
    lines = changed(("seed", -1), ("stages[0].batch", 0), ("stages[0].stesp", 3), ("dtype", "bf16"))
    assert [text.partition(": ")[0] for text in lines] == [
        "--config.seed", "--config.stages[0].stesp", "--config.stages[0].batch", "--config.dtype"]
    with pytest.raises(UserError) as error:
        recipes.load("aim22_t1", [("seed", "-1"), ("sed", "1"), ("stages[0].batch", "0"), ("stages[0].accumulate", "3"),
                                  ("networks.sr.model", "esdr"), ("protocol", "aim22"), ("stages[0].every", "0")])
    assert [text.partition(": ")[0] for text in str(error.value).splitlines()] == [
        f"--config.{key}" for key in ("sed", "seed", "stages[0].batch", "stages[0].players[0].every", "networks.sr",
                                      "protocol")]  # what rests on a batch of 0 is not judged
    with pytest.raises(UserError, match="seed=1e999: must have a value of type int, like 0"):
        recipes.load("aim22_t1", [("seed", "1e999")])
    overrides = [("sed", "1"), ("stages[0].batch", "x"), ("networks.sr.fields.num_fet", "2")]
    with pytest.raises(UserError, match="sed.*\n.*batch=x.*\n.*num_fet|sed.*\n.*num_fet.*\n.*batch"):
        recipes.load("aim22_t1", overrides)


@pytest.mark.parametrize("text, line", [
    ("x = 1\n", "mine.py: has no function get_config(recipe), which gives the recipe of that name"),
    ("import os\n\nx = 1 / 0\n", "mine.py, line 3: ZeroDivisionError: division by zero"),
    ("def get_config(:\n", "mine.py, line 1: SyntaxError: "),
    ("import nowhere_at_all\n", "mine.py, line 1: ModuleNotFoundError: No module named 'nowhere_at_all'"),
    ("def get_config(name=''):\n    return {}['a']\n", "mine.py, line 2: KeyError: 'a'"),
    ("import sys\nsys.exit()\n", "mine.py, line 2: SystemExit: "),
    ("def get_config(name=''):\n    return {'networks': {'a.b': 1}}\n", "mine.py: ValueError: "),
    ("def get_config(name='', *, third):\n    return 7\n", "mine.py: TypeError: get_config() missing 1 required"),
    ("async def get_config(name=''):\n    return {}\n", "mine.py: get_config is async; make it a function"),
    ("def get_config(name=''):\n    return 7\n", "mine.py: get_config gives int, not a recipe; make one by jsr"),
    ("def get_config(name=''):\n    return {}\n", "--config.: lacks protocol"),
])
def test_a_file_that_gives_no_recipe(tmp_path, text, line):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(UserError) as error:
        recipes.load(str(tmp_path / "mine.py"))
    assert line in str(error.value).replace("the recipe: lacks", "--config.: lacks") and "\n" not in str(error.value)


@pytest.mark.parametrize("text, line", [
    ("{", "a damaged file"), ("[]", "a damaged file"), ('{"seed": "x"}', "--config.seed: 'x'; give a whole number"),
])
def test_a_config_json_that_is_none(tmp_path, text, line):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=re.escape(line)):
        recipes.read_json(tmp_path / "config.json")


def test_an_old_config_json_without_newer_keys_and_with_older_ones_is_read(tmp_path):
    data = trees.plain(recipes.load("aim22_t1")) | {"id": "aim22_vue_tcir", "report": {"psnr": 23.6677}}
    for row in data["data"]["train"]:
        del row["shrink"], row["tiles"], row["detail"]
    del data["entry"], data["members"]
    data["networks"]["sr"]["copies"] = 1
    (tmp_path / "config.json").write_text(json.dumps(data))
    assert recipes.read_json(tmp_path / "config.json") == recipes.load("aim22_t1")
    with pytest.raises(UserError, match="unknown key 'id'.*\n.*unknown key 'report'.*\n.*unknown key 'copies'"):
        recipes.read(data)


@pytest.mark.parametrize("place, named, refused", [
    ("data.train[0].dataset", "live1", True), ("data.train[0].dataset", "/sets/LIVE-1_color/refimgs", True),
    ("data.train[0].hr", "LIVE1/HR", True), ("data.train[0].dataset", "/sets/live10k", False),
    ("data.eval.dataset", "live1", False)])
def test_the_second_test_set_of_ntire24_is_not_trained_on(place, named, refused):
    lines = changed(("protocol", "ntire24"), (place, named))
    found = [line.partition(":")[0] for line in lines if "LIVE1 is for evaluation alone" in line]
    assert found == [f"--config.{place}"] * refused


def test_what_is_said_of_a_stage_names_that_one():
    """The rooms below know no numbers of stages, and say stages[0] of any."""
    found = Mistakes()
    for place in ("stages[0].batch", "stages[2].batch", "members[1].stages[3].batch", "networks"):
        with found.at(place):
            raise UserError("too large (--config.stages[0].batch=...)")
    assert found.lines == [
        f"--config.{place}: too large (--config.{stage}.batch=...)" for place, stage in (
            ("stages[0].batch", "stages[0]"), ("stages[2].batch", "stages[2]"),
            ("members[1].stages[3].batch", "members[1].stages[3]"), ("networks", "stages[0]"))]

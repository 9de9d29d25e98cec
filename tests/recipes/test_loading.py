"""Track files, recipes and overrides, and what a user reads after a slip."""

import json

import pytest

from jsr import recipes, trees
from jsr.errors import UserError


def test_every_recipe_of_every_track_loads_and_says_what_it_is():
    found = recipes.all_recipes()
    assert ("aim22_t1", "quick") in [(track, name) for track, name, _ in found]
    for track, name, recipe in found:
        assert recipe.recipe == f"{track}:{name}"
        assert recipe.title and recipe.stages
        assert all(player.nets for stage in recipe.stages for player in stage.players)
        json.dumps(trees.plain(recipe))


def test_bare_file_is_quick_and_a_name_picks_another():
    assert recipes.load("configs/aim22_t1.py").recipe == "aim22_t1:quick"
    assert recipes.load("aim22_t1:edsr").recipe == "aim22_t1:edsr"


@pytest.mark.parametrize("key, text, expected", [
    ("seed", "7", 7), ("seed", "1e3", 1000), ("ema_decay", "0", 0.0), ("data.train[0].dataset", "/a=b", "/a=b"),
    ("stages[0].steps", "55", 55), ("stages.0.steps", "55", 55), ("stages[0].players[0].learning_rate", "1e-4", 1e-4),
    ("stages[0].augment", "[]", []), ("networks.sr.fields", "{'num_feat': 4}", {"num_feat": 4}),
    ("networks.sr.fields.res_scale", "1", 1.0), ("data.train[0].set.quality", "60-100", "60-100"),
    ("data.train[0].set.quality", "[60, 70]", [60, 70]), ("data.train[0].set.encoder", "9", "9"),
    ("stages[0].players[0].optimizer.weight_decay", "1", 1.0), ("stages[0].players[0].schedule.warmup_steps", "7", 7),
])
def test_override(key, text, expected):
    node = recipes.load("aim22_t1", [(key, text)])
    for part in key.replace("[", ".").replace("]", "").split("."):
        node = node[int(part)] if part.isdigit() else node[part] if isinstance(node, dict) else getattr(node, part)
    assert trees.plain(node) == expected and type(trees.plain(node)) is type(expected)


def test_what_is_the_only_player_s_is_found_at_its_stage():
    player = recipes.load("ntire24", [("stages[0].learning_rate", "1"), ("stages[0].losses[1].weight", "3"),
                                     ("stages[0].schedule.end", "0")]).stages[0].players[0]
    assert player.learning_rate == 1 and player.losses[1]["weight"] == 3 and player.schedule["end"] == 0


def test_of_several_players_one_must_be_named():
    data = recipes.template("aim22_t1")
    data.stages[0].players.append(data.stages[0].players[0])
    with pytest.raises(UserError) as error:
        recipes.changed(recipes.read(data), [("stages[0].clip_norm", "1")])
    assert str(error.value).endswith("has 2 players; name one: stages[0].players[0].clip_norm to "
                                     "stages[0].players[1].clip_norm")


def test_a_whole_is_set_before_its_parts_and_a_function_before_what_it_takes():
    given = [("networks.sr.fields.embed_dim", "12"), ("networks.sr.fields", "{}"), ("networks.sr.model", "swin2sr"),
             ("stages[0].optimizer.momentum", "0.5"), ("stages[0].optimizer.name", "sgd"),
             ("stages[0].losses[0].eps", "1"), ("stages[0].losses[0].fn", "charbonnier")]
    loaded = recipes.load("aim22_t1", given)
    assert trees.plain(loaded.networks["sr"].fields) == {"embed_dim": 12}
    assert loaded.stages[0].players[0].optimizer["momentum"] == 0.5
    assert loaded.stages[0].players[0].losses[0]["eps"] == 1.0
    with pytest.raises(UserError, match="unknown key 'embed_dim'"):
        recipes.load("aim22_t1", given[:1])


def test_a_row_that_was_replaced_may_be_set_further():
    given = [("data.train", "[{'dataset': 'photos', 'degrade': 'aim22_t1'}]"), ("data.train[0].set.quality", "60-70"),
             ("stages[0].players", "[{'losses': [{'fn': 'l1', 'pred': 'sr', 'target': 'hr', 'weight': 1}]}]"),
             ("stages[0].learning_rate", "1e-3"), ("stages[0].optimizer.name", "sgd")]
    with pytest.raises(UserError, match="learning_rate: unknown key"):  # a player that has none is no player yet
        recipes.load("aim22_t1", given)
    given = [(key.replace("stages[0].", "stages[0].players[0].") if key.endswith(("rate", "name")) else key, text)
             for key, text in given]
    loaded = recipes.load("aim22_t1", given)
    assert loaded.data.train[0].set == {"quality": "60-70"}
    player = loaded.stages[0].players[0]
    assert player.learning_rate == 1e-3 and player.optimizer == {"name": "sgd"}


def test_overrides_do_not_leak_into_the_next_load():
    recipes.load("aim22_t1", [("stages[0].steps", "55")])
    assert recipes.load("aim22_t1").stages[0].steps != 55


@pytest.mark.parametrize("spec, overrides, message", [
    ("configs/aim22t1.py", [], "did you mean 'aim22_t1'"),
    ("aim22_t1:quik", [], "no recipe 'quik'; did you mean 'quick'"),
    ("aim22_t1", [("sed", "1")], "--config.sed: unknown key 'sed'; did you mean 'seed'"),
    ("aim22_t1", [("data.trian.split", "x")], "did you mean 'train'"),
    ("aim22_t1", [("stages[3].steps", "1")], "has 1 entries"),
    ("aim22_t1", [("seed", "x")], "must have a value of type int, like 0"),
    ("aim22_t1", [("seed", "1.5")], "must have a value of type int"),
    ("aim22_t1", [("seed.x", "1")], "without keys of its own"),
    ("aim22_t1", [("stages[0].augment", "flip")], "must have a value of type list"),
    ("ais24", [("networks.sr.fields.num_fet", "24")], "unknown key 'num_fet'; did you mean 'num_feat'"),
    ("ais24", [("networks.sr.fields.num_feat", "wide")], "must have a value of type int"),
    ("aim22_t1", [("data.train[0].set.qualty", "3")], "unknown key 'qualty'; did you mean 'quality'"),
    ("aim22_t1", [("data.eval.set.quality", "3")], "none is named (--config.data.eval.degrade=...)"),
    ("aim22_t1", [("stages[0].lerning_rate", "1")], "unknown key 'lerning_rate'; did you mean 'learning_rate'"),
    ("aim22_t1", [("stages[0].schedule.warmup_step", "1")], "did you mean 'warmup_steps'"),
    ("aim22_t1", [("stages[0].optimizer.momentum", "1")], "unknown key 'momentum'; "),
    ("aim22_t1", [("stages[0].losses[0].esp", "1")], "unknown key 'esp'"),
])
def test_mistakes_name_the_nearest(spec, overrides, message):
    with pytest.raises(UserError) as error:
        recipes.load(spec, overrides)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_file_without_get_config(tmp_path):
    (tmp_path / "mine.py").write_text("x = 1\n")
    with pytest.raises(UserError, match="no function get_config"):
        recipes.load(str(tmp_path / "mine.py"))


def test_config_of_the_users_own(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from jsr import recipes\n\ndef get_config(name='quick'):\n    return recipes.template(f'aim22_t1:{name}')\n")
    assert recipes.load(f"{tmp_path}/mine.py:edsr", [("seed", "3")]).seed == 3

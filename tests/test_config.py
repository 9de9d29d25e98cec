"""Track files, recipes and overrides, and what a user reads after a slip."""

import json

import pytest

from jsr import config, recipes
from jsr.errors import UserError


def test_every_recipe_of_every_track_loads_and_says_what_it_is():
    found = recipes.all_recipes()
    assert ("aim22_t1", "quick") in [(track, name) for track, name, _ in found]
    for track, name, recipe in found:
        assert recipe.recipe == f"{track}:{name}"
        assert recipe.title and recipe.stages
        assert all(player.nets for stage in recipe.stages for player in stage.players)
        json.dumps(config.plain(recipe))


def test_bare_file_is_quick_and_a_name_picks_another():
    assert config.load("configs/aim22_t1.py").recipe == "aim22_t1:quick"
    assert config.load("aim22_t1:edsr").recipe == "aim22_t1:edsr"


@pytest.mark.parametrize("key, text, expected", [
    ("seed", "7", 7), ("seed", "1e3", 1000), ("ema_decay", "0", 0.0), ("data.train[0].dataset", "/a=b", "/a=b"),
    ("stages[0].steps", "5", 5), ("stages.0.steps", "5", 5), ("stages[0].players[0].learning_rate", "1e-4", 1e-4),
    ("stages[0].augment", "[]", []), ("networks.sr.fields", "{'num_feat': 4}", {"num_feat": 4}),
])
def test_override(key, text, expected):
    node = config.load("aim22_t1", [(key, text)])
    for part in key.replace("[", ".").replace("]", "").split("."):
        node = node[int(part)] if part.isdigit() else node[part]
    assert config.plain(node) == expected and type(config.plain(node)) is type(expected)


def test_overrides_do_not_leak_into_the_next_load():
    config.load("aim22_t1", [("stages[0].steps", "5")])
    assert config.load("aim22_t1").stages[0].steps != 5


@pytest.mark.parametrize("spec, overrides, message", [
    ("configs/aim22t1.py", [], "did you mean 'aim22_t1'"),
    ("aim22_t1:quik", [], "no recipe 'quik'; did you mean 'quick'"),
    ("aim22_t1", [("sed", "1")], "--config.sed: unknown key 'sed'; did you mean 'seed'"),
    ("aim22_t1", [("data.trian.split", "x")], "did you mean 'train'"),
    ("aim22_t1", [("stages[3].steps", "1")], "has 1 entries"),
    ("aim22_t1", [("seed", "x")], "expects a value of type int, like 0"),
    ("aim22_t1", [("seed", "1.5")], "expects a value of type int"),
    ("aim22_t1", [("seed.x", "1")], "without keys of its own"),
    ("aim22_t1", [("stages[0].augment", "flip")], "expects a value of type list"),
])
def test_mistakes_name_the_nearest(spec, overrides, message):
    with pytest.raises(UserError) as error:
        config.load(spec, overrides)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_file_without_get_config(tmp_path):
    (tmp_path / "mine.py").write_text("x = 1\n")
    with pytest.raises(UserError, match="no function get_config"):
        config.load(str(tmp_path / "mine.py"))


def test_config_of_the_users_own(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from jsr._configs import aim22_t1\n\ndef get_config(name='quick'):\n    return aim22_t1.get_config(name)\n")
    assert config.load(f"{tmp_path}/mine.py:edsr", [("seed", "3")]).seed == 3

"""The table of a recipe's keys: every one explained, and the same as what is read, printed and given to editors."""

import json

import jsonschema
import pytest

from jsr import cli, recipes, trees
from jsr.inference import ensemble
from jsr.recipes import schema
from jsr.training import stages

KINDS = [schema.Recipe, schema.Net, schema.Source, schema.Validation, schema.Data, schema.Player, schema.Begin,
         schema.Stage, schema.Member, schema.Ensemble]


@pytest.fixture(scope="module")
def shipped():
    return recipes.all_recipes()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_key_is_explained_and_its_default_is_in_its_range(kind):
    for name, its in schema.types_of(kind).items():
        meaning = schema.about(kind, name)
        assert meaning.text and not meaning.text.endswith("."), name
        if name in schema.defaults(kind) and its in (int, float, str):
            assert meaning.holds(schema.defaults(kind)[name]), name


def test_the_rules_of_stages_are_those_of_the_table():
    assert stages.CARRIES.keys() == set(schema.CARRIES)


def test_the_flips_and_turns_are_those_that_are_averaged():
    assert set(schema.TRANSFORMS) == ensemble.TRANSFORMS.keys()


def test_a_members_run_has_what_is_its_own_and_else_the_recipes():
    nf = {"sr": dict(model="cidbnet/nf")}
    stages = [recipes.stage(steps=5, crop=64, batch=1, losses=[], learning_rate=1)]
    data = trees.plain(recipes.load("aim22_t1:casia")) | {"seed": 7}
    read = recipes.read(recipes.recipe(**data | {"members": [dict(copies=2), dict(networks=nf, weight=2, seed=9),
                                                             dict(stages=stages)]}))
    assert read.weights == (1, 1, 2, 1) and [run.seed for run in read.runs] == [7, 8, 16, 7]
    assert [run.networks["sr"].model for run in read.runs] == ["cidbnet/base"] * 2 + ["cidbnet/nf", "cidbnet/base"]
    assert all(run.networks["sr"].scale == 4 and not run.members and run.runs == (run,) for run in read.runs)
    assert [run.last_step for run in read.runs] == [800_000] * 3 + [5]
    assert read.runs[3].stages[0].players[0].nets == ("sr",)
    alone = recipes.read(data | {"members": []})
    assert alone.runs == (alone,) and read.runs[0] == alone and read.passes == 4 * 8


def test_plain_data_and_recipes_are_the_same(shipped):
    for _, _, recipe in shipped:
        assert schema.read(json.loads(json.dumps(trees.plain(recipe)))) == recipe


def test_the_json_schema_takes_every_recipe_and_refuses_mistakes(shipped, capsys):
    assert cli.main(["config", "--schema"]) == 0
    validator = jsonschema.Draft202012Validator(json.loads(capsys.readouterr().out))
    validator.check_schema(validator.schema)
    for track, name, recipe in shipped:
        errors = list(validator.iter_errors(json.loads(json.dumps(trees.plain(recipe)))))
        assert not errors, (track, name, errors[0].message)
    for key, value in (("seed", -1), ("sed", 1), ("stages", {}), ("dtype", "bf16")):
        assert not validator.is_valid(trees.plain(shipped[0][2]) | {key: value})


def test_a_recipe_is_printed_with_its_present_values(capsys):
    assert cli.main(["config", "aim22_t1", "--config.seed=7"]) == 0
    printed = capsys.readouterr().out
    row, = (line for line in printed.splitlines() if line.startswith(" seed "))
    assert row.split()[1] == "7" and "random draw" in row
    assert cli.main(["config", "aim22_t1", "--config.seed=7", "--json"]) == 0
    assert recipes.read(json.loads(capsys.readouterr().out)) == recipes.load("aim22_t1", [("seed", "7")])
    assert cli.main(["config"]) == 1

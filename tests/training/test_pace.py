"""As many steps as fit into some minutes."""

import dataclasses
import io
import json
import time

import pytest
from rich.console import Console

from jsr import recipes
from jsr.errors import UserError
from jsr.training import pace, run_folder
from jsr.trees import plain

SMALL = {"networks.sr.fields": "{'num_feat': 4, 'num_block': 1}", "data.num_workers": "0", "stages[0].batch": "2",
         "stages[0].crop": "32", "eval_every": "5", "checkpoint_every": "10"}
COSTS = pace.Costs(starts=[5.0, 3.0], steps=[0.1, 0.4], validation=2.0, compiling=4.0, checkpoint=0.5)


@pytest.fixture
def two_stages():
    """A recipe with stages of 300 and 100 steps in which other things count steps too."""
    settings = {"stages[0].steps": "300", "eval_every": "50", "checkpoint_every": "100"}
    config = plain(recipes.load("aim22_t1:quick", settings.items()))
    first = config["stages"][0]
    config["data"]["train"][0]["steps"] = [0, 300]
    player = first["players"][0] | {"schedule": {"name": "multi_step", "milestones": [30, 60]},
                                    "freeze": ["sr/a*", {"pattern": "sr/body_*", "steps": 20}]}
    second = {"steps": 100, "players": [player], "data": [{"dataset": "photos", "steps": [0, 50]},
                                                          {"dataset": "photos", "steps": [50, 100]}]}
    return recipes.read(config | {"stages": [first, first | second]})


def test_all_that_counts_steps_becomes_longer_in_proportion(two_stages):
    found = pace.scaled(two_stages, 2.5)
    assert [stage.steps for stage in found.stages] == [750, 250]
    first, second = (stage.players[0] for stage in found.stages)
    assert first.schedule["warmup_steps"] == 125 and first.schedule["end"] == 1e-5
    assert second.schedule["milestones"] == [75, 150]
    assert plain(second.freeze) == ["sr/a*", {"pattern": "sr/body_*", "steps": 50}]
    assert found.data.train[0].steps == (0, 750)
    assert [row.steps for row in found.stages[1].data] == [(0, 125), (125, 250)]
    assert [stage.steps for stage in pace.scaled(two_stages, 1e-6).stages] == [1, 1]
    assert plain(pace.scaled(two_stages, 1.0)) == plain(two_stages)
    assert pace._scaled("points", [[0, 1.0], [10, 0.1]], 3) == [[0, 1.0], [30, 0.1]]


@pytest.mark.parametrize("seconds", [30, 60, 3600, 1e6])
def test_the_stages_fill_the_time(two_stages, seconds):
    factor = pace.factor(two_stages, COSTS, seconds)
    steps = [stage.steps for stage in pace.scaled(two_stages, factor).stages]
    assert steps[0] == pytest.approx(3 * steps[1], abs=3)
    spent = pace.seconds_of(two_stages, COSTS, factor)
    longest = 3 * 0.1 + 0.4 + 2 + 4 + 1  # a step more of both, and what that may bring about
    assert seconds - longest <= spent <= seconds
    validations = (sum(steps) - 1) // 50
    assert spent == pytest.approx(8 + steps[0] * 0.1 + steps[1] * 0.4 + validations * 2 + (4 if validations else 0)
                                  + (sum(steps) // 100 + 2) * 0.5)


def test_too_little_time(two_stages):
    assert pace.factor(two_stages, COSTS, 8.0) is None


def test_what_is_measured_is_written_and_kept(photo_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(pace, "LONGEST_S", 0.3)
    monkeypatch.setattr(pace, "_IMAGES", 1)
    folder, console = str(photo_folder), Console(file=io.StringIO(), width=200)
    ours = {f"data.{part}.{key}": value for part in ("train[0]", "eval")
            for key, value in (("dataset", folder), ("degrade", "aim22_t1"))}
    config = recipes.load("aim22_t1:quick", {**SMALL, **ours}.items())
    workdir = tmp_path / "run"
    found = pace.fit(config, 30, workdir, console=console, started=time.monotonic())
    note = json.loads((workdir / pace.FILE).read_text())
    assert note["minutes"] == 30 and plain(found) == plain(pace.scaled(config, note["factor"]))
    costs = pace.Costs(**note["seconds"])
    assert all(value > 0 for value in (*costs.starts, *costs.steps, costs.validation, costs.checkpoint))
    assert f"so {found.stages[0].steps:,} steps instead of 3,000" in console.file.getvalue()
    assert [path.name for path in workdir.iterdir()] == [pace.FILE]

    run_folder.check_same_run(found, {"data": "", "revision": "", "versions": {}}, workdir)
    (workdir / "checkpoints" / "10").mkdir(parents=True)
    assert plain(pace.fit(config, 30, workdir, console=console, started=0)) == plain(found)
    for minutes, there, here in ((20, "--minutes 30", "--minutes 20"),
                                 (None, "--minutes 30", "a given number of steps")):
        with pytest.raises(UserError, match=f"holds a run of {there}, not of {here}; give the same"):
            pace.fit(config, minutes, workdir, console=console, started=0)
    (workdir / pace.FILE).unlink()
    with pytest.raises(UserError, match="holds a run of a given number of steps, not of --minutes 30"):
        pace.fit(config, 30, workdir, console=console, started=0)
    assert pace.fit(config, None, workdir, console=console, started=0) is config


def test_more_than_nothing(tmp_path):
    with pytest.raises(UserError, match="--minutes -1: give more than 0"):
        pace.fit(recipes.load("aim22_t1"), -1.0, tmp_path, console=None, started=0)


def test_costs_are_plain_data():
    assert pace.Costs(**json.loads(json.dumps(dataclasses.asdict(COSTS)))) == COSTS

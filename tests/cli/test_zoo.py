"""`jsr zoo`."""

import json
import math

import pytest

from jsr import models
from jsr._configs.common import recipe, stage
from jsr.cli import main, zoo
from jsr.recipes import all_recipes


def made_up(networks, name="a", **fields):
    config = recipe(title="a made-up entry", protocol="aim22_t1", networks=networks,
                    data=dict(train=dict(dataset="photos"), eval=dict(dataset="photos")),
                    stages=[stage(steps=1, crop=48, batch=1, losses=[], learning_rate=1e-4)], **fields)
    config.recipe = f"track:{name}"
    return config


@pytest.mark.slow
def test_every_network_and_recipe_is_listed(capsys):
    assert main(["zoo"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for model_id in models.list_models():
        assert sum(line.split()[:1] == [model_id] for line in lines) == 1
    for track, name, _ in all_recipes():
        assert any(line.startswith(f"{track}:{name} ") for line in lines)
    baseline, = (line for line in lines if line.startswith("edsr/baseline"))
    assert baseline.split()[1:6] == ["x2", "x3", "x4", "1,517,571", "73.11"]


def test_one_network_shows_card_counts_files_and_recipes(capsys, monkeypatch):
    monkeypatch.setattr(zoo, "all_recipes", lambda: [
        ("track", "a", made_up({"sr": dict(model="edsr", scale=2)})),
        ("track", "b", made_up({"sr": dict(model="edsr/full", scale=2)}, "b"))])
    assert main(["zoo", "edsr/full"]) == 0
    out = capsys.readouterr().out
    for part in ("EDSR", "Lim et al.", "sanghyun-son/EDSR-PyTorch", "jsr/models/edsr.py", "jsr/convert/rules/edsr.py",
                 "tests/models/test_edsr.py", "tests/golden/edsr.npz", "40,729,603", "43,680,003", "43,089,923",
                 "track:b", "x1, x2, x3, x4, x8"):
        assert part in out
    assert "edsr/baseline" not in out and "track:a" not in out
    assert main(["zoo", "edsr"]) == 0
    out = capsys.readouterr().out
    assert "track:a" in out and "track:b" in out and "1,369,859" in out


def test_a_network_that_no_recipe_uses(capsys, monkeypatch):
    monkeypatch.setattr(zoo, "all_recipes", list)
    assert main(["zoo", "edsr/full"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("no recipe uses it")


def test_an_unknown_network_is_one_line(capsys):
    assert main(["zoo", "edsrr"]) == 1
    assert capsys.readouterr().err == "jsr zoo: edsrr: no network 'edsrr'; did you mean 'edsr'?\n"


def test_json_has_the_recipes_of_published_methods(capsys, monkeypatch):
    monkeypatch.setattr(zoo, "all_recipes", lambda: [
        ("track", "a", made_up({"sr": dict(model="edsr", scale=2)}, id="published_x2", inferred=["the batch size"])),
        ("track", "b", made_up({"sr": dict(model="edsr", scale=2)}, "b"))])
    assert main(["zoo", "--json"]) == 0
    row, = json.loads(capsys.readouterr().out)
    gmacs = row.pop("gmacs")
    assert row == dict(
        id="published_x2", recipe="track:a", config="configs/track.py:a", title="a made-up entry",
        inferred=["the batch size"], params=1_369_859, params_deployed=1_369_859, input_hw=[192, 192],
        networks=[dict(model="edsr", scale=2, copies=1, params=1_369_859, params_deployed=1_369_859, gmacs=gmacs)],
        hook_gmacs=gmacs + 16 * 64 * 192**2 / 1e9,  # the ReLU of each block
        model_mb=1_369_859 * 4 / 2**20, published=dict(params_M=None, gmacs=None, runtime_ms=None, model_mb=None))
    assert gmacs == pytest.approx(50.599821312)


@pytest.mark.slow
def test_a_published_entry_has_the_reports_figures_beside_ours(capsys):
    assert main(["zoo", "safmn/light_pp", "--json"]) == 0
    row, = json.loads(capsys.readouterr().out)
    assert row["published"] == dict(params_M=0.066, gmacs=34.2, runtime_ms=4.251, model_mb=None)
    assert round(row["hook_gmacs"], 4) == 34.1587
    assert main(["zoo", "swin2sr/compressed"]) == 0
    line, = (line for line in capsys.readouterr().out.splitlines() if line.startswith("aim22_t1:srmui"))
    assert line.split()[2:3] == ["12,244.6"] and " 9,390 " in line
    assert main(["zoo", "safmn/light_pp"]) == 0
    line, = (line for line in capsys.readouterr().out.splitlines() if line.startswith("ais24:vpeg_s"))
    assert line.split()[2:7] == ["66.2", "66", "34.1587", "34.2", "4.251"]


def test_copies_and_equal_networks_count_their_parameters_once_and_their_work_each_time():
    small = dict(num_feat=8, num_block=1)
    config = made_up({"first": dict(model="edsr", scale=2, copies=3, fields=small),
                      "second": dict(model="edsr/baseline", scale=2, fields=small),
                      "third": dict(model="edsr", scale=3, fields=small)})
    with config.unlocked():
        config.input_hw = [10, 20]
    row = zoo.catalogue_row(config)
    first, second, third = row["networks"]
    assert row["params"] == first["params"] + third["params"] and first["params"] == second["params"]
    assert row["input_hw"] == [10, 20]
    # the second network gets an image of twice the height and width
    assert second["gmacs"] == pytest.approx(4 * first["gmacs"])
    assert math.isclose(row["gmacs"], 3 * first["gmacs"] + second["gmacs"] + third["gmacs"])


def test_a_network_that_takes_multiples_is_counted_at_the_next_one():
    """192 px are no multiple of the window of 7: 196 are."""
    assert zoo._count("swinir/car", 1, "{}", 192, 190) == zoo._count("swinir/car", 1, "{}", 196, 196)

"""Whether a folder holds the run that a command means: settings, data, code."""

import copy
import json
import shutil

import pytest

from jsr import recipes
from jsr.data import mix
from jsr.errors import UserError
from jsr.training import run_folder


@pytest.fixture
def recipe(photo_folder):
    """From a folder of photographs to a recipe on it."""
    def make(folder=photo_folder, **more):
        return recipes.load("aim22_t1:quick", {"data.train[0].dataset": str(folder), "data.eval.dataset": str(folder),
                                               **more}.items())
    return make


def mark_of(config):
    return run_folder.fingerprint(config, mix.data_hash(config, mix.open_sources(config)))


def begun(config, workdir):
    """A folder in which a run has left a checkpoint."""
    run_folder.check_same_run(config, mark_of(config), workdir)
    (workdir / "checkpoints" / "10").mkdir(parents=True)


def test_the_data_s_hash_tells_other_records_but_not_another_place(recipe, photo_folder, tmp_path):
    before = mark_of(recipe())
    assert set(before) == {"config", "data", "revision", "versions", "seed"} and len(before["data"]) == 16
    shutil.copytree(photo_folder, tmp_path / "moved")
    assert mark_of(recipe(tmp_path / "moved"))["data"] == before["data"]
    (tmp_path / "names.txt").write_text("0000.png\n0002.png\n")
    assert mark_of(recipe(**{"data.train[0].files": str(tmp_path / "names.txt")}))["data"] != before["data"]
    shutil.copy(photo_folder / "0000.png", photo_folder / "0009.png")
    assert mark_of(recipe())["data"] != before["data"]


def test_the_same_run_may_move_its_data_but_not_change_them(recipe, photo_folder, tmp_path):
    begun(recipe(), tmp_path / "run")
    moved = recipe(shutil.copytree(photo_folder, tmp_path / "moved"))
    run_folder.check_same_run(moved, mark_of(moved), tmp_path / "run")
    (tmp_path / "moved" / "0003.png").unlink()
    with pytest.raises(UserError, match="other settings .data.eval.dataset: "):
        run_folder.check_same_run(moved, mark_of(moved), tmp_path / "run")
    (photo_folder / "0003.png").unlink()
    with pytest.raises(UserError, match="holds a run with other data: the names or sizes"):
        run_folder.check_same_run(recipe(), mark_of(recipe()), tmp_path / "run")


def test_other_settings_are_refused_once_something_was_trained(recipe, tmp_path):
    mark = mark_of(recipe())
    run_folder.check_same_run(recipe(), mark, tmp_path)
    run_folder.check_same_run(recipe(seed="1"), mark, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 1
    (tmp_path / "checkpoints" / "10").mkdir(parents=True)
    with pytest.raises(UserError, match=r"holds a run with other settings \(seed: 1 there, 2 now\)"):
        run_folder.check_same_run(recipe(seed="2"), mark, tmp_path)
    run_folder.check_same_run(recipe(seed="1", log_every="7"), mark, tmp_path)


def test_a_run_of_before_recipes_named_their_entry_goes_on(recipe, tmp_path):
    config = recipe(entry="aim22_cvlab_hat")
    begun(config, tmp_path)
    old = json.loads((tmp_path / "config.json").read_text())
    del old["entry"]
    old |= {"id": "aim22_cvlab_hat", "report": {"psnr": 23.2828, "section": "4.14"}}
    (tmp_path / "config.json").write_text(json.dumps(old))
    run_folder.check_same_run(config, mark_of(config), tmp_path)


def test_other_code_is_told_of(recipe, tmp_path, caplog):
    begun(recipe(), tmp_path)
    mark = copy.deepcopy(mark_of(recipe()))
    mark["versions"]["jax"] = "99"
    run_folder.check_same_run(recipe(), mark, tmp_path)
    assert "and goes on with 99: its numbers may differ" in caplog.text

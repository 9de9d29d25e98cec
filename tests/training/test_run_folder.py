"""Whether a folder holds the run that a command means: settings, data, code."""

import contextlib
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
                                               "data.eval.degrade": "aim22_t1",
                                               "stages[0].crop": "32", **more}.items())
    return make


def records_of(config):
    return mix.identities(mix.open_sources(config))


def mark_of(config):
    opened = mix.open_sources(config)
    return run_folder.fingerprint(config, mix.data_hash(mix.identities(opened)), mix.codecs(config, opened))


def begun(config, workdir):
    """A folder in which a run has left a checkpoint."""
    run_folder.check_same_run(config, mark_of(config), workdir, records=records_of(config))
    (workdir / "checkpoints" / "10").mkdir(parents=True)


def test_the_data_s_hash_tells_other_records_but_not_another_place(recipe, photo_folder, tmp_path):
    before = mark_of(recipe())
    assert set(before) == {"config", "data", "codecs", "revision", "versions", "seed"} and len(before["data"]) == 16
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


def test_other_codecs_are_other_data_but_not_another_version_of_a_steady_one(recipe, tmp_path):
    config = recipe(**{"data.train[0].degrade": "aim22_t1", "data.train[0].set.encoder": "pillow"})
    begun(config, tmp_path)
    mark = mark_of(config)
    place, turbo = "data.train[0]", mark["codecs"]["data.train[0]"]
    assert turbo.startswith("libjpeg-turbo 3") and " > libjpeg-turbo 3" in turbo
    run_folder.check_same_run(config, mark | {"codecs": {place: "libjpeg-turbo 4.0 > libjpeg-turbo 4.0"}}, tmp_path)
    with pytest.raises(UserError, match=r"other settings \(codecs of data.train\[0\]: 'libjpeg-turbo 3.*' there, "
                                        r"'libjpeg 9d > libjpeg-turbo 3' now\); --accept_changes continues"):
        run_folder.check_same_run(config, mark | {"codecs": {place: "libjpeg 9d > libjpeg-turbo 3"}}, tmp_path)


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


def test_other_steps_rates_and_data_are_gone_on_with_where_they_are_accepted(recipe, photo_folder, tmp_path, caplog):
    small = {"networks.sr.fields.num_feat": "4", "networks.sr.fields.num_block": "1", "stages[0].steps": "20",
             "stages[0].schedule.warmup_steps": "5"}
    begun(recipe(**small), tmp_path)
    (tmp_path / "last.safetensors").touch()
    more = small | {"stages[0].steps": "60", "stages[0].batch": "2", "stages[0].players[0].learning_rate": "1e-5"}
    with pytest.raises(UserError, match=r"\(stages.0.batch: .* there, 2 now, and 2 more\); --accept_changes continues "
                       r"it with .* from step 10; else .*--workdir and start from this run \(--config.networks.sr"):
        run_folder.check_same_run(recipe(**more), mark_of(recipe(**more)), tmp_path)
    mark = run_folder.check_same_run(recipe(**more), mark_of(recipe(**more)), tmp_path, accept=True)
    assert mark["accepted"][0]["step"] == 10 and mark["accepted"][0]["changes"]["stages.0.steps"] == [20, 60]
    assert "goes on with other settings (stages.0.batch: " in caplog.text
    (photo_folder / "0003.png").unlink()
    shutil.copy(photo_folder / "0000.png", photo_folder / "0009.png")
    (photo_folder / "0001.png").write_bytes((photo_folder / "0000.png").read_bytes())
    for accept in (False, True):
        now = dict(records=records_of(recipe(**more)), accept=accept)
        with contextlib.nullcontext() if accept else pytest.raises(UserError, match=(
                "other data: the names or sizes .* not what they were .gone: 0003.png; of another size: 0001.png; new: "
                "0009.png.; --accept_changes continues")):
            mark = run_folder.check_same_run(recipe(**more), mark_of(recipe(**more)), tmp_path, **now)
    assert [set(entry) for entry in mark["accepted"]] == [{"step", "changes"}, {"step", "changes", "data"}]
    assert run_folder.check_same_run(recipe(**more), mark_of(recipe(**more)), tmp_path) == mark  # from here on as usual
    for key, value in (("networks.sr.fields.num_feat", "8"), ("stages[0].steps", "9"), ("ema_decay", "0")):
        other = recipe(**more | {key: value})
        with pytest.raises(UserError, match="which cannot change from step 10 on; choose another --workdir and st"):
            run_folder.check_same_run(other, mark_of(other), tmp_path, accept=True)


def test_a_run_that_may_stop_early_keeps_its_validations(recipe, tmp_path):
    for patience, wrong in (("0", None), ("3", r"other settings \(eval_every: 2 there, 3 now\)")):
        begun(recipe(patience=patience, eval_every="2"), tmp_path / patience)
        other = recipe(patience=patience, eval_every="3")
        with pytest.raises(UserError, match=wrong) if wrong else contextlib.nullcontext():
            run_folder.check_same_run(other, mark_of(other), tmp_path / patience)

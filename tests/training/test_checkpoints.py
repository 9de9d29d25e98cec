"""Checkpoints: what is saved comes back, and a damaged newest one does not end a run."""

import logging
import shutil
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr.errors import UserError
from jsr.training.checkpoints import Checkpoints


def state(value):
    return {"a": jnp.full((3,), value, jnp.float32), "step": jnp.int32(value)}


def abstract(step):
    del step
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), state(0))


def saved(folder, steps, keep=5):
    checkpoints = Checkpoints(folder, keep=keep)
    for step in steps:
        checkpoints.save(step, state(step), {"best": step / 2})
        checkpoints.wait()
    checkpoints.close()


def restore(folder):
    checkpoints = Checkpoints(folder, keep=5)
    try:
        return checkpoints.restore(abstract)
    finally:
        checkpoints.close()


def damage(folder):
    files = [p for p in folder.rglob("*") if p.is_file()]
    for file in files:
        file.write_bytes(file.read_bytes()[:len(file.read_bytes()) // 2])


def test_nothing_there(tmp_path):
    assert restore(tmp_path / "none") is None


def test_newest_comes_back_and_only_some_are_kept(tmp_path):
    saved(tmp_path, [1, 2, 3], keep=2)
    step, found, meta = restore(tmp_path)
    assert (step, int(found["step"]), meta) == (3, 3, {"best": 1.5})
    np.testing.assert_array_equal(found["a"], [3, 3, 3])
    assert not (tmp_path / "1").exists()


def test_damaged_newest_falls_back_loudly(tmp_path, caplog):
    folder = tmp_path / "checkpoints"
    saved(folder, [1, 2, 3])
    damage(folder / "3")
    with caplog.at_level(logging.WARNING, logger="jsr"):
        step, found, _ = restore(folder)
    assert step == 2 and int(found["step"]) == 2
    assert "checkpoint 3 is damaged" in caplog.text and "damaged-3" in caplog.text
    assert (tmp_path / "damaged-3").is_dir() and not (folder / "3").exists()


def test_empty_newest_step_is_passed_over(tmp_path):
    saved(tmp_path / "checkpoints", [1])
    (tmp_path / "checkpoints" / "7").mkdir()
    assert restore(tmp_path / "checkpoints")[0] == 1


def test_none_readable_says_so(tmp_path):
    folder = tmp_path / "checkpoints"
    saved(folder, [1, 2])
    damage(folder / "1")
    damage(folder / "2")
    with pytest.raises(UserError, match="none of its 2 checkpoints can be read"):
        restore(folder)


def test_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be used for checkpoints"):
        Checkpoints(tmp_path / "file" / "checkpoints", keep=1)


def test_a_folder_that_cannot_be_made_leaves_no_thread_that_waits_for_it(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c", keep=2)
    shutil.rmtree(tmp_path / "c")
    (tmp_path / "c").write_text("")
    with pytest.raises(UserError, match="c: a checkpoint cannot be written: Not a directory$"):
        checkpoints.save(1, {"a": jnp.ones(3)}, {})
    checkpoints.close()
    assert not [thread for thread in threading.enumerate() if "Signaling" in type(thread).__name__]
    with pytest.raises(UserError, match="c: cannot be used for checkpoints: File exists"):
        Checkpoints(tmp_path / "c", keep=2)

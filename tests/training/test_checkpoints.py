"""Checkpoints: what is saved comes back, and a damaged newest one does not end a run."""

import gc
import json
import logging
import random
import shutil
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr.errors import UserError
from jsr.training.checkpoints import Checkpoints


def state(value):
    return {"a": jnp.asarray(np.random.default_rng(value).random(2000), jnp.float32), "step": jnp.int32(value)}


def abstract(step):
    del step
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), state(0))


def saved(folder, steps, keep=5):
    opened = Checkpoints(folder, keep=keep)
    for step in steps:
        opened.save(step, state(step), {"best": step / 2})
        opened.wait()
    opened.close()


def restore(folder):
    opened = Checkpoints(folder, keep=5)
    try:
        return opened.restore(abstract)
    finally:
        opened.close()


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
    np.testing.assert_array_equal(found["a"], state(3)["a"])
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


def test_a_flipped_bit_is_damage_or_changes_nothing(tmp_path, caplog):
    folder, rng = tmp_path / "checkpoints", random.Random(1)
    saved(folder, [1, 2])
    files = sorted((file for file in (folder / "2").rglob("*") if file.stat().st_size and file.is_file()),
                   key=lambda file: file.stat().st_size)
    sums = 0
    for file in [*rng.choices(files, k=5), *[files[-1]] * 5]:  # the last has the values
        shutil.rmtree(tmp_path / "now", ignore_errors=True)
        shutil.copytree(folder, tmp_path / "now")
        changed = bytearray(file.read_bytes())
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        (tmp_path / "now" / file.relative_to(folder)).write_bytes(changed)
        caplog.clear()
        step, found, meta = restore(tmp_path / "now")
        assert meta == {"best": step / 2} and int(found["step"]) == step, file
        np.testing.assert_array_equal(found["a"], state(step)["a"])
        sums += "checkpoint 2 is damaged (its check sum is of another state)" in caplog.text
    assert sums
    gc.collect()


def test_a_step_without_a_check_sum_is_read_and_that_is_said(tmp_path, caplog):
    saved(tmp_path / "checkpoints", [1])
    file, = (tmp_path / "checkpoints" / "1" / "meta").glob("metadata")
    meta = json.loads(file.read_text())
    assert len(meta.pop("sha256")) == 64
    file.write_text(json.dumps(meta))
    assert restore(tmp_path / "checkpoints")[::2] == (1, {"best": 0.5})
    assert "checkpoint 1 has no check sum" in caplog.text


def test_a_check_sum_under_another_name_is_damage(tmp_path, caplog):
    saved(tmp_path / "checkpoints", [1, 2])
    file, = (tmp_path / "checkpoints" / "2" / "meta").glob("metadata")
    file.write_text(file.read_text().replace("sha256", "sha25v"))
    assert restore(tmp_path / "checkpoints")[::2] == (1, {"best": 0.5})
    assert "checkpoint 2 is damaged (its check sum has another name)" in caplog.text


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
    opened = Checkpoints(tmp_path / "c", keep=2)
    shutil.rmtree(tmp_path / "c")
    (tmp_path / "c").write_text("")
    with pytest.raises(UserError, match="c: a checkpoint cannot be written: Not a directory$"):
        opened.save(1, {"a": jnp.ones(3)}, {})
    opened.close()
    assert not [thread for thread in threading.enumerate() if "Signaling" in type(thread).__name__]
    with pytest.raises(UserError, match="c: cannot be used for checkpoints: File exists"):
        Checkpoints(tmp_path / "c", keep=2)

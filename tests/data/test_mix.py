"""The rows of a recipe's data: whose samples a stage gets, when, and how they are degraded."""

import collections
import dataclasses
import itertools
from pathlib import Path

import numpy as np
from PIL import Image
import pytest

from jsr import degradations
from jsr.data import mix, pipeline, validation
from jsr.errors import UserError
from jsr.recipes import read, recipe, source, stage

L1 = [dict(fn="l1", pred="sr", target="hr", weight=1.0)]
BATCH = 4


@pytest.fixture
def folders(tmp_path):
    """Two folders of pictures of one value each: 0 to 40 by tens, and 100 to 120."""
    for name, values in (("a", range(0, 50, 10)), ("b", range(100, 130, 10))):
        (tmp_path / name).mkdir()
        for value in values:
            Image.new("RGB", (16, 16), (value,) * 3).save(tmp_path / name / f"{value:03d}.png")
    return str(tmp_path / "a"), str(tmp_path / "b")


def config_of(*rows, steps=20, stages=None, **more):
    data = dict(train=[{"degrade": "aim22_t1", **row} for row in rows], **more,
                eval=dict(dataset=rows[0]["dataset"], degrade="aim22_t1"))
    return read(recipe(title="", protocol="aim22_t1", networks={"sr": dict(model="edsr/baseline", scale=4)}, data=data,
                       stages=stages or [stage_of(steps)]))


def stage_of(steps=20, **more):
    return stage(**dict(steps=steps, crop=8, batch=BATCH, losses=L1, learning_rate=1e-3, augment=()) | more)


def take(config, n, *, index=0, start=0, num_workers=0, process=(0, 1)):
    rows = mix.stage_rows(config, config.stages[index], mix.open_sources(config))
    batches = pipeline.train_batches(rows, seed=5, batch=BATCH, start=start, num_workers=num_workers, process=process)
    try:
        return list(itertools.islice(batches, n))
    finally:
        batches.close()


def values(batches):
    return [batch["hr"][:, 0, 0, 0].tolist() for batch in batches]


def counted(batches):
    return collections.Counter(itertools.chain(*values(batches)))


def same(a, b):
    return all(np.array_equal(x[key], y[key]) for x, y in zip(a, b, strict=True) for key in ("lr", "hr"))


def test_without_weights_each_image_counts_as_often_as_it_is_repeated(folders):
    a, b = folders
    found = counted(take(config_of(dict(dataset=a), dict(dataset=b, repeat=2)), 11))
    assert found == {**{value: 4 for value in range(0, 50, 10)}, **{value: 8 for value in (100, 110, 120)}}


def test_weights_are_shares_of_the_samples(folders):
    a, b = folders
    config = config_of(dict(dataset=a, weight=0.25), dict(dataset=b, weight=0.75))
    assert [sum(value >= 100 for value in batch) for batch in values(take(config, 10))] == [3] * 10


def test_one_row_draws_what_it_draws_in_front_of_another(folders):
    a, b = folders
    alone, both = take(config_of(dict(dataset=a)), 5), take(config_of(dict(dataset=a), dict(dataset=b)), 8)
    of_a = [value for batch in values(both) for value in batch if value < 100]
    assert of_a == list(itertools.chain(*values(alone)))


def test_only_listed_files(folders, tmp_path):
    a, b = folders
    (tmp_path / "list.txt").write_text("040\n\n010.png\n040\n")
    assert set(counted(take(config_of(dict(dataset=a, files=str(tmp_path / "list.txt"))), 3))) == {10, 40}
    config = config_of(dict(dataset=a, files=str(tmp_path / "list.txt")), dict(dataset=a), dict(dataset=b, repeat=2))
    assert counted(take(config, 13)) == {10: 8, 40: 8, 0: 4, 20: 4, 30: 4, 100: 8, 110: 8, 120: 8}


def test_a_curriculum_switches_at_its_steps(folders):
    a, b = folders
    config = config_of(dict(dataset=a, steps=[0, 3]), dict(dataset=b, steps=[2, 20]), steps=20)
    seen = [{value >= 100 for value in batch} for batch in values(take(config, 6))]
    assert seen == [{False}, {False}, {False, True}, {True}, {True}, {True}]


def test_settings_of_the_degradation(folders, photograph):
    a, _ = folders
    Image.fromarray(photograph(8, 8)).save(f"{a}/000.png")  # one crop, on which qualities differ
    config = config_of(dict(dataset=a, set=dict(quality=90), steps=[0, 2]),
                       dict(dataset=a, set=dict(quality=[20, 40]), steps=[2, 20]))
    chosen = []
    for step, batch in enumerate(take(config, 12)):
        for lr, hr in zip(batch["lr"], batch["hr"], strict=True):
            fitting = {quality for quality in (10, 20, 40, 90)
                       if np.array_equal(lr, degradations.degrade("aim22_t1", hr, quality=quality).decode())}
            assert fitting & ({90} if step < 2 else {20, 40})
            chosen += fitting if len(fitting) == 1 else []
    assert set(chosen) == {90, 20, 40}


def test_a_range_s_values_are_drawn_ends_included(folders):
    rows = [dict(dataset=folders[0], set=dict(quality="60-62")), dict(dataset=folders[0], set=dict(quality=[7, 9]))]
    assert [mix.fixed(row, "") for row in config_of(*rows).data.train] == [
        dict(quality=range(60, 63)), dict(quality=(7, 9))]
    eval_row = dataclasses.replace(config_of(*rows).data.eval, degrade="aim22_t1", set=dict(quality="abc"))
    with pytest.raises(UserError, match="data.eval.set.quality: 'abc' is no range; give a whole number"):
        mix.fixed(eval_row, "data.eval")


def test_pictures_smaller_than_the_crop_are_counted(folders, tmp_path):
    a, b = folders
    config, lines = config_of(dict(dataset=a), dict(dataset=b), stages=[stage_of(crop=16)]), []
    mix.open_sources(config, lines.append)
    assert lines == []
    Image.new("RGB", (15, 40), (10,) * 3).save(f"{a}/010.png")
    Image.new("RGB", (40, 15), (20,) * 3).save(f"{a}/020.png")
    take(config, 1)
    mix.open_sources(config, lines.append)
    assert [line.partition(";")[0] for line in lines] == [
        f"{a}/010.png: 15x40 is smaller than the crop of 16, and so are 1 more of 5 images"]
    (tmp_path / "list.txt").write_text("010\n020\n")
    config = config_of(dict(dataset=a, files=str(tmp_path / "list.txt")), stages=[stage_of(crop=16)])
    with pytest.raises(UserError, match=f"^{a}/010.png: 15x40 .*, and so are all its images; use a smaller one"):
        mix.open_sources(config)
    Path(a, "020.png").write_text("no image")
    with pytest.raises(UserError, match=f"^{a}/020.png: not an image that Pillow can read"):
        mix.open_sources(config)


def test_same_samples_whatever_the_workers_the_start_and_the_processes(folders):
    a, b = folders
    config = config_of(dict(dataset=a, weight=2, steps=[0, 4]), dict(dataset=b, weight=1, set=dict(quality=[10, 50])),
                       steps=9)
    reference = take(config, 9)
    assert same(take(config, 9, num_workers=2), reference)
    for start in (1, 3, 4, 7):
        assert same(take(config, 2, start=start), reference[start:start + 2])
    for index in range(2):
        for part, batch in zip(take(config, 9, process=(index, 2)), reference, strict=True):
            np.testing.assert_array_equal(part["hr"], np.split(batch["hr"], 2)[index])


def test_a_stage_may_bring_its_own_rows(folders):
    a, b = folders
    config = config_of(dict(dataset=a), stages=[stage_of(), stage_of(data=[dict(dataset=b, degrade="aim22_t1")])])
    assert max(counted(take(config, 3))) < 100 <= min(counted(take(config, 3, index=1)))
    assert [row["dataset"] for row in mix.described(config, mix.open_sources(config))] == [a, b]


def test_a_model_file_says_every_row_and_its_licence(folders):
    config = config_of(dict(dataset="photos/aim22_t1", repeat=3), dict(dataset=folders[0]))
    rows = mix.described(config, {})
    assert [(row["dataset"], row["repeat"], row["licence"][:13]) for row in rows] == [
        ("photos/aim22_t1", 3, "public domain"), (folders[0], 1, "")]


def test_a_folder_that_the_user_fills_is_left_out_until_it_is_there(folders, tmp_path):
    a, b = folders
    config = config_of(dict(dataset=a), dict(dataset="folders/imagenet"), data_dir=str(tmp_path))
    lines = []
    before = mix.open_sources(config, lines.append)
    assert [line[:76] for line in lines] == [
        f"folders/imagenet is left out, since there is no folder {tmp_path}/folders/imagenet"[:76]]
    assert len(mix.stage_rows(config, config.stages[0], before)) == 1
    assert [row["dataset"] for row in mix.described(config, before)] == [a]
    (tmp_path / "folders").mkdir()
    (tmp_path / "folders" / "imagenet").symlink_to(b)
    after = mix.open_sources(config, lines.append)
    assert len(lines) == 1 and {value // 100 for value in counted(take(config, 4))} == {0, 1}
    assert mix.data_hash(mix.identities(after)) != mix.data_hash(mix.identities(before))


def test_a_folder_to_fill_that_leads_nowhere_is_a_mistake(folders, tmp_path):
    (tmp_path / "folders").mkdir()
    (tmp_path / "folders" / "imagenet").symlink_to(tmp_path / "unmounted")
    config = config_of(dict(dataset=folders[0]), dict(dataset="folders/imagenet"), data_dir=str(tmp_path))
    with pytest.raises(UserError, match=r"imagenet: is a link to .*/unmounted, where no folder is; put the images"):
        mix.open_sources(config)


@pytest.mark.parametrize("rows, step", [
    ([dict(dataset="folders/clic")], 0),
    ([dict(dataset="A", steps=[0, 5]), dict(dataset="folders/clic", steps=[5, 20])], 5)])
def test_a_stage_needs_a_row_that_is_there(folders, tmp_path, rows, step):
    config = config_of(*({**row, "dataset": row["dataset"].replace("A", folders[0])} for row in rows),
                       data_dir=str(tmp_path))
    config = dataclasses.replace(config, data=dataclasses.replace(
        config.data, eval=dataclasses.replace(config.data.eval, dataset=folders[0])))
    with pytest.raises(UserError, match=rf"^--config.data.train\[{len(rows) - 1}\].dataset: folders/clic is left out.*"
                                        rf"and step {step} of the stage has no other"):
        mix.open_sources(config)


def test_a_misspelt_folder_is_named(folders):
    with pytest.raises(UserError, match="folders/imagent: no such folder.* 'folders/imagenet'"):
        mix.open_sources(config_of(dict(dataset=folders[0]), dict(dataset="folders/imagent")))


@pytest.mark.parametrize("scale, model", [(1, "nafnet/width32"), (2, "edsr/baseline"), (3, "edsr/baseline")])
def test_pairs_of_ones_own(tmp_path, photograph, scale, model):
    """Folders of HR and LR images give crops of the same place, HR rows that are too many for an LR row left out."""
    for folder in ("hr", "lr"):
        (tmp_path / folder).mkdir()
    for number in range(3):
        lr = photograph(16, 20, number)
        Image.fromarray(lr).save(tmp_path / "lr" / f"{number}x{scale}.png")
        hr = np.pad(lr.repeat(scale, 0).repeat(scale, 1), ((0, scale - 1), (0, 0), (0, 0)))
        Image.fromarray(hr).save(tmp_path / "hr" / f"{number:04d}.png")
    rows = [source(hr=str(tmp_path / "hr"), lr=str(tmp_path / "lr"))]
    config = read(recipe(title="", protocol="ntire24" if scale == 1 else "bicubic_x2", networks={"sr": dict(
        model=model, scale=scale)}, data=dict(train=rows, eval={"hr": rows[0]["hr"], "lr": rows[0]["lr"]},
                                              data_dir=str(tmp_path)), stages=[stage_of(crop=8 * scale)]))
    for batch in take(config, 3):
        assert batch["lr"].shape == (BATCH, 8, 8, 3)
        np.testing.assert_array_equal(batch["hr"], batch["lr"].repeat(scale, 1).repeat(scale, 2))
    assert [hr.shape[0] for _, _, hr, _ in validation.pairs(config)] == [16 * scale] * 3
    Image.new("RGB", (19, 16)).save(tmp_path / "lr" / f"1x{scale}.png")
    (tmp_path / "lr" / f"2x{scale}.png").rename(tmp_path / "lr" / "other.png")
    with pytest.raises(UserError) as error:
        mix.open_sources(config)
    lines = str(error.value).splitlines()
    assert len(lines) == 3 and "lr/other.png: no HR image has this name" in lines[0]
    assert "hr/0002.png: no LR image has this name" in lines[1]
    assert f"hr/0001.png: {20 * scale}x{17 * scale - 1} is not {scale} times the 19x16 of " in lines[2]


def test_all_that_is_missing_is_named_at_once(folders, tmp_path):
    config = config_of(*(dict(dataset=name) for name in (folders[0], str(tmp_path / "x"), str(tmp_path / "y"))))
    with pytest.raises(UserError, match="x: no such folder.*\n.*y: no such folder"):
        mix.open_sources(config)


def test_photographs_are_cut(tmp_path, photograph):
    folder = tmp_path / "camera"
    folder.mkdir()
    Image.fromarray(photograph(96, 128)).save(folder / "a.jpg")
    rows = [dict(dataset=str(folder), **more)
            for more in ({}, {"shrink": 2}, {"shrink": 2, "tiles": 32}, {"shrink": 2})]
    config, lines = config_of(*rows, data_dir=str(tmp_path)), []
    opened = mix.open_sources(config, lines.append)
    assert [len(source) for source in opened.values()] == [1, 1, 2, 1] and len(lines) == 2
    assert len(mix.stage_rows(config, config.stages[0], opened)) == 4
    with pytest.raises(UserError, match="photos: shrink, tiles and detail are for folders of images, "
                                        "not for a dataset; jsr build"):
        mix.open_sources(config_of(dict(dataset="photos", tiles=64)))

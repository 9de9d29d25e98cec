"""The input pipeline: right pairs, and the same samples whatever runs it."""

from concurrent import futures
import hashlib
import itertools
import json
import os
import pickle
import time
import zlib

import numpy as np
import pytest

from jsr import degradations, images, models
from jsr.data import pipeline
from jsr.datasets import tiled
from jsr.degradations import degrade_device
from jsr.degradations.resize import pillow_bicubic
from jsr.errors import UserError
from jsr.recipes.schema import Player, Stage

SCALE = 4


@pytest.fixture
def records(photograph):
    """Records whose LR pixel at (y, x) is the mean colour code of its HR block: positions can be read off."""
    found = []
    for index in range(3):
        hr = photograph(60 + 4 * index, 72, index)
        lr = degradations.decode(degradations.degrade("aim22_t1", hr).lr_bytes)
        found.append({"name": f"{index}", "hr": images.png_bytes(hr), "lr": images.png_bytes(lr)})
    return found


def take(records, n, *, start=0, num_workers=0, process=(0, 1), crop=24, scale=SCALE, seed=5, batch=6,
         max_damaged=0, leave_out=None, **options):
    crops = pipeline.PairedCrops(crop=crop, scale=scale, **options)
    batches = pipeline.train_batches([pipeline.Row(records, crops)], seed=seed, batch=batch,
                                     start=start, num_workers=num_workers, process=process, max_damaged=max_damaged,
                                     leave_out=leave_out)
    try:
        return list(itertools.islice(batches, n))
    finally:
        batches.close()


def same(a, b):
    return all(np.array_equal(x[key], y[key]) for x, y in zip(a, b, strict=True) for key in ("lr", "hr"))


@pytest.mark.slow
def test_what_is_left_to_the_device_becomes_the_same_samples(records):
    settings = {"crop": (80, 48), "degrade": "photo_x4", "fixed": {"quality": range(20, 60)}, "flip_rotate": True}
    form = degrade_device.form("photo_x4", (20, 12))
    left, host = (take(records, 2, **settings, **more) for more in ({"form": form}, {}))
    assert same([degrade_device.degraded(form, batch) for batch in left], host)


@pytest.mark.parametrize("degrade", ["", "aim22_t1"])
def test_what_is_drawn_does_not_depend_on_the_form_of_the_hr_image(photograph, degrade):
    hr = [photograph(300, 400, index) for index in range(3)]
    lr = [degradations.degrade("aim22_t1", image).lr_bytes for image in hr]
    png, by_region = ([{"name": str(i), "hr": encode(hr[i]), "lr": lr[i]} for i in range(3)]
                      for encode in (images.png_bytes, tiled.encode))
    assert same(take(by_region, 5, crop=128, degrade=degrade), take(png, 5, crop=128, degrade=degrade))


# SHA-256 of the HR crops that were drawn when records held PNG files, and were decoded whole.
DRAWN = "cfd283296325104815d196fce1bd0a5c2e04f1f8905ff9bbf77a2785134208e5"


def test_the_crops_of_a_seed_stay_the_same():
    found = [{"name": str(i), "hr": tiled.encode(np.random.default_rng(i).integers(0, 256, (300, 400, 3), np.uint8))}
             for i in range(3)]
    batches = take(found, 4, crop=128, degrade="aim22_t1")
    assert hashlib.sha256(b"".join(batch["hr"].tobytes() for batch in batches)).hexdigest() == DRAWN


def test_crops_are_aligned_pairs_of_stored_images(records):
    for sample in take(records, 20):
        assert sample["lr"].shape == (6, 6, 6, 3) and sample["hr"].shape == (6, 24, 24, 3)
        for lr, hr in zip(sample["lr"], sample["hr"], strict=True):
            assert any(_holds(record, lr, hr) for record in records)


def _holds(record, lr, hr, made=None):
    """Whether a pair is one of a record's: of its stored LR image, or of what a function makes of all of its HR."""
    whole_lr, whole_hr = images.read_rgb(record["lr"]), images.read_rgb(record["hr"])
    if made:
        whole_lr = made(whole_hr, whole_lr.shape[:2])
    return any(np.array_equal(whole_lr[y:y + 6, x:x + 6], lr)
               and np.array_equal(whole_hr[4 * y:4 * y + 24, 4 * x:4 * x + 24], hr)
               for y in range(whole_lr.shape[0] - 5) for x in range(whole_lr.shape[1] - 5))


def test_the_clean_lr_image_comes_where_a_loss_asks_for_it(records):
    rows = [dict(fn="l1", pred="sr", target="hr", weight=1.0), dict(fn="l1", pred="aux", target="lr_clean", weight=1.0)]
    player = Player(losses=tuple(rows), learning_rate=1e-4)
    derive = pipeline.derived_keys(Stage(steps=1, crop=24, batch=6, players=(player,)))
    assert derive == ["lr_clean"]
    plain, more = take(records, 3, degrade="aim22_t1"), take(records, 3, degrade="aim22_t1", derive=derive)
    assert same(plain, more) and "lr_clean" not in plain[0]
    for sample in more:
        for clean, lr, hr in zip(sample["lr_clean"], sample["lr"], sample["hr"], strict=True):
            assert any(_holds(record, clean, hr, pillow_bicubic) for record in records)
            assert (clean != lr).any()


def test_the_lr_images_quality_comes_where_a_network_must_be_told_it(records):
    stage = Stage(steps=1, crop=24, batch=6, players=())
    told = {"sr": models.create("plain/ecbsr_m4c16", scale=4, quality_feat=4)}
    untold = {"sr": models.create("plain/ecbsr_m4c16", scale=4)}
    assert pipeline.derived_keys(stage, untold) == [] and pipeline.derived_keys(stage, told) == ["lr_quality"]
    for degrade, fixed, qualities in (("photo_x4", {"quality": 30}, {30}), ("photo_x4_clean", {}, {100})):
        sample, = take(records, 1, degrade=degrade, fixed=fixed, derive=["lr_quality"])
        assert sample["lr_quality"].dtype == np.float32 and set(sample["lr_quality"]) == qualities


def test_the_patch_in_the_middle_comes_where_a_loss_asks_for_it(records):
    for sample in take(records, 2, derive=["hr_centre"]):
        np.testing.assert_array_equal(sample["hr_centre"], sample["hr"][:, 8:16, 8:16])
    with pytest.raises(UserError, match="'hr_centre', but the crop of 16 is no 3x3 patches; take a multiple of 12"):
        take(records, 1, derive=["hr_centre"], crop=16)


def test_the_quality_comes_where_a_loss_asks_for_it(photograph):
    """Of LR images made on the fly and of stored ones, as float32: it is no image, which uint8 would be."""
    hr = photograph(28, 28)
    stored = degradations.degrade("ntire24", hr, quality=33)
    records = [{"name": "a", "hr": images.png_bytes(hr), "lr": stored.lr_bytes,
                "degradation": json.dumps(stored.record)}]
    sample, = take(records, 1, scale=1, derive=["quality"])
    assert sample["quality"].dtype == np.float32 and sample["quality"].tolist() == [33.0] * len(sample["lr"])
    made, = take(records, 1, scale=1, derive=["quality"], degrade="ntire24", num_workers=1)
    assert made["quality"].dtype == np.float32 and len(set(made["quality"])) > 1
    for lr, quality in zip(made["lr"], made["quality"], strict=True):
        whole = degradations.degrade("ntire24", hr, quality=int(quality)).decode()
        assert any(np.array_equal(whole[y:y + 24, x:x + 24], lr) for y in range(5) for x in range(5))
    with pytest.raises(UserError, match="a: a loss compares with 'quality', but no JPEG made the LR image; take a "):
        take([{"name": "a", "hr": images.png_bytes(hr), "lr": images.png_bytes(hr)}], 1, scale=1, derive=["quality"])


@pytest.mark.parametrize("fixed", [{"quality": 10}, {"quality": 30, "subsampling": "4:4:4"},
                                   {"quality": 70, "encoder": "pillow", "decoder": "pillow"}])
@pytest.mark.parametrize("protocol", ["ntire24", "photo_x2", "ntire23_x3", "aim22_t1"])
def test_a_crop_is_that_of_the_whole_images_jpeg(photograph, protocol, fixed):
    """Bit for bit, at the borders, where no block is whole, and on every phase of the grid."""
    scale = degradations.protocol(protocol).scale
    hr = photograph(75 * scale + scale - 1, 91 * scale)
    whole = degradations.degrade(protocol, hr[:75 * scale], **fixed).decode()
    records, seen = [{"name": "a", "hr": images.png_bytes(hr)}], set()
    for sample in take(records, 4, scale=scale, crop=16 * scale, batch=8, degrade=protocol, fixed=fixed):
        for lr, crop in zip(sample["lr"], sample["hr"], strict=True):
            y, x = next((y, x) for y in range(60) for x in range(76) if np.array_equal(
                hr[y * scale:(y + 16) * scale, x * scale:(x + 16) * scale], crop))
            np.testing.assert_array_equal(lr, whole[y:y + 16, x:x + 16])
            seen.add((y % 16, x % 16))
    assert len(seen) > 16


@pytest.mark.parametrize("encode", [images.png_bytes, tiled.encode])
def test_a_crop_is_that_of_the_whole_images_avif_which_is_kept(photograph, encode, tmp_path):
    """Every QP of the image is drawn; a file that is there is taken, and what cannot be kept is made anew."""
    hr = photograph(202, 223)
    record = {"name": "a", "hr": encode(hr)}
    whole = {qp: degradations.degrade("ais24", hr[:200, :220], qp=qp).decode() for qp in (31, 39, 47, 55, 63)}
    drawn, keep = set(), tmp_path / "kept"
    batches = take([record], 4, crop=128, degrade="ais24", keep=keep)
    for sample in batches:
        for lr, crop in zip(sample["lr"], sample["hr"], strict=True):
            (y, x, qp), = [(y, x, qp) for y in range(19) for x in range(24) for qp, its in whole.items()
                           if np.array_equal(hr[4 * y:4 * y + 128, 4 * x:4 * x + 128], crop)
                           and np.array_equal(its[y:y + 32, x:x + 32], lr)]
            drawn.add(qp)
    files = [path for path in keep.rglob("*") if path.is_file()]
    assert drawn == set(whole) and len(files) == len(drawn)
    assert same(take([record], 2, crop=128, degrade="ais24", keep=files[0]), batches[:2])  # no folder
    white = degradations.degrade("ais24", np.full_like(hr[:200, :220], 255), qp=31).lr_bytes
    for path in files:
        path.write_bytes(white + zlib.crc32(white).to_bytes(4, "little"))
    assert take([record], 1, crop=128, degrade="ais24", keep=keep)[0]["lr"].min() > 250
    for path in files:
        path.write_bytes(path.read_bytes()[:50])  # damaged: made anew
    assert same(take([record], 2, crop=128, degrade="ais24", keep=keep), batches[:2])


def test_another_image_of_the_same_name_has_a_file_of_its_own(photograph, tmp_path):
    for seed in range(2):
        hr = photograph(128, 128, seed)
        sample, = take([{"name": "a", "hr": images.png_bytes(hr)}], 1, crop=128, batch=1, degrade="ais24",
                       fixed={"qp": 31}, keep=tmp_path)
        np.testing.assert_array_equal(sample["lr"][0], degradations.degrade("ais24", hr, qp=31).decode())


WAYS = {way: (lambda image, way=way: np.rot90(image[:, ::-1] if way & 4 else image, way & 3)) for way in range(8)}


@pytest.mark.parametrize("encode", [images.png_bytes, tiled.encode])
@pytest.mark.parametrize("protocol", ["ntire24", "aim22_t1", "ais24"])
def test_an_image_that_is_turned_is_turned_before_it_is_degraded(photograph, protocol, encode):
    """All eight ways come, and the crop is that of the turned image's LR image."""
    scale, fixed = degradations.protocol(protocol).scale, {"qp": 63} if protocol == "ais24" else {"quality": 30}
    size, seen = 22 * scale, set()
    hr = photograph(24 * scale, 23 * scale)
    turned = {way: np.ascontiguousarray(turn(hr)) for way, turn in WAYS.items()}
    whole = {way: degradations.degrade(protocol, image, **fixed).decode() for way, image in turned.items()}
    for sample in take([{"name": "a", "hr": encode(hr)}], 5, scale=scale, crop=size, batch=8, degrade=protocol,
                       fixed=fixed, flip_rotate=True):
        for lr, crop in zip(sample["lr"], sample["hr"], strict=True):
            (way, y, x), = [(way, y, x) for way, image in turned.items() for y in range(3) for x in range(3)
                            if np.array_equal(image[y * scale:, x * scale:][:size, :size], crop)]
            np.testing.assert_array_equal(lr, whole[way][y:y + 22, x:x + 22])
            seen.add(way)
    assert seen == set(WAYS)


def test_every_place_is_drawn(photograph):
    hr = photograph(28, 28)  # two places down, two across
    record = {"name": "a", "hr": images.png_bytes(hr), "lr": images.png_bytes(hr[::4, ::4])}
    expected = {hr[y:y + 24, x:x + 24].tobytes() for y in (0, 4) for x in (0, 4)}
    assert {hr.tobytes() for sample in take([record], 10) for hr in sample["hr"]} == expected


def test_same_samples_whatever_the_workers_and_the_start(records):
    reference = take(records, 8)
    assert same(take(records, 3, start=5, num_workers=1), reference[5:])  # two: tests/data/test_mix.py
    assert not same(take(records, 8, seed=6), reference)


def test_processes_share_out_each_batch(records):
    whole = take(records, 4)
    parts = [take(records, 4, process=(index, 3)) for index in range(3)]
    for step, batch in enumerate(whole):
        for index in range(3):
            np.testing.assert_array_equal(parts[index][step]["hr"], batch["hr"][2 * index:2 * index + 2])


def test_each_pass_over_the_data_uses_every_record(photograph):
    flat = [{"name": str(v), "hr": images.png_bytes(np.full((8, 8, 3), v, np.uint8)),
             "lr": images.png_bytes(np.full((2, 2, 3), v, np.uint8))} for v in range(5)]
    values = [b["hr"][:, 0, 0, 0].tolist() for b in take(flat, 3, crop=8, batch=5)]
    assert [sorted(v) for v in values] == [[0, 1, 2, 3, 4]] * 3 and len({tuple(v) for v in values}) > 1


@pytest.mark.parametrize("degrade", ["", "aim22_t1"])
def test_an_image_smaller_than_the_crop_is_mirrored(records, degrade):
    """HR and stored LR stay in place; what is made of the HR image is made of the mirrored one."""
    hr, lr = images.read_rgb(records[0]["hr"]), images.read_rgb(records[0]["lr"])
    assert hr.shape == (60, 72, 3)
    for batch in take(records[:1], 2, crop=64, degrade=degrade, derive=["lr_clean", "hr_x2"]):
        for found in range(6):
            sample = {key: value[found] for key, value in batch.items()}
            x = next(x for x in range(3) if np.array_equal(sample["hr"][:60], hr[:, 4 * x:4 * x + 64]))
            np.testing.assert_array_equal(sample["hr"][60:], sample["hr"][59:55:-1])
            assert sample["lr"].shape == sample["lr_clean"].shape == (16, 16, 3)
            assert sample["hr_x2"].shape == (32, 32, 3)
            if not degrade:
                np.testing.assert_array_equal(sample["lr"], np.pad(lr, [(0, 1), (0, 0), (0, 0)], "edge")[:, x:x + 16])
    tiny = records[:1] + [{"name": "tiny", "hr": images.png_bytes(hr[:3, :9])}]
    with pytest.raises(UserError, match="tiny: 9x3 is smaller than one LR pixel; remove the image"):
        take(tiny, 4, degrade="aim22_t1")


@pytest.mark.parametrize("degrade", ["", "aim22_t1"])
def test_a_crop_may_be_a_rectangle(records, degrade):
    """Of 60x72 and larger images: as high as one of them, and narrower."""
    for batch in take(records, 2, crop=(64, 48), degrade=degrade, derive=["lr_clean", "hr_x2"]):
        assert {key: value.shape[1:3] for key, value in batch.items()} == {
            "hr": (64, 48), "lr": (16, 12), "lr_clean": (16, 12), "hr_x2": (32, 24)}
        for clean, hr in zip(batch["lr_clean"], batch["hr"], strict=True):  # but for borders, which see beyond the crop
            np.testing.assert_array_equal(clean[2:-2, 2:-2], pillow_bicubic(hr, (16, 12))[2:-2, 2:-2])
    with pytest.raises(UserError, match="crop 30x64 is not a multiple of the scale 4"):
        take(records, 1, crop=(64, 30))
    with pytest.raises(UserError, match="0: 72x60 is smaller than the crop of 48x64, like all images that were"):
        pipeline.PairedCrops(crop=(64, 48), scale=4).check(records[:1])


def test_images_that_are_all_smaller_than_the_crop_are_one_line(records):
    pipeline.PairedCrops(crop=64, scale=4).check([records[1], records[0]])
    with pytest.raises(UserError, match="0: 72x60 is smaller than the crop of 64, like all images that were") as error:
        pipeline.PairedCrops(crop=64, scale=4).check([records[0], {"name": "a", "hr": b"none"}])
    assert "\n" not in str(error.value)


def test_damaged_image_names_itself_across_processes(records):
    records = [{**records[0], "hr": records[0]["hr"][:200]}]
    with pytest.raises(UserError, match=r"0 \(hr\): damaged or truncated"):
        take(records, 1, num_workers=1)


@pytest.mark.slow
def test_what_is_damaged_gives_its_place_to_another_whatever_the_workers(records):
    """The other samples stay as they are; every damaged record is named before its batch is given."""
    whole, said = take(records, 8), []
    damaged = [records[0], {**records[1], "lr": records[1]["lr"][:90]}, {**records[2], "hr": b"none"}]
    reference = take(damaged, 8, max_damaged=2, leave_out=said.append)
    assert {line.partition(":")[0] for line in said} == {"1 (lr)", "2 (hr)"}
    assert all(set(batch) == {"lr", "hr"} for batch in reference)
    equal = [np.array_equal(a, b) for one, other in zip(reference, whole, strict=True)
             for a, b in zip(one["hr"], other["hr"], strict=True)]
    assert sum(equal) == 16  # one record in three
    for num_workers in (1, 2):
        assert same(take(damaged, 8, num_workers=num_workers, max_damaged=2), reference)
    assert same(take(damaged, 3, start=5, max_damaged=2), reference[5:])
    with pytest.raises(UserError, match="damaged or truncated|not an image"):
        take(damaged, 8, max_damaged=0)
    with pytest.raises(UserError, match="the dataset stores no LR images"):  # no damage, and not tried again
        take([{"name": "a", "hr": records[0]["hr"]}, records[1]], 8, max_damaged=5)


@pytest.mark.parametrize("arguments, message", [
    (dict(crop=10), "crop 10 is not a multiple of the scale 4"),
    (dict(degrade="aim22"), "'aim22' is unknown; did you mean 'aim22_t1' or 'aim22_t2'"),
    (dict(degrade="aim22_t2"), "aim22_t2: is a protocol of videos at x4, not of images at x4"),
    (dict(degrade="ntire24"), "ntire24: is a protocol of images at x1, not of images at x4"),
    (dict(derive=["lr_clear"]), "a loss compares with 'lr_clear', which no batch has; did you mean 'lr_clean'"),
])
def test_mistakes_in_the_recipe(records, arguments, message):
    with pytest.raises(UserError, match=message):
        take(records, 1, **arguments)


def test_no_stored_lr_says_what_to_do(records):
    with pytest.raises(UserError, match=r"--config.data.train\[0\].degrade=aim22_t1"):
        take([{"name": "a", "hr": records[0]["hr"]}], 1)


@pytest.mark.parametrize("scale", [2, 8])
def test_stored_lr_of_another_scale_is_one_line(records, scale):
    with pytest.raises(UserError, match=f"and HR is not {scale} times as large; take networks of another scale"):
        take(records, 1, scale=scale)


def test_cache_stays_within_its_bytes(records):
    cache = pipeline._DecodeCache(limit=20_000)  # one image, not two
    for record in records * 2:
        np.testing.assert_array_equal(cache(record, "hr"), images.read_rgb(record["hr"]))
        assert len(cache._images) == 1 and cache._held <= 20_000


def test_cache_serves_many_threads(records):
    cache = pipeline._DecodeCache(limit=30_000)  # two of the three images
    expected = {record["name"]: images.read_rgb(record["hr"]) for record in records}

    def read(index):
        record = records[index % 3]
        return np.array_equal(cache(record, "hr"), expected[record["name"]])

    with futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, np.random.default_rng(0).integers(0, 3, 3000)))
    assert cache._held == sum(image.nbytes for image in cache._images.values()) <= 30_000
    assert len(pickle.loads(pickle.dumps(cache))._images) == 0


def test_closing_leaves_no_shared_memory_behind(records):
    def segments():
        return {name for name in os.listdir("/dev/shm") if name.startswith("psm_")}

    before = segments()
    take(records, 5, num_workers=2, batch=24)
    new = segments() - before  # Grain frees in a thread, and other tests have segments of their own for a while
    deadline = time.monotonic() + 30
    while new & segments() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not new & segments()

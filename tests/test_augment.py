"""Augmentations against what was drawn, done again in NumPy, and against the laws that they keep."""

import functools
import itertools
import os
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np
import pytest

from jsr import augment
from jsr.errors import UserError
from jsr.layers.resize import bicubic_downsample

COUNT = 64
KEY = jax.random.key(7)


def reduced(hr, factor):
    """Means of blocks: they turn, mirror and mix as the image does."""
    *outer, height, width, channels = hr.shape
    return hr.reshape(*outer, height // factor, factor, width // factor, factor, channels).mean((-4, -2))


@pytest.fixture(scope="module")
def batch():
    """Aligned images at three sizes, every sample in colours of its own, and something that is no image."""
    rng = np.random.default_rng(0)
    hr = (np.arange(COUNT)[:, None, None, None] + 0.9 * rng.random((COUNT, 16, 16, 3))).astype(np.float32) / COUNT
    return {"lr": reduced(hr, 4), "hr_x2": reduced(hr, 2), "hr": hr, "quality": np.arange(COUNT)}


@functools.cache
def _compiled(rows):
    compile_fast = {"xla_backend_optimization_level": 0}
    return jax.jit(lambda batch, key, first: augment.apply(eval(rows), batch, key, first),
                   compiler_options=compile_fast)


def run(batch, *rows, key=KEY, first=0):
    return jax.device_get(_compiled(repr(list(rows)))(batch, key, first))


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_all_images_of_a_sample_stay_aligned_and_the_rest_as_it_is(batch):
    """The reduction of what became of HR is what became of the reductions, for all at once."""
    found = run(batch, "flip_rotate", "permute_rgb", "scale_intensity", "blend", "cutmixup")
    assert found.keys() == batch.keys() and found["quality"].tolist() == list(range(COUNT))
    assert np.abs(found["hr"] - batch["hr"]).max(axis=(1, 2, 3)).min() > 0.005
    np.testing.assert_allclose(found["lr"], reduced(found["hr"], 4), atol=1e-6)
    np.testing.assert_allclose(found["hr_x2"], reduced(found["hr"], 2), atol=1e-6)
    assert all(value.dtype == np.float32 for name, value in found.items() if name != "quality")


def counted(batch, found, candidates):
    """How often each candidate (a function of one image) is what became of a sample's HR image; always just one is."""
    which = [[i for i, change in enumerate(candidates) if np.array_equal(change(before), after)]
             for before, after in zip(batch["hr"], found["hr"], strict=True)]
    assert {len(one) for one in which} == {1}
    return np.bincount([one[0] for one in which], minlength=len(candidates))


TURNS = [lambda x, k=k, step=step: np.rot90(x, k)[:, ::step] for k in range(4) for step in (1, -1)]
CHOICES = {
    "flip_rotate": TURNS,
    "flip": [lambda x, a=a, b=b: x[::a, ::b] for a in (1, -1) for b in (1, -1)],
    "permute_rgb": [lambda x, order=order: x[..., list(order)] for order in itertools.permutations(range(3))],
    "scale_intensity": [lambda x, f=f: x * np.float32(f) for f in (1.0, 0.7, 0.5)],
}


@pytest.mark.parametrize("name", CHOICES)
def test_every_choice_is_drawn_as_often(batch, name):
    counts = sum(counted(batch, run(batch, name, key=jax.random.key(seed)), CHOICES[name]) for seed in range(6))
    expected = counts.sum() / len(counts)
    assert ((counts - expected)**2 / expected).sum() < 28  # chi square: of a sound generator one time in 5000


def test_clips_are_treated_alike_in_all_frames(batch):
    clips = {name: np.stack([batch[name]] * 3, 1) for name in ("lr", "hr")}
    found = run(clips, "flip_rotate", "cutout")
    assert found["hr"].shape == clips["hr"].shape and found["mask"].shape == (COUNT, 3, 16, 16, 1)
    for name in ("lr", "hr", "mask"):
        np.testing.assert_array_equal(found[name], found[name][:, :1].repeat(3, 1))
    assert (found["hr"][:, 0] != batch["hr"]).any((1, 2, 3)).mean() > 0.7  # one turn of eight is none


def shift_of(found):
    """By how many samples partners are apart, read off the HR images that cutmix made."""
    samples = np.floor(found["hr"] * COUNT + 1e-4).astype(int)[..., 0]
    shifts = {(i - other) % len(samples) for i, image in enumerate(samples) for other in set(image.ravel()) - {i}}
    assert len(shifts) == 1
    return shifts.pop()


def rectangle(where):
    """Whether a mask (H, W) is one window of some size."""
    rows, columns = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
    return (where.sum() == len(rows) * len(columns) > 0 and np.ptp(rows) == len(rows) - 1
            and np.ptp(columns) == len(columns) - 1)


def test_cutmix_pastes_one_window_of_another_sample(batch):
    found = run(batch, "cutmix")
    partners, places = np.roll(batch["hr"], shift_of(found), axis=0), set()
    for before, after, partner in zip(batch["hr"], found["hr"], partners, strict=True):
        where = (after != before).any(-1)
        assert rectangle(where)
        np.testing.assert_array_equal(after, np.where(where[..., None], partner, before))
        rows, columns = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
        assert len(rows) == len(columns) == 8  # 0.7 of 4 LR px, cut off, at scale 4; give or take 0.01 changes nothing
        assert rows[0] % 4 == columns[0] % 4 == 0
        places.add((rows[0], columns[0]))
    assert places == set(itertools.product((0, 4, 8), repeat=2))


def test_a_partner_is_another_sample_and_each_comes_up(batch):
    few = {name: value[:4] for name, value in batch.items()}
    assert {shift_of(run(few, "cutmix", key=jax.random.key(seed))) for seed in range(20)} == {1, 2, 3}
    alone = {name: value[:1] for name, value in batch.items()}
    assert same(run(alone, "cutmix"), alone)


def share_of(mixed, first, second):
    """The share of `first` in a mean of the two; nan where it is of one alone."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return (mixed - second) / (first - second)


def test_shares_of_mixup_and_blend_are_of_their_distributions(batch):
    even = {"lr": np.zeros((COUNT, 4, 4, 3), np.float32), "hr": np.zeros((COUNT, 8, 8, 3), np.float32)}
    share = (np.arange(COUNT) % 2).reshape(-1, 1, 1, 1).astype(np.float32)
    even = {name: value + share for name, value in even.items()}
    mixed = np.concatenate([run(even, "mixup", key=jax.random.key(seed))["hr"] for seed in range(8)])
    shares = np.where(np.arange(len(mixed)) % 2, mixed[:, 0, 0, 0], 1 - mixed[:, 0, 0, 0])
    shares = shares[shares < 1]  # the partner was the other colour
    assert len(shares) > 150 and abs(shares.mean() - 0.5) < 0.05
    assert abs(shares.var() - 1 / (4 * (2 * 1.2 + 1))) < 0.02  # of Beta(1.2, 1.2)
    blended = np.concatenate([run(batch, "blend", key=jax.random.key(seed))["hr"] for seed in range(4)])
    spread = [np.ptp(after[..., 0]) / np.ptp(before[..., 0])  # one colour was added to the share
              for before, after in zip(np.tile(batch["hr"], (4, 1, 1, 1)), blended, strict=True)]
    assert 0.6 <= min(spread) < 0.63 and 0.97 < max(spread) < 1.0001 and abs(np.mean(spread) - 0.8) < 0.03
    colours = (blended - np.reshape(spread, (-1, 1, 1, 1)) * np.tile(batch["hr"], (4, 1, 1, 1))).mean((1, 2))
    colours /= 1 - np.reshape(spread, (-1, 1))
    assert -0.02 < np.percentile(colours, 5) < 0.1 and 0.9 < np.percentile(colours, 95) < 1.02


def test_cutmixup_mixes_within_a_window_or_outside_it(batch):
    found, inside = run(batch, "cutmixup"), []
    for before, after in zip(batch["hr"], found["hr"], strict=True):
        where = (np.abs(after - before) > 1e-6).any(-1)
        inside.append(rectangle(where))
        assert inside[-1] or rectangle(~where)
    assert 16 < sum(inside) < 48


@pytest.fixture(scope="module")
def enlarged(batch):
    return {"lr": np.kron(batch["hr_x2"], np.ones((1, 2, 2, 1), np.float32)), "hr": batch["hr"]}


def test_cutblur_swaps_hr_and_lr_in_the_input_alone(enlarged):
    found, inside = run(enlarged, {"name": "cutblur", "ratio": 0.72}), []
    np.testing.assert_array_equal(found["hr"], enlarged["hr"])
    for lr, hr, after in zip(enlarged["lr"], enlarged["hr"], found["lr"], strict=True):
        where = (after == hr).all(-1)
        np.testing.assert_array_equal(after, np.where(where[..., None], hr, lr))
        inside.append(rectangle(where))
        assert where.sum() in (121, 16 * 16 - 121)  # 0.72 * 16, cut off
    assert 16 < sum(inside) < 48


def test_cutout_blackens_pixels_and_says_which(batch):
    found = run(batch, {"name": "cutout", "share": 0.25})
    mask = found["mask"]
    assert mask.shape == (COUNT, 16, 16, 1) and set(np.unique(mask)) == {0, 1} and abs(mask.mean() - 0.75) < 0.04
    np.testing.assert_array_equal(found["lr"], batch["lr"] * mask[:, ::4, ::4])
    np.testing.assert_array_equal(mask, mask[:, ::4, ::4].repeat(4, 1).repeat(4, 2))
    np.testing.assert_array_equal(found["hr"], batch["hr"])
    turned = run(batch, {"name": "cutout", "share": 0.25}, "flip_rotate", "blend")
    black = turned["mask"][:, ::4, ::4, 0] == 0  # the mask turns with the images, and has no colours
    assert 0.2 < black.mean() < 0.3 and set(np.unique(turned["mask"])) == {0, 1}
    lr = turned["lr"]  # black became one colour a sample, that of blend
    for image, of_sample in zip(lr, black, strict=True):
        assert not of_sample.any() or np.ptp(image[of_sample], axis=0).max() == 0


def test_mixcorrupt_pastes_one_reduction_of_hr(batch):
    ways = {"bicubic": lambda hr: bicubic_downsample(hr, 4), "nearest": lambda hr: hr[:, ::4, ::4],
            "bilinear": lambda hr: (hr[:, 1::4] + hr[:, 2::4]).reshape(COUNT, 4, -1, 4, 3)[:, :, :, 1:3].sum(3) / 4}
    seen = set()
    for seed in range(8):
        found = run(batch, dict(name="mixcorrupt", per="batch"), key=jax.random.key(seed))
        where = (found["lr"] != batch["lr"]).any(-1)
        assert (where == where[0]).all() and where[0].sum() == 1  # of 4x4 px the third, rounded down, is one
        hits = [way for way, of in ways.items() if np.allclose(found["lr"][where], of(batch["hr"])[where], atol=1e-6)]
        assert len(hits) == 1
        seen.update(hits)
        np.testing.assert_array_equal(found["hr"], batch["hr"])
    assert seen == set(ways)


def test_probabilities(batch):
    assert same(run(batch, {"name": "blend", "p": 0}), batch) and same(run(batch), batch)
    changed = [(run(batch, {"name": "blend", "p": 0.3}, key=jax.random.key(seed))["hr"] != batch["hr"]).any((1, 2, 3))
               for seed in range(8)]
    assert abs(np.mean(changed) - 0.3) < 0.07  # of 512


def test_one_of_draws_one_by_the_shares(batch):
    rows = dict(name="one_of", of=[dict(name="permute_rgb", p=0.2),
                                   dict(name="scale_intensity", p=0.5, factors=[0.25])])
    kinds = np.zeros(3, int)
    for seed in range(8):
        found = run(batch, rows, key=jax.random.key(seed))["hr"]
        scaled = (found == batch["hr"] / 4).all((1, 2, 3))
        as_it_was = (found == batch["hr"]).all((1, 2, 3))
        assert np.array_equal(np.sort(found[~scaled], -1), np.sort(batch["hr"][~scaled], -1))
        kinds += scaled.sum(), (~scaled & ~as_it_was).sum(), as_it_was.sum()
    share = kinds / kinds.sum()
    np.testing.assert_allclose(share, [0.5, 0.2 * 5 / 6, 0.3 + 0.2 / 6], atol=0.06)  # one order of six is the old one


def test_the_strategy_of_the_cutblur_paper_for_real_images(enlarged):
    of = [dict(name=name, p=0.1) for name in ("blend", "permute_rgb", "mixup", "cutout", "cutmix", "cutmixup")]
    row = dict(name="one_of", of=[*of, dict(name="cutblur", p=0.4)])
    augment.check([row], 1)
    shapes = jax.eval_shape(lambda batch: augment.apply([row], batch, KEY), enlarged)
    assert {name: shape.shape for name, shape in shapes.items()} == {
        "lr": enlarged["lr"].shape, "hr": enlarged["hr"].shape, "mask": (COUNT, 16, 16, 1)}


def test_draws_per_batch_are_one(batch):
    assert max(counted(batch, run(batch, dict(name="flip_rotate", per="batch")), TURNS)) == COUNT


def test_draws_depend_on_key_name_and_number_alone(batch):
    whole = run(batch, "permute_rgb")
    assert same(run(batch, "permute_rgb"), whole) and not same(run(batch, "permute_rgb", key=jax.random.key(8)), whole)
    second = {name: value[24:] for name, value in batch.items()}
    assert same(run(second, "permute_rgb", first=24), {name: value[24:] for name, value in whole.items()})
    assert same(run(batch, dict(name="flip", p=0), "permute_rgb"), whole)  # what else is done does not change it
    twice = run(batch, "permute_rgb", "permute_rgb")["hr"]  # draws of its own: not the square of the first
    orders = [list(order) for order in itertools.permutations(range(3))]
    squares = [next(b[..., o][..., o] for o in orders if np.array_equal(b[..., o], a))
               for a, b in zip(whole["hr"], batch["hr"], strict=True)]
    assert not np.array_equal(twice, squares)


def test_rows_are_taken_out_of_a_config(batch):
    rows = ["flip", ConfigDict(dict(name="one_of", of=[dict(name="cutout", p=1, share=0.5)]))]
    assert "mask" in jax.eval_shape(lambda batch: augment.apply(rows, batch, KEY), batch)


DEVICES = """
import jax, numpy as np
from jsr import sharding
from jsr import augment
rng = np.random.default_rng(0)
batch = {"lr": rng.random((16, 8, 8, 3), np.float32), "hr": rng.random((16, 16, 16, 3), np.float32)}
rows = ["flip_rotate", {"name": "cutmix", "p": 0.5}, "cutout"]
run = jax.jit(lambda batch: augment.apply(rows, batch, jax.random.key(1)))
one = run(batch)
split = run(sharding.put_batch(batch, sharding.make_mesh()))
assert len(jax.devices()) == 4 and len(split["hr"].sharding.device_set) == 4
for name in one:
    np.testing.assert_array_equal(one[name], split[name])
"""


def test_several_devices_mix_as_one():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    environment = {**os.environ, "XLA_FLAGS": flags}
    done = subprocess.run([sys.executable, "-c", DEVICES], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("row, scale, message", [
    ("flop", 2, "augmentation 'flop' is unknown; did you mean 'flip'?"),
    (3, 2, "augmentation 3: give a name, or {'name': ..., 'p': ...}"),
    ({"p": 0.5}, 2, "augmentation {'p': 0.5}: give a name"),
    (dict(name="mixup", p=1.5), 2, "augmentation mixup: p=1.5 must be from 0 to 1"),
    (dict(name="mixup", p=True), 2, "augmentation mixup: p=True must be from 0 to 1"),
    (dict(name="mixup", per="image"), 2, "augmentation mixup: per='image' must be 'sample' or 'batch'"),
    (dict(name="mixup", alfa=1.0), 2, "augmentation mixup: no option 'alfa'; did you mean 'alpha'?"),
    (dict(name="mixup", alpha=0), 2, "augmentation mixup: alpha=0 must be above 0, like 1.2"),
    (dict(name="cutmix", ratio=1.5), 2, "augmentation cutmix: ratio=1.5 must be above 0 and up to 1, like 0.7"),
    (dict(name="cutmix", ratio=[0.5]), 2, "augmentation cutmix: ratio=[0.5] must be above 0"),
    (dict(name="scale_intensity", factors=0.5), 2, "scale_intensity: factors=0.5 must be a list that is not empty"),
    (dict(name="one_of", of=["flp"]), 2, "augmentation 'flp' is unknown; did you mean 'flip'?"),
    (dict(name="one_of", of=["flip", dict(name="blend", p=0.5)]), 2, "one_of: needs rows `of`: either all have a p"),
    (dict(name="one_of", of=[dict(name="blend", p=0.6), dict(name="flip", p=0.6)]), 2, "in sum at most 1"),
    (dict(name="one_of", of=[dict(name="blend", per="batch")]), 2, "none has per"),
    ("one_of", 2, "one_of: needs rows `of`"),
    ("cutblur", 2, "both must have one size; put a network of enlarge, such as enlarge/nearest, first in the chain"),
    ("mixcorrupt", 1, "makes LR images from HR images, which must be larger"),
])
def test_mistakes_are_one_line(row, scale, message):
    with pytest.raises(UserError, match=re.escape(message)) as error:
        augment.check([row], scale)
    assert "\n" not in str(error.value)


def test_sizes_that_do_not_fit():
    shapes = {"lr": (2, 8, 12, 3), "hr": (2, 16, 24, 3)}
    wide = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()}

    def trace(row, hr=wide["hr"]):
        return jax.eval_shape(lambda batch: augment.apply([row], batch, KEY), wide | {"hr": hr})

    with pytest.raises(UserError, match="flip_rotate: needs square images, these are of 12x8; use flip"):
        trace("flip_rotate")
    trace("flip")
    with pytest.raises(ValueError, match=r"an image of shape \(17, 24, 3\) is not a multiple of LR, \(8, 12, 1\)"):
        trace("cutmix", jax.ShapeDtypeStruct((2, 17, 24, 3), jnp.float32))

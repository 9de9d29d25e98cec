"""Frames through networks that see several at once, as they come one by one."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jsr
from jsr import model_file, models
from jsr.errors import UserError
from jsr.inference import sequence
from jsr.inference.chain import Chain
from jsr.inference.store import Store
from jsr.layers.padding import Padding
from jsr.models.basicvsrpp import SMALL


def scene(length, seed, height=16, width=24):
    """Frames that change a little; those of another seed are another scene."""
    rng = np.random.default_rng(seed)
    ground = rng.uniform(0.1, 0.4, (height, width, 3)) + 0.5 * (seed % 2)
    return [np.clip(ground + rng.normal(0, 0.01, ground.shape), 0, 1).astype(np.float32) for _ in range(length)]


class Recorder:
    """Stands for an Upscaler of a recurrent network: gives each frame twice as large, and keeps what was seen."""

    scale, copies = 2, 1

    def __init__(self, frames, scene_bytes=100):
        self.chains = [types.SimpleNamespace(frames=frames, padding=Padding(), scene_bytes=lambda *size: scene_bytes)]
        self.seen = []

    def scene(self, frame, length, wanted, store, key, check):
        self.seen.append(length)
        for index in wanted:
            yield frame(index).repeat(2, 0).repeat(2, 1)

    def frames(self, clip, wanted):
        self.seen.append((clip, list(wanted)))
        return clip[list(wanted)].repeat(2, 1).repeat(2, 2)


@pytest.mark.parametrize("lengths", [(1,), (7,), (30,), (31,), (64, 3, 41), (29, 30)])
def test_windows_of_a_recurrent_network(lengths):
    """Every frame comes once, in order, from a window of its scene that holds those near it."""
    frames = [image for seed, length in enumerate(lengths) for image in scene(length, seed)]
    upscaler = Recorder("all")
    through = sequence.Sequence(upscaler)
    given = list(through(enumerate(frames)))
    assert [item for item, _ in given] == list(range(len(frames))) and through.scenes == len(lengths)
    for (_, sr), lr in zip(given, frames, strict=True):
        np.testing.assert_array_equal(sr[::2, ::2], lr)
    for clip, _ in upscaler.seen:
        assert len(clip) == sequence.WINDOW or len(clip) % 6 == 0 and len(clip) <= sequence.WINDOW
        assert max(abs(clip[0] - one).mean() for one in clip) < 0.1, "of one scene"
    if lengths == (64, 3, 41):
        assert [len(clip) for clip, _ in upscaler.seen].count(sequence.WINDOW) == len(upscaler.seen) - 1
        for clip, wanted in upscaler.seen[:2]:
            assert len(clip) - 1 - wanted[-1] >= sequence.OVERLAP
        assert upscaler.seen[1][1][0] >= sequence.OVERLAP


@pytest.mark.parametrize("tile", [(16, 24), (16, 16)])
def test_whole_scenes(tile, tmp_path, monkeypatch):
    """With a Store a recurrent network sees each scene once as a whole, whatever its length; nothing stays on disk."""
    monkeypatch.setattr(sequence.Sequence, "_tile", lambda self, *size: tile)
    frames = [image for seed, length in enumerate((64, 3, 41)) for image in scene(length, seed)]
    upscaler = Recorder("all")
    with Store(tmp_path / "out.mkv") as store:
        through = sequence.Sequence(upscaler, store)
        given = dict(through(enumerate(frames), wanted=lambda index: index not in (0, 64, 65, 66)))
    assert list(given) == [index for index in range(len(frames)) if index not in (0, 64, 65, 66)]
    for index, sr in given.items():
        np.testing.assert_allclose(sr[::2, ::2], frames[index], atol=1e-6)
    assert set(upscaler.seen) == {64, 41} and through.scenes == 3, "no frame of the second one was wanted"
    assert store.most == 64 * frames[0].nbytes and not list(tmp_path.iterdir())
    assert "as a whole" in through.text


def test_a_scene_too_long_for_the_disk_is_refused(tmp_path):
    with Store(tmp_path / "out.mkv") as store, \
            pytest.raises(UserError, match=r"out.mkv: \d+\.\d GB are needed beside it.* --windows needs none"):
        list(sequence.Sequence(Recorder("all", scene_bytes=10**15), store)(enumerate(scene(3, 0))))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "bool"])
def test_a_store_gives_what_it_got(dtype, tmp_path):
    rng = np.random.default_rng(0)
    arrays = {index: rng.random((2, 3, index)).astype(jnp.dtype(dtype)) for index in range(4)}
    with Store(tmp_path / "out.mkv") as store:
        for key, array in arrays.items():
            store[key] = array
        for key in (2, 0, 3, 1):
            np.testing.assert_array_equal(store[key], arrays[key])
            assert store[key].dtype == arrays[key].dtype
        store.clear()
        assert 2 not in store and not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("fields", [{}, {"peak_period": 2, "skip_repeats": True}])
def test_a_scene_frame_by_frame_is_the_clip_at_once(fields, tmp_path):
    """BasicVSR++ and the winner's passes: sizes that are padded, a repeated frame, frames that are not wanted."""
    module = models.create("basicvsrpp", scale=4, **SMALL, **fields)
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(module.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 2, 8, 8, 3), jnp.float32))
    chain = Chain({"sr": module}, {"sr": jax.tree.map(lambda s: rng.normal(0, 0.1, s.shape).astype(s.dtype), shapes)})
    clip = rng.random((5, 8, 9, 3)).astype(np.float32)
    clip[3] = clip[2]
    whole, checks = chain.clip(clip), []
    with Store(tmp_path / "out.mkv") as store:
        found = list(chain.scene(lambda index: clip[index], 5, [0, 2, 3, 4], store, check=lambda: checks.append(1)))
    assert len(checks) == 25, "before every frame, of what comes first and of four passes"
    np.testing.assert_allclose(found, whole[[0, 2, 3, 4]], atol=1e-5 * np.abs(whole).max())
    assert store.most <= 5 * chain.scene_bytes(8, 9)


def test_a_network_of_a_window(tmp_path):
    """STOPN gives for frames that come one by one what it gives for each scene in memory; others are not computed."""
    net = {"name": "sr", "model": "stopn", "scale": 4, "fields": {"num_feat": 4, "num_level": 2, "num_conv": 1},
           "deployed": False}
    variables = {"sr": models.init(models.create("stopn", scale=4, **net["fields"]), jax.random.key(0))}
    model_file.save(tmp_path / "m.safetensors", variables, {"networks": [net]})
    upscaler = jsr.load(tmp_path / "m.safetensors")
    scenes = scene(6, 0), scene(2, 1)
    wholes = np.concatenate([upscaler.upscale(np.stack(frames)) for frames in scenes])
    frames = [image for frames in scenes for image in frames]
    through = sequence.Sequence(upscaler)
    given = dict(through(enumerate(frames), wanted=lambda index: index != 1))
    assert list(given) == [0, 2, 3, 4, 5, 6, 7]
    for index, sr in given.items():
        np.testing.assert_allclose(np.clip(sr, 0, 1), wholes[index], atol=1e-5)


def test_tiles_are_put_together(monkeypatch):
    """Tiles of a clip, faded into one another, give the clip of a network that leaves places where they are."""
    monkeypatch.setattr(sequence.Sequence, "_tile", lambda self, *size: (16, 16))
    frames = scene(9, 0, height=40, width=56)
    for kind in ("all", 3):
        for (_, sr), lr in zip(sequence.Sequence(Recorder(kind))(enumerate(frames)), frames, strict=True):
            np.testing.assert_allclose(sr[::2, ::2], lr, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_grey_and_alpha(channels):
    frames = [np.concatenate([image[..., :(1 if channels < 3 else 3)], np.full((16, 24, 1), 0.5, np.float32)], -1)
              [..., :channels] for image in scene(3, 0)]
    for (_, sr), lr in zip(sequence.Sequence(Recorder("all"))(enumerate(frames)), frames, strict=True):
        np.testing.assert_allclose(sr[::2, ::2], lr, atol=1e-5)

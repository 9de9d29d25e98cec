"""Frames through networks that see several at once, as they come one by one."""

import types

import jax
import numpy as np
import pytest

import jsr
from jsr import model_file, models
from jsr.inference import sequence
from jsr.layers.padding import Padding


def scene(length, seed, height=16, width=24):
    """Frames that change a little; those of another seed are another scene."""
    rng = np.random.default_rng(seed)
    ground = rng.uniform(0.1, 0.4, (height, width, 3)) + 0.5 * (seed % 2)
    return [np.clip(ground + rng.normal(0, 0.01, ground.shape), 0, 1).astype(np.float32) for _ in range(length)]


class Recorder:
    """Stands for an Upscaler of a recurrent network: gives each frame twice as large, and keeps what was seen."""

    scale = 2

    def __init__(self, frames):
        self.chains = [types.SimpleNamespace(frames=frames, padding=Padding())]
        self.seen = []

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

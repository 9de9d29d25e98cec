"""BasicVSR++ as NTIRE 2022's winner has it: what a pass knows of frames, and frames that repeat the one before."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import models
from jsr.models.basicvsrpp import SMALL


def marks(new, backward, **fields):
    """{name of Marks: list of 0 and 1} of a clip whose frames are new or repeat the one before."""
    model = models.create("basicvsrpp", scale=4, **fields)
    found = model.marks(jnp.asarray(new, bool)[:, None], backward)
    return {name: np.asarray(mark)[:, 0].astype(int).tolist() for name, mark in found._asdict().items()}


def test_the_second_frame_is_the_neighbours_neighbour():
    assert marks([1] * 4, False) == dict(start=[1, 0, 0, 0], second=[0, 0, 1, 1], peak=[0] * 4, repeats=[0] * 4)
    assert marks([1] * 4, True) == dict(start=[0, 0, 0, 1], second=[1, 1, 0, 0], peak=[0] * 4, repeats=[0] * 4)


def test_peaks_are_every_fourth_frame_from_the_first_on():
    peak = [1, 0, 0, 0, 1, 0]
    assert marks([1] * 6, False, peak_period=4) == dict(
        start=[1, 0, 0, 0, 0, 0], second=[0, 1, 1, 1, 1, 1], peak=peak, repeats=[0] * 6)
    assert marks([1] * 6, True, peak_period=4) == dict(
        start=[0, 0, 0, 0, 0, 1], second=[1, 1, 1, 1, 0, 0], peak=peak, repeats=[0] * 6)


def test_repeated_frames_count_for_nothing():
    new = [1, 0, 1, 1, 0, 1]  # the frames 0, 0, 1, 2, 2, 3
    assert marks(new, False, peak_period=2) == dict(
        start=[1, 1, 0, 0, 0, 0], second=[0, 0, 1, 1, 1, 1], peak=[1, 1, 0, 1, 1, 0], repeats=[0, 1, 0, 0, 1, 0])
    assert marks(new, True, peak_period=2) == dict(
        start=[0, 0, 0, 0, 0, 1], second=[1, 1, 1, 0, 0, 0], peak=[1, 1, 0, 1, 1, 0], repeats=[1, 0, 0, 1, 0, 0])


@pytest.mark.slow
@pytest.mark.parametrize("fields", [{}, dict(peak_period=2)])
def test_a_repeated_frame_has_the_result_of_the_first(fields, drawn, run):
    model = models.create("basicvsrpp", scale=4, **SMALL, **fields)
    variables, rng = drawn(model), np.random.default_rng(0)
    clip = rng.random((1, 4, 8, 8, 3))
    order = np.array([0, 0, 1, 2, 2, 2, 3])
    expected = run(model, variables, clip)
    found = run(model.clone(skip_repeats=True), variables, clip[:, order])
    np.testing.assert_allclose(found, expected[:, order], atol=1e-9)
    assert np.abs(run(model, variables, clip[:, order]) - expected[:, order]).max() > 1e-3


@pytest.mark.slow
def test_one_frame_is_a_clip(drawn, run):
    model = models.create("basicvsrpp", scale=4, **SMALL)
    assert np.isfinite(run(model, drawn(model), np.random.default_rng(0).random((2, 1, 9, 8, 3)))).all()


def test_other_scales_are_refused():
    model = models.create("basicvsrpp", scale=4).clone(scale=2)
    with pytest.raises(ValueError, match="scale = 2 is neither 1 nor 4"):
        jax.eval_shape(model.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 2, 8, 8, 3), jnp.float32))

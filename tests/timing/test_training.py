"""The pipeline and the step of a small recipe: what is counted, and mistakes in the recipe."""

import math

import pytest

from jsr import recipes
from jsr.errors import UserError
from jsr.main import parse
from jsr.timing import training


@pytest.fixture
def recipe(tiny_run):
    """A small recipe with overrides."""

    def load(**more):
        args, overrides = parse(tiny_run(**more))
        return recipes.load(args.config, overrides)

    return load


@pytest.mark.parametrize("workers", [0, 1])
def test_pipeline(recipe, workers):
    found = training.measure_pipeline(recipe(), workers, seconds=0.01)
    assert found["workers"] == workers and found["batches"] >= training.LEAST_BATCHES and found["first_batch_s"] > 0
    assert found["patches_per_s_per_worker"] == found["patches_per_s"] > 0
    patch = 3 * (8**2 + 32**2)  # bytes of LR and HR
    assert found["megabytes_per_s"] == pytest.approx(found["patches_per_s"] * patch / 1e6)


def test_derived_images_count_too(recipe):
    losses = "[{'fn': 'l1', 'pred': 'sr', 'target': 'lr_clean', 'weight': 1.0}]"
    found = training.measure_pipeline(recipe(**{"stages[0].players[0].losses": losses}), 0, seconds=0.01)
    assert found["megabytes_per_s"] == pytest.approx(found["patches_per_s"] * 3 * (2 * 8**2 + 32**2) / 1e6)


@pytest.mark.slow
def test_step(recipe):
    said = []
    found = training.measure_step(recipe(), steps=3, announce=said.append)
    assert found["batch"] == 8 and found["lr_shape"] == [8, 8, 8, 3] and found["rounds"] == 3
    assert found["params"] == 2 * 4 * 27 + 4 + 3 + 3 * (4 * 4 * 9 + 4) + 2 * (16 * 4 * 9 + 16)
    assert found["patches_per_s"] == pytest.approx(8 / found["median_ms"] * 1e3)
    assert found["memory"]["peak_bytes"] > 4 * 4 * found["params"]  # parameters, their average, Adam's two moments
    assert found["trace_s"] > 0 and found["compile_s"] > 0 and said == ["compiling", "timing 3 steps"]


@pytest.mark.parametrize("step_rate, pipeline_rate, share", [
    (100, 25, 0.75), (100, 100, 0), (100, 300, 0), (10, math.inf, 0)])
def test_share_of_time_that_a_step_waits(step_rate, pipeline_rate, share):
    assert training.waiting(step_rate, pipeline_rate) == share


@pytest.mark.parametrize("measure", [lambda config: training.measure_pipeline(config, 0, seconds=0.01),
                                     lambda config: training.measure_step(config, steps=1)])
@pytest.mark.parametrize("override, message", [
    ({"data.train[0].dataset": "nowhere"}, "nowhere: no such folder, and no such dataset"),
    ({"stages[0].crop": "30"}, "crop: 30 is not a multiple of the scale 4"),
])
def test_mistakes_in_a_recipe(recipe, measure, override, message):
    with pytest.raises(UserError, match=message):
        measure(recipe(**override))


def test_losses_that_there_are_not(recipe):
    losses = "[{'fn': 'l7', 'pred': 'sr', 'target': 'hr', 'weight': 1.0}]"
    with pytest.raises(UserError, match="l7"):
        training.measure_step(recipe(**{"stages[0].players[0].losses": losses}), steps=1)

"""The memory of a step: what is planned, and the override that is named where it does not fit."""

import dataclasses

import jax
import numpy as np
import pytest

from jsr import recipes, sharding
from jsr.errors import UserError
from jsr.training import memory, stages
from jsr.training import state as states

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def given():
    """(plan, state, batch) of a small stage."""
    overrides = {"networks.sr.fields": "{'num_feat': 2, 'num_block': 1}", "stages[0].batch": "8",
                 "stages[0].crop": "64", "stages[0].augment": "[]"}
    config = recipes.load("aim22_t1:quick", overrides.items())
    mesh = sharding.make_mesh(jax.devices()[:1])
    plan = stages.plan_of(config, 0)
    state = states.make_state(plan, states.initial_variables(config, KEY))
    state = jax.device_put(state, sharding.replicated(mesh))
    batch = {"lr": np.zeros((8, 16, 16, 3), np.uint8), "hr": np.zeros((8, 64, 64, 3), np.uint8)}
    return plan, state, sharding.put_batch(batch, mesh)


@pytest.fixture(scope="module")
def program(given):
    plan, state, batch = given
    return memory.Program(plan, state, batch, KEY, {})


def test_the_plan_counts_what_there_is(given, program):
    _, state, batch = given
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(state.nets["sr"]["variables"]))
    found = program.memory
    assert (found.parameters, found.average, found.frozen) == (size, size, 0)
    assert 2 * size <= found.optimizer <= 2 * size + 64  # Adam's two moments, and its counts
    assert found.batches == 4 * 8 * 3 * (16**2 + 64**2)
    assert found.temporaries > 8 * 64 * 64 * 3 * 4  # the SR images at least
    assert found.total == found.parameters + found.average + found.optimizer + found.batches + found.temporaries
    assert "temporaries" in str(found) and "frozen" not in str(found)


def test_it_names_the_smallest_change_that_fits(given, program, monkeypatch, caplog):
    plan, state, batch = given
    monkeypatch.setattr(memory, "SMALLER", (("stages[{}].accumulate", "3"), ("stages[{}].accumulate", "8")))
    monkeypatch.setattr(memory.device, "free_memory", lambda: 0.6 * program.memory.temporaries)
    with pytest.raises(UserError, match=r"^out of memory: a step takes .* are free; it would take .* with "
                                        r"--config.stages\[0\].accumulate=8$"):
        memory.Program(plan, state, batch, KEY, {})


def test_alternatives_that_fit_the_recipe_are_tried_in_order(given):
    plan, _, _ = given
    tried = [" ".join(f"{name}={value}" for name, value in overrides) for overrides in memory._alternatives(plan)]
    assert tried == ["stages[0].accumulate=2", "stages[0].accumulate=4", "stages[0].accumulate=8",
                     "stages[0].remat=blocks", "dtype=bfloat16",
                     "stages[0].accumulate=8 stages[0].remat=blocks dtype=bfloat16",
                     "stages[0].batch=4", "stages[0].batch=2", "stages[0].batch=1"]


def test_nothing_fits(program, monkeypatch):
    monkeypatch.setattr(memory.Program, "_memory_with", lambda self, overrides: program.memory)
    with pytest.raises(UserError, match=r"smaller crop than 64 \(--config.stages\[0\].crop=...\)"), program.explained():
        raise MemoryError


def test_running_out_of_memory_is_explained_and_other_errors_are_not(program, monkeypatch):
    smaller = dataclasses.replace(program.memory, temporaries=program.memory.temporaries // 2)
    monkeypatch.setattr(memory.Program, "_memory_with", lambda self, overrides: smaller)
    with pytest.raises(UserError, match="it would take .* with --config.stages.0..accumulate=2"), program.explained():
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate")
    with pytest.raises(RuntimeError, match="something else"), program.explained():
        raise RuntimeError("something else")

"""The black box: what it keeps is exact, and the replay names the place that was broken on purpose."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import cli, recipes
from jsr.errors import UserError
from jsr.training import blackbox, memory, stages
from jsr.training import state as states

KEY = jax.random.key(7)


def recipe(**more):
    overrides = {"networks.sr.fields": "{'num_feat': 2, 'num_block': 1, 'img_range': 1.0}", "stages[0].batch": "2",
                 "stages[0].crop": "16", "stages[0].players[0].schedule.warmup_steps": "0", "stages[0].augment": "[]",
                 **more}
    return recipes.load("aim22_t1:quick", overrides.items())


def begin(config):
    return states.make_state(plan_of(config), states.initial_variables(config, jax.random.key(0)))


def plan_of(config):
    return stages.plan_of(config, 0)


def batch(seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.random((2, side, side, 3), np.float32) for name, side in (("lr", 4), ("hr", 16))}


def with_parameter(state, module, name, change):
    """The state with a parameter of a submodule of the network sr's body changed."""
    own = state.nets["sr"]["variables"]["params"]["body_0"]
    changed = {**own, module: {**own[module], name: change(own[module][name])}}
    params = {**state.nets["sr"]["variables"]["params"], "body_0": changed}
    return state.replace(nets={"sr": {**state.nets["sr"], "variables": {"params": params}}})


def box_of(tmp_path, config, state, given):
    """A box of step 3, as a run would have written it, read again, and its folder."""
    left = state.replace(step=jnp.int32(3), skipped=jnp.int32(1))
    values = {"loss": jnp.float32(np.nan), **({"loss_scale": left.loss_scale["scale"]} if left.loss_scale else {})}
    blackbox.write(tmp_path, 3, given, left, values, plan=plan_of(config), key=KEY, frozen={},
                   fingerprint={})
    return blackbox.read(tmp_path / "blackbox" / "step3"), tmp_path / "blackbox" / "step3"


def test_what_is_kept_is_exact_and_the_run_goes_on_as_if_nobody_had_looked(tmp_path):
    config = recipe()
    poisoned = batch(3)
    poisoned["hr"][0, 1, 2, 0] = np.nan
    given = [batch(1), batch(2), poisoned, batch(4), batch(5)]
    state, before, looked_at = begin(config), [], []
    program = memory.build(plan_of(config), state)
    copy = jax.jit(lambda tree: jax.tree.map(lambda x: x + 0, tree))

    for images in given:
        before.append(copy(state))
        state, _ = program(state, images, KEY, {}, np.int32(state.skipped))

    run = blackbox.Watched(program, KEY, {}, skipped=0, on_skip=lambda *found: looked_at.append(copy(found[:3])))
    watched, rows = begin(config), []
    for number, images in enumerate(given, 1):
        watched, values = run(number, watched, images)
        rows.append(values)
    run.settle(watched)
    jax.tree.map(np.testing.assert_array_equal, watched, state)
    assert [float(row["skipped"]) for row in rows] == [0, 0, 1, 0, 0]
    ((number, images, left),) = looked_at
    assert number == 3 and int(left.skipped) == 1
    jax.tree.map(np.testing.assert_array_equal, left.nets, before[2].nets)
    np.testing.assert_array_equal(images["hr"], poisoned["hr"])


def test_the_last_step_is_looked_at_too():
    looked_at = []
    run = blackbox.Watched(lambda state, *_: (state, {"skipped": 1.0}), KEY, {}, skipped=0,
                           on_skip=lambda number, *_: looked_at.append(number))
    run(1, {}, {})
    assert looked_at == []
    run.settle({})
    run.settle({})
    assert looked_at == [1]


def test_a_parameter_that_is_infinite_is_named(tmp_path, capsys):
    config = recipe()
    state = with_parameter(begin(config), "conv2", "kernel", lambda kernel: kernel.at[0, 1, 0, 1].set(np.inf))
    _, folder = box_of(tmp_path, config, state, batch())
    assert cli.main(["replay", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "step 3 of aim22_t1:quick: skipped again" in said
    assert "float32: sr/body_0/conv2 has parameters that are not finite (1 of kernel)" in said
    assert "float64: the same: no matter of precision" in said
    assert "sr/body_0/conv1" in said


@pytest.mark.slow
def test_what_overflows_in_float16_is_a_matter_of_precision(tmp_path):
    config = recipe(dtype="float16")
    state = with_parameter(begin(config), "conv1", "bias", lambda bias: bias + 6e4)
    state = with_parameter(state, "conv2", "kernel", lambda kernel: kernel + 9.0)
    box, _ = box_of(tmp_path, config, state, batch())
    reproduced, own, exact = blackbox.replay(box)
    assert reproduced and blackbox.first_bad(own).path == "sr/body_0/conv2" and blackbox.first_bad(exact) is None
    said = "\n".join(blackbox.statement(box, reproduced, own, exact))
    assert "the output of sr/body_0/conv2 are not finite, the first to be so; all that goes in is finite" in said
    assert "too large for float16, which ends at 65504; use bfloat16 or float32" in said
    kinds = [place.kind for place in own]
    assert kinds == sorted(kinds, key=["batch", "module", "loss", "gradient"].index)
    backwards = [place.path for place in own if place.kind == "gradient"]
    assert backwards[0].startswith("sr/tail") or backwards[0].startswith("sr/conv_last")
    assert backwards[-1].startswith("sr/conv_first")


def test_a_gradient_too_large_for_its_loss_scale_is_no_accident(tmp_path):
    config = recipe(dtype="float16")
    values = {"loss": 0.1, "grad_norm": np.inf, "loss_scale": 2.0**15}
    assert not blackbox.is_accident(values)
    assert blackbox.is_accident({**values, "loss_scale": 1.0}) and blackbox.is_accident({**values, "loss": np.nan})
    assert blackbox.write(tmp_path, 3, batch(), begin(config), values, plan=plan_of(config), key=KEY, frozen={},
                          fingerprint={}) is None
    assert not list(tmp_path.iterdir())


def test_a_run_keeps_only_the_first_few(tmp_path):
    config = recipe()
    written = [blackbox.write(tmp_path, number, batch(), begin(config), {"loss": np.nan}, plan=plan_of(config), key=KEY,
                              frozen={}, fingerprint={}) for number in range(3, 3 + blackbox.BOXES + 2)]
    assert sorted((tmp_path / "blackbox").iterdir()) == written[:3] and written[3:] == [None, None]


def seen(kind, path, bad=0, fed=True):
    return blackbox.Seen(kind, path, size=10, bad=bad, largest=1.0, fed=fed)


@pytest.mark.parametrize("places, words", [
    ([seen("batch", "hr", 2)], "2 of 10 values of the batch's hr are not finite: the data is to blame"),
    ([seen("module", "sr/a"), seen("module", "sr/b", 1, fed=False)], "it begins between sr/a and there"),
    ([seen("module", "sr/a"), seen("loss", "loss/l1_sr", 1)],
     "the networks give is finite, the loss loss/l1_sr is not"),
    ([seen("loss", "loss/l1_sr"), seen("gradient", "sr/a/kernel", 3)], "3 of 10 values of that of sr/a/kernel"),
    ([seen("module", "sr/a")], "looked at place by place, every number is finite"),
])
def test_it_says_where_it_began(places, words):
    box = blackbox.Box({"step": 1}, plan_of(recipe()), None, {}, {}, None)
    assert words in "\n".join(blackbox.statement(box, False, places, [seen(p.kind, p.path) for p in places]))


@pytest.mark.parametrize("largest, words", [(1e60, "the training has diverged"),
                                            (1.0, "a matter of float32's precision")])
def test_it_says_what_float64_means(largest, words):
    box = blackbox.Box({"step": 1}, plan_of(recipe()), None, {}, {}, None)
    exact = dataclasses.replace(seen("module", "sr/a"), largest=largest)
    assert words in blackbox.statement(box, True, [seen("module", "sr/a", 1)], [exact])[-1]


def test_what_is_no_box(tmp_path):
    with pytest.raises(UserError, match="no black box of a run"):
        blackbox.read(tmp_path)
    _, folder = box_of(tmp_path, recipe(), begin(recipe()), batch())
    (folder / "batch.safetensors").write_bytes(b"short")
    with pytest.raises(UserError, match="a damaged black box"):
        blackbox.read(folder)
    (folder / "step.json").write_text('{"format": 99}')
    with pytest.raises(UserError):
        blackbox.read(folder)

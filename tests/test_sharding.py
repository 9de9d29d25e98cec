"""Meshes, and eight fake devices in their own process: a step's collectives and numbers, states of other layouts."""

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from jsr import recipes, sharding
from jsr.errors import UserError

EDSR = {"networks.sr.fields": "{'num_feat': 4, 'num_block': 1}"}
SWINIR = {"networks.sr.model": "swinir/light", "networks.sr.fields":
          "{'embed_dim': 8, 'depths': [2], 'num_heads': [2], 'window_size': 4, 'drop_path_rate': 0.5}"}
ROWS = {"mesh": "{'data': 2, 'rows': 4}"}
CASES = {  # name: devices, overrides of the recipe
    "one": (1, EDSR), "data": (8, EDSR), "accumulate": (8, EDSR | {"stages[0].accumulate": "2"}),
    "sharded": (8, EDSR | {"state": "sharded"}),
    "rows": (8, EDSR | ROWS), "rows, sharded": (8, EDSR | ROWS | {"state": "sharded"}),
    "bfloat16": (8, EDSR | {"dtype": "bfloat16"}),
}
ATTENTION = {"attention, one": (1, SWINIR), "attention": (8, SWINIR)}  # takes half as long as all others together
STEPS = """
import json, sys, tempfile
import jax, numpy as np
from jsr import hlo, models, recipes, sharding
from jsr.training import memory, stages, state as states
from jsr.training.checkpoints import Checkpoints
found, kept, key = {}, {}, jax.random.key(1)
leaves = lambda tree: np.concatenate([np.ravel(x) for x in jax.tree.leaves(jax.device_get(tree))])
for name, (count, overrides) in json.loads(sys.argv[1]).items():
    settings = {"stages[0].crop": "32", "stages[0].batch": "16", "ema_decay": "0.9"} | overrides
    recipe = recipes.load("aim22_t1:edsr", settings.items())
    plan, mesh = stages.plan_of(recipe, 0), sharding.make_mesh(jax.devices()[:count], recipe.mesh)
    state = states.make_state(plan, {"sr": models.init(plan.networks["sr"], jax.random.key(0))})
    state, step, losses = states.placed(plan, state, mesh), None, []
    rng = np.random.default_rng(0)
    for _ in range(2):
        batch = {side: rng.integers(0, 256, (16, px, px, 3), np.uint8) for side, px in (("lr", 8), ("hr", 32))}
        batch = sharding.put_batch(batch, mesh)
        step = step or memory.build(plan, state).lower(state, batch, key, {}, np.int32(0)).compile()
        laid = [leaf.sharding for leaf in jax.tree.leaves(state)]
        state, metrics = step(state, batch, key, {}, np.int32(0))
        losses.append(float(metrics["loss"]))
        assert [leaf.sharding for leaf in jax.tree.leaves(state)] == laid
    kept[name] = plan, mesh, recipe, state
    text, params = step.as_text(), leaves(states.by_names(state).nets["sr"]["variables"])
    found[name] = {"collectives": hlo.collectives(text), "values": leaves(states.by_names(state).nets).tolist(),
                   "losses": losses, "parameters": params.size, "metrics": len(metrics), "text": [
                       line.strip()[:80] for line in text.splitlines() if " all-reduce(" in line],
                   "bytes": sum(leaf.addressable_shards[0].data.nbytes for leaf in jax.tree.leaves(state))}
"""
LAYOUTS = """
with tempfile.TemporaryDirectory() as folder:  # 8 -> 1 -> 2x4 -> 8
    checkpoints, (*_, state) = Checkpoints(folder, keep=9), kept["sharded"]
    before = leaves(states.by_names(state))
    for number, name in enumerate(("one", "rows, sharded", "data"), 1):
        checkpoints.save(number, state, {})
        checkpoints.wait()
        plan, mesh, recipe, _ = kept[name]
        _, state, _ = checkpoints.restore(lambda step: states.abstract(plan, mesh, named=True))
        state = states.placed(plan, state, mesh)
        assert leaves(states.by_names(state)).tobytes() == before.tobytes(), name
        assert [x.sharding for x in jax.tree.leaves(state)] == [x.sharding for x in jax.tree.leaves(kept[name][3])]
    checkpoints.close()
from jsr.export.pixels import on_pixels
from jsr.inference.chain import Chain
from jsr.inference.upscaler import Upscaler
plan, _, _, state = kept["one"]
networks, variables = plan.networks, jax.device_get({"sr": states.by_names(state).nets["sr"]["variables"]})
image, chain = rng.integers(0, 256, (64, 64, 3), np.uint8), Chain(networks, variables)
tiled = Upscaler([chain], tile=40).upscale(image)
by_rows = Upscaler([chain], tile="rows").upscale(image)
whole = np.asarray(jax.jit(on_pixels(networks, variables))(image[None]))[0]
places = [place for *_, place in chain._compiled if place and place.num_devices == 1]
used = {device.id for place in places for device in place.device_set}
found["images"] = {"apart": [int(np.abs(its.astype(int) - whole).max()) for its in (tiled, by_rows)],
                   "devices": len(used),
                   "rows": [op for op, *_ in hlo.collectives(chain.rows_program(64, 64).as_text())]}
import functools
from jsr import degradations
from jsr.degradations import degrade_device
form, mesh = degrade_device.form("photo_x4", (8, 8)), sharding.make_mesh()
photo, degraded = rng.integers(0, 256, (160, 96, 3), np.uint8), functools.partial(degrade_device.degraded, form)
parts = [degrade_device.part(form, photo, (4 * n, 2 * n), degradations.draw("photo_x4", n)) for n in range(8)]
batch = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
there, here = sharding.put_batch(batch, mesh), jax.jit(degraded)(batch)
compiled = jax.jit(sharding.by_samples(degraded, mesh)).lower(there).compile()
apart = compiled(there)
found["degraded"] = {"collectives": hlo.collectives(compiled.as_text()),
                     "same": all(np.array_equal(here[name], apart[name]) for name in here)}
"""
SWIN = {"embed_dim": 12, "depths": [2], "num_heads": [2], "window_size": 8}
PICTURES = {  # network, scale, fields, height, width: rows that eight devices do not divide, means over whole images
    "means": ("rcan/base", 2, {"num_feat": 8, "num_group": 1, "num_block": 1}, 37, 24),
    "convolutions": ("edsr/baseline", 4, {"num_feat": 8, "num_block": 1}, 37, 24),
    "fewer rows than devices": ("edsr/baseline", 4, {"num_feat": 8, "num_block": 1}, 3, 24),
    "windows": ("swinir/light", 2, SWIN, 61, 40),
    "windows across the borders": ("swinir/light", 2, SWIN, 65, 40),
    "attention over all": ("restormer/base", 1, {"dim": 8, "num_blocks": [1] * 4, "num_refinement_blocks": 1}, 61, 40),
    "parts of its size": ("omnisr/base", 2, {"num_feat": 8, "num_group": 1}, 44, 40),
}
IMAGES = """
import json, sys
import jax, numpy as np
from jsr import hlo, models
from jsr.inference.chain import Chain
from jsr.inference.upscaler import Upscaler, from_unit, to_unit
found = []
for name, scale, fields, height, width in json.loads(sys.argv[1]):
    network, rng = models.create(name, scale=scale, **fields), np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: leaf + 0.1 * rng.normal(size=leaf.shape).astype(np.float32),
                             models.init(network, jax.random.key(0)))
    chain, image = Chain({"sr": network}, {"sr": variables}), rng.integers(0, 256, (height, width, 3), np.uint8)
    whole, rows = (chain(to_unit(image), by_rows=by_rows) for by_rows in (False, True))
    stored = from_unit(whole, np.uint8, straight=True).astype(int)
    levels = np.abs(Upscaler([chain], tile="rows").upscale(image) - stored)
    size = [chain.padding.target(side) for side in (height, width)]
    programs = chain.program((1, *size, 3), jax.local_devices()[0]), chain.rows_program(*size)
    facts = [program.memory_analysis() for program in programs]
    found.append({"apart": float(np.abs(rows - whole).max() / np.abs(whole).max()),
                  "levels": [int(levels.max()), float(np.mean(levels > 0))],
                  "bytes": [its.temp_size_in_bytes + its.output_size_in_bytes for its in facts],
                  "collectives": [op for op, *_ in hlo.collectives(programs[1].as_text())]})
"""
# XLA ends a process whose devices wait longer for each other, 40 s by default, as they may on a loaded machine
FLAGS = ("--xla_force_host_platform_device_count=8", "--xla_cpu_collective_call_terminate_timeout_seconds=1800",
         "--xla_cpu_collective_timeout_seconds=1800")


def on_devices(program, cases):
    flags = " ".join([os.environ.get("XLA_FLAGS", ""), *FLAGS])
    done = subprocess.run([sys.executable, "-c", f"{program}\nprint(json.dumps(found))", json.dumps(cases)],
                          env={**os.environ, "XLA_FLAGS": flags}, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def found():
    """What the process says of each of CASES; it has found the layouts to restore each other bit for bit."""
    return on_devices(STEPS + LAYOUTS, CASES)


@pytest.fixture(scope="module")
def attention():
    return on_devices(STEPS, ATTENTION)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["data", "accumulate", "bfloat16"])
def test_a_step_sums_its_parameters_once_in_float32(found, name):
    check_one_sum(found[name])


def check_one_sum(found):
    """One all-reduce and nothing else: gradients, and the few values that are logged."""
    (op, count, size), = found["collectives"]
    logged = size // 4 - found["parameters"]
    assert (op, count) == ("all-reduce", 1) and 0 < logged <= found["metrics"]
    assert " = f32[" in found["text"][0]


@pytest.mark.slow
def test_each_device_degrades_its_samples_and_moves_none(found):
    assert found["degraded"] == {"collectives": [], "same": True}


@pytest.mark.slow
def test_a_sharded_state_is_gathered_and_scattered_once(found):
    sizes = {op: (count, size) for op, count, size in found["sharded"]["collectives"]}
    whole = 4 * -(-found["sharded"]["parameters"] // 8) * 8
    assert sizes["all-gather"] == (1, whole) and sizes["reduce-scatter"] == (1, whole // 8)
    assert sizes.pop("all-reduce")[1] < 200 and len(sizes) == 2  # norms
    assert found["sharded"]["bytes"] < found["data"]["bytes"] / 7


@pytest.mark.slow
@pytest.mark.parametrize("name", ["data", "accumulate", "sharded", "rows", "rows, sharded"])
def test_eight_devices_train_as_one(found, name):
    """Two steps of Adam with an average."""
    check_alike(found[name], found["one"])


def check_alike(found, other):
    assert np.abs(np.subtract(found["values"], other["values"])).max() < 1e-6
    assert np.allclose(found["losses"], other["losses"], rtol=1e-6, atol=0)


@pytest.mark.slow
def test_attention_on_eight_devices(attention):
    """Its tables are read in many places, and its drop path draws for the whole batch."""
    check_one_sum(attention["attention"])
    check_alike(attention["attention"], attention["attention, one"])


@pytest.mark.slow
def test_images_by_rows_and_in_tiles_on_several_devices(found):
    """Tiles go to whichever device is free; rows exchange their borders with the device above and below, no more."""
    assert max(found["images"]["apart"]) <= 1 and found["images"]["devices"] > 1
    assert found["images"]["rows"] == ["collective-permute"]


@pytest.mark.parametrize("name", ["means", *(pytest.param(name, marks=pytest.mark.slow) for name in PICTURES
                                             if name != "means")])
def test_a_picture_by_rows_is_that_of_one_device_in_less_memory(name):
    found, = on_devices(IMAGES, [PICTURES[name]])
    share = 1 if name == "windows across the borders" else 0.7
    assert found["apart"] < 2e-6 and found["bytes"][1] < share * found["bytes"][0], found
    assert found["levels"][0] <= 1 and found["levels"][1] < 1e-3 and "collective-permute" in found["collectives"], found


@dataclasses.dataclass(frozen=True)
class Device:
    id: int
    process_index: int


def devices(count, processes=1):
    found = np.empty(count, object)
    found[:] = [Device(n, n * processes // count) for n in range(count)]
    return found


@pytest.mark.parametrize("count, axes, expected", [
    (8, None, (8, 1)), (8, {}, (8, 1)), (8, {"data": -1, "rows": 4}, (2, 4)), (8, {"rows": -1}, (1, 8)),
    (1, {"data": -1}, (1, 1)), (6, {"data": 3, "rows": 2}, (3, 2))])
def test_meshes(count, axes, expected):
    made = sharding.make_mesh(devices(count), axes)
    assert (made.shape["data"], made.shape["rows"]) == expected


@pytest.mark.parametrize("axes, processes, what", [
    ({"data": 3}, 1, "does not fit the 8 devices"), ({"data": -1, "rows": 3}, 1, "does not fit"),
    ({"data": -1, "rows": -1}, 1, "once -1"), ({"data": 0}, 1, "whole numbers above 0"),
    ({"data": 2.0}, 1, "whole numbers"), ({"data": True}, 1, "whole numbers"), ({"model": 8}, 1, "no axis 'model'"),
    ({"rows": 8}, 2, "rows=8 would split images over several processes")])
def test_meshes_that_cannot_be(axes, processes, what):
    with pytest.raises(UserError, match=what):
        sharding.make_mesh(devices(8, processes), axes)


def test_what_does_not_divide_is_said():
    mesh = sharding.make_mesh(devices(8), {"data": 2, "rows": 4})
    with pytest.raises(UserError, match="batch 3 cannot be split evenly over 2 devices; use a multiple of 2"):
        sharding.check_batch(3, mesh)
    sharding.check_rows({"lr": np.zeros((2, 8, 9, 3)), "quality": np.zeros(3)}, mesh)
    with pytest.raises(UserError, match="the 10 rows of lr cannot be split evenly over 4 devices"):
        sharding.check_rows({"lr": np.zeros((2, 10, 8, 3))}, mesh)


def test_the_recipe_says_what_is_wrong_with_its_mesh():
    from jsr.training import check

    with pytest.raises(UserError, match=r"^--config.mesh: mesh: \{'data': 3\} does not fit the 1 device of"):
        recipes.load("aim22_t1:quick", [("mesh", "{'data': 3}")], check.look)

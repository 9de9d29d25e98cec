"""The plain loop of PyTorch beside the step of a recipe: the same losses, or a reason."""

import jax
import numpy as np
import pytest

for package in ("torch", "onnx"):
    pytest.importorskip(package, reason="a peer of `jsr benchmark`, the extra [bench]")

from jsr import models, recipes  # noqa: E402
from jsr.main import parse  # noqa: E402
from jsr.timing import peers, torch_training, training  # noqa: E402

SMALL = "{'num_feat': 4, 'num_block': 0}"  # two blocks, the head and the tail


@pytest.fixture
def recipe(tiny_run):
    """A small recipe with overrides."""

    def load(**more):
        args, overrides = parse(tiny_run(**{"stages[0].batch": "2", **more}))
        return recipes.load(args.config, overrides)

    return load


@pytest.mark.slow
def test_the_loop_has_the_losses_of_the_step(recipe, monkeypatch):
    monkeypatch.setitem(peers.PEERS, "torch_compile", ("no_such_library",))
    config = recipe(**{"networks.sr.model": "plain/ecbsr_m4c16", "networks.sr.fields": SMALL,
                       "stages[0].augment": "[]", "stages[0].players[0].clip_norm": "0.1",
                       "stages[0].players[0].learning_rate": "0.01"})
    rows = training.measure_step(config, steps=3, wanted=("torch", "torch_compile"))["rows"]
    assert [row["name"] for row in rows] == ["jsr (jax)", "PyTorch", "PyTorch channels_last", "torch_compile"]
    for row in rows[1:3]:
        assert row["note"] == "" and row["loss_error"] < 1e-4 and row["rounds"] == 3 and row["ratio"] > 0
    assert rows[3]["note"] == "not installed: pip install no_such_library" and rows[3]["median_ms"] is None


@pytest.mark.slow
def test_every_parameter_learns():
    model = models.create("plain/ecbsr_m4c16", scale=2, num_feat=4, num_block=0)
    variables = {"sr": jax.tree.map(np.array, models.init(model, jax.random.key(0)))}
    module, made = torch_training.trainable({"sr": model}, variables, size=(32, 32), batch=1)
    sizes = [weight.numel() for weight in module.parameters() if weight.requires_grad]
    assert made == 0 and sum(sizes) == sum(leaf.size for leaf in jax.tree.leaves(variables))


@pytest.mark.slow
def test_parameters_that_are_made_of_others_are_counted():
    model = models.create("swin2sr/light", scale=2, depths=(1,), num_heads=(2,), embed_dim=4, window_size=4)
    variables = {"sr": jax.tree.map(np.array, models.init(model, jax.random.key(0)))}
    tables = [leaf.size for path, leaf in jax.tree_util.tree_leaves_with_path(variables)
              if any(part in str(path) for part in ("cpb_mlp", "logit_scale"))]
    assert torch_training.trainable({"sr": model}, variables, size=(32, 32), batch=2)[1] >= sum(tables)


def test_batch_norm_is_refused():
    with pytest.raises(ValueError, match="BatchNorm, whose statistics in training"):
        torch_training.trainable({}, {"sr": {"params": {}, "batch_stats": {}}}, size=(32, 32), batch=1)


def test_another_step_is_not_timed(recipe):
    model = models.create("plain/bicubicpp", scale=3, num_feat=4, num_block=1)
    variables = {"sr": jax.tree.map(np.array, models.init(model, jax.random.key(0)))}
    lr, hr = np.zeros((1, 32, 32, 3), np.float32), np.ones((1, 96, 96, 3), np.float32)
    seen = torch_training.FirstSteps([lr], [hr], [9.0], [0.1])
    for found in torch_training.contenders("torch", recipe(), {"sr": model}, variables, seen):
        assert found.step is None and found.loss_error > 0.5 and "not timed: its losses are up to" in found.note


@pytest.mark.parametrize("overrides, reason", [
    ({"stages[0].players[0].losses": "[{'fn': 'charbonnier', 'pred': 'sr', 'target': 'hr', 'weight': 1.0}]"},
     "losses other than l1 and mse of sr and hr"),
    ({"stages[0].players[0].optimizer": "{'name': 'sgd'}"}, "the optimizer sgd"),
    ({"stages[0].players[0].freeze": "['sr/body_*']", "stages[0].accumulate": "2"},
     "frozen parameters, accumulated gradients"),
    ({"dtype": "float16"}, "dtype float16"),
])
def test_what_the_loop_has_not(recipe, overrides, reason):
    contender, = torch_training.contenders("torch", recipe(**overrides), {}, {}, None)
    assert contender.step is None and contender.note == f"not written in PyTorch here: {reason}"

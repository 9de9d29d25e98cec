"""Networks that change their form between stages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import model_file, models, reparam
from jsr.errors import UserError
from jsr.recipes import player, read, recipe, stage
from jsr.training import check, stages
from jsr.training import state as states


def three_stages(*rows, model="plain/bicubicpp", scale=3, fields=None, others=None, players=(), first=None,
                 **network):
    """A recipe whose stages after the first begin with one row each.

    Args:
      others: networks beside `sr`, which has the fields and whatever else is given.
      players: players of the first stage instead of one.
      first: other values of the first stage.
    """
    settings = dict(steps=2, crop=48, batch=1, losses=[dict(fn="l1", pred="sr", target="hr", weight=1.0)],
                    learning_rate=1e-3)
    begin = [[dict(net="sr", carry=carry, fields=fields)] for carry, fields in rows]
    own = dict(model=model, scale=scale, fields=fields or {}, **network)
    data = dict(train=dict(dataset="photos"), eval=dict(dataset="photos"))
    stages = [stage(**settings), *(stage(**settings, begin=rows) for rows in begin)]
    if players:
        given = dict(losses=settings["losses"], learning_rate=1.0)
        stages[0]["players"] = [player(**given | row) for row in players]
    stages[0] |= first or {}
    return read(recipe(title="", protocol="aim22_t1", chain=["sr"], data=data, stages=stages,
                       networks={"sr": own, **{name: own | net for name, net in (others or {}).items()}}))


def start(config):
    variables = states.initial_variables(config, jax.random.key(0))
    averaged = jax.tree.map(lambda leaf: leaf * 0.9, variables["sr"])
    return {"sr": [variables["sr"], averaged]}


def begin(config, index, nets, score=None):
    return stages.begin(stages.plan_of(config, index), nets, jax.random.key(1), score)


def abstract(config, index):
    return stages.abstract_variables(stages.plan_of(config, index))


def shapes(tree):
    return jax.tree.map(jnp.shape, tree)


def test_a_wide_network_is_pruned_then_loses_its_biases():
    """What Bicubic++ does; here the score says that the last channels matter most, and the output layer's not."""
    config = three_stages(("prune", dict(num_feat=4)), ("match", dict(use_bias=False)),
                          fields=dict(num_feat=6, use_bias=True))
    nets, seen = start(config), []

    def score(networks, variables):
        seen.append(networks["sr"].num_feat)
        kernels = jax.tree.leaves(variables["sr"]["params"])
        dropped = [index for k in kernels if k.ndim == 4 for index in range(k.shape[2]) if not np.any(k[:, :, index])]
        return -float(sum(dropped))

    pruned = begin(config, 1, nets, score)
    assert set(seen) == {6} and len(seen) >= 12
    assert [shapes(version) for version in pruned["sr"]] == 2 * [shapes(abstract(config, 1)["sr"])]
    first = jax.tree_util.tree_leaves_with_path(pruned["sr"][0]["params"])[0]
    before = dict(jax.tree_util.tree_leaves_with_path(nets["sr"][0]["params"]))[first[0]]
    np.testing.assert_array_equal(first[1], before[2:])  # a bias of the first layer: the last four channels
    bare = begin(config, 2, pruned)
    assert [shapes(version) for version in bare["sr"]] == 2 * [shapes(abstract(config, 2)["sr"])]
    assert config.fields_at(2) == {"sr": dict(num_feat=4, use_bias=False)}
    kept = {path: leaf for path, leaf in jax.tree_util.tree_leaves_with_path(pruned["sr"][1])}
    for path, leaf in jax.tree_util.tree_leaves_with_path(bare["sr"][1]):
        np.testing.assert_array_equal(leaf, kept[path])


def test_blocks_fuse_between_stages():
    config = three_stages(("fuse", dict(deploy=True)), model="plain/basicvision", scale=4, fields=dict(num_feat=4))
    nets = start(config)
    fused = begin(config, 1, nets)
    lr = np.random.default_rng(0).random((1, 8, 9, 3), np.float32)
    trained, deployed = (stages.plan_of(config, index).networks["sr"] for index in (0, 1))
    assert deployed == reparam.deployed(trained) != trained
    for before, after in zip(nets["sr"], fused["sr"], strict=True):
        np.testing.assert_allclose(deployed.apply(after, lr), trained.apply(before, lr), atol=1e-5)


def test_a_network_grows_by_blocks_and_keeps_the_others():
    config = three_stages(("match", dict(num_block=3)), model="edsr", scale=2, fields=dict(num_feat=4, num_block=1))
    nets = start(config)
    grown = begin(config, 1, nets)
    for before, after in zip(nets["sr"], grown["sr"], strict=True):
        assert set(after["params"]) - set(before["params"]) == {"body_1", "body_2"}
        np.testing.assert_array_equal(after["params"]["body_0"]["conv1"]["kernel"],
                                      before["params"]["body_0"]["conv1"]["kernel"])
    np.testing.assert_array_equal(grown["sr"][0]["params"]["body_1"]["conv1"]["kernel"],
                                  grown["sr"][1]["params"]["body_1"]["conv1"]["kernel"])


@pytest.mark.slow
def test_a_run_starts_from_the_file_of_another_scale(tmp_path):
    other = models.create("edsr", scale=3, num_feat=4, num_block=1)
    variables = {"sr": models.init(other, jax.random.key(5))}
    info = dict(networks=[dict(name="sr", model="edsr/baseline", scale=3, fields=dict(num_feat=4, num_block=1))])
    model_file.save(tmp_path / "x3.safetensors", variables, info)
    config = three_stages(model="edsr", scale=2, fields=dict(num_feat=4, num_block=1), carry="match",
                          start_from=str(tmp_path / "x3.safetensors"))
    started = states.initial_variables(config, jax.random.key(0))["sr"]
    assert shapes(started) == shapes(abstract(config, 0)["sr"])
    np.testing.assert_array_equal(started["params"]["conv_last"]["kernel"],
                                  variables["sr"]["params"]["conv_last"]["kernel"])
    strict = three_stages(model="edsr", scale=2, fields=dict(num_feat=4, num_block=1),
                          start_from=str(tmp_path / "x3.safetensors"))
    with pytest.raises(UserError, match="none of its networks .sr. has the parameters of edsr x2"):
        states.initial_variables(strict, jax.random.key(0))
    narrow = three_stages(model="edsr", scale=2, fields=dict(num_feat=5, num_block=1, mean=[0.0, 0.0, 0.0]),
                          carry="match", start_from=str(tmp_path / "x3.safetensors"))
    started = states.initial_variables(narrow, jax.random.key(0))["sr"]["params"]
    np.testing.assert_array_equal(started["conv_last"]["bias"], variables["sr"]["params"]["conv_last"]["bias"])


LEARNS = [dict(losses=[dict(fn="l1", pred="sr", target="teacher(lr)", weight=1.0)])]


def test_a_teacher_must_have_a_file(tmp_path):
    config = three_stages(model="edsr", scale=2, others=dict(teacher={}), players=LEARNS)
    with pytest.raises(UserError, match=r"learns from a trained edsr; give its "
                                        r"model file.*networks.teacher.start_from"):
        states.frozen_variables(config)
    variables = {"big": models.init(models.create("edsr", scale=2, num_feat=4), jax.random.key(5))}
    info = dict(networks=[dict(name="big", model="edsr/baseline", scale=2, fields=dict(num_feat=4))])
    model_file.save(tmp_path / "big.safetensors", variables, info)
    teacher = dict(fields=dict(num_feat=4), start_from=str(tmp_path / "big.safetensors"))
    config = three_stages(model="edsr", scale=2, others=dict(teacher=teacher), players=LEARNS)
    found = states.frozen_variables(config)
    jax.tree.map(np.testing.assert_array_equal, found, {"teacher": variables["big"]})


def test_a_teacher_is_fused(tmp_path):
    net = dict(model="plain/ecbsr_m4c16", scale=2, fields=dict(num_feat=2, num_block=0))
    teacher = {**net, "start_from": str(tmp_path / "big.safetensors")}
    config = three_stages(model="edsr", scale=2, others=dict(teacher=teacher), players=LEARNS)
    trained = models.create(net["model"], scale=2, **net["fields"])
    model_file.save(teacher["start_from"], {"sr": models.init(trained, jax.random.key(5))},
                    dict(networks=[dict(name="sr", **net)]))
    found, module = states.frozen_variables(config)["teacher"], stages.plan_of(config, 0).networks["teacher"]
    assert jax.tree.map(jnp.shape, found) == jax.tree.map(
        jnp.shape, models.abstract(net["model"], scale=2, deploy=True, **net["fields"]))
    assert module.deploy and module.apply(found, jnp.ones((1, 4, 4, 3))).shape == (1, 8, 8, 3)


def test_patterns_that_fit_no_parameter_are_found_before_anything_runs():
    config = three_stages(players=[dict(freeze=["sr/boddy_0*"])])
    with pytest.raises(UserError, match=r"players\[0\]: freeze: no parameter fits 'sr/boddy_0.'; did you mean 'sr/b"):
        check.check(config)


def test_a_size_that_no_network_has_is_one_line():
    config = three_stages(model="edsr", scale=2, fields=dict(num_feat=0))
    with pytest.raises(UserError, match="--config.networks.sr.fields: edsr cannot be made with .*'num_feat'") as error:
        check.check(config)
    assert sum("--config.networks" in line for line in str(error.value).splitlines()) == 1


def test_a_critic_is_trained_beside_the_chain_and_passes_through_the_stages():
    """It is drawn, carried in the state, without an average, and frozen where no player of a stage updates it."""
    config = three_stages(("match", {}), model="edsr", scale=2, fields=dict(num_feat=4, num_block=1),
                          others=dict(critic={}), players=[dict(nets=["sr"]), dict(nets=["critic"])])
    assert config.trained == ("sr", "critic") and states.frozen_variables(config) == {}
    state = states.make_state(stages.plan_of(config, 0), states.initial_variables(config, jax.random.key(0)))
    assert {name: set(net) for name, net in state.nets.items()} == {"sr": {"variables", "opt", "ema"},
                                                                    "critic": {"variables", "opt"}}
    nets = begin(config, 1, states.versions(state))
    after = states.begin_stage(stages.plan_of(config, 1), state, nets)
    assert set(after.nets["critic"]) == {"variables"}
    jax.tree.map(np.testing.assert_array_equal, after.nets["critic"]["variables"], state.nets["critic"]["variables"])


def test_a_form_that_channels_cannot_lead_to():
    config = three_stages(("select_channels", dict(num_feat=6)), fields=dict(num_feat=4))
    with pytest.raises(UserError, match=r"stages\[1\].begin\[0\]: select_channels of plain/bicubicpp: .* from 4 to 6"):
        begin(config, 1, start(config))


def test_batch_norm_is_not_trained_fused():
    config = three_stages(model="plain/repnet", scale=3, first=dict(fused=True))
    with pytest.raises(UserError, match=r"stages\[0\].fused: sr has BatchNorm, whose statistics would not be renewed"):
        check.check(config)


def test_the_state_passes_over_with_fresh_optimizers():
    config = three_stages(("select_channels", dict(num_feat=4)), fields=dict(num_feat=6))
    state = states.make_state(stages.plan_of(config, 0), {"sr": start(config)["sr"][0]})
    new = states.begin_stage(stages.plan_of(config, 1), state, begin(config, 1, states.versions(state)))
    expected = jax.eval_shape(lambda v: states.make_state(stages.plan_of(config, 1), v), abstract(config, 1))
    assert jax.tree.map(jnp.shape, new) == jax.tree.map(jnp.shape, expected)
    np.testing.assert_array_equal(jax.tree.leaves(new.nets["sr"]["ema"])[0],
                                  jax.tree.leaves(new.nets["sr"]["variables"]["params"])[0])

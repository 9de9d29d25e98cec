"""The recipes of published entries: which there are, what the reports print of them, and that each could train."""

import collections
import functools
import importlib
import math
from pathlib import Path
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import challenges, losses, models, optim, recipes, reparam
from jsr.analysis import counted
from jsr.chain import chain_padding
from jsr.data import mix, pipeline
from jsr.datasets import build
from jsr.datasets.folders import FOLDERS
from jsr.training import stages, step
from jsr.training.state import make_state

ENTRIES = {
    "ntire23_x2": "asconvsr dfcdn dhisp drcnn elis erlfn fadn lfdn_ntubl6 lrsrn njust_rtsr npu_sr oelsr pcrtsr pixelbe "
                  "prfdn qqcoin r2cnet repnet rt4ksr runet scsyenet team_ov touchfish ynot",
    "ntire23_x3": "asconvsr bicubicpp dfcdn drcnn erlfn fadn lrsrn njust_rtsr pcrtsr prfdn r2cnet repnet rt4ksr runet "
                  "scsyenet team_ov touchfish",
    "ais24": "anunet basicvision c3 casr cmvg_kren ivp_rden lanczospp megastudy pixelartai reptcn resr rvsr spanr "
             "urpnet ustc_noah vpeg_r vpeg_s",
}
TEAMS = {  # id in the catalogue without the track, by the recipe's name
    "aim22_t1": dict(vue="vue_tcir", bsr="bsr_mphat", casia="casia_cidbnet", srcb="srcb_swinfir", ustcir="ustcir_hst",
                     msdrsr="msdrsr", giantpandacv="giantpandacv_a3net", aselsan="aselsan_dualdomain",
                     srmui="srmui_swin2sr", mvideo="mvideo_two_stage", uestc="uestc_restormer_rdcb",
                     cvlab="cvlab_hat"),
    "ntire24": dict(imcl="imcl_promptcir", pixelartai="pixelartai_scunet", titans="titans_unifyformer",
                    binycn="binycn_grl_cic", oldfe666="oldfe666_art", fvlt1="fvlt1_restormer_qf", ucas="ucas_hft",
                    syu="syu_fftformer_qfem", vpeg="vpeg_safmn_bcie", tempest="tempest_hnle",
                    flyingbunny="flyingbunny_fbcnn_bn", aiverse="aiverse_rdab", unicorns="unicorns_mhcb",
                    fbcnn="fbcnn_baseline"),
}
AIM20 = {f"aim20_x{scale}": {line["id"][len("aim20_"):-len("_x2")]: line["id"][len("aim20_"):]
                             for line in challenges.printed(f"aim20_x{scale}") if line["team"] != "anonymous"}
         for scale in (2, 3, 4)}  # names as in the table, whose one line without a description has no recipe
TEAMS |= AIM20
ALL = {(track, name): config for track, name, config in recipes.all_recipes()}
TEAM_RECIPES = {key: config for key, config in ALL.items() if key[0] in TEAMS}
# Networks of AIM 2020 that a report's words alone describe; docs/sketches.md says what else they could be
SKETCHES = {"dense_residual/base", "drln/scan", "along/base", "cfn/base", "rrdbnet/squeeze", "rcan/multi_scale",
            "rrdn/gans", "fan/base", "rdn/b8"}
SCALES = {"ntire23_x2": 2, "ntire23_x3": 3, "ais24": 4}
RECIPES = {key: config for key, config in ALL.items() if key[0] in ENTRIES}
PUBLISHED = [key for key, config in RECIPES.items() if config.entry]


@pytest.mark.parametrize("track", ENTRIES)
def test_every_entry_has_its_recipe(track):
    found = {name: config for (its_track, name), config in RECIPES.items() if its_track == track}
    assert sorted(found) == sorted([*ENTRIES[track].split(), "quick"])
    for name, config in found.items():
        assert config.entry == ("" if name == "quick" else f"{name}_x{SCALES[track]}")
        assert config.networks[config.chain[0]].scale == SCALES[track] and config.protocol == track


@pytest.mark.parametrize("track", [*ENTRIES, *TEAMS, "aim22_t2"])
def test_every_line_of_the_table_has_its_recipe(track):
    lines = {line["id"]: line for line in challenges.printed(track)}
    found = {config.entry: config for (its_track, _), config in ALL.items() if its_track == track and config.entry}
    assert lines.keys() - found.keys() == {entry for entry in lines if "anonymous" in entry}
    for entry, config in found.items():
        assert config.title.startswith(f"{lines[entry]['team']}: ") or "rganisers" in lines[entry]["team"]


@pytest.mark.parametrize("track, name", RECIPES, ids=map(":".join, RECIPES))
def test_a_recipe_could_train(track, name):
    config, scale = RECIPES[track, name], SCALES[track]
    for index, stage in enumerate(config.stages):
        mix.stage_rows(config, stage, collections.defaultdict(lambda: range(1000)))
        for row in stage.data or config.data.train:
            assert row.dataset in FOLDERS or row.split.partition("[")[0] in build.find(row.dataset)[0].SPLITS
        plan = stages.plan_of(config, index)
        assert plan.optimizers.keys() == {key for player in stage.players for key in player.nets}
        for schedule in plan.schedules:
            assert all(0 <= float(schedule(when)) < 0.01 for when in (0, stage.steps // 2, stage.steps - 1))
        networks = plan.networks
        chain, network = {key: networks[key] for key in config.chain}, networks["sr"]
        assert all(side // scale % chain_padding(chain).multiple == 0 for side in stage.crop_hw)
        for player in stage.players:
            _check_shapes(config, reparam.deployed(network) if stage.fused else network, player.losses)


@pytest.mark.parametrize("track", TEAMS)
def test_every_team_has_its_recipe(track):
    found = {name: config for (its_track, name), config in TEAM_RECIPES.items() if its_track == track and config.entry}
    assert {name: config.entry for name, config in found.items()} == {
        name: f"{track.partition('_')[0]}_{rest}" for name, rest in TEAMS[track].items()}
    assert {name for its_track, name in TEAM_RECIPES if its_track == track} - found.keys() <= {"quick", "edsr"}


def test_every_sketched_network_stands_in_the_table_of_sketches():
    text = (Path(__file__).parent.parent / "docs/sketches.md").read_text()
    rows = {}  # {id: line of the first table}
    for line in text.partition("## ")[0].splitlines():
        if found := re.findall(r"`(aim20_\w+|_x\d)`", line.split("|")[1] if line.startswith("| `") else ""):
            rows |= {entry if entry.startswith("aim20") else found[0][:-len("_x2")] + entry: line for entry in found}
    configs = {config.entry: config for (track, _), config in ALL.items() if track in AIM20 and config.entry}
    sketched = {entry for entry, config in configs.items() if config.networks["sr"].model in SKETCHES}
    assert rows.keys() == sketched | {"aim20_anonymous_x3"} and len(rows) == 23
    for entry in sketched:
        net = configs[entry].networks["sr"]
        params = {its.params for key, its in counted.known().items() if key.model == net.model
                  and key.scale == net.scale and key.fields == "{}"}
        assert f"`{net.model}`" in rows[entry] and len(params) == 1
        assert re.search(rf"(?<![\d.]){params.pop() / 1e6:.2f}(?= /| M)", rows[entry]), entry


@pytest.mark.parametrize("track", sorted(TEAMS.keys() - AIM20))
def test_every_team_trains_on_the_sets_that_the_table_names(track):
    names = {"HQ-50K": "folders/hq50k", "ImageNet": "folders/imagenet", "Flickr2K-L": "folders/flickr2k_l",
             "CLIC": "folders/clic", "MIT 5K": "folders/mit5k"}
    unnamed = {"4,600 images", "see section 4.2", ""}
    for line in challenges.printed(track):
        said = {line["extra_data"]} if line["extra_data"] in unnamed else set(line["extra_data"].split(", "))
        config, = (config for config in TEAM_RECIPES.values() if config.entry == line["id"])
        trained = {row.dataset.removesuffix(f"/{track}") for stage in config.stages for row in config.rows(stage)}
        assert {names.get(name, name.lower()) for name in said - unnamed} <= trained, line["id"]


@pytest.mark.parametrize("track, name", [
    pytest.param(*key, marks=pytest.mark.slow if key[0] in AIM20 and ("aim20_x4", key[1]) in TEAM_RECIPES
                 and key[0] != "aim20_x4" else (), id=":".join(key)) for key in TEAM_RECIPES])
def test_a_teams_recipe_could_train(track, name):
    """Its networks are made small where shapes are checked: what they return is of the same names and sizes.

    Methods of several tracks of AIM 2020 are left to the long tests but for x4.
    """
    config, seen = TEAM_RECIPES[track, name], []
    scale = config.scale
    for index, stage in enumerate(config.stages):
        mix.stage_rows(config, stage, collections.defaultdict(lambda: range(1000)))
        assert all(row.dataset in FOLDERS or build.find(row.dataset) for row in stage.data or config.data.train)
        assert all(0 <= float(schedule(when)) < 0.01 for schedule in optim.stage_schedules(stage)
                   for when in (0, stage.steps // 2, stage.steps - 1))
        whole = stages.plan_of(config, index).networks
        assert stage.crop // scale % chain_padding({key: whole[key] for key in config.chain}).multiple == 0
        hr = np.zeros((stage.crop, stage.crop, 3), np.uint8)
        sample = {"lr": hr[::scale, ::scale], "hr": hr} | {
            key: pipeline.DERIVED[key](_whole(hr, scale)) for key in pipeline.derived_keys(stage)}
        batch = {key: jnp.zeros((2, *np.shape(value))) for key, value in sample.items()}
        for player in stage.players:
            if (player.losses, sample.keys()) not in seen:  # by another stage's players
                assert _loss(config, player, batch).shape == ()
            seen.append((player.losses, sample.keys()))


@pytest.mark.parametrize("name", [name for track, name in ALL if track == "aim22_t2"])
def test_a_recipe_of_clips_could_train(name):
    """With networks made small, on two clips of so few frames that theirs is all that they see."""
    config = ALL["aim22_t2", name]
    frames = {models.card(network).frames for network in _small(config).values()} - {None}
    for stage in config.stages:
        assert all(build.find(row.dataset) for row in config.rows(stage))
        assert all(side % (2 * config.scale) == 0 for side in stage.crop_hw)
        window = next((n for n in frames if isinstance(n, int)), 0)
        assert stage.frames == window or not window and stage.frames > 1
        shown = () if window else (2,)
        batch = {"lr": jnp.zeros((2, window or 2, 16, 16, 3)), "hr": jnp.zeros((2, *shown, 64, 64, 3))}
        for player in stage.players:
            assert _loss(config, player, batch).shape == ()


@pytest.mark.slow
@pytest.mark.parametrize("track, name", TEAM_RECIPES, ids=map(":".join, TEAM_RECIPES))
def test_a_teams_first_step(track, name):
    """A compiled step of the first stage, of two small samples, with the networks made small."""
    config = TEAM_RECIPES[track, name]
    networks = _small(config)
    patches = any(getattr(network, "patch_size", 0) for network in networks.values())
    networks = {key: network.clone(patch_size=16) if patches else network for key, network in networks.items()}
    scale = math.prod(networks[key].scale for key in config.chain)
    small = chain_padding({key: networks[key] for key in config.chain}).multiple
    scales = [row.get("scales", 5) for player in config.stages[0].players for row in player.losses
              if row["fn"] == "ms_ssim"]
    critics = [getattr(network, "size", 0) for network in networks.values()]
    least = max([16, *(10 * 2**count // (2 * scale) + 1 for count in scales), *(-(-size // scale) for size in critics)])
    side = (3 if patches else 1) * -(-least // small) * small
    hr = np.random.default_rng(0).integers(0, 256, (2, side * scale, side * scale, 3), np.uint8)
    batch = {"lr": hr[:, ::scale, ::scale], "hr": hr} | {
        key: np.stack([pipeline.DERIVED[key](_whole(image, scale)) for image in hr])
        for key in pipeline.derived_keys(config.stages[0])}
    variables = {key: models.init(network, jax.random.key(0)) for key, network in networks.items()}
    plan = stages.StagePlan(config, 0, networks)
    state = make_state(plan, {key: variables[key] for key in config.trained})
    frozen = {key: variables[key] for key in networks if key not in config.trained}
    quickly = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    new, metrics = quickly(step.make_step(plan))(state, batch, jax.random.key(0), frozen)
    assert np.isfinite(metrics["loss"]) and not metrics["skipped"]
    trained = [key for player in config.stages[0].players for key in player.nets]
    for key in config.chain:
        before, after = (jax.tree.leaves(its.nets[key]["variables"]["params"]) for its in (state, new))
        moved = any((old != now).any() for old, now in zip(before, after, strict=True))
        assert moved == (key in trained and bool(before))


def _whole(hr, scale):
    """All of a square image as a Crop, of JPEG quality 10."""
    return pipeline.Crop(hr, scale, 0, 0, (len(hr) // scale,) * 2, {"steps": [{"fn": "jpeg", "quality": 10}]})


def _small(config):
    """{name: network} of a recipe, in the form that tests compile."""
    return {key: models.create(net.model, scale=net.scale, **_small_fields(net))
            for key, net in config.networks.items()}


def _small_fields(net):
    return importlib.import_module(f"jsr.models.{net.model.partition('/')[0]}").SMALL


def _loss(config, player, batch):
    """The abstract loss of a player; networks are traced where it compares more than SR images, whose size is known."""
    rows = player.losses
    params = {name: losses.initial_params(row) for name, row in zip(losses.names(rows), rows, strict=True)}
    known = [key for key, image in batch.items() if image.shape == batch["hr"].shape]
    if all(row["pred"] == "sr" and row["target"] in known for row in rows):
        return jax.eval_shape(lambda batch: losses.total(rows, {"sr": batch["hr"]}, batch, params)[0], batch)
    networks = _small(config)
    variables = {key: models.abstract(net.model, scale=net.scale, **_small_fields(net))
                 for key, net in config.networks.items()}

    def loss(variables, batch):
        outputs, _ = step.forward(networks, list(config.chain), variables, batch, losses.keys(rows),
                                  train=list(config.chain), rngs={"dropout": jax.random.key(0)})
        return losses.total(rows, outputs, batch, params)[0]

    return jax.eval_shape(loss, variables, batch)


def _check_shapes(config, network, rows):
    """That what the losses compare is there, and of the same size."""
    side = 64 // models.card(network).padding.multiple * models.card(network).padding.multiple
    sides = {"hr": side * network.scale, "teacher(lr)": side * network.scale, "hr_x2": side * 2, "lr_clean": side}
    if {row["pred"] for row in rows} == {"sr"}:
        outputs = {"sr": jax.ShapeDtypeStruct((1, sides["hr"], sides["hr"], 3), jnp.float32)}
    else:
        lr = jnp.zeros((1, side, side, 3))
        outputs, _ = jax.eval_shape(lambda: network.init_with_output(jax.random.key(0), lr, train=True))
    outputs["teacher(lr)"] = jax.ShapeDtypeStruct((1, sides["hr"], sides["hr"], 3), jnp.float32)
    for row in rows:
        key = losses.parse(row["target"])
        assert not key.net or key.net in config.networks
        if key.path:
            net = config.networks[key.net]
            depths = models.create(net.model, scale=net.scale).depths  # HAT's, here one block a group: for time's sake
            groups = models.abstract(net.model, scale=net.scale, depths=(1,) * len(depths))["params"]
            assert key.path in groups and outputs[row["pred"]].ndim == 4
        else:
            assert outputs[row["pred"]].shape == (1, sides[row["target"]], sides[row["target"]], 3)


@pytest.mark.parametrize("track, name", PUBLISHED, ids=map(":".join, PUBLISHED))
def test_training_ends_with_the_published_form(track, name):
    config = RECIPES[track, name]
    trained = reparam.deployed(stages.plan_of(config, len(config.stages) - 1).networks["sr"])
    published = models.create(config.networks["sr"].model, scale=SCALES[track], dtype=trained.dtype)
    assert trained == reparam.deployed(published)


def test_an_entry_is_counted_at_the_challenges_input_size():
    sizes = {(track, *RECIPES[track, name].input_hw) for track, name in PUBLISHED}
    assert sizes == {("ntire23_x2", 1080, 1920), ("ntire23_x3", 720, 1280), ("ais24", 540, 960)}

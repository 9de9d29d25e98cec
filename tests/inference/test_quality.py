"""What networks see of a JPEG file's quality, what they are told of it, and what is said of files that are none."""

import functools
import pickle

import jax
import numpy as np
from PIL import Image
import pytest

from jsr import model_file, models, recipes
from jsr.chain import apply
from jsr.errors import UserError
from jsr.inference import choice, upscale_folder, upscaler
from jsr.inference.chain import Chain
from jsr.training import stages
from jsr.training.validation import Judge


@pytest.fixture(scope="module")
def network():
    model, rng = models.create("fbcnn", scale=1, num_feat=2, num_block=1), np.random.default_rng(0)
    abstract = models.abstract("fbcnn", scale=1, num_feat=2, num_block=1)
    return model, jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype(np.float32), abstract)


@pytest.fixture(scope="module")
def model(network, tmp_path_factory):
    """A model file of a network that estimates the quality."""
    path = tmp_path_factory.mktemp("model") / "fbcnn.safetensors"
    row = {"name": "sr", "model": "fbcnn/color", "scale": 1,
           "fields": {"num_feat": 2, "num_block": 1}, "deployed": True}
    model_file.save(path, {"sr": network[1]}, {"networks": [row]})
    return path


def estimate(network, lr):
    qf = apply(*network, lr[None])[0]["qf"]
    return 100 * (1 - float(qf[0, 0]))


@pytest.mark.slow
def test_the_quality_is_estimated_in_the_middle_where_a_block_starts(network, photograph):
    image = photograph(300, 600).astype(np.float32) / 255
    found = upscaler.Upscaler([Chain({"sr": network[0]}, {"sr": network[1]})])
    assert found.for_jpeg
    assert found.quality(lambda start, stop: image[start:stop], 300, 600) == pytest.approx(
        estimate(network, image[16:272, 160:416]), abs=1e-3)
    small = image[:20, :30, :1]  # grey, and no multiple of anything
    padded = np.pad(small.repeat(3, 2), [(0, 4), (0, 2), (0, 0)], mode="edge")
    quality = found.quality(lambda start, stop: small[start:stop], 20, 30)
    assert quality == pytest.approx(estimate(network, padded), abs=1e-3)


def test_networks_without_an_estimate_have_none(photograph):
    model = models.create("edsr", scale=2, num_feat=2, num_block=1)
    chains = [Chain({"sr": model}, {"sr": models.init(model, jax.random.key(0))}, meta={"protocol": "ntire24"})]
    found = upscaler.Upscaler(chains)
    assert found.quality(lambda start, stop: photograph(8, 8)[start:stop], 8, 8) is None
    assert not found.for_jpeg  # it enlarges


MINE = """
from jsr.recipes import recipe, stage

def get_config(name=""):
    return recipe(
        protocol="ntire24",
        networks={"sr": dict(model="nafnet", scale=1, fields=dict(width=2, enc_blk_nums=(1,), middle_blk_num=1,
                                                                  dec_blk_nums=(1,)))},
        data=dict(train=dict(dataset="photos", degrade="ntire24"), eval=dict(dataset="photos", degrade="ntire24")),
        stages=[stage(steps=1, crop=16, batch=1, learning_rate=1e-3,
                      losses=[dict(fn="l1", pred="sr", target="hr", weight=1.0)])])
"""


def test_a_recipe_of_one_s_own_makes_a_model_for_jpeg(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    recipe = recipes.load(str(tmp_path / "mine.py"))
    plan = stages.plan_of(recipe, 0)
    info = Judge(recipe, {"best": None, "fingerprint": {}}).info(plan, 1, {})
    variables = {"sr": models.init(plan.networks["sr"], jax.random.key(0))}
    for protocol in ("ntire24", ""):
        assert info["protocol"] == "ntire24" and info["recipe"] == "mine"
        model_file.save(tmp_path / "model.safetensors", variables, info | {"protocol": protocol})
        assert upscaler.load(tmp_path / "model.safetensors").for_jpeg == bool(protocol)


def test_a_given_quality_takes_the_place_of_the_estimate(network, model, photograph):
    image = photograph(32, 40)  # as large as other runtimes take them
    lr = image[None].astype(np.float32) / 255
    results = {}
    for quality in (10, 90):
        results[quality] = upscaler.load(model, input_quality=quality, runtime="auto").upscale(image)
        sr = network[0].apply(network[1], lr, qf_input=np.full((1, 1), 1 - quality / 100, np.float32))["sr"]
        np.testing.assert_array_equal(results[quality], np.rint(255 * np.clip(sr[0], 0, 1)))
    assert (results[10] != results[90]).any()
    pytest.importorskip("onnxruntime", reason="other runtimes: the extra [export]")
    for quality, expected in results.items():
        ours = upscaler.load(model, input_quality=quality, runtime="onnxruntime")
        for same in (ours, pickle.loads(pickle.dumps(ours))):
            assert np.abs(same.upscale(image).astype(int) - expected).max() <= 1
    with pytest.raises(UserError, match="input quality 0: must be from 1 to 100"):
        upscaler.load(model, input_quality=0)
    plain = models.create("edsr", scale=2, num_feat=2, num_block=1)
    with pytest.raises(UserError, match="input quality 30: EDSR cannot be told the quality of a picture; FBCNN can"):
        Chain({"sr": plain}, {"sr": models.init(plain, jax.random.key(0))}).told(30)


def test_a_network_that_takes_the_quality_is_told_that_of_each_picture(photograph):
    fields = dict(num_feat=4, num_block=1, block="ecb_idt", end_block="ecb", anchor="nearest", quality_feat=4)
    model, rng = models.create("plain/ecbsr_m4c16", scale=2, **fields), np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype(np.float32),
                             models.abstract("plain/ecbsr_m4c16", scale=2, **fields))
    image, lr = photograph(16, 24), photograph(16, 24)[None].astype(np.float32) / 255
    meta = {"networks": [{"name": "sr", "model": "plain/ecbsr_m4c16", "scale": 2, "fields": fields}]}
    _, networks, deployed, _ = model_file.fused(meta, {"sr": model}, {"sr": variables})
    found = upscaler.Upscaler([Chain(networks, deployed)])
    assert found.takes_quality and not found.told(30).takes_quality
    for quality in (None, 30, 95, 100):
        sr = model.apply(variables, lr, qf_input=np.full((1, 1), 1 - (quality or 100) / 100, np.float32))
        expected = np.rint(255 * np.clip(sr[0], 0, 1))
        assert np.abs(found.told(quality).upscale(image) - expected).max() <= 1  # fused, it rounds otherwise
    np.testing.assert_array_equal(found.upscale(image), found.told(None).upscale(image))
    clean, *nearly = (model.apply(variables, lr, qf_input=np.full((1, 1), qf, np.float32)) for qf in (0, 2e-8, -2e-8))
    for sr in nearly:  # as training computes 1 - 100 / 100
        np.testing.assert_allclose(sr, clean, atol=1e-3)
    assert found.chains[0].programs == 2  # untold and told


def test_each_picture_has_its_quality_told_and_one_program_is_for_all(photograph, tmp_path):
    fields = dict(num_feat=4, num_block=1, block="plain", anchor="nearest", quality_feat=4)
    network, rng = models.create("plain/ecbsr_m4c16", scale=2, **fields), np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype(np.float32),
                             models.abstract("plain/ecbsr_m4c16", scale=2, **fields))
    whole = upscaler.Upscaler([Chain({"sr": network}, {"sr": variables})])
    for name, options in {"q30.jpg": dict(quality=30), "q97.jpg": dict(quality=97), "clean.png": {}}.items():
        Image.fromarray(photograph(96, 128)).save(tmp_path / name, **options)
    with Image.open(tmp_path / "q30.jpg") as image:
        image.save(tmp_path / "once.png")
    jobs, *_ = upscale_folder.find_jobs(sorted(tmp_path.iterdir()), tmp_path / "out", suffix=".png")

    def run(**options):
        networks = choice.Networks({"x2": []}, lambda: whole)
        entries, errors = upscale_folder.upscale_files(jobs, networks, {}, overwrite=True, **options)
        assert not errors
        return {entry["source"].rpartition("/")[2]: entry for entry in entries.values()}

    found = run()
    assert {name: (entry.get("told_quality"), entry.get("told_by")) for name, entry in found.items()} == {
        "q30.jpg": (30, "tables"), "q97.jpg": (97, "tables"), "clean.png": (None, None), "once.png": (30, "estimate")}
    assert {name: entry["notes"] for name, entry in found.items() if entry["notes"]} == {
        "once.png": ["estimated JPEG quality 30"]}
    assert whole.chains[0].programs == 1 and whole.told(30).chains[0].compile_seconds > 0
    for job in jobs:
        told = whole.told(found[job.source.name].get("told_quality"))
        with Image.open(job.source) as lr, Image.open(job.target) as sr:
            np.testing.assert_array_equal(np.asarray(sr), told.upscale(np.asarray(lr)))
    assert {entry["told_quality"] for entry in run(input_quality=60).values()} == {60}


def test_the_manifest_says_the_quality_and_what_is_no_jpeg(model, tmp_path, photograph):
    for name in ("a.jpg", "b.png"):
        Image.fromarray(photograph(24, 40)).save(tmp_path / name)
    Image.fromarray(photograph(24, 40)[..., 0]).save(tmp_path / "grey.jpg")
    networks = choice.Networks({"fbcnn": [model]}, upscaler.load)
    jobs, *_ = upscale_folder.find_jobs([tmp_path / name for name in ("a.jpg", "b.png", "grey.jpg")], tmp_path / "out",
                                        choose=functools.partial(choice.choose, named=("fbcnn", 1)))
    entries, errors = upscale_folder.upscale_files(jobs, networks, {}, out=tmp_path / "out")
    assert not errors
    found = {entry["source"].rpartition("/")[2]: entry for entry in entries.values()}
    assert all(0 < entry["estimated_quality"] < 100 for entry in found.values())
    assert found["grey.jpg"]["channels"] == 1
    said = {name: entry["notes"][0] for name, entry in found.items()}
    assert said["a.jpg"] == f"estimated JPEG quality {found['a.jpg']['estimated_quality']:.0f}"
    assert said["b.png"] == "is a png file; the model was made to restore JPEG"

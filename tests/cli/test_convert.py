"""`jsr convert`, on the golden networks."""

import json
from pathlib import Path

import jax
import numpy as np
from PIL import Image
import pytest

import jsr
from jsr import convert, model_file, models
from jsr.cli import main
from jsr.convert import files

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "edsr.npz")
CASES = json.loads(str(GOLDEN["about"]))["cases"]


def golden(case):
    prefix = f"{case}/state_dict/"
    return {key.removeprefix(prefix): GOLDEN[key] for key in GOLDEN.files if key.startswith(prefix)}


@pytest.fixture
def state_dict_of(enlarging):
    """Function from a case to the state dict that `weights` writes."""
    return lambda case: enlarging(golden(case))


@pytest.fixture
def weights(tmp_path, monkeypatch, state_dict_of):
    """official_x3 and basicsr_x4, .safetensors that enlarge, and random golden_*, with references, in a folder."""
    monkeypatch.chdir(tmp_path)
    for case in ("official_x3", "basicsr_x4"):
        files.write_state_dict(tmp_path / f"{case}.safetensors", state_dict_of(case))
        files.write_state_dict(tmp_path / f"golden_{case}.safetensors", golden(case))
        np.savez(tmp_path / f"{case}.npz", lr=GOLDEN[f"{case}/lr"], sr=GOLDEN[f"{case}/sr"])
    return tmp_path


def zeros(abstract):
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), abstract)


def left(folder):
    return sorted(path.name for path in folder.iterdir() if "_x" not in path.name)


def fails(capsys, *arguments):
    """The one line that a command ends with."""
    capsys.readouterr()
    assert main(["convert", *arguments]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("jsr convert: ") and err.count("\n") == 1
    return err


def test_recognised_checked_written_and_usable(weights, capsys):
    assert main(["convert", "golden_official_x3.safetensors", "model.safetensors", "--reference", "official_x3.npz",
                 "--licence", "MIT"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == ("golden_official_x3.safetensors: edsr/baseline x3 with num_feat=4, num_block=3, 2,591 "
                      "parameters, named as in official")
    assert out[1] == "not in the file, assumed: res_scale 1.0 (--scale, --field)"
    assert out[2].startswith("parity with official_x3.npz, lr 1x7x5x3: largest error ")
    assert out[3:] == ["licence: MIT", "wrote model.safetensors; all done"]
    meta, networks, variables = model_file.load("model.safetensors")
    assert meta["networks"] == [{"name": "sr", "model": "edsr/baseline", "scale": 3,
                                 "fields": {"num_feat": 4, "num_block": 3}, "deployed": False}]
    assert meta["licence"] == "MIT" and meta["parity"]["max_abs_error"] < 5e-6
    assert meta["fingerprint"]["source"] == "golden_official_x3.safetensors"
    assert meta["fingerprint"]["names"] == "official"
    lr = np.rint(GOLDEN["official_x3/lr"][0] * 255).astype(np.uint8)
    sr = np.clip(GOLDEN["official_x3/sr"][0], 0, 1) * 255
    assert np.abs(jsr.load("model.safetensors").upscale(lr) - sr).max() <= 0.501


@pytest.mark.parametrize("prefixes, words, taken", [
    (["_orig_mod.module."], [], ""),
    (["net_g.", "perceptual."], [], "taken: net_g.; left out: 1 tensors of other names"),
    (["student.", "perceptual."], [], "taken: student.; left out: 1 tensors of other names"),
    (["model.", "generator_ema."], [], "taken: generator_ema.; left out: {} tensors of other names"),
    (["model.", "model_swa.module."], [], "taken: model_swa.module.; left out: {} tensors of other names"),
    (["model.", "net_g."], ["--prefix", "net_g"], "taken: net_g; left out: {} tensors of other names"),
    (["generator."], "--arch edsr/baseline --scale 3 --field num_feat=4 --field num_block=3".split(), ""),
])
def test_what_trainings_put_before_the_names(weights, state_dict_of, capsys, prefixes, words, taken):
    state_dict = state_dict_of("official_x3")
    taken = taken.format(len(state_dict))
    few = {"perceptual.": {"0.weight": np.zeros(3, np.float32)}}
    files.write_state_dict("wrapped.safetensors", {
        prefix + key: value for prefix in prefixes for key, value in few.get(prefix, state_dict).items()})
    assert main(["convert", "wrapped.safetensors", "model.safetensors", *words]) == 0
    out = capsys.readouterr().out
    assert "edsr/baseline x3" in out and taken in out and ("taken" in out) == bool(taken)
    assert (", averaged," in out) == bool({"generator_ema.", "model_swa.module."} & {*prefixes})
    assert main(["convert", "official_x3.safetensors", "plain.safetensors"]) == 0
    jax.tree.map(np.testing.assert_array_equal, *(model_file.load(f"{name}.safetensors")[2]
                                                  for name in ("model", "plain")))


def test_weights_are_used_in_one_step(weights, state_dict_of, capsys, photograph):
    torch = pytest.importorskip("torch", reason="PyTorch is an optional extra")
    plain = {key: torch.from_numpy(value) for key, value in state_dict_of("official_x3").items()}
    torch.save({"params": plain | {"head.0.weight": plain["head.0.weight"] + 0.01}, "epoch": 300,
                "params_ema": {f"module.{key}": value for key, value in plain.items()}}, "4x.pth")
    Image.fromarray(photograph(9, 11)).save("a_x.png")
    assert main(["convert", "4x.pth", "model.safetensors"]) == 0
    assert model_file.load("model.safetensors")[0]["notes"][:3] == [
        "4x.pth: edsr/baseline x3 with num_feat=4, num_block=3, 2,591 parameters, averaged, named as in official",
        "not in the file, assumed: res_scale 1.0 (--scale, --field)",
        "taken: params_ema.module.; left out: params, epoch 300"]
    capsys.readouterr()
    for model in ("4x.pth", "model.safetensors"):
        assert main(["upscale", "a_x.png", "--model", model, "-o", f"{model}_x.png", "--runtime", "jax"]) == 0
        assert ("left out: params, epoch 300\n" in capsys.readouterr().out) == (model == "4x.pth")
    np.testing.assert_array_equal(*(np.asarray(Image.open(f"{name}_x.png"))
                                    for name in ("4x.pth", "model.safetensors")))
    assert main(["convert", "4x.pth", "plain.safetensors", "--prefix", "params"]) == 0
    assert "taken: params; left out: epoch 300, params_ema\n" in capsys.readouterr().out
    trees = [model_file.load(f"{name}.safetensors")[2]["sr"]["params"] for name in ("plain", "model")]
    assert sum(not np.array_equal(*pair) for pair in zip(*map(jax.tree.leaves, trees), strict=True)) == 1


def test_there_and_back(weights, state_dict_of, capsys):
    assert main(["convert", "official_x3.safetensors", "model.safetensors"]) == 0
    assert "parity: not checked (--reference)\nlicence: not stated (--licence)\n" in capsys.readouterr().out
    assert model_file.load("model.safetensors")[0]["parity"] is None
    assert main(["convert", "model.safetensors", "back.safetensors"]) == 0
    assert capsys.readouterr().out == ("model.safetensors: edsr/baseline x3, 24 tensors named as in official\n"
                                       "wrote back.safetensors; all done\n")
    back, before = files.read_state_dict("back.safetensors").tensors, state_dict_of("official_x3")
    assert back.keys() == before.keys() and all(np.array_equal(back[key], before[key]) for key in before)


def test_back_to_pytorch_loads_strictly(weights, state_dict_of):
    torch = pytest.importorskip("torch", reason="PyTorch is an optional extra")
    assert main(["convert", "official_x3.safetensors", "model.safetensors"]) == 0
    assert main(["convert", "model.safetensors", "back.pth"]) == 0
    found = torch.load("back.pth", weights_only=True)["params"]
    before = state_dict_of("official_x3")
    assert found.keys() == before.keys() and all(np.array_equal(found[key].numpy(), before[key]) for key in before)
    assert main(["convert", "back.pth", "again.safetensors"]) == 0


def test_what_is_not_in_the_file_is_said_and_can_be_overruled(weights, capsys):
    # the weights were made with res_scale 0.5, which their shapes do not tell
    message = fails(capsys, "golden_basicsr_x4.safetensors", "model.safetensors", "--reference", "basicsr_x4.npz")
    assert "the converted network differs from the original" in message and left(weights) == []
    assert main(["convert", "golden_basicsr_x4.safetensors", "model.safetensors", "--field", "res_scale=0.5",
                 "--reference", "basicsr_x4.npz"]) == 0
    out = capsys.readouterr().out
    assert "not in the file, assumed: img_range 255" in out and "assumed: res_scale" not in out
    assert model_file.load("model.safetensors")[0]["networks"][0]["fields"]["res_scale"] == 0.5


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_becomes_float32(weights, state_dict_of, capsys, dtype):
    half = {key: value.astype(jax.numpy.dtype(dtype)) for key, value in state_dict_of("official_x3").items()}
    files.write_state_dict("half_x.safetensors", half)
    assert main(["convert", "half_x.safetensors", "model.safetensors"]) == 0
    assert f"{dtype} became float32\n" in capsys.readouterr().out
    variables = model_file.load("model.safetensors")[2]
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype(np.float32)}


def test_a_named_network(weights, capsys):
    arguments = ["convert", "basicsr_x4.safetensors", "model.safetensors", "--arch", "edsr/full", "--scale", "4",
                 "--field", "num_feat=4", "--field", "num_block=2", "--field", "res_scale=1"]
    assert main(arguments) == 0
    assert model_file.load("model.safetensors")[0]["networks"][0]["model"] == "edsr/full"
    other = ["convert", "basicsr_x4.safetensors", "model.safetensors", "--arch", "edsr"]
    assert main(other) == 1 and "model.safetensors: exists and stays" in capsys.readouterr().err
    assert main([*other, "--overwrite"]) == 0
    assert model_file.load("model.safetensors")[0]["networks"][0]["model"] == "edsr/baseline"


def test_the_network_of_a_recipe(weights, enlarging, capsys):
    variables = zeros(models.abstract("edsr/baseline", scale=4))
    rules = convert.formats(models.create("edsr", scale=4))["basicsr"]
    files.write_state_dict("baseline.safetensors", enlarging(convert.to_torch(variables, rules)))
    assert main(["convert", "baseline.safetensors", "model.safetensors", "--recipe", "aim22_t1:edsr"]) == 0
    meta = model_file.load("model.safetensors")[0]
    assert meta["recipe"] == "aim22_t1:edsr" and meta["networks"][0]["fields"] == {}
    assert meta["protocol"] == "aim22_t1"
    assert "official_x3.safetensors: as edsr/baseline x4: the state dict does not fit this network" in fails(
        capsys, "official_x3.safetensors", "other.safetensors", "--recipe", "aim22_t1:edsr")


def test_a_chain_is_no_state_dict(weights, capsys, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from jsr import recipes\n\n"
        "def get_config(name='quick'):\n"
        "    config = recipes.template('aim22_t1:quick')\n"
        "    config.networks.sr2 = {**config.networks.sr, 'scale': 1}\n"
        "    config.chain = ['sr', 'sr2']\n"
        "    return config\n")
    message = fails(capsys, "official_x3.safetensors", "model.safetensors", "--recipe", "mine.py:quick")
    assert "mine.py:quick: is a chain of 2 networks, a state dict holds one; name that one with --arch" in message
    fields = dict(num_feat=4, num_block=1)
    variables = zeros(models.abstract("edsr", scale=2, **fields))
    net = {"model": "edsr", "scale": 2, "fields": fields, "deployed": False}
    model_file.save("two.safetensors", {"a": variables, "b": variables},
                    {"networks": [{"name": name, **net} for name in "ab"]})
    assert "two.safetensors: holds 2 networks (a, b), a state dict only one" in fails(
        capsys, "two.safetensors", "out.safetensors")


@pytest.mark.parametrize("arguments, message", [
    (["none.safetensors", "model.safetensors"], "none.safetensors: no such file"),
    (["official_x3.safetensors", "official_x3.safetensors"], "official_x3.safetensors: is the very file to convert"),
    (["official_x3.safetensors", "model.pth"], "model.pth: a model file ends in .safetensors"),
    (["other_x.safetensors", "model.safetensors"],
     "other_x.safetensors: weights of no network that jsr recognises (keys: weight, ...); name it: --arch MODEL_ID"),
    (["empty_x.safetensors", "model.safetensors"],
     "empty_x.safetensors: head.0.weight is empty, its shape is [0]; get the weights again"),
    (["bent_x.safetensors", "model.safetensors"], "bent_x.safetensors: weights of no network that jsr recognises"),
    (["other_x.safetensors", "model.safetensors", "--arch", "edsr"],
     "--arch edsr: jsr does not recognise these weights as this network's"),
    (["other_x.safetensors", "model.safetensors", "--arch", "edsrr", "--scale", "4"], "did you mean 'edsr'?"),
    (["other_x.safetensors", "model.safetensors", "--arch", "edsr", "--scale", "4"],
     "other_x.safetensors: as edsr/baseline x4: the state dict does not fit this network"),
    (["official_x3.safetensors", "model.safetensors", "--scale", "4"],
     "as edsr/baseline x4: the state dict does not fit"),
    (["official_x3.safetensors", "model.safetensors", "--field", "num_feat"], "--field num_feat: must be KEY=VALUE"),
    (["official_x3.safetensors", "model.safetensors", "--field", "num_feats=4"], "did you mean 'num_feat'?"),
    (["official_x3.safetensors", "model.safetensors", "--field", "num_feat=big"],
     "--field num_feat=big: must have a value like 64"),
    (["official_x3.safetensors", "model.safetensors", "--reference", "none.npz"], "none.npz: no such file"),
    (["official_x3.safetensors", "model.safetensors", "--recipe", "aim22_t1:edsrr"], "no recipe 'edsrr'"),
])
def test_mistakes_are_one_line_and_leave_nothing(weights, capsys, arguments, message):
    files.write_state_dict("other_x.safetensors", {"weight": np.zeros(3, np.float32)})
    files.write_state_dict("empty_x.safetensors", {"head.0.weight": np.zeros(0, np.float32)})
    files.write_state_dict("bent_x.safetensors", dict.fromkeys(
        ["model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight"], np.zeros(2, np.float32)))
    assert message in fails(capsys, *arguments)
    assert left(weights) == []


def test_several_networks_are_named(weights, state_dict_of, capsys):
    state_dict = state_dict_of("official_x3")
    files.write_state_dict("two.safetensors", {f"{prefix}{key}": value for prefix in ("model.", "net_g.")
                                               for key, value in state_dict.items()})
    assert fails(capsys, "two.safetensors", "model.safetensors").startswith(
        "jsr convert: two.safetensors: holds several networks: model. (edsr/baseline x3), net_g. (edsr/baseline x3)")
    assert "--prefix nix.: no tensor's name" in fails(capsys, "two.safetensors", "m.safetensors", "--prefix", "nix.")


def test_a_model_file_says_itself_what_it_is(weights, capsys):
    assert main(["convert", "official_x3.safetensors", "model.safetensors"]) == 0
    capsys.readouterr()
    assert "model.safetensors: is a model file, which names its network; --scale is for PyTorch weights" in fails(
        capsys, "model.safetensors", "back.pth", "--scale", "3")
    assert "back.onnx: jsr writes no files of this ending" in fails(capsys, "model.safetensors", "back.onnx")

"""`jsr benchmark`: tables, JSON and mistakes, on small networks."""

import importlib.util
import json

import jax
import pytest

from jsr import images, model_file, models
from jsr.cli import main
from jsr.timing import peers


@pytest.fixture
def small_model(tmp_path):
    """A model file of a small EDSR x2."""
    fields = dict(num_feat=4, num_block=1)
    network = models.create("edsr", scale=2, **fields)
    path = tmp_path / "small.safetensors"
    row = {"name": "sr", "model": "edsr/baseline", "scale": 2, "fields": fields, "deployed": False}
    model_file.save(path, {"sr": models.init(network, jax.random.key(0))}, {"networks": [row]})
    return path


def of_recipe(tiny_run):
    """The words of a small recipe, without those of jsr.main alone."""
    return [word for word in tiny_run() if not word.startswith("--workdir")]


def test_upscale(small_model, tmp_path, capsys):
    out = tmp_path / "sub" / "figures.json"
    assert main(["benchmark", "upscale", str(small_model), "--size", "6x5,4x4", "--repeats", "2", "--peers",
                 "torch,onnxruntime", "--out", str(out)]) == 0
    shown, notes = capsys.readouterr()
    for text in (f"{small_model} at 6x5: ", "GMACs", "median ms", "jsr (jax): traced in", "load average",
                 f"wrote {out}"):
        assert text in shown
    assert f"{small_model} at 4x4: compiling" in notes
    found = json.loads(out.read_text())
    assert found.keys() == {"format", "command", "date", "machine", "versions", "load_average_after", "what", "results"}
    assert found["format"] == 1 and found["what"] == "upscale"
    assert found["command"] == (f"jsr benchmark upscale {small_model} --size 6x5,4x4 --repeats 2 "
                                f"--peers torch,onnxruntime --out {out}")
    assert [result["size"] for result in found["results"]] == [[6, 5], [4, 4]]
    ours, *others = found["results"][0]["rows"]
    assert ours["name"] == "jsr (jax)" and ours["rounds"] == 2 and ours["median_ms"] > 0
    for library, names in (("torch", {"PyTorch", "PyTorch channels_last"}), ("onnxruntime", {"ONNX Runtime"})):
        if not all(map(importlib.util.find_spec, peers.PEERS[library])):
            row, = (row for row in others if row["name"] == library)
            assert row["note"].startswith("not installed: pip install") and row["note"] in shown
        elif library == "torch":
            timed = [row for row in others if row["name"] in names]
            assert len(timed) == 2 and all(row["max_abs_error"] < 1e-5 and row["ratio"] > 0 for row in timed)


def test_upscale_of_a_network_by_its_id(capsys):
    assert main(["benchmark", "upscale", "edsr", "--size", "4x4", "--repeats", "1", "--peers", "none"]) == 0
    shown = capsys.readouterr().out
    assert "edsr/baseline x4 at 4x4: 1,517,571 parameters" in shown and "PyTorch" not in shown and "wrote" not in shown


def test_pipeline(tiny_run, tmp_path, capsys):
    out = tmp_path / "figures.json"
    words = ["pipeline", *of_recipe(tiny_run), "--workers", "0", "--seconds", "0.01", "--out", str(out)]
    assert main(["benchmark", *words]) == 0
    assert "aim22_t1:quick" in capsys.readouterr().out
    found = json.loads(out.read_text())
    assert found["what"] == "pipeline" and [row["workers"] for row in found["results"]] == [0]
    assert "'--config.stages[0].batch=8'" in found["command"]


def test_loaders(photograph, tmp_path, capsys):
    images.write_png(tmp_path / "photographs/a.png", photograph(480, 500))
    out = tmp_path / "figures.json"
    assert main(["benchmark", "loaders", str(tmp_path / "photographs"), "--rounds", "1", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "1 photographs, e.g. 500x480" in shown and "480 px sub-images" in shown
    found = json.loads(out.read_text())["results"]
    assert [row["name"] for row in found] == [
        "jsr, LR on the fly", "jsr, left to the device", "jsr, stored LR", "whole PNG files", "480 px sub-images"]


def test_challenge_goes_on_where_it_was_and_is_drawn(tmp_path, capsys):
    out = tmp_path / "figures.json"
    words = ["benchmark", "challenge", "--protocol", "ntire23_x2", "--size", "32x40", "--rounds", "1",
             "--peers", "none", "--out", str(out)]
    assert main([*words, "--recipes", "qqcoin"]) == 0
    assert "1/1 ntire23_x2:qqcoin: compiling" in capsys.readouterr().err
    first, = json.loads(out.read_text())["results"]
    assert main([*words, "--recipes", "qqcoin,team_ov"]) == 0
    shown, notes = capsys.readouterr()
    assert "1 of 2 entries are measured already" in notes
    assert "1/1 ntire23_x2:team_ov" in notes and "qqcoin:" not in notes
    assert "published score" in shown and f"wrote {out}" in shown
    found = json.loads(out.read_text())
    assert found["what"] == "challenge" and found["results"][0] == first
    assert [row["recipe"] for row in found["results"]] == ["ntire23_x2:qqcoin", "ntire23_x2:team_ov"]
    page, drawn = tmp_path / "README.md", tmp_path / "gain.svg"
    assert main(["benchmark", "picture", str(out), "--table", str(page), "--out", str(drawn)]) == 0
    assert f"wrote {drawn}\nwrote {page}" in capsys.readouterr().out
    assert drawn.read_text().startswith("<svg") and "team_ov | 4,212 | " in page.read_text()


def test_jpeg(tmp_path, capsys):
    out = tmp_path / "figures.json"
    assert main(["benchmark", "jpeg", "--size", "17x20", "--batch", "3", "--repeats", "2", "--out", str(out)]) == 0
    assert "3 images of 17x20; 0 values differ" in capsys.readouterr().out
    (row,) = json.loads(out.read_text())["results"]
    assert [cells["name"] for cells in row["rows"]] == ["jsr", "Pillow"] and row["differing"] == 0
    assert all(cells["images_per_s"] > 0 and cells["rounds"] == 2 for cells in row["rows"])


def test_degrade(tmp_path, capsys):
    out, page = tmp_path / "figures.json", tmp_path / "README.md"
    words = ["degrade", "--protocol", "aim22_t1,bicubic_x4", "--size", "32x40", "--rounds", "1", "--out", str(out)]
    assert main(["benchmark", *words]) == 0
    assert "aim22_t1  " in capsys.readouterr().out
    assert [row["name"] for row in json.loads(out.read_text())["results"]] == ["aim22_t1", "bicubic_x4"]
    assert main(["benchmark", "picture", str(out), "--table", str(page), "--out", str(tmp_path / "a.svg")]) == 1
    assert "no entry in these files was timed" in capsys.readouterr().err and not page.exists()


def test_step(tiny_run, tmp_path, capsys):
    out = tmp_path / "figures.json"
    words = ["step", *of_recipe(tiny_run), "--config.stages[0].batch", "4", "--steps", "2", "--seconds", "0.01",
             "--out", str(out)]
    assert main(["benchmark", *words]) == 0
    shown = capsys.readouterr().out
    assert "the step would wait for data" in shown and "patches/s with 0 workers" in shown
    result, = json.loads(out.read_text())["results"]
    assert result["recipe"] == "aim22_t1:quick" and result["lr_shape"] == [4, 8, 8, 3] and result["rounds"] == 2
    assert 0 <= result["data_wait"] < 1 and result["pipeline"]["workers"] == 0


@pytest.mark.parametrize("words, message", [
    (["upscale", "edsrr"], "edsrr: no network 'edsrr'; did you mean 'edsr'?"),
    (["upscale", "edsr/tiny"], "edsr/tiny: no variant 'tiny'"),
    (["upscale", "edsr", "--scale", "5"], "edsr: no scale 5; it has 1, 2, 3, 4, 8"),
    (["upscale", "nowhere.safetensors"], "nowhere.safetensors: no such model file"),
    (["upscale", "some.safetensors", "--scale", "2"],
     "--scale is for networks named by their ids; some.safetensors has its own"),
    (["challenge", "--protocol", "ais42"],
     "challenge protocol 'ais42' has no rules of timing here; did you mean 'ais24'"),
    (["challenge", "--size", "4x4,8x8"],
     "--size: one for all entries, as in 540x960; without it, each challenge's own"),
    (["picture", "nowhere.json", "--out", "a.svg"], "nowhere.json: no such file"),
    (["loaders", "nowhere"], "nowhere: no such folder"),
    (["pipeline", "--config=aim22"], "aim22: no such config file; did you mean 'aim22_t1' or 'aim22_t2'?"),
    (["step", "--config=aim22_t1", "--config.sead=1"], "--config.sead: unknown key 'sead'; did you mean 'seed'?"),
    (["pipeline", "--config=aim22_t1", "--config.data.train[0].dataset=nowhere", "--config.data.eval.dataset=nowhere"],
     "nowhere: no such folder, and no such dataset"),
])
def test_mistakes_are_one_line(words, message, capsys):
    assert main(["benchmark", *words]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("jsr benchmark: ") for line in lines) and message in lines[-1]


@pytest.mark.parametrize("words, message", [
    ([], "the following arguments are required: WHAT"),
    (["speed"], "invalid choice: 'speed'"),
    (["upscale", "edsr", "--size", "64"], "'64' is not HEIGHTxWIDTH, as in 180x320"),
    (["upscale", "edsr", "--size", "0x8"], "'0x8' is not HEIGHTxWIDTH"),
    (["upscale", "edsr", "--peers", "tensorflow"],
     "'tensorflow' is unknown; there are auto, none, torch, torch_compile, onnxruntime, openvino, ncnn"),
    (["upscale", "edsr", "--repeats", "0"], "0 is not above 0"),
    (["upscale", "edsr", "--config.seed=1"], "unknown argument '--config.seed'"),
    (["pipeline", "--config=aim22_t1", "--workers", "0,-1"], "'0,-1' is not a list of numbers of workers"),
    (["pipeline", "--config=aim22_t1", "--workers", "two"], "'two' is not a list of numbers of workers"),
    (["pipeline", "--config=aim22_t1", "--seconds", "soon"], "invalid float value: 'soon'"),
    (["step", "--config=aim22_t1", "--steeps=1"], "no option --steeps"),
    (["picture", "some.json"], "the following arguments are required: -o/--out"),
    (["step"], "the following arguments are required: --config"),
])
def test_unusable_arguments(words, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["benchmark", *words])
    assert stop.value.code == 2 and message in capsys.readouterr().err


def test_out_of_memory_is_one_line(small_model, capsys):
    assert main(["benchmark", "upscale", str(small_model), "--size", "30000000x30000000", "--peers", "none"]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("jsr benchmark: out of memory; measure a smaller --size")

"""The challenges' tables measured again: which entries, their published figures, the score, and files that go on."""

import json
import math

import pytest

from jsr import challenges
from jsr.errors import UserError
from jsr.timing import gain_plot, rows, timing

HEAD = timing.head(["jsr", "benchmark", "challenge"], "challenge")


@pytest.fixture(scope="module")
def qqcoin():
    """A measured row of the smallest entry."""
    config, = rows.entries(["ntire23_x2"], ["qqcoin"])
    return rows.measure(config, size=(32, 40), rounds=2)


def test_the_challenges_sizes_and_entries():
    found = rows.entries(["ntire23_x2", "ntire23_x3", "ais24"])
    assert len(found) == 58 and all(rows.size_of(config) == list(config.input_hw) for config in found)
    assert {config.recipe for config in rows.entries(["ais24", "ntire23_x3"], ["casr", "runet"])} == {
        "ais24:casr", "ntire23_x3:runet"}
    assert rows.size_of(found[0], (8, 9)) == [8, 9]


@pytest.mark.parametrize("protocols, names, message", [
    (["ais42"], [], "challenge protocol 'ais42' has no rules of timing here; did you mean 'ais24'"),
    (["ais24"], ["casrr"], "ais24: no published entry 'casrr'; did you mean 'casr'"),
    (["ais24"], ["quick"], "ais24: no published entry 'quick'"),
])
def test_unknown_challenges_and_entries(protocols, names, message):
    with pytest.raises(UserError, match=message):
        rows.entries(protocols, names)


def test_published_gain_and_runtime_give_the_published_score():
    for config in rows.entries(["ntire23_x2", "ntire23_x3", "ais24"]):
        said = rows.published(config)
        if said["score"]:  # of PSNRs with two digits
            assert challenges.score(said["gain_db"], said["runtime_ms"]) == pytest.approx(said["score"], rel=0.01)
    swin2sr, = rows.entries(["aim22_t1"], ["srmui"])
    assert rows.published(swin2sr) == {"gain_db": pytest.approx(1.1613), "runtime_ms": 9390, "hardware": "Tesla A100",
                                       "score": None, "params_m": None, "flops_g": None}


def test_a_row(qqcoin):
    assert (qqcoin["recipe"], qqcoin["size"]) == ("ntire23_x2:qqcoin", [32, 40])
    assert (qqcoin["note"], qqcoin["passes"]) == ("", 1)
    assert qqcoin["params"] == 828 and qqcoin["model_bytes"] == 4 * 828
    assert qqcoin["hook_gmacs"] * 1080 * 1920 / 32 / 40 == pytest.approx(1.6921, abs=5e-5)
    assert qqcoin["rows"][0]["rounds"] == 2 and qqcoin["best_peer"] is None and qqcoin["ratio"] is None
    assert qqcoin["score"] == challenges.score(34.14 - 33.92, qqcoin["runtime_ms"])
    json.dumps(qqcoin, allow_nan=False)


def test_the_fastest_of_ours_beside_the_fastest_peer():
    def cells(name, median_ms):
        return {"name": name, "median_ms": median_ms, "ratio": median_ms and 12 / median_ms}

    found = rows._summary([cells("jsr (jax)", 12.0), cells("jsr (openvino)", 6.0), cells("PyTorch", 8.0),
                           cells("ONNX Runtime", 4.0), cells("OpenVINO", None)],
                          {"passes": 8, "size": [270, 960], "published": {"gain_db": 1.0}},
                          challenges.protocol("ais24"))
    assert found == {"runtime": "jsr (openvino)", "runtime_ms": 48.0, "best_peer": "ONNX Runtime", "jax_ratio": 3.0,
                     "ratio": 1.5, "score": challenges.score(1.0, 48.0), "whole_ms": 96.0}
    assert rows.geometric_mean([1.0, 4.0]) == pytest.approx(2.0) and rows.geometric_mean([]) is None


def test_an_ensemble_of_different_networks_is_timed_network_by_network():
    bsr, casia, mvideo = (rows.entries(["aim22_t1"], [name])[0] for name in ("bsr", "casia", "mvideo"))
    assert [count for _, count in rows._different(bsr)] == [3] and len(rows._different(mvideo)) == 1
    assert [count for _, count in rows._different(casia)] == [1, 1, 1]

    def measured(median_ms, params, other=None):
        times = dict.fromkeys(("best_ms", "median_ms", "p10_ms", "p90_ms", "p99_ms"), median_ms)
        cells = {"name": "jsr (jax)", "note": "", **times, "gmacs_per_s": 1.0, "ratio": 1.0}
        peer = {key: other if key in times else None for key in cells} | {"name": "peer", "note": "" if other else "no"}
        return {"params": params, "gmacs": params / 2, "hook_gmacs": 1.0, "activations": 2, "trace_s": 1.0,
                "compile_s": 2.0, "memory": {"peak_bytes": params}, "rows": [cells, peer]}

    found = rows._together([measured(10.0, 4, other=4.0), measured(40.0, 8, other=12.0)], [2, 1])
    assert {key: found[key] for key in ("params", "trace_s", "activations", "memory")} == {
        "params": 12, "trace_s": 2.0, "activations": 2, "memory": {"peak_bytes": 8}}
    assert found["gmacs"] == pytest.approx(8 / 3)
    ours, peer = found["rows"]
    assert (ours["median_ms"], ours["ratio"], ours["gmacs_per_s"]) == (20.0, 1.0, pytest.approx(8 / 3 / 0.02))
    assert (peer["p99_ms"], peer["ratio"]) == (pytest.approx(20 / 3), pytest.approx(3.0))
    *_, peer = rows._together([measured(10.0, 4, other=4.0), measured(40.0, 8)], [2, 1])["rows"]
    assert (peer["median_ms"], peer["ratio"], peer["note"]) == (None, None, "no")


def test_a_compressed_entry_is_too_large_or_in_proportion_to_a_whole_image():
    config, = rows.entries(["ntire24"], ["fbcnn"])  # whose table row has no runtime
    assert rows.published(config) == {"gain_db": pytest.approx(2.3849), "runtime_ms": None, "hardware": "",
                                      "score": None, "params_m": None, "flops_g": None}
    row = {"protocol": "ntire24", "size": [128, 128], "model_bytes": 287_687_184, "whole_ms": 1500.0}
    assert (gain_plot._model(row), gain_plot._whole(row)) == ("274.36", "1.5")
    assert gain_plot._model(row | {"model_bytes": 301 * 2**20}) == "301.00, allowed 300"
    assert gain_plot._whole(row | {"size": [1356, 2040]}) == ""


def test_out_of_memory_is_a_row_with_a_note(monkeypatch):
    monkeypatch.setattr(rows.upscaling, "free_memory", lambda: 1000)
    config, = rows.entries(["ntire23_x2"], ["qqcoin"])
    row = rows.measure(config, size=(32, 40), rounds=1)
    assert row["note"].startswith("out of memory: it takes ") and "1,000 are free" in row["note"]
    assert "runtime_ms" not in row and row["note"] in gain_plot.cells(row)[0]


def test_a_file_goes_on_and_replaces_what_is_measured_again(qqcoin, tmp_path):
    path = tmp_path / "figures.json"
    rows.Results(path, HEAD).add(qqcoin)
    results = rows.Results(path, HEAD)
    assert results.find(recipe="ntire23_x2:qqcoin", size=[32, 40], wanted=[])["params"] == 828
    assert results.find(recipe="ntire23_x2:qqcoin", size=[32, 41]) is None
    results.add(qqcoin | {"params": 1})
    results.add(qqcoin | {"size": [8, 8]})
    assert [(row["size"], row["params"]) for row in rows.read(path)["results"]] == [([32, 40], 1), ([8, 8], 828)]


def test_figures_of_another_machine_are_not_mixed(qqcoin, tmp_path):
    path, other = tmp_path / "figures.json", HEAD | {"versions": HEAD["versions"] | {"jax": "0.0.1"}}
    rows.Results(path, other).add(qqcoin)
    with pytest.raises(UserError, match="was measured on another machine or with other versions; write to"):
        rows.Results(path, HEAD)
    assert rows.Results(path, HEAD, overwrite=True).rows == []


@pytest.mark.parametrize("text, message", [("{", "a damaged file"), ("[]", "no figures of `jsr benchmark`")])
def test_other_files_are_refused(text, message, tmp_path):
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(UserError, match=message):
        rows.read(tmp_path / "other.json")


def test_picture_and_table(qqcoin):
    untimed = {key: qqcoin[key] for key in ("recipe", "protocol", "published", "passes")} | {"note": "out of memory"}
    file = HEAD | {"results": [qqcoin, qqcoin | {"recipe": "ntire23_x2:a<b", "whole_ms": 50.0}, untimed]}
    drawn = gain_plot.svg([file, file])
    assert drawn.count("<circle") == 2 * (2 + 2 * 2) and "a&lt;b" in drawn and drawn.count("NTIRE 2023") == 2
    silent = qqcoin | {"published": qqcoin["published"] | {"runtime_ms": None}}  # a report that names no time
    assert gain_plot.svg([HEAD | {"results": [silent]}]).count("<circle") == 1 + 2
    page = gain_plot.markdown([file])
    line, = (line for line in page.splitlines() if line.startswith("qqcoin | "))
    assert len(line.split(" | ")) == len(gain_plot.COLUMNS) and "`jsr benchmark challenge`" in page
    assert "qqcoin: out of memory | " in page


def test_places_in_the_picture():
    x = gain_plot._scale(math.log10(1), math.log10(100), 0, 112)
    assert [round(x(math.log10(value))) for value in (1, 10, 100)] == [6, 56, 106]
    alone = gain_plot._scale(2.0, 2.0, 0, 10)
    assert alone(2.0) == 5


def test_nothing_to_draw():
    with pytest.raises(UserError, match="nothing to draw: no entry in these files was timed"):
        gain_plot.svg([HEAD | {"results": []}])

"""jsr search, over two widths of a network that trains for a moment."""

import sys

import pytest

from jsr.cli import main

WIDTHS = ["--try", "num_feat=4,6,64", "--try", "num_block=1"]


@pytest.fixture
def search(tiny_run, tmp_path):
    def run(*words):
        config, workdir, *overrides = tiny_run()
        return main(["search", config, workdir, *words, *overrides, "--config.log_every=2"])

    return run


@pytest.mark.slow
def test_what_costs_too_much_is_not_tried_and_the_best_is_named(search, tmp_path, capsys):
    assert search(*WIDTHS, "--max_gmacs=2", "--steps=2") == 0
    said = capsys.readouterr()
    rows = [line.split() for line in said.out.splitlines() if "num_feat = " in line]
    assert {row[2].rstrip(",") for row in rows} == {"4", "6"}
    scores = [float(row[-1]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert f"--config.networks.sr.fields=\"{{'num_feat': {rows[0][2].rstrip(',')}, 'num_block': 1}}\"" in said.out
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"num_block=1_num_feat=4", "num_block=1_num_feat=6"}
    assert search(*WIDTHS, "--max_gmacs=2", "--steps=2") == 0  # once more: nothing is trained again
    again = capsys.readouterr()
    assert again.out == said.out and "2 steps" not in again.err
    pytest.importorskip("sklearn", reason="the extra [search]")
    assert search("--strategy=gp", "--trials=1", "--max_gmacs=2", "--steps=2",
                  "--config.networks.sr.search={'num_feat': [4, 6], 'num_block': [1]}") == 0  # the space of the recipe
    its = capsys.readouterr()
    assert its.out.count("num_feat = ") == 1 and "2 steps" not in its.err  # trained by the other strategy already


@pytest.mark.slow
def test_without_the_library_halving_runs_and_says_so(search, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert search("--try", "num_feat=4,6", "--try", "num_block=1", "--strategy=gp", "--steps=1") == 0
    said = capsys.readouterr()
    assert "--strategy gp needs scikit-learn (pip install " in said.err
    assert "successive halving runs instead" in said.err
    assert said.out.count("num_feat = ") == 2


@pytest.mark.parametrize("words, message", [
    (["--try", "num_feat"], "--try num_feat: must be FIELD=A,B"),
    (["--try", "num_feats=3"], "no field 'num_feats'; did you mean 'num_feat'"),
    (["--try", "num_feat=4", "--max_gmacs=0.001"], "none of 1 candidates costs at most 0.001 GMACs; the cheapest"),
    (["--try", "num_feat=4", "--net=rs"], "name the network to search: --net sr"),
    ([], "aim22_t1:quick: the recipe names no values to try; give some: --try num_feat=16,24,32"),
    (["--try", "num_feat=4", "--trials=0"], "--trials: must be at least 1"),
    (["--config.networks.sr.search={'num_feat': 4}"], "networks.sr.search.num_feat: 4; give a list of values"),
])
def test_mistakes_are_one_line(search, words, message, capsys):
    assert search(*words) == 1
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1

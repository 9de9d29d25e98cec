"""benchmarks/: the scripts that renew its files know each other, and their tables take the files that are there."""

import importlib.util
from pathlib import Path

import pytest

from jsr.cli import main
from jsr.timing import gain_plot, rows

FOLDER = Path(__file__).parent.parent / "benchmarks"


def script(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RENEW = script("renew")


@pytest.mark.parametrize("name", RENEW.FIGURES)
def test_a_page_has_the_table_of_each_file(name):
    found = rows.read(FOLDER / name)
    text = gain_plot.markdown([found])
    assert all(f"| {name}" in text.replace("\n", "| ") for name in {
        row.get("name") or row.get("what") or "" for row in found["results"]})
    assert text.count("\n") > len(found["results"])


@pytest.mark.parametrize("name", [*RENEW.FIGURES, RENEW.PAGE])
def test_commands_that_renew_are_such(name):
    for first, *words in RENEW.commands(name, ""):
        if first == "-m":
            with pytest.raises(SystemExit) as end:
                main([*words[1:], "--help"])
            assert end.value.code == 0
        else:
            assert (FOLDER.parent / first).is_file()


def test_renewing_names_what_it_does_not_know(capsys):
    with pytest.raises(SystemExit):
        RENEW.main(["--only", "all.json"])
    assert "no file 'all.json'; there are cpu_1core.json," in capsys.readouterr().err

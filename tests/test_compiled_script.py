"""benchmarks/compiled.py: its rows are recipes, its words are checked; what it compiles is `jsr plan`'s."""

import importlib.util
from pathlib import Path
import sys

import pytest

from jsr import recipes

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "compiled.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("compiled_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path])
        spec.loader.exec_module(module)
    return module


def test_every_row_is_a_recipe_that_loads(script):
    rows = {name: (config, {}) for name, (config, _) in script.NETWORKS.items()} | script.STEPS
    assert len(script.DEPLOYED) == 12 and len(script.STEPS) == 4
    assert {network for network, _ in script.DEPLOYED.values()} == set(script.NETWORKS)
    for config, overrides in rows.values():
        assert recipes.load(config, overrides.items()).networks


def test_unknown_rows_and_chips_are_named(script, tmp_path, capsys):
    for words, what in (["--rows", "casr,casper"], "--rows: no row 'casper'"), (["--on", "h300:1"], "no chip 'h300'"):
        with pytest.raises(SystemExit):
            script.main(["--out", str(tmp_path / "a.json"), *words])
        assert what in capsys.readouterr().err
    assert not list(tmp_path.iterdir())

"""Habits held over the whole package: it explains itself, it does not print, it imports little."""

import ast
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(p for top in ("jsr", "configs", "tfds_builders") for p in (ROOT / top).rglob("*.py"))
PRINTING = {ROOT / "jsr" / name for name in ("command_line.py", "main.py")}  # besides jsr/cli


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_public_things_have_docstrings_and_nothing_prints(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "module without a docstring"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
            assert path in PRINTING or path.parent.name == "cli", f"print in line {node.lineno}"
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"


def test_every_test_file_is_collected():
    stray = [p for p in (ROOT / "tests").rglob("*.py")
             if not p.name.startswith("test_") and p.name != "conftest.py" and p.parent.name != "golden"]
    assert stray == []


def test_import_is_light():
    code = ("import sys, jsr, jsr.metrics; "
            "print([m for m in ('jax', 'tensorflow', 'torch', 'tensorflow_datasets') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_layers_never_import_models():
    for path in (ROOT / "jsr" / "layers").glob("*.py"):
        imports = [ast.unparse(node) for node in ast.walk(ast.parse(path.read_text()))
                   if isinstance(node, (ast.Import, ast.ImportFrom))]
        assert not [line for line in imports if "models" in line], path

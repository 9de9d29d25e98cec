"""benchmarks/device.py on a CPU: its results, and that it needs six packages alone."""

import importlib.util
import json
import os
from pathlib import Path
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "benchmarks" / "device.py"
# Read by every Python below: code of this project may import nothing but the standard library and the six packages.
# What these import for themselves (Flax has rich, and Orbax for its checkpoints) is theirs.
GUARD = """
import builtins, sys
ALLOWED = {*sys.stdlib_module_names, "jax", "flax", "optax", "numpy", "PIL", "ml_collections", "jsr"}
ALLOWED.add("ml_dtypes")  # jax's, which its compiled part imports in the name of who calls it
def guarded(name, globals=None, locals=None, fromlist=(), level=0, real=builtins.__import__):
    ours = (globals or {}).get("__name__", "").startswith(("__main__", "jsr"))
    if ours and not level and name.partition(".")[0] not in ALLOWED:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return real(name, globals, locals, fromlist, level)
builtins.__import__ = guarded
"""


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("device_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bare(tmp_path):
    """Function that runs Python in a checkout that is not installed, beside the six packages alone."""
    (tmp_path / "sitecustomize.py").write_text(GUARD)
    environ = os.environ | {"PYTHONPATH": str(tmp_path), "XLA_FLAGS": "--xla_backend_optimization_level=0"}

    def run(*command):
        done = subprocess.run([sys.executable, *command], cwd=tmp_path, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_its_imports_are_of_six_packages(bare):
    bare("-c", f"""
import ast, sys
sys.path.insert(0, {str(ROOT)!r})
tree = ast.parse(open({str(SCRIPT)!r}).read())
for node in ast.walk(tree):
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        exec(ast.unparse(node))
try:
    import safetensors
except ModuleNotFoundError:
    pass
else:
    sys.exit("the guard lets everything through")
""")


def test_a_part_of_it_in_small(bare, tmp_path):
    said = bare(SCRIPT, "--small", "--parts", "tracks,environment", "--out", tmp_path / "found.json")
    found = json.loads((tmp_path / "found.json").read_text())
    assert list(found["parts"]) == ["environment", "tracks"] and found["small"]
    machine, *rates = found["parts"]["environment"]["rows"]
    assert machine["devices"][0]["platform"] == "cpu" and machine["versions"]["jax"] and len(rates) == 4
    assert "--xla_backend_optimization_level=0" in machine["variables"]["XLA_FLAGS"]
    rows = found["parts"]["tracks"]["rows"]
    assert [row["dtype"] for row in rows] == ["float16", "float32", "bfloat16"]
    for row in rows:
        assert row["rows"][0]["median_ms"] > 0 and row["memory"]["peak_bytes"] > 0 and row["prediction"] is None
        assert said.count(row["text"]) == 2  # as it went, and in the summary


@pytest.mark.slow
def test_all_of_it_in_small(bare, tmp_path, script):
    bare(SCRIPT, "--small", "--minutes", "60", "--out", tmp_path / "found.json")
    parts = json.loads((tmp_path / "found.json").read_text())["parts"]
    assert list(parts) == list(script.PARTS) and not any(part["note"] for part in parts.values())
    rows = {name: {row["name"]: row for row in part["rows"]} for name, part in parts.items()}
    assert all("text" in row for part in rows.values() for row in part.values())
    assert rows["train"]["device"]["loss_difference_12"] == 0 and rows["deterministic"]["twice"]["bit_equal"]
    assert all(not row["differing"] for name, row in rows["twins"].items() if "throughput" not in name)
    assert all(row["top"] and row["busy_ms"] > 0 for row in rows["profile"].values())
    assert list(rows["steps"]) == list(script.STEPS)


def test_time_that_is_over(script):
    rows = []
    assert script.run_part("steps", small=True, seconds=-1, on_row=rows.append) == ""
    assert rows == [{"name": name, "skipped": "no time left"} for name in script.STEPS]
    late = script.run_part("steps", small=True, seconds=-script.GRACE_S, on_row=rows.append)
    assert late == "ended: its time was over"


def test_what_fails_takes_its_row_or_its_part_along(script, monkeypatch, capfd):
    def fail():
        raise MemoryError("no\nroom")

    rows = {"a": fail, "b": lambda: {"text": "well"}}
    monkeypatch.setitem(script.PARTS, "twins", script.Part("", lambda small: rows, 1))
    monkeypatch.setattr(script.os, "dup2", lambda *descriptors: None)
    script.work("twins", True, 60)
    names, *rows = map(json.loads, capfd.readouterr().out.splitlines())
    assert names == ["a", "b"] and [row["name"] for row in rows] == names
    assert rows[0]["error"] == "MemoryError: no" and rows[1]["text"] == "well"
    monkeypatch.setattr(script, "__file__", "/no/such/script.py")
    assert script.run_part("twins", small=True, seconds=60, on_row=rows.append).startswith("failed (2): ")


@pytest.mark.parametrize("arguments, message", [
    (["--parts", "train,trian"], "no part 'trian'; there are environment, train"),
    (["--out", str(SCRIPT)], "device.py exists; name another file"),
])
def test_mistakes_are_one_line(script, capsys, arguments, message):
    with pytest.raises(SystemExit, match="2"):
        script.main(arguments)
    assert message in capsys.readouterr().err.splitlines()[-1]


def event(name, process, thread, **args):
    return {"ph": "X", "pid": process, "tid": thread, "name": name, "dur": 1.0, "args": args}


@pytest.mark.parametrize("device, thread, others", [
    ("/device:GPU:0", "Stream #14(Compute)", ["XLA Ops", "XLA Modules"]),
    ("/device:TPU:0", "XLA Ops", ["Steps", "XLA Modules"])])
def test_kernels_of_a_trace(script, device, thread, others):
    names = [{"ph": "M", "name": "process_name", "pid": pid, "args": {"name": name}}
             for pid, name in ((1, device), (2, "/host:CPU"))]
    threads = [{"ph": "M", "name": "thread_name", "pid": 1, "tid": tid, "args": {"name": name}}
               for tid, name in enumerate([thread, *others])]
    kernel, *_ = events = [event("kernel", 1, 0), event("whole", 1, 1), event("python", 2, 0, hlo_op="thunk")]
    assert script._device_events([*names, *threads, *events]) == [kernel]


def test_kernels_of_a_cpu_and_predictions(script):
    host = event("thunk", 2, 0, hlo_op="dot")
    names = [{"ph": "M", "name": "process_name", "pid": 2, "args": {"name": "/host:CPU"}}]
    assert script._device_events([*names, host, event("python", 2, 1)]) == [host]
    assert script._prediction("float32", jnp.square, jnp.ones(3)) is None  # no chip of the table


def test_what_was_planned_stands_beside_what_is_measured(script, tmp_path, monkeypatch):
    plan = {"chip": jax.devices()[0].device_kind, "chips": 1, "config": "aim22_t1:edsr", "overrides": {}, "batch": 16,
            "dtype": "float32", "effort": "full", "estimate": {"ms": 4.0, "kernels": 7}, "memory": {"total": 9}}
    (tmp_path / "benchmarks/plans").mkdir(parents=True)
    (tmp_path / "benchmarks/plans/one.json").write_text(json.dumps(plan))
    monkeypatch.setattr(script, "ROOT", tmp_path)
    found = script._planned(*script.STEPS["edsr"], 16, "float32")
    assert found == {"file": "one.json", "effort": "full", "ms": 4.0, "kernels": 7, "bytes": 9}
    assert script._planned(*script.STEPS["edsr"], 8, "float32") is None
    assert script._against(None, 8.0, found) == "; 2.00 x the 4 ms that jsr plan said, at full effort"

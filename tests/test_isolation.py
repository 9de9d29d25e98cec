"""The guard in conftest.py: a test that leaves the process changed fails, and is told what it changed."""

import os
from pathlib import Path
import shutil
import subprocess
import sys

LEAKS = {  # what a test does: what the guard says is left behind
    "Image.MAX_IMAGE_PIXELS = 7": "PIL.Image.MAX_IMAGE_PIXELS was ",
    "os.chdir(tmp_path)": "the working directory was ",
    "os.environ['JSR_LEFT'] = '1'": "os.environ['JSR_LEFT'] was None, is '1'",
    "del os.environ['JSR_GIVEN']": "os.environ['JSR_GIVEN'] was '1', is None",
    "signal.signal(signal.SIGINT, print)": "the handler of SIGINT was ",
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)": "the handler of SIGTERM was ",
    "logging.getLogger().setLevel(10)": "the root logger's level was 30, is 10",
    "logging.basicConfig(force=True)": "the root logger's handlers was ",
    "os.nice(1)": "the priority (nice) was ",
    "sys.path.insert(0, 'x')": "sys.path was ",
}
HARMLESS = "monkeypatch.chdir(tmp_path); monkeypatch.setenv('JSR_LEFT', '2'); os.environ['JSR_TAKEN_BACK'] = '1'; " \
           "del os.environ['JSR_TAKEN_BACK']"


def test_what_a_test_leaves_behind_fails_it_and_no_other(tmp_path):
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    lines = ["import logging, os, signal, sys", "from PIL import Image"]
    for number, code in enumerate([HARMLESS, *LEAKS, HARMLESS]):
        lines.append(f"def test_{number:02}(tmp_path, monkeypatch):\n    {code}")
    (tmp_path / "test_leaks.py").write_text("\n".join(lines) + "\n")
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}",
                           "-c", "/dev/null", "--import-mode=importlib", "-rE", tmp_path / "test_leaks.py"],
                          cwd=tmp_path, env={**os.environ, "JSR_GIVEN": "1"}, capture_output=True, text=True)
    failed = [line for line in done.stdout.splitlines() if line.startswith("the test leaves behind")]
    assert len(failed) == len(LEAKS), done.stdout
    for line, said in zip(failed, LEAKS.values(), strict=True):
        assert line.startswith(f"the test leaves behind, for all tests after it: {said}") and ";" not in line
    assert f"{len(LEAKS) + 2} passed, {len(LEAKS)} errors" in done.stdout

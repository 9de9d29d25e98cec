"""What bash and zsh complete of `jsr`, by the shells themselves."""

import os
from pathlib import Path
import pty
import select
import shlex
import shutil
import subprocess
import sys
import time

import pytest

argcomplete = pytest.importorskip("argcomplete")
ROOT = Path(__file__).parents[2]
TIMEOUT = 120  # s
STARTS = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}
PREPARE = {"bash": "bind 'set enable-bracketed-paste off'",
           "zsh": "autoload -U compinit; compinit -u -D; unsetopt zle_bracketed_paste"}


def completed(folder, line, *options):
    """(words that are offered for a line, the ended process)."""
    given = {**os.environ, "_ARGCOMPLETE": "1", "_ARGCOMPLETE_SHELL": "bash", "_ARGCOMPLETE_IFS": "\n",
             "_ARGCOMPLETE_STDOUT_FILENAME": str(folder / "words"), "COMP_LINE": line, "COMP_POINT": str(len(line)),
             "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run([sys.executable, *options, "-m", "jsr"], cwd=folder, env=given, capture_output=True,
                          text=True, timeout=TIMEOUT)
    return (folder / "words").read_text().split("\n"), done


def test_commands_are_completed_without_jax(tmp_path):
    words, done = completed(tmp_path, "jsr up", "-X", "importtime")
    assert [word.strip() for word in words] == ["upscale"] and not done.returncode
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "argcomplete" in imported and not imported & {"jax", "numpy", "rich", "flax", "PIL"}


@pytest.mark.parametrize("line, offered", [
    ("jsr train aim22", {"aim22_t1", "aim22_t2"}), ("jsr benchmark --h", {"--help "}),
    ("jsr export x4", {"x4", "x4-avif", "x4.safetensors"}), ("jsr train aim22_t1 --wo", {"--workdir "})])
def test_options_names_and_files_are_completed(tmp_path, line, offered):
    (tmp_path / "x4.safetensors").touch()
    words, done = completed(tmp_path, line)
    assert set(words) == offered, done.stderr


@pytest.mark.parametrize("shell", STARTS)
def test_a_shell_completes(tmp_path, shell):
    """The line that is typed ends with a TAB, which the shell answers by the rest of the command's name."""
    if not shutil.which(shell):
        pytest.skip(f"needs {shell}: apt-get install {shell}")
    (tmp_path / "jsr").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m jsr "$@"\n')
    (tmp_path / "jsr").chmod(0o755)
    (tmp_path / "start").write_text(f"{PREPARE[shell]}\n{argcomplete.shellcode(['jsr'], shell=shell)}\n")
    given = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "TERM": "dumb", "PS1": "ready> ",
             "HOME": str(tmp_path), "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    ours, theirs = pty.openpty()
    process = subprocess.Popen(STARTS[shell], stdin=theirs, stdout=theirs, stderr=theirs, env=given, cwd=tmp_path,
                               start_new_session=True)
    os.close(theirs)

    def read_until(text):
        seen, end = "", time.monotonic() + TIMEOUT
        while text not in seen:
            assert time.monotonic() < end, seen
            if select.select([ours], [], [], 1)[0]:
                seen += os.read(ours, 4096).decode(errors="replace")

    try:
        os.write(ours, b"source ./start; echo loa'd'ed\n")
        read_until("loaded")
        os.write(ours, b"echo jsr; jsr upsc\t")
        read_until("jsr upscale ")
    finally:
        process.kill()
        process.wait()
        os.close(ours)

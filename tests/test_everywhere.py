"""What only some systems have is used behind a guard, so that jsr starts on Windows and macOS too."""

import ast
import json
from pathlib import Path
import subprocess
import sys
import tomllib

from packaging.requirements import Requirement
import pytest

ROOT = Path(__file__).parent.parent
MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}  # that Windows lacks
# Attributes that Windows lacks, or Windows and macOS
NAMES = {f"os.{name}" for name in """
    chown chroot fchdir fchmod fchown fork forkpty getegid geteuid getgid getgroups getloadavg getpgid getpriority
    getresuid getsid getuid killpg lchown major makedev memfd_create minor mkfifo mknod nice openpty pidfd_open pipe2
    posix_fadvise posix_fallocate pread preadv pwrite register_at_fork sched_getaffinity sched_getscheduler
    sched_setaffinity sched_yield sendfile setpgid setpriority setsid splice statvfs sysconf tcgetpgrp ttyname uname
    wait3 wait4 waitid
    O_CLOEXEC O_DIRECT O_DIRECTORY O_NOATIME O_NOCTTY O_NOFOLLOW O_NONBLOCK O_PATH O_SYNC O_TMPFILE WNOHANG
    """.split()} | {f"signal.{name}" for name in """
    SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGTSTP SIGUSR1 SIGUSR2 SIGWINCH alarm pause
    pthread_kill pthread_sigmask setitimer sigtimedwait sigwait
    """.split()}
OPENS = {"open", "os.open", "os.stat", "os.listdir"}  # which fail for places that are not there
PLACES = ("/proc/", "/sys/", "/dev/")
# A process without any of it imports what it can, and writes a file
CODE = """
import json, os, signal, sys
modules, names = json.load(sys.stdin)
import asyncio, multiprocessing.resource_tracker, subprocess, tempfile  # the guards of libraries are their own
import filelock, ml_collections, numpy, rich.console, jax, flax.linen, optax, PIL.Image, psutil, safetensors.numpy
for name in modules:
    sys.modules[name] = None
for name in names:
    holder, _, attribute = name.partition(".")
    if hasattr(sys.modules[holder], attribute):
        delattr(sys.modules[holder], attribute)
import jsr
from jsr import cli, command_line, files, last_words, listing, main, native, parallel, results, shards
for _ in range(2):
    with files.atomic_write("a.txt", "w") as file:
        file.write("whole")
with files.open_file("a.txt") as file:
    assert file.read() == b"whole"
assert os.listdir() == ["a.txt"] and parallel.cores() > 0
parallel.named_semaphores()
print(cli.main(["--version"]))
"""


def unguarded(path):
    """Yields what a file uses without a guard: not below an `if`, a `try` with a handler, or as text of getattr."""
    def walk(node, guarded):
        text = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
        imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [
            node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found = [text] * (text in NAMES) + [name for name in imported if name.partition(".")[0] in MODULES]
        if isinstance(node, ast.Call) and ast.unparse(node.func) in OPENS and node.args:
            place = ast.unparse(node.args[0]).lstrip("f").strip("'")
            found += [place] * place.startswith(PLACES)
        if not guarded:
            yield from (f"{path.relative_to(ROOT)}:{node.lineno}: {name}" for name in found)
        inside = guarded or isinstance(node, (ast.If, ast.IfExp)) or isinstance(node, ast.Try) and bool(node.handlers)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inside)

    yield from walk(ast.parse(path.read_text()), False)


def test_what_some_systems_lack_is_behind_a_guard():
    assert not [line for path in sorted((ROOT / "jsr").rglob("*.py")) for line in unguarded(path)]


@pytest.mark.parametrize("code", ["import fcntl", "from resource import getrusage", "os.fchmod(1, 2)",
                                  "def f():\n    return signal.SIGKILL", "open('/proc/self/stat')"])
def test_the_search_finds_what_has_no_guard(monkeypatch, tmp_path, code):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "a.py").write_text(code)
    assert len(list(unguarded(tmp_path / "a.py"))) == 1
    (tmp_path / "a.py").write_text("try:\n" + "".join(f"    {line}\n" for line in code.splitlines())
                                   + "except (OSError, ImportError):\n    pass\n")
    assert not list(unguarded(tmp_path / "a.py"))


def test_without_what_windows_lacks_it_starts_and_writes(tmp_path):
    done = subprocess.run([sys.executable, "-c", CODE], input=json.dumps([sorted(MODULES), sorted(NAMES)]),
                          cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert not done.returncode and done.stdout.startswith("jsr "), done.stderr


def test_dependencies_without_wheels_for_windows_are_marked():
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    on = {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"}
    left_out = {row.name for row in map(Requirement, wanted) if row.marker and not row.marker.evaluate(on)}
    assert left_out == {"array-record"}

"""map_unordered: outcomes of every item, and workers that go when their parent goes."""

import multiprocessing
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest

from jsr import parallel
from jsr.errors import UserError


def odd_only(number):
    if number % 2 == 0:
        raise UserError(f"{number} is even")
    return number * 10


def kill_self(item):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_every_item_has_its_outcome(num_workers):
    outcomes = dict(parallel.map_unordered(odd_only, [1, 2, 3], num_workers=num_workers))
    assert outcomes[1] == 10 and outcomes[3] == 30
    assert isinstance(outcomes[2], UserError) and str(outcomes[2]) == "2 is even"


@pytest.mark.parametrize("num_workers", [0, 2])
def test_other_exceptions_end_it(num_workers):
    with pytest.raises(TypeError):
        list(parallel.map_unordered(odd_only, [1, "2", 3], num_workers=num_workers))


def test_nothing_to_do():
    assert list(parallel.map_unordered(odd_only, [], num_workers=4)) == []


def test_few_items_need_no_processes():
    assert [pid for _, pid in parallel.map_unordered(parent_of, range(3))] == [os.getppid()] * 3


def parent_of(item):
    return os.getppid()


def test_killed_worker_is_told():
    with pytest.raises(UserError, match="worker process was killed.*num_workers"):
        list(parallel.map_unordered(kill_self, range(2), num_workers=2))


SLEEPERS = """
import time
from jsr import parallel

if __name__ == "__main__":
    list(parallel.map_unordered(time.sleep, [60, 60], num_workers=2))
"""


HOLDER = """
import multiprocessing, os, signal
from jsr import parallel
parallel.named_semaphores()
lock = multiprocessing.get_context("spawn").Lock()
print(lock._semlock.name, flush=True)
os.killpg(0, signal.SIGKILL)
"""


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="semaphores are files on Linux alone")
def test_semaphores_of_killed_processes_are_removed_and_those_of_living_ones_are_not(tmp_path):
    done = subprocess.run([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True, start_new_session=True)
    left = Path("/dev/shm") / f"sem.{done.stdout.strip().removeprefix('/')}"
    assert done.returncode == -signal.SIGKILL and left.name.startswith("sem.jsr-") and left.exists()
    before = multiprocessing.current_process()._config["semprefix"]
    try:
        parallel.named_semaphores()
        assert not left.exists()
        lock = multiprocessing.get_context("spawn").Lock()
        parallel.named_semaphores()
        assert (Path("/dev/shm") / f"sem.{lock._semlock.name.removeprefix('/')}").exists()
    finally:
        multiprocessing.current_process()._config["semprefix"] = before


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the processes in /proc, which is Linux's")
def test_workers_die_with_a_killed_parent(tmp_path):
    script = tmp_path / "sleepers.py"
    script.write_text(SLEEPERS)
    parent = subprocess.Popen([sys.executable, script])
    try:
        children = wait_for(lambda: spawned(parent.pid))
        time.sleep(0.5)  # until they wait for its end
    finally:
        parent.kill()
        parent.wait()
    wait_for(lambda: not any(is_alive(pid) for pid in children))


def spawned(pid):
    """The worker processes of `pid`, once there are two."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    workers = [c for c in children if "spawn_main" in Path(f"/proc/{c}/cmdline").read_text()]
    return workers if len(workers) == 2 else None


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")

"""Several processes of one job on this machine: they meet, agree and end together, whatever ends one of them."""

import contextlib
import json
import socket
import subprocess
import sys
import time

from jax._src.distributed import global_state
import psutil
import pytest

from jsr import distributed, last_words
from jsr.errors import UserError

TIMEOUT = 300  # seconds
# A process of a job without a training: --hosts, minutes to wait, and what it does.
ACTOR = """
import contextlib, ctypes, os, signal, sys, time
from jax.experimental import multihost_utils
from jsr import command_line, distributed
from jsr.errors import UserError

def act(what):
    own = distributed.number()
    if what == "agree":
        distributed.agree({"the same": 1, "the lens": own % 2}, "take the same")
    if what == "mistake" and own == 1:
        raise UserError("x.png: is damaged")
    if what == "slip" and own == 0:
        raise TypeError("a bug")
    if what == "first":
        distributed.first(lambda: (_ for _ in ()).throw(UserError("y.png: is damaged")))
    if what == "work":
        assert distributed.gather({"a": own}) == [{"a": 0}, {"a": 1}, {"a": 2}]
        assert distributed.first(lambda: [own, "told"]) == [0, "told"]
        for start in range(2):
            own_items = distributed.share(range(start, 8))
            found = list(distributed.merged(iter(own_items)))
            assert found == (list(range(start, 8)) if own == 0 else []), found
        distributed.agree({"the same": 1}, "nothing")
        steps = 0
        with distributed.stoppable():
            while not distributed.stop_asked():
                steps += 1
                with contextlib.suppress(RuntimeError):  # as Orbax asks when it saves, by other numbers
                    multihost_utils.reached_preemption_sync_point(1)
                if own == 2 and steps == 5:
                    os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.02 if own else 0.001)
        assert len(set(distributed.gather(steps))) == 1
        return 128 + signal.SIGTERM
    print("met", flush=True)
    if what == "sleep":
        time.sleep(600)
    if what == "compile":  # as a compiler does, it hears no signal
        lock, c = ctypes.create_string_buffer(64), ctypes.CDLL(None)
        c.pthread_mutex_lock(lock), c.pthread_mutex_lock(lock)
    distributed.merged(iter(()))
    distributed.meet()
    return 0

def main():
    with distributed.job(distributed.parse_hosts(sys.argv[1]), float(sys.argv[2])):
        return act(sys.argv[3])

sys.exit(command_line.in_lines("jsr", main))
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def job(numbers, what, *, of=None, minutes=5.0):
    """Processes with the given numbers of one job, which are killed at the end."""
    address = f"127.0.0.1:{free_port()}"
    started = [subprocess.Popen(
        [sys.executable, "-c", ACTOR, f"{address},{of or len(numbers)},{number}", str(minutes), what],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for number in numbers]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def ends(started):
    """[(exit status, stderr)] of processes."""
    outputs = [process.communicate(timeout=TIMEOUT)[1].strip() for process in started]
    return [(process.returncode, text) for process, text in zip(started, outputs, strict=True)]


HOST = socket.gethostname()
ENDS = {  # what the processes do: (exit status, the one line) of each
    "agree": [(1, f"jsr: process 1 on {HOST} has the lens 1, process 0 on {HOST} 0; take the same")] * 2,
    "mistake": [(1, f"jsr: process 1 on {HOST}: x.png: is damaged"), (1, "jsr: x.png: is damaged")],
    "first": [(1, "jsr: y.png: is damaged")] * 2,
}


@pytest.mark.parametrize("what", ["mistake", *(pytest.param(w, marks=pytest.mark.slow) for w in ("agree", "first"))])
def test_a_mistake_of_one_ends_all_with_its_line(what):
    with job([0, 1], what) as started:
        found = ends(started)
    for (status, text), (wanted, line) in zip(found, ENDS[what], strict=True):
        others = [line.replace("jsr: ", f"jsr: process {n} on {HOST}: ") for n in range(2)]
        assert status == wanted and text in (line, *others), found  # of a mistake of all, either may be heard first


@pytest.mark.slow
def test_an_error_of_the_first_is_said_where_it_is_and_named_elsewhere():
    with job([0, 1], "slip") as started:
        (_, own), (status, other) = ends(started)
    assert "Traceback" in own and own.endswith("jsr: ended by an error, TypeError: a bug") and status == 1
    assert other == f"jsr: process 0 on {HOST}: ended by an error, TypeError: a bug"


def test_three_speak_and_stop_together():
    with job([0, 1, 2], "work") as started:
        assert ends(started) == [(143, "")] * 3


@pytest.mark.parametrize("victim", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_sigterm_while_one_compiles_ends_all_with_a_line(victim):
    with job([0, 1, 2], "compile") as started:
        for process in started:
            process.stdout.readline()
        started[victim].terminate()
        found = ends(started)
    assert found == [(143, f"jsr: stopped: SIGTERM came to process {victim} on {HOST}; the same command goes on")] * 3


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_who_is_killed_is_named_within_30_seconds(victim):
    with job([0, 1, 2], "sleep") as started:
        for process in started:
            process.stdout.readline()
        begin = time.monotonic()
        started[victim].kill()
        found = [end for number, end in enumerate(ends(started)) if number != victim]
        assert time.monotonic() - begin < 30
    for status, text in found:
        assert status and text.startswith(f"jsr: process {victim} on {HOST} is gone") and "\n" not in text, found


@pytest.mark.slow
@pytest.mark.parametrize("numbers, lines", [
    ([0, 2], ["process 1 of 3 has not come within 0.2 minutes"] * 2),
    ([1], ["process 0 has not come within 0.2 minutes"]), ([0, 1, 1], ["process 2 of 3 has not come", None, None])])
def test_who_does_not_come_is_named_and_who_comes_twice(numbers, lines):
    with job(numbers, "work", of=3, minutes=0.2) as started:
        found = ends(started)
    assert all(status and "\n" not in text for status, text in found), found
    for (_, text), line in zip(found, lines, strict=True):
        assert line is None or f"jsr: {line}" in text
    if None in lines:
        assert sum("two processes have the number 1" in text for _, text in found) == 1


def test_a_second_first_process_is_told_that_the_port_is_taken():
    with socket.socket(socket.AF_INET6) as taken:
        taken.bind(("", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UserError, match=f"{address}: the port cannot be used"):
            with distributed.job((address, 2, 0)):
                pass


SLURM = {"SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "n[0-1]", "SLURM_NTASKS": "2", "SLURM_PROCID": "1",
         "SLURM_LOCALID": "0"}


def test_hosts_beside_a_scheduler_that_says_otherwise(monkeypatch):
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    assert distributed._scheduled(needed=True) == (2, 1)
    with pytest.raises(UserError, match="this is process 0 of 2, but the scheduler says process 1 of 2; leave"):
        with distributed.job(("127.0.0.1:1", 2, 0)):
            pass
    monkeypatch.setenv("SLURM_NTASKS", "many")
    with pytest.raises(UserError, match="the scheduler does not tell this process its number"):
        with distributed.job():
            pass


def test_alone_a_process_is_the_first_and_only_one():
    before = psutil.Process().children()
    with distributed.job():
        assert psutil.Process().children() == before and global_state.client is None  # it pays for nothing
        assert distributed.is_first() and distributed.gather(3) == [3] and distributed.first(lambda: "a") == "a"
        assert list(distributed.merged(iter("ab"))) == ["a", "b"] and distributed.share("ab") == "ab"
        assert not distributed.stop_asked() and not distributed.is_lost(RuntimeError("Gloo"))
        distributed.meet()


# A process alone: what it does while SIGTERM comes to it
ALONE = """
import os, signal, sys, time
from jsr import distributed
if sys.argv[1] == "ignores":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with distributed.job():
    if sys.argv[1] == "heeds":
        signal.signal(signal.SIGTERM, lambda *_: print("heeded", flush=True))
    if sys.argv[1] == "compiles":  # as a compiler does, it hears no signal
        import ctypes, threading
        lock, c = ctypes.create_string_buffer(64), ctypes.CDLL(None)
        c.pthread_mutex_lock(lock)
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
        c.pthread_mutex_lock(lock)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.2)
print("done")
"""


@pytest.mark.parametrize("what, status, out, line", [
    ("compiles", 143, "", "jsr: stopped: SIGTERM came; the same command goes on\n"),
    pytest.param("heeds", 0, "heeded\ndone\n", "", marks=pytest.mark.slow),
    pytest.param("ignores", 0, "done\n", "", marks=pytest.mark.slow)])
def test_sigterm_ends_one_that_is_alone_with_a_line_unless_it_heeds_it(what, status, out, line):
    done = subprocess.run([sys.executable, "-c", ALONE, what], capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.returncode, done.stdout, done.stderr) == (status, out, line)


@pytest.mark.parametrize("text", ["", "h:1", "h:1,2", "h,2,0", "h:1,2,2", "h:1,2,-1", "h:1,0,0", "h:1,a,b"])
def test_hosts_that_cannot_be(text):
    with pytest.raises(ValueError):
        distributed.parse_hosts(text)
    assert distributed.parse_hosts("[::1]:80,4,3") == ("[::1]:80", 4, 3)


FATAL = "F1129 19:57:57.900968 7943 client.h:80] Terminating process because the JAX distributed service detected fatal"
WORDS = {  # XLA's last words: the line
    "errors. absl::Status: UNAVAILABLE: The following tasks are unhealthy (stopped sending heartbeats):\n1\nThe tasks":
        "process 1 on b is gone",
    "errors. absl::Status: UNAVAILABLE: The following tasks are unhealthy (stopped sending heartbeats):\n0\n1\n2\nThe":
        "process 1 on b and process 2 on c is gone",
    "errors. absl::Status: UNAVAILABLE: failed to connect\n\nRPC: PollForError": "process 0 on a is gone, which leads",
    "errors. absl::Status: DEADLINE_EXCEEDED: Deadline Exceeded\n\nRPC: /xla.coordination.CoordinationService/"
    "RegisterTask": "process 0 has not come within 5 minutes: nothing answers at a:1",
    "errors. absl::Status: DEADLINE_EXCEEDED: Barrier timed out.\n# of tasks that reached the barrier: 2/4.\nThe first "
    "task at the barrier: 0. Some timed out task names:\n2\n3\n\n\nRPC: RegisterTask":
        "process 2 on c and process 3 of 4 have not come within 5 minutes",
    "errors. absl::Status: ALREADY_EXISTS: Aborted connect attempt as there is a request from a newer incarnation.":
        "two processes have the number 0",
}


@pytest.mark.parametrize("text, line", WORDS.items(), ids=WORDS.values())
def test_last_words_become_a_line_and_all_else_passes(text, line):
    names = ["process 0 on a", "process 1 on b", "process 2 on c"]
    log = (f"before\n\0{json.dumps(names)}\nE1129 19:52:33.1 7 coordination_service_agent.cc:289] Polled an error\n"
           f"of several lines\nW1129 19:52:33.2 7 other.cc:1] a warning\n{FATAL} {text}\n*** Check failure\n  @ 0x7")
    done = subprocess.run([sys.executable, "-I", "-S", last_words.__file__, "a:1", "0", "5"], input=log.encode(),
                          capture_output=True, timeout=TIMEOUT)
    *passed, last = done.stderr.decode().splitlines()
    assert passed == ["before", "W1129 19:52:33.2 7 other.cc:1] a warning"] and last.startswith(f"jsr: {line}"), last

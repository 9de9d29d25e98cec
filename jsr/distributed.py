"""Several processes that train one network: they meet, agree, share the work, and end together.

Each process runs the same program on its share of the data; JAX's coordination service, in the first process, has a
store of keys and values, by which they speak. That works before any computation on several devices, and does not depend
on how long another takes. Alone, a process is the first and the only one, and all of this costs nothing. Nothing here
compares clocks.
"""

import contextlib
import functools
import itertools
import json
import os
from pathlib import Path
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import warnings

import jax
from jax._src import clusters  # alone tells what a scheduler says of this process, without waiting for the others
from jax._src import distributed as of_jax  # has the store
from jax.experimental import multihost_utils

from jsr.errors import UserError, no_permission

HEARTBEAT_S = 20  # after which a silent process is gone
WAIT_MINUTES = 5.0  # for all to come
_SEEN_S = 20      # that a file may take to be seen by all, over a network
_POLL_MS = 2000
_GRACE_S = 1.0    # that others have from having heard to their end; the service's end would abort them
_LEFT = "jsr/left"  # key under which a process that must end says why
_STOP = "jsr/stop"  # key under which a process that got SIGTERM says so
# In the errors of collectives, checkpoints and the store where another process is gone
_LOST = re.compile(r"gloo|nccl|connection (closed|reset|refused)|coordination|barrier|UNAVAILABLE|ABORTED|heartbeat|"
                   r"broken pipe|socket", re.I)

_names = ["process 0"]  # of all processes
_keys = itertools.count()
_turn = threading.Lock()  # of what is next
_passed, _last = 0, None  # points at which `stop_asked` was called in its block; the one to stop at, once it is known
_ended = threading.Lock()  # held by the thread that says why this process ends


def count():
    """Number of processes of the job."""
    return len(_names)


def number():
    """Number of this process, from 0."""
    return of_jax.global_state.process_id if count() > 1 else 0


def devices():
    """Number of devices of all processes."""
    return jax.device_count()


def is_first():
    """Whether this process does the work that only one process does."""
    return number() == 0


def parse_hosts(text):
    """(address, processes, number) of "ADDRESS:PORT,PROCESSES,NUMBER"; raises ValueError."""
    address, processes, own = text.split(",")
    if not re.fullmatch(r".+:\d+", address) or not 0 <= int(own) < int(processes):
        raise ValueError(text)
    return address, int(processes), int(own)


@contextlib.contextmanager
def job(hosts=None, minutes=WAIT_MINUTES):
    """Makes this process one of a job's, where it is one, while the block runs. The processes end together.

    The scheduler says so (SLURM, Open MPI, TPU pods, Kubernetes, as JAX detects them), or `hosts` does. A process whose
    block raises ends there, with its line, and the others with the same. SIGTERM to one ends all, see `stoppable`; one
    that is alone it ends with a line, at once, unless the block has a handler of its own.

    Args:
      hosts: (address of the first process, number of processes, number of this one), see `parse_hosts`.
      minutes: to wait for all processes.

    Raises:
      UserError: the scheduler says otherwise than `hosts`; the port is taken.
    """
    scheduled = _scheduled(needed=not hosts)
    if hosts and scheduled and hosts[1:] != scheduled:
        raise UserError(f"--hosts says that this is process {hosts[2]} of {hosts[1]}, but the scheduler says process "
                        f"{scheduled[1]} of {scheduled[0]}; leave --hosts out")
    address, processes, own = hosts or (None, *(scheduled or (1, 0)))
    if processes == 1:
        heeded = sys.platform != "win32" and signal.getsignal(signal.SIGTERM) != signal.SIG_IGN
        with _sigterm_told(_end_alone) if heeded else contextlib.nullcontext():
            yield
        return
    _connect(address, processes, own, minutes, scheduled)
    watches = [threading.Thread(target=target, daemon=True) for target in (_watch, _hear_of_stop)]
    for watch in watches:
        watch.start()
    with _sigterm_told(_tell_all):
        try:
            _meet_all(processes)
            yield
            meet()
        except BaseException as e:
            _leave(e)
        if is_first():
            _set(_LEFT, "null")
            with contextlib.suppress(jax.errors.JaxRuntimeError):  # SIGTERM came: all hear of it yet
                _set(_STOP, "")
        for watch in watches:
            watch.join()
    jax.distributed.shutdown()
    _names[:] = _names[:1]


def _scheduled(needed):
    """(number of processes, number of this one) by the scheduler; None without one."""
    if "KUBERNETES_SERVICE_HOST" in os.environ and "JOB_COMPLETION_INDEX" not in os.environ:
        return None  # a pod that is no part of an indexed job
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a package for Kubernetes is missing
            for kind in clusters.ClusterEnv._cluster_types:
                if not kind.opt_in_only_method and kind.is_env_present():
                    return kind.get_process_count(), kind.get_process_id()
    except Exception as e:  # whatever a variable that is missing, or a cluster that does not answer, makes of it
        if needed:
            raise UserError("the scheduler does not tell this process its number and the number of processes "
                            f"({type(e).__name__}: {e}); give --hosts ADDRESS:PORT,PROCESSES,NUMBER") from e
    return None


def _connect(address, processes, own, minutes, scheduled):
    """Starts JAX's service in the first process, and connects to it."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"  # errors alone, before JAX has spoken
    if own == 0 and address:
        with socket.socket(socket.AF_INET6 if socket.has_ipv6 else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:  # the service would share it with another one
                probe.bind(("", int(address.rpartition(":")[2])))
            except OSError as e:
                raise UserError(f"{address}: the port cannot be used ({e.strerror}): another process has the number 0, "
                                "or another program the port; choose another") from e
    _divert(address or "the first process", own, minutes)
    of_jaxlib, seconds = of_jax._jax, max(round(60 * minutes), 1)
    # JAX would take SIGTERM, compare clocks, and count Orbax's questions after it, by other numbers, as ours.
    jax.config.update("jax_enable_preemption_service", False)
    service = of_jaxlib.get_distributed_runtime_service
    # Only a service that gives up before its clients do says whom it has waited for.
    of_jaxlib.get_distributed_runtime_service = functools.partial(service, cluster_register_timeout=seconds)
    try:
        jax.distributed.initialize(address, processes, own, initialization_timeout=seconds + 10,
                                   cluster_detection_method=None if scheduled else "deactivate",
                                   heartbeat_timeout_seconds=HEARTBEAT_S, shutdown_timeout_seconds=HEARTBEAT_S)
    finally:
        of_jaxlib.get_distributed_runtime_service = service


def _divert(address, own, minutes):
    """Sends what C++ writes through jsr.last_words to standard error; what Python does stays where it went."""
    script = Path(__file__).with_name("last_words.py")
    other = subprocess.Popen([sys.executable, "-I", "-S", script, address, str(own), f"{minutes:g}"],
                             stdin=subprocess.PIPE, start_new_session=True)
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        stream.flush()
        setattr(sys, name, open(os.dup(number), "w", buffering=1, encoding=stream.encoding, errors="backslashreplace"))
        os.dup2(other.stdin.fileno(), number)
    other.stdin.close()


def _meet_all(processes):
    """Learns the names of the other processes: the first thing that all do."""
    _names[:] = [f"process {n}" for n in range(processes)]
    hosts = gather(socket.gethostname())
    _names[:] = [f"process {n} on {host}" for n, host in enumerate(hosts)]
    os.write(2, b"\0" + json.dumps(_names).encode() + b"\n")


def together(value, function):
    """A function's result for the values of all processes, computed by the first and sent to all.

    Every process calls it, in the same order; it waits for all.

    Args:
      value: value of this process; it must fit JSON.
      function: function of [value of process 0, of process 1, ...]; its result must fit JSON, too.

    Raises:
      UserError: the function does, in all processes.
    """
    if count() == 1:
        return function([value])
    turn = next(_keys)
    key = f"jsr/{turn}"
    _set(f"{key}/{number()}", json.dumps(value, default=float))
    if is_first():
        values = [json.loads(_get(f"{key}/{n}")) for n in range(count())]
        _store().key_value_delete(f"jsr/{turn - 1}/")  # from which all have gone on
        try:
            told = {"result": function(values)}
        except UserError as e:
            told = {"error": str(e)}
        _set(f"{key}/all", json.dumps(told, default=float))
    told = json.loads(_get(f"{key}/all"))
    if "error" in told:
        raise UserError(told["error"])
    return told["result"]


def gather(value):
    """[value of process 0, of process 1, ...] in all processes."""
    return together(value, list)


def first(function):
    """The result of a function without arguments, which only the first process calls; UserErrors are all's, too."""
    return together(None, lambda _: function())


def meet():
    """Waits for all processes."""
    together(None, lambda _: None)


def agree(facts, remedy):
    """Raises a UserError in all processes unless all have the same facts.

    Args:
      facts: {what: value, as JSON has it}.
      remedy: advice for the message.
    """
    together(facts, functools.partial(_check_alike, remedy=remedy))


def _check_alike(rows, remedy):
    different = [what for what in dict.fromkeys(itertools.chain(*rows)) if any(
        row.get(what) != rows[0].get(what) for row in rows)]
    for what in different[:1]:
        values = [row.get(what) for row in rows]
        usual = max(values, key=values.count)
        other = next(n for n, value in enumerate(values) if value != usual)
        more = f", and {len(different) - 1} more are different" if different[1:] else ""
        raise UserError(f"{_names[other]} has {what} {values[other]!r}, {_names[values.index(usual)]} {usual!r}{more}; "
                        f"{remedy}")


def check_shared(path):
    """Raises a UserError unless all processes see a file of the first's as it is; it is named by its folder."""
    text = first(path.read_text)
    deadline, seen = time.monotonic() + _SEEN_S, False
    while not seen and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            os.listdir(path.parent)  # has a network's file system look again
            seen = path.read_text() == text
        if not seen:
            time.sleep(0.2)

    def check(all_seen):
        blind = [_names[n] for n, its in enumerate(all_seen) if not its]
        if blind:
            raise UserError(f"{path.parent}: {' and '.join(blind)} cannot see what {_names[0]} writes there; give all "
                            "processes a --workdir on a disk that they share")

    together(seen, check)


def merged(items):
    """Yields the items of all processes, in turns, to the first; to the others nothing. Items are as JSON has them."""
    if count() == 1:
        yield from items
        return
    key, items = f"jsr/{next(_keys)}", iter(items)
    if not is_first():
        for place, item in enumerate(itertools.chain(items, [None])):
            _set(f"{key}/{number()}/{place}", json.dumps(item, default=float))
        return
    left = set(range(count()))
    for place in itertools.count():
        for n in sorted(left):
            item = next(items, None) if n == 0 else json.loads(_get(f"{key}/{n}/{place}"))
            if n:
                _store().key_value_delete(f"{key}/{n}/{place}")
            if item is None:
                left.discard(n)
            else:
                yield item
        if not left:
            return


def share(records):
    """Every `count`-th of some records, as this process takes them: `merged` has them in order again."""
    return records if count() == 1 else _Share(records, number(), count())


class _Share:
    """Every n-th item of a sequence."""

    def __init__(self, items, start, step):
        self._items, self._places = items, range(start, len(items), step)

    def __len__(self):
        return len(self._places)

    def __getitem__(self, place):
        return self._items[self._places[place]]


@contextlib.contextmanager
def stoppable():
    """Leaves it to the block to stop when SIGTERM comes to a process: `stop_asked` tells it.

    Before a process calls that, and after the block, SIGTERM to one ends all, at once, with a line. What a later run
    goes on from is on disk where the block ends.
    """
    global _passed
    try:
        yield
    finally:
        with _turn:
            passed, _passed = _passed, 0
    if _last and passed < _last:  # a point that did not come any more
        _stop()


def stop_asked():
    """Whether to save and stop: SIGTERM came to some process. All call it at the same points, and hear it at one.

    It is called within `stoppable`.
    """
    global _passed
    with _turn:
        _passed += 1
        return _passed == _last


def whole(arrays):
    """Gathers a tree of arrays that are split over all processes: each process gets whole NumPy arrays."""
    return multihost_utils.process_allgather(arrays, tiled=True) if count() > 1 else arrays


def is_lost(error):
    """Whether an exception tells that another process is gone."""
    return count() > 1 and not isinstance(error, UserError) and bool(_LOST.search(str(error)))


def _store():
    return of_jax.global_state.client


def _set(key, text):
    _store().key_value_set(key, text)


def _get(key):
    """The text of a key, once some process has set it; Ctrl+C is heard meanwhile."""
    while True:
        try:
            return _store().blocking_key_value_get(key, _POLL_MS)
        except jax.errors.JaxRuntimeError as e:
            if "DEADLINE_EXCEEDED" not in str(e):
                raise


def _watch():
    """Ends this process with the line of a process that has left."""
    try:
        found = json.loads(_get(_LEFT))
    except Exception:  # the first process is gone, of which XLA says more
        return
    if found and found["by"] != number():
        _exit(found["status"], f"{found['name']}: {found['why']}")


@contextlib.contextmanager
def _sigterm_told(tell):
    """While it is entered, a function is called when SIGTERM comes, even while the main thread compiles."""
    told, telling = os.pipe()
    os.set_blocking(telling, False)

    def hear():
        while word := os.read(told, 1):
            if word[0] == signal.SIGTERM:
                tell()
        os.close(told)

    threading.Thread(target=hear, daemon=True).start()
    handler, before = signal.signal(signal.SIGTERM, _left_to_thread), signal.set_wakeup_fd(telling)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
        signal.set_wakeup_fd(before)
        os.close(telling)


def _left_to_thread(*_):
    """The handler of SIGTERM beneath `_sigterm_told`."""


def _tell_all():
    with contextlib.suppress(jax.errors.JaxRuntimeError):  # another was first, or the service is gone
        _set(_STOP, _names[number()])


def _end_alone():
    if signal.getsignal(signal.SIGTERM) is _left_to_thread:  # else the training saves first
        _say("stopped: SIGTERM came; the same command goes on")
        os._exit(128 + signal.SIGTERM)


def _hear_of_stop():
    """Finds the point at which all stop, once SIGTERM has come to a process, or ends this one.

    It is the first that no process has passed: each tells how many it has, and passes none until all have told.
    """
    global _last
    with contextlib.suppress(jax.errors.JaxRuntimeError):  # the first process is gone, of which XLA says more
        if not _get(_STOP):
            return
        with _turn:
            _set(f"jsr/passed/{number()}", str(_passed))
            passed = [int(_get(f"jsr/passed/{n}")) for n in range(count())]
            _last = max(passed) + 1
        if not min(passed):  # some process prepares, or reports: nothing is to be saved
            _stop()


def _stop():
    """Ends this process after SIGTERM to one, as all the others do."""
    _say(f"stopped: SIGTERM came to {_get(_STOP)}; the same command goes on")
    _exit(128 + signal.SIGTERM)


def _leave(error):
    """Ends this process with a line, and tells the others why."""
    if is_lost(error):
        time.sleep(HEARTBEAT_S + 5)  # till then it is known who, and this process ended by `_watch` or XLA
        _say(f"the connection to another process broke: {str(error).strip().partition(chr(10))[0][:200]}")
        os._exit(1)
    status, why = 1, str(error)
    if isinstance(error, PermissionError):
        why = no_permission(error)
    elif isinstance(error, KeyboardInterrupt):
        status, why = 130, "stopped"
    elif not isinstance(error, UserError):
        why = f"ended by an error, {type(error).__name__}: {why.partition(chr(10))[0]}"
        traceback.print_exception(error)
    _say(why)
    with contextlib.suppress(Exception):  # another was first, or the service is gone
        # With its name: the others may not have met all yet
        _set(_LEFT, json.dumps({"by": number(), "name": _names[number()], "why": why, "status": status}))
    _exit(status)


def _exit(status, last_line=None):
    """Ends this process; the first, with which the service ends, once all have heard why.

    A line given is said at the very end: the main thread trains and logs meanwhile.
    """
    with contextlib.suppress(Exception):  # the service is gone
        _set(f"jsr/heard/{number()}", "")
        if is_first():
            for n in range(1, count()):
                _store().blocking_key_value_get(f"jsr/heard/{n}", 1000 * HEARTBEAT_S)
            time.sleep(_GRACE_S)
    if last_line is not None:
        _say(last_line)
    os._exit(status)


def _say(text):
    """The last line of this process; of two threads that would have one the second waits for its end."""
    _ended.acquire()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.write(f"jsr: {text}\n")
        sys.stderr.flush()

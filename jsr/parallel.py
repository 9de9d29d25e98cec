"""Work on many files in worker processes that never outlive their parent."""

from concurrent import futures
import contextlib
import os
import re
import signal
import threading

from jsr.errors import UserError

_ITEMS_PER_WORKER = 16  # fewer are done sooner than a process starts
_SHARED, _SEMAPHORE = "/dev/shm", re.compile(r"sem\.jsr-(\d+)-(\d+)-(\d+)-\w+")


def cores():
    """The CPU cores that this process may use: `taskset` limits them for every library alike."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_unordered(function, items, *, num_workers=None):
    """Calls `function` on every item and yields the outcomes as they come, in any order.

    A UserError is an outcome like any other, so that one bad file does not stop the rest; other exceptions end it.

    Args:
      function: function of one item, picklable; its module is imported by each worker and should import little.
      items: picklable.
      num_workers: processes; at most 1 means that this process does the work. None: one a core (`cores`), as far as
        there is enough to do.

    Yields:
      (item, result), or (item, UserError) where the function raised one.

    Raises:
      UserError: a worker was killed.
    """
    items = list(items)
    if num_workers is None:
        num_workers = min(cores(), len(items) // _ITEMS_PER_WORKER)
    if min(num_workers, len(items)) <= 1:
        yield from ((item, _outcome(function, item)) for item in items)
        return
    from concurrent.futures.process import BrokenProcessPool
    import multiprocessing  # whoever only counts cores does without

    named_semaphores()
    # Spawned, not forked: a fork of a process with threads (JAX, TensorFlow) can deadlock.
    pool = futures.ProcessPoolExecutor(min(num_workers, len(items)), multiprocessing.get_context("spawn"),
                                       initializer=init_worker)
    try:
        pending = {pool.submit(_outcome, function, item): item for item in items}
        for future in futures.as_completed(pending):
            yield pending.pop(future), future.result()
    except BrokenProcessPool as e:
        raise UserError("a worker process was killed, perhaps for lack of memory; run the command again with a "
                        "smaller --num_workers") from e
    finally:
        pool.shutdown(cancel_futures=True)


def named_semaphores():
    """Names this process's shared semaphores after it, and removes those that dead processes left.

    Nothing else does that where a process and all its children were killed at once. Linux alone has them as files.
    """
    import multiprocessing

    try:
        space, born, found = os.stat("/proc/self/ns/pid").st_ino, _born(os.getpid()), os.listdir(_SHARED)
    except OSError:
        return
    multiprocessing.current_process()._config["semprefix"] = f"/jsr-{space}-{os.getpid()}-{born}"
    for name in found:
        match = _SEMAPHORE.fullmatch(name)
        if match and int(match[1]) == space and _born(int(match[2])) != int(match[3]):
            with contextlib.suppress(OSError):  # another person's
                os.unlink(os.path.join(_SHARED, name))


def _born(pid):
    """When a process started, in ticks since the system did; None of one that is dead."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return None


def _outcome(function, item):
    try:
        return function(item)
    except UserError as e:
        return e


def init_worker(*_):
    """Makes this worker process leave Ctrl+C to its parent, and die with it, even by kill -9.

    A thread waits for the parent's end. (Linux's parent-death signal would follow the thread that started the worker,
    and in Grain that thread ends before the process does.)
    """
    import multiprocessing

    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def follow():
        multiprocessing.parent_process().join()
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))  # of Windows' signals any ends it at once

    threading.Thread(target=follow, daemon=True).start()

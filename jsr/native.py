"""Libraries in C and C++ leave the process as they found it.

SVT-AV1 makes the thread that opens it, and by inheritance all that this thread starts later, real-time (SCHED_FIFO at the
highest priority) where the process belongs to root.
"""

import contextlib
import ctypes
import sys
import threading

from jsr.errors import UserError

# Of linux/capability.h
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_SYS_NICE = 23


def call_apart(function, *, seconds, name):
    """Calls a function in a thread of its own, which cannot become real-time and takes its scheduling with it at its end.

    Threads that it starts inherit that. A thread that takes too long is left to itself and does not keep the process
    from ending.

    Args:
      function: without arguments.
      seconds: that it may take.
      name: what the error message calls it.

    Returns:
      The function's result.

    Raises:
      UserError: it takes longer than that.
      Exception: whatever the function raises.
    """
    outcome = {}

    def run():
        try:
            _give_up_real_time()
            outcome["result"] = function()
        except BaseException as e:  # raised again in the thread that called
            outcome["error"] = e

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        thread.join(seconds)
    except BaseException:  # Ctrl+C: not in the midst of the library, which would then run while the process ends
        thread.join(seconds)
        raise
    if thread.is_alive():
        raise UserError(f"{name} hangs: not done after {seconds:.0f} s; run the command again, with fewer workers where "
                        "the machine is busy")
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]


def _give_up_real_time():
    """Takes from this thread the right to real-time scheduling; Linux only, where rights are those of a thread."""
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):  # a C library without these functions
        libc = ctypes.CDLL(None, use_errno=True)
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; low words of each, then high words
        if libc.capget(header, sets) == 0:
            sets[0] &= ~(1 << _CAP_SYS_NICE)
            libc.capset(header, sets)

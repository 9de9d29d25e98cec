"""Libraries in C and C++ leave the process as they found it, and report nothing to their makers.

SVT-AV1 makes the thread that opens it, and with it all that this thread starts later, real-time (SCHED_FIFO at the
highest priority) where root runs it. Official builds of ONNX Runtime and OpenVINO send what they are used for to
Microsoft and Google: they are imported here alone.
"""

import collections
import contextlib
import ctypes
import os
import sys
import threading

from jsr.errors import MissingLibrary, UserError, install

# Of linux/capability.h.
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_SYS_NICE = 23

_LOCK, _HOLDERS = threading.Lock(), collections.Counter()  # of variables that `environment` has set


def call_apart(function, *, seconds, name):
    """Calls a function in a thread of its own, which may not become real-time.

    The threads that it starts inherit that, and the caller's scheduling stays. A thread that hangs does not keep the
    process from ending.

    Args:
      function: function of no arguments.
      seconds: the most that it may take.
      name: what the error message calls it.

    Returns:
      The function's result.

    Raises:
      UserError: it takes longer.
      Exception: whatever the function raises.
    """
    outcome = {}

    def run():
        try:
            _give_up_real_time()
            outcome["result"] = function()
        except BaseException as e:  # raised again by the thread that called
            outcome["error"] = e

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        thread.join(seconds)
    except KeyboardInterrupt:
        thread.join(seconds)  # a process that ends while the library works might crash
        raise
    if thread.is_alive():
        raise UserError(f"{name} hangs: not done after {seconds:.0f} s; run the command again, or upgrade its package")
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]


def _give_up_real_time():
    """Takes the right to real-time scheduling from this thread; for Linux, where every thread has rights of its own."""
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):  # a C library without these functions
        libc = ctypes.CDLL(None)
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)  # 0: this thread
        words = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable rights below 32, then those from 32 on
        if libc.capget(header, words) == 0:
            words[0] &= ~(1 << _CAP_SYS_NICE)
            libc.capset(header, words)


@contextlib.contextmanager
def environment(name, value):
    """Sets an environment variable for the time of a `with`, in any number of threads at once; a user's own stays."""
    with _LOCK:
        ours = name not in os.environ or _HOLDERS[name] > 0
        if ours:
            _HOLDERS[name] += 1
            os.environ[name] = value
    try:
        yield
    finally:
        with _LOCK:
            if ours:
                _HOLDERS[name] -= 1
                if not _HOLDERS[name]:
                    os.environ.pop(name, None)


def pyav(purpose):
    """The module av; `purpose` begins the UserError where it is not installed."""
    try:
        import av
        import av.error
        import av.filter
    except ImportError:
        raise MissingLibrary(f"{purpose} needs PyAV; run: {install('video')}") from None
    return av


def import_onnxruntime():
    """The package onnxruntime without its telemetry, unless the user has set ORT_DISABLE_TELEMETRY=0."""
    with environment("ORT_DISABLE_TELEMETRY", "1"):  # read at the import, on all systems but Windows
        import onnxruntime

        if os.environ["ORT_DISABLE_TELEMETRY"] == "1":
            onnxruntime.disable_telemetry_events()  # Windows
    return onnxruntime


def import_openvino():
    """The package openvino without its telemetry, which reports every import to Google, from a fork of this process."""
    sys.modules.setdefault("openvino_telemetry", None)  # as if it were not installed
    import openvino

    return openvino

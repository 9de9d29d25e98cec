"""A process that prints XLA's last words as one line when a job breaks; `jsr.distributed` starts it.

XLA ends a process whose job has lost another with an abort and pages of stack, which nothing in that process can turn
into words. So its file descriptors 1 and 2 are a pipe to here: everything passes on to standard error but that.

Arguments: address, number of this process, minutes that processes may take to come. A line that begins with a zero
byte is not shown: it is the JSON list of what all processes are called.
"""

import json
import re
import signal
import sys

_FATAL = re.compile(rb"F\d{4} .*distributed service detected fatal errors")
# It says so at length, in several lines, and greets
_OF_XLA = re.compile(rb"[EW]\d{4} .*(coordination_service|gloo)|\[Gloo\] Rank \d+ is connected")
_LOG = re.compile(rb"[IWEF]\d{4} \d\d:|\[Gloo\]")


def line(text, address, own, minutes, names):
    """The meaning of XLA's last words, in one line.

    Args:
      text: its message.
      address: address of process 0.
      own: number of the process that it ended.
      minutes: that processes may take to come.
      names: names of all processes, [] before they have met.
    """
    def called(numbers):
        return " and ".join(names[int(n)] if int(n) < len(names) else f"process {n}" for n in numbers)

    if there := re.search(r"reached the barrier: (\d+)/(\d+).*?task names:\s*((?:\d+\s+)+)", text, re.S):
        missing = there[3].split()
        return (f"{called(missing)} of {there[2]} {'has' if len(missing) == 1 else 'have'} not come within {minutes} "
                f"minutes; see that each is started and reaches {address}, or wait longer (--wait_hosts MINUTES)")
    if "newer incarnation" in text or "ALREADY_EXISTS" in text:
        return f"two processes have the number {own}; give each its own (--hosts ADDRESS,PROCESSES,NUMBER)"
    if "RegisterTask" in text:
        return (f"process 0 has not come within {minutes} minutes: nothing answers at {address}; see that it is "
                "started there, and that the port is open")
    if silent := re.search(r"heartbeats\):\s*((?:\d+\s+)+)", text):
        gone = [number for number in silent[1].split() if number != own] or [own]
        return f"{called(gone)} is gone: killed, or its host is; the same command goes on"
    return f"{called(['0'])} is gone, which leads the job: killed, or its host is; the same command goes on"


def main(address, own, minutes):
    """Passes standard input on to standard error, up to XLA's last words."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # sent to all: this one ends with its input
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    names, hidden, last = [], False, []
    for words in sys.stdin.buffer:
        if words.startswith(b"\0"):
            names = json.loads(words[1:])
        elif last or _FATAL.match(words):
            last.append(words.decode(errors="replace"))
        else:
            if _LOG.match(words):
                hidden = bool(_OF_XLA.match(words))
            if not hidden:
                sys.stderr.buffer.write(words)
                sys.stderr.buffer.flush()
    if last:
        sys.stderr.write(f"jsr: {line(''.join(last), address, own, minutes, names)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

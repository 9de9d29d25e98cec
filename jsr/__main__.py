"""`python -m jsr COMMAND`, the same thing as the script `jsr`.

Ctrl+C is quiet from `main` on; in the hundredths of a second before, Python starts, which shows its own traceback.
"""

import _signal as signal  # the module signal makes enums of it, which takes longer than all else here
import os
import sys


def main():
    """Runs the command line of this process, quiet under Ctrl+C from here on; returns the exit status."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else ignored, as in the background
        signal.signal(signal.SIGINT, _stop)
    from jsr.cli import main
    return main()


def _stop(signum, frame):
    """Ends the process at once: nothing has begun yet."""
    os.write(2, b"jsr: stopped\n")
    os._exit(128 + signum)


if __name__ == "__main__":
    sys.exit(main())

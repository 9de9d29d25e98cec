"""The base of all commands: words in any order become arguments, exceptions become lines, Ctrl+C is quiet."""

import argparse
import atexit
import contextlib
import errno
import gc
import os
import re
import signal
import sys
import threading
import traceback

from jsr import allocator
from jsr.errors import UsageError, UserError, in_one_line, install, nearest, no_permission, shown

_NUMBER = re.compile(r"-\d+(\.\d*)?|-\.\d+")
_OUTPUT_GONE = (errno.ENOSPC, errno.EBADF, errno.EIO)


_own: list[int] = []  # the process, where it does nothing but run a command


class Parser(argparse.ArgumentParser):
    """A parser that takes options and places in any order, and suggests the nearest name for an unknown option.

    Options may be written with "-" for "_", and "~" is the home folder everywhere. Where there is a --config, the words
    --config.KEY=VALUE and --config.KEY VALUE become `overrides`, (key, text) pairs. The namespace's `words` are the
    words of the command line; for a command with commands of its own, they are the inner command's words.

    An option of several values takes words as long as they fit: its type must convert them, or a function `fits`, set
    on its action, must accept them. The other words are left to the places.

    Attributes:
      remote: options that take places on cloud storage; other options refuse them.
    """

    remote: frozenset[str] = frozenset()

    def __init__(self, **settings):
        super().__init__(**settings, allow_abbrev=False)

    def parse_known_args(self, args=None, namespace=None):
        """Parses as argparse does, with the rules above."""
        words = list(sys.argv[1:] if args is None else args)
        if self._subparsers:
            return super().parse_known_args(words, namespace)
        for before, word in zip(["", *words], words, strict=False):
            if not {before, word.partition("=")[0]} & self.remote:
                _refuse_remote(word)
        ordered, overrides = self._in_order([_at_home(word) for word in words])
        found, rest = super().parse_known_args(ordered, namespace)
        found.words, found.overrides = words, overrides
        if overrides and "config" not in found:
            self.error(f"unknown argument '--config.{overrides[0][0]}'")
        return found, rest

    def error(self, message):
        """Ends the process with one line and status 2."""
        self.exit(2, f"{self.prog}: {message}; `{self.prog} --help` explains\n")

    def _in_order(self, words):
        """(words with the options first, overrides)."""
        known = {option.replace("_", "-"): option for option in self._option_string_actions}
        options, places, overrides = [], [], []
        while words:
            word = words.pop(0)
            if word == "--":
                places += words
                break
            if not _is_option(word):
                places.append(word)
                continue
            name, equals, value = word.partition("=")
            if name.startswith("--config."):
                if not equals and not words:
                    self.error(f"{name} needs a value")
                overrides.append((name.removeprefix("--config."), value if equals else words.pop(0)))
                continue
            option = known.get(name.replace("_", "-"))
            if option is None and word[:2] in known:  # -ofile
                option, equals, value = word[:2], "=", word[2:].removeprefix("=")
            if option is None:
                names = [option for option in self._option_string_actions if option.startswith("--")]
                self.error(f"no option {name}; {nearest(name, names)}")
            action = self._option_string_actions[option]
            if equals and action.nargs == 0:
                self.error(f"{option} takes no value")
            options += [option, *([value] if equals else self._taken(action, words))]
            if equals and _is_option(value):  # argparse tells it from an option by the sign alone
                options[-2:] = [f"{option}={value}"]
        return options + (["--", *places] if places else []), overrides

    def _taken(self, action, words):
        """The words that an option takes from those behind it."""
        taken, most = [], {None: 1, 0: 0}.get(action.nargs, len(words))
        fits = getattr(action, "fits", None) or _fits_type(action.type)
        while words and len(taken) < most and not _is_option(words[0]) and (not taken or fits(words[0])):
            taken.append(words.pop(0))
        return taken


def size(text):
    """(height, width) of a word like 256x320, for argparse's `type`."""
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 256x320, height first")
    return int(height), int(width)


def own_process():
    """Sets up this process, which does nothing but run a command: memory, closed streams, Ctrl+C."""
    _own.append(os.getpid())
    allocator.keep_pages()
    atexit.register(gc.freeze)  # the end of a process frees all, unsearched for cycles: 0.2 s where JAX was imported
    for number in range(3):  # else the next file that is opened would be standard input or output
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the first number that is free
    sys.stdin = sys.stdin or open(0, closefd=False)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)
    sys.stderr = sys.stderr or open(2, "w", closefd=False)
    sys.stdout.reconfigure(errors="backslashreplace")  # names of files that its encoding lacks, as stderr does
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # as a background job's is
        signal.signal(signal.SIGINT, _interrupt)
    sys.unraisablehook = lambda what: _interrupted or sys.__unraisablehook__(what)


@contextlib.contextmanager
def importing():
    """While it is entered, a process that only runs a command imports without searching for cycles of dead objects.

    Importing leaves none, but makes thousands of objects, which Python would search a dozen times: 0.2 s of JAX's 0.9.
    """
    if not _own:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # later searches pass over modules
        gc.enable()


@contextlib.contextmanager
def terminable():
    """While it is entered, SIGTERM ends a process that only runs a command as Ctrl+C does, which lets it clear up.

    It is for commands without worker processes, which would inherit it.
    """
    own = signal.getsignal(signal.SIGINT) is _interrupt and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if own:
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        if own and not _interrupted:  # else it may come again
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def in_lines(name, function):
    """Calls a function that does a command's work and turns its exceptions into lines on stderr.

    Args:
      name: the command's name, before each line.
      function: a function without arguments; returns the exit status.

    Returns:
      The exit status: the function's, 1 after a mistake, 2 after one in the command line, 128 + n after signal n.
    """
    try:
        try:
            status = function()
        finally:
            with contextlib.suppress(ValueError):  # closed
                sys.stdout.flush()
        return _stopped(name) if _interrupted else status
    except UserError as e:
        _say(name, e)
        return 2 if isinstance(e, UsageError) else 1
    except PermissionError as e:
        _say(name, no_permission(e))
        return 1
    except ModuleNotFoundError as e:  # of a distribution without what only training needs
        if (package := (e.name or "jsr").partition(".")[0]) == "jsr":
            raise
        _say(name, f"the package {package} is not installed, which this needs: {install()}")
        return 1
    except BrokenPipeError:  # `jsr zoo | head`
        _give_up_output()
        return 128 + getattr(signal, "SIGPIPE", 13)  # Windows has none
    except KeyboardInterrupt:
        return _stopped(name)
    except Exception as e:
        if _interrupted:  # an import, or a library, turned it into something else
            return _stopped(name)
        if isinstance(e, OSError) and e.filename is None and e.errno in _OUTPUT_GONE:
            _give_up_output()
            _say(name, f"standard output cannot be written: {os.strerror(e.errno)}")
            return 1
        if wrong := _wrong_settings():
            _say(name, wrong)
            return 1
        raise


def _wrong_settings():
    """A mistake in JAX's settings, "" if they are right or JAX was not used."""
    if "jax" not in sys.modules:
        return ""
    from jsr import device

    try:
        device.check_settings()
    except UserError as e:
        return str(e)
    return ""


_interrupted = []  # SIGINT or SIGTERM, once it was raised
_SOON = 0.05  # s, after which an interrupt that came within an import comes again
_LATER = 0.1  # s, after which one that was raised comes again, until the command has heard of it


def _interrupt(signum, frame):
    """Raises KeyboardInterrupt, again where it was lost; not within an import, of which libraries make another error.

    Callbacks of the garbage collector and native libraries drop what is raised in them. While an exception is being
    handled it is not raised again: the command is clearing up.
    """
    importing = any(f.f_code.co_filename.startswith("<frozen importlib") for f, _ in traceback.walk_stack(frame))
    again = threading.Timer(_SOON if importing else _LATER, _send_again, [signum])
    again.daemon = True
    again.start()
    if importing or _interrupted and sys.exc_info()[0]:
        return
    _interrupted.append(signum)
    raise KeyboardInterrupt


def _send_again(signum):
    if not _heard:
        os.kill(os.getpid(), signum)


_heard = []  # the command that has heard of an interrupt


def _stopped(name):
    """Ends a process that only runs a command; in another process returns the exit status of an interrupt.

    Exit functions run; threads that an interrupted library left, as JAX's timer of a minute, are not waited for.
    """
    _heard.append(name)
    _say(name, "stopped")
    status = 128 + (_interrupted or [signal.SIGINT])[0]
    if signal.getsignal(signal.SIGINT) is _interrupt:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)
    return status


def _say(name, text):
    with contextlib.suppress(OSError):
        print(shown(f"{name}: {in_one_line(str(text))}"), file=sys.stderr)


def _give_up_output():
    """Drops pending output for stdout, so that the process ends without a complaint about it."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_option(word):
    return word.startswith("-") and word != "-" and not _NUMBER.fullmatch(word)


def _at_home(word):
    """A word whose path, or whose value's, begins in a home folder, with that spelled out."""
    name, equals, value = word.partition("=")
    if _is_option(word) and equals:
        return f"{name}={os.path.expanduser(value)}"
    return word if os.path.lexists(word) else os.path.expanduser(word)


def _refuse_remote(word):
    """Raises UserError for a place on cloud storage, but for a file that may be a model's."""
    value = word.partition("=")[2] if _is_option(word) else word
    if "://" in value and not value.lower().endswith((".safetensors", ".pth", ".pt", ".ckpt")):
        from jsr.files import refuse_remote  # which most commands' start needs not

        refuse_remote(value)


def _fits_type(kind):
    def fits(word):
        try:
            kind(word)
        except (ValueError, TypeError, argparse.ArgumentTypeError):
            return False
        return True

    return fits if kind else lambda word: True

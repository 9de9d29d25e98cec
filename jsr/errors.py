"""The one exception for users' mistakes, and its messages about unknown names, memory and permissions."""

import difflib
import os
import re

# In the messages of XLA's errors; the second is what a GPU without room to try its algorithms says.
_OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "Failed to determine best cudnn convolution algorithm")


# What moves the cursor, changes colours or turns the order of letters on a terminal, by its escape
_ACTING = {number: ascii(chr(number))[1:-1] for number in (*range(32), *range(127, 160), *range(0x202A, 0x202F),
                                                           *range(0x2066, 0x206A)) if chr(number) not in "\n\t"}


class UserError(ValueError):
    """A mistake that the user can mend: a bad file, key, flag or folder.

    Its text is one line that names the file or key, says what is wrong and what to do; a line each where there are
    several mistakes. The commands print it without a traceback and exit with a non-zero status.
    """


class FileError(UserError):
    """An image or clip that cannot be used as it is: damaged, too small, of another kind. A training leaves it out."""


class UsageError(UserError):
    """A mistake in the words of a command line; the commands exit with status 2."""


class MissingLibrary(UserError):
    """A library that an extra of jsr brings is not installed; its text says how to get it."""


DISTRIBUTION = "jax-superres"  # jsr's name on the package index, where "jsr" is another's; pyproject.toml has it too


def install(extra="", *more):
    """The command that installs jsr, or one of its extras: 'pip install "NAME[export]"'; `more` are other packages."""
    return " ".join(["pip install", f'"{DISTRIBUTION}[{extra}]"' if extra else DISTRIBUTION, *more])


_ALIKE = 3  # errors of one kind that are named


def grouped(errors):
    """The lines for errors, alike ones grouped: of each folder and kind the first are lines, the rest a number.

    Errors are alike whose texts differ only in numbers and in the name of the file that they begin with.

    Args:
      errors: UserErrors or texts, "path: what is wrong".
    """
    kinds = {}
    for text in map(str, errors):
        path, colon, problem = text.partition(": ")
        folder, name = os.path.split(path)
        kind = re.sub(r"\d+", "#", problem.replace(name, "") if name else problem)
        kinds.setdefault((folder, kind) if colon else text, []).append(text)
    for alike in kinds.values():
        shown = len(alike) if len(alike) <= _ALIKE + 1 else _ALIKE
        yield from alike[:shown]
        if shown < len(alike):
            folder = os.path.dirname(alike[0].partition(": ")[0]) or "."
            yield f"{folder}: the same holds for {len(alike) - shown:,} more files"


def shown(text):
    """A text as a terminal may have it: what names in other people's files would have that do is spelled out, \\x1b."""
    return text.translate(_ACTING)


def in_one_line(text):
    """A complaint "path: problem", the newlines of its path spelled out, \\n; the problem may have several lines."""
    path, colon, problem = text.partition(": ")
    return path.replace("\n", r"\n") + colon + problem if colon else text


def is_out_of_memory(error):
    """Whether an exception, of whatever class, means that a device or the machine has too little memory."""
    return isinstance(error, MemoryError) or any(text in str(error) for text in _OUT_OF_MEMORY)


def no_permission(error):
    """The line for a PermissionError that no code foresaw: any file or folder that a command is given can raise one."""
    return f"{error.filename or error}: no permission; use another file or folder, or have its permissions changed"


def nearest(name, names):
    """An error message's advice after an unknown name: those that it begins, the closest known one, or all of them."""
    names = [str(n) for n in names]
    begun = [n for n in names if n.startswith(f"{name}_")]
    close = begun or difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else f"known: {', '.join(sorted(names)) or 'none'}"


def mismatch(value, default):
    """An error message's words on a value that lacks its default's type, "" if it has it; None takes any.

    Whole numbers go for numbers, lists for tuples.
    """
    kinds = {bool: bool, int: int, float: (int, float), str: str, tuple: (list, tuple), list: (list, tuple)}
    wanted = kinds.get(type(default), object)
    if isinstance(value, wanted) and (wanted in (bool, object) or not isinstance(value, bool)):
        return ""
    return f"{ascii(value):.200} must be of type {type(default).__name__}, like {default!r}"

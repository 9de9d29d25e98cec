"""A command's share of many files, where several processes or machines do them together without knowing each other.

Which shard a file belongs to is a function of its relative name alone: any scheduler may start shards in any order, at
any time, and repeat one that was lost.
"""

from collections.abc import Mapping
import hashlib
import os
import re
from typing import NamedTuple

from jsr.errors import UserError

HELP = ("the I-th of N shares of the files, by their names; auto takes both numbers from a SLURM array, auto/N takes I "
        "from a SLURM array or an indexed Kubernetes job. Shares do not wait for each other, and may be repeated")
_TEXT = re.compile(r"(auto|\d+)(?:/(\d+))?")


class Shard(NamedTuple):
    """The `number`-th, from 1, of `count` shares."""

    number: int
    count: int

    def __str__(self):
        return f"{self.number}/{self.count}"

    def has(self, name: str) -> bool:
        """Whether a file of a relative name, with / between folders, belongs to it."""
        digest = hashlib.sha256(name.encode(errors="surrogateescape")).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1


def of(text: str, environ: Mapping[str, str] = os.environ) -> Shard:
    """The Shard of "3/8", of "auto", or of "auto/8".

    `auto` is a task's place in its SLURM array (SLURM_ARRAY_TASK_ID, _MIN, _MAX, _STEP), `auto/N` that or
    JOB_COMPLETION_INDEX of Kubernetes, which does not tell how many there are.

    Raises:
      UserError: not a number of that many, or there is no array.
    """
    match = _TEXT.fullmatch(text)
    if not match or match[1] != "auto" and not match[2]:
        raise UserError(f"--shard {text}: must be I/N, for example 3/8; in a SLURM array auto, or auto/8")
    count = int(match[2]) if match[2] else None
    number = int(match[1]) if match[1] != "auto" else None
    if number is None:
        number, found = _own_place(text, environ)
        count = count or found
    if count is None:
        raise UserError(f"--shard {text}: Kubernetes does not tell the number of shares; write auto/N")
    if not 1 <= number <= count:
        raise UserError(f"--shard {text}: there is no shard {number} of {count}; shards are 1 to {count}")
    return Shard(number, count)


def _own_place(text, environ):
    """(number from 1, count or None) of this process, from the variables that a scheduler has set."""
    def value(name, default):
        its = environ.get(name, default)
        if not str(its).isdecimal():
            raise UserError(f"--shard {text}: {name} is {its!r}, not a whole number; write I/N")
        return int(its)

    if "SLURM_ARRAY_TASK_ID" in environ:
        place, first = value("SLURM_ARRAY_TASK_ID", 0), value("SLURM_ARRAY_TASK_MIN", 0)
        step, last = value("SLURM_ARRAY_TASK_STEP", 1) or 1, environ.get("SLURM_ARRAY_TASK_MAX")
        last = None if last is None else value("SLURM_ARRAY_TASK_MAX", 0)
        return (place - first) // step + 1, None if last is None else (last - first) // step + 1
    if "JOB_COMPLETION_INDEX" in environ:
        return value("JOB_COMPLETION_INDEX", 0) + 1, None
    raise UserError(f"--shard {text}: this is no task of an array (SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX); write "
                    "I/N")

"""Damaged images that a run leaves out: each is named once, all are counted."""

import itertools
import logging

from jsr import distributed
from jsr.errors import UserError

log = logging.getLogger("jsr")


class LeftOut:
    """Counts the images that a run leaves out.

    Args:
      meta: what checkpoints keep of the run; its "left_out" is the list of lines, one an image.
      most: number of images that a run may leave out (`data.max_damaged`).
    """

    def __init__(self, meta, most):
        self._lines, self._most = meta.setdefault("left_out", []), most

    def __call__(self, line):
        """Records an image by the line that names its damage; says it where it is new.

        Raises:
          UserError: it is one too many.
        """
        if line in self._lines:
            return
        if len(self._lines) >= self._most:
            raise UserError(f"{line}; {len(self._lines)} images were left out before, and no more may be "
                            "(--config.data.max_damaged=...)" if self._most else line)
        self._lines.append(line)
        log.warning("%s; it is left out, and the run goes on without it (%d of at most %d)", line, len(self._lines),
                    self._most)

    def share(self):
        """Tells all processes of a job what each has left out; raises UserError where it is too much together."""
        for line in dict.fromkeys(itertools.chain(*distributed.gather(self._lines))):
            self(line)

    def summary(self):
        """One line, "" where nothing was left out."""
        names = [line.partition(": ")[0] for line in self._lines]
        what = "image" if len(names) == 1 else "images"
        shown = f"{', '.join(names[:3])}{', ...' * (len(names) > 3)}"
        return f"left out as damaged: {len(names):,} {what} ({shown})" if names else ""

"""Mistakes in a recipe, collected so that all of them are reported at once."""

import contextlib
import re

from jsr import device
from jsr.errors import MissingLibrary, UserError


def of_stage(text, place):
    """The words of a message about a stage's key, "stages[1].batch": those of the rooms below say stages[0] of any."""
    stage = re.match(r"(members\[\d+\]\.)?stages\[\d+\]", place)
    return text.replace("--config.stages[0]", f"--config.{stage[0]}") if stage else text


class Mistakes:
    """Lines "--config.KEY: what is wrong, what to do".

    Args:
      libraries: whether a missing library is a mistake: it is for a training, but not for a recipe, which other
        machines may train.

    Attributes:
      lines: those that were found.
      libraries: as given.
    """

    def __init__(self, *, libraries=False):
        self.lines: list[str] = []
        self.libraries = libraries

    def add(self, place, text):
        """Adds a mistake, or several, a line each.

        Args:
          place: key of the recipe, "" for all of it, None where the text names a file; lines that name a key keep it.
          text: what is wrong.
        """
        for line in str(text).splitlines():
            if place is not None and not line.startswith("--config."):
                line = f"--config.{place}: {line}" if place else f"the recipe: {line}"
            line = of_stage(line, place or "")
            if line not in self.lines:
                self.lines.append(line)

    @contextlib.contextmanager
    def at(self, place):
        """Adds the UserError that the block raises."""
        try:
            yield
        except MissingLibrary as e:
            if self.libraries:
                self.add(place, e)
        except UserError as e:
            self.add(place, e)
        except Exception as e:  # whatever a value that cannot be makes of the code that takes it
            if place is None:
                raise
            device.check_settings()  # or JAX cannot compute at all
            self.add(place, f"cannot be ({type(e).__name__}: {str(e).partition(chr(10))[0]})")

    def within(self, *places):
        """Whether some are at one of these keys, or at keys within it."""
        return any(line.startswith(f"--config.{place}{end}") for line in self.lines for place in places
                   for end in (":", ".", "["))

    def done(self):
        """Raises a UserError of all lines, where there are any."""
        if self.lines:
            raise UserError("\n".join(self.lines))

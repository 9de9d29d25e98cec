"""Printing of commands on a terminal, or into a file."""

from rich.console import Console

WIDTH = 200  # columns that a table may have, whatever the terminal says: what is cut is lost, what is long is folded


def console(*, stderr=False):
    """A rich Console that prints texts and tables as they are: no markup, numbers not coloured, not cut at 80 columns.

    It is not for progress bars, which need the terminal's own width.
    """
    return Console(stderr=stderr, highlight=False, markup=False, soft_wrap=True, width=max(Console().width, WIDTH))

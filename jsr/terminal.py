"""Printing of commands on a terminal, or into a file."""

from rich.console import Console

from jsr.errors import shown

WIDTH = 200  # columns that a table may have, whatever the terminal says: what is cut is lost, what is long is folded


class _Plain(Console):
    """A Console of which no text in a file can take the terminal."""

    def render_str(self, text, **options):
        """As of Console."""
        return super().render_str(shown(text), **options)


def console(*, stderr=False):
    """A rich Console that prints texts and tables as they are: no markup, no emoji, no colour, not cut at 80 columns.

    It is not for progress bars, which need the terminal's own width.
    """
    return _Plain(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True,
                  width=max(Console().width, WIDTH))

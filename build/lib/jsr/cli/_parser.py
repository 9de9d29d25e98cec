"""The parser of every command."""

import argparse

from jsr.main import take_overrides


class Parser(argparse.ArgumentParser):
    """Keeps its words, and where it has a --config takes overrides of its entries, --config.KEY=VALUE, too.

    Of a command with commands of its own, these are the inner one's.
    """

    def __init__(self, **settings):
        super().__init__(**settings, allow_abbrev=False)

    def parse_known_args(self, args=None, namespace=None):
        found, rest = super().parse_known_args(args, namespace)
        if "words" not in found:
            found.words = list(args)
        if "config" in found and "overrides" not in found:
            found.overrides, rest = take_overrides(self, rest), []
        return found, rest

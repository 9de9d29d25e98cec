"""The parser of every command."""

import argparse

from jsr.main import split_overrides


class Parser(argparse.ArgumentParser):
    """Keeps its words, and where it has a --config takes overrides of its entries, --config.KEY=VALUE, too.

    Where a command has commands of its own, the inner command has the --config.
    """

    def __init__(self, **settings):
        super().__init__(**settings, allow_abbrev=False)

    def parse_known_args(self, args=None, namespace=None):
        words, overrides = split_overrides(self, args)
        found, rest = super().parse_known_args(words, namespace)
        if "words" not in found:
            found.words = list(args)
        if overrides and "config" not in found:
            self.error(f"unknown argument '--config.{overrides[0][0]}'")
        found.overrides = overrides or getattr(found, "overrides", [])
        return found, rest

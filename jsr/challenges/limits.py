"""The limits of a challenge, and whether an entry keeps them."""

from collections.abc import Mapping

from jsr.challenges.rules import Protocol

_UNITS = {"model_mb": "MB", "runtime_ms": "ms"}


def kept(protocol: Protocol, figures: Mapping[str, float | None]) -> dict[str, bool]:
    """{limit: whether the figure keeps it}, for a challenge's limits whose figure is known.

    Args:
      protocol: a Protocol.
      figures: {"model_mb": ..., "runtime_ms": ...} as in `Protocol.limits`; others do not matter, None is unknown.
    """
    found = {name: (figures.get(name), most) for name, most in protocol.limits.items()}
    return {name: figure <= most for name, (figure, most) in found.items() if figure is not None}


def verdict(protocol: Protocol, figures: Mapping[str, float | None]) -> str:
    """The result of `kept` in words: "0.468 ms keeps the limit of 33 ms"; "" without a limit or a known figure."""
    return "; ".join(
        f"{figures[name]:,.4g} {_UNITS[name]} {'keeps' if is_kept else 'exceeds'} the limit of "
        f"{protocol.limits[name]:g} {_UNITS[name]}" for name, is_kept in kept(protocol, figures).items())


def excess(protocol: Protocol, name: str, figure: float | None) -> str:
    """The note that a table adds to a figure above its limit, ", allowed 300"; "" for other figures."""
    return "" if kept(protocol, {name: figure}).get(name, True) else f", allowed {protocol.limits[name]:g}"

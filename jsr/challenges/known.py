"""The challenges by name, and the one that judges a recipe."""

import dataclasses

from jsr import metrics
from jsr.challenges import aim20, aim22, ais24, clean, ntire23, ntire24
from jsr.challenges.rules import Protocol
from jsr.errors import UserError, nearest

CHALLENGES: dict[str, Protocol] = {
    track.name: track for challenge in (aim20, aim22, ntire23, ntire24, ais24, clean) for track in challenge.TRACKS}
PROTOCOLS = {name: track for name, track in CHALLENGES.items() if track.keys}


def protocol(name: str) -> Protocol:
    """The row `name` of `PROTOCOLS`; UserError names the nearest one for an unknown name."""
    if name not in PROTOCOLS:
        raise UserError(f"challenge protocol {name!r} is unknown; {nearest(name, PROTOCOLS)}")
    return PROTOCOLS[name]


def of(name: str, ranking: str = "") -> Protocol:
    """The Protocol by which a recipe is judged: its challenge's, ranked by the recipe's `ranking` where there is one.

    Args:
      name: key of `PROTOCOLS`.
      ranking: a score, "psnr[rgb]"; "" is the protocol's own.

    Raises:
      UserError: an unknown challenge or score.
    """
    found = protocol(name)
    if not ranking or ranking == found.ranking:
        return found
    try:
        metrics.parse_key(ranking)
    except ValueError as e:
        raise UserError(f"ranking: {e} (--config.ranking; {found.name} has {', '.join(found.keys)})") from e
    if metrics.less_is_better(ranking):
        raise UserError(f"ranking: runs cannot rank by {ranking}, of which less is better; name another score "
                        f"(--config.ranking; {found.name} has {', '.join(found.keys)})")
    return dataclasses.replace(found, ranking=ranking, keys=tuple(dict.fromkeys([*found.keys, ranking])))

"""The published tables: their lines, their order, and the sizes and times in a line."""

from collections.abc import Mapping
import csv
from pathlib import Path
from typing import Any

from jsr.challenges.known import CHALLENGES
from jsr.challenges.rules import Protocol
from jsr.errors import UserError, nearest

TABLES = Path(__file__).parent / "tables"


def printed(name: str) -> list[dict[str, str]]:
    """The lines of a challenge's table in the report's order: a dict per entry, figures as printed; [] without a table.

    Columns: id, of the entry in the catalogue of published methods (jsr.catalogue); team, method, the scores, runtime_s
    or runtime_ms (an image) and others that the report has, such as score (see `score`), params_m (M), flops_g and
    macs_g (G, multiply-accumulates both), model_mb (MB of a whole submission); "" where the report has a dash. A score
    is called "psnr[rgb]", or, where images were judged at several QPs, "psnr[rgb] QP31". `section` is the place of the
    report that describes the method, `description`, where a table has it, the method in more words.

    Args:
      name: key of `CHALLENGES`.
    """
    stem = CHALLENGES[name].table
    if not stem:
        return []
    with open(TABLES / f"{stem}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def table(protocol: Protocol) -> list[dict[str, str]]:
    """The lines of `printed`, best first by the score that orders the table."""
    return sorted(printed(protocol.name),
                  key=lambda row: -(float(row["score"]) if protocol.weigh else level(protocol, row)))


def published(name: str, entry: str) -> dict[str, str]:
    """The line of a challenge's table that a recipe's `entry` names, see `printed`; {} for "".

    Args:
      name: key of `CHALLENGES`.
      entry: id of the line, as in "casr_x4".

    Raises:
      UserError: there is no such line; the nearest is named.
    """
    if not entry:
        return {}
    lines = {line["id"]: line for line in printed(name)}
    if entry not in lines:
        raise UserError(f"{name}: no entry {entry!r} in its table; {nearest(entry, lines)}" if lines else
                        f"{name}: has no published table and so no entry {entry!r}; leave the recipe's entry empty")
    return lines[entry]


def figures(line: Mapping[str, str]) -> dict[str, float | None]:
    """The size and time in a line of `printed`: {params_M, gmacs, runtime_ms, model_mb}, None for a dash."""
    def number(*columns):
        text = next((line[name] for name in columns if line.get(name)), "")
        return float(text.split()[0]) if text else None  # one is "0.165 (*)"

    seconds = number("runtime_s")
    return {"params_M": number("params_m"), "gmacs": number("macs_g", "flops_g"),
            "runtime_ms": number("runtime_ms") if seconds is None else seconds * 1e3, "model_mb": number("model_mb")}


def level(protocol: Protocol, scores: Mapping[str, Any]) -> float:
    """The mean of {column: score} over the ranking columns, dB."""
    return sum(float(scores[name]) for name in protocol.ranking_columns) / len(protocol.ranking_columns)

"""The place of scores in a published table."""

from collections.abc import Iterable, Mapping
import dataclasses
import math

from jsr import metrics
from jsr.challenges.entries import level, table
from jsr.challenges.rules import Protocol, column, label

# A baseline's score this far from the published one comes of other images or another degradation. Codec versions
# alone move it by less.
BASELINE_TOLERANCE_DB = 0.1


def score(gain: float, runtime_ms: float) -> float:
    """The score of the real-time challenges, 2 * 2^gain / (0.1 sqrt(T)).

    Section 2.3 of the AIS 2024 report, whose table it gives to the last digit. Equation 2 of the NTIRE 2023 report has
    2^(2 gain), from which its table does not follow; this formula gives it, within the rounding of the PSNRs.

    Args:
      gain: over the baseline, dB: of PSNR-RGB in NTIRE 2023, in AIS 2024 the mean of those of PSNR-Y at QP 31 and 63.
      runtime_ms: T, ms an image.
    """
    return 2 * 2**gain / (0.1 * math.sqrt(runtime_ms))


@dataclasses.dataclass(frozen=True)
class Standing:
    """The place of scores in a published table.

    Attributes:
      rank: place among the published entries and ours, 1 is best, by the score that orders the table; None where they
        cannot be compared.
      gain: over the baseline on the same images, dB; None where that was not scored.
      published_gains: {team: the entry's gain over the published baseline, dB}, best first; empty where none was.
      score: of the gain and the runtime, None where there is none of these; or what the protocol weighs.
      score_rank: as `rank`, by score.
      published_scores: {team: score}, best first; empty where the challenge had none.
      text: one line for people.
    """

    rank: int | None
    gain: float | None
    published_gains: dict[str, float]
    score: float | None
    score_rank: int | None
    published_scores: dict[str, float]
    text: str


def standing(protocol: Protocol, ours: Mapping[str, float], names: Iterable[str],
             baseline: Mapping[str, float] | None = None, runtime_ms: float | None = None,
             other_codecs: str = "") -> Standing:
    """Ranks scores in the published table where they were measured on that table's images, and nowhere else.

    Args:
      protocol: a Protocol.
      ours: {column: mean over the images}.
      names: the file stems of these images, at each of `table_qps`.
      baseline: the same means of the baseline, if known. Where they are far from the published ones the images are
        others; where the names of the images are not known, nothing else can tell.
      runtime_ms: ms an image, for the score.
      other_codecs: why the LR images are not such as the table's, see `jsr.degradations.other_codecs`; "" where not.

    Returns:
      Standing.
    """
    if protocol.weigh:
        return _weighed(protocol, ours, names, baseline)
    rows, columns = table(protocol), protocol.ranking_columns
    published = {row["team"]: level(protocol, row) - level(protocol, protocol.published) for row in rows}
    printed = {row["team"]: row["score"] for row in rows if row.get("score")}
    scores = dict(sorted(((team, float(text)) for team, text in printed.items()), key=lambda item: -item[1]))
    shown = [name for name in (column(protocol.ranking, qp) for qp in protocol.qps or (None,)) if name in ours]
    what = ", ".join(f"{label(name)} {ours[name]:.4f} dB" for name in shown)
    if any(name not in ours for name in columns):
        wanted = " and ".join(f"QP{qp}" for qp in protocol.table_qps)
        return Standing(None, None, published, None, None, scores, f"{what} (not comparable: the table is of {wanted})")
    mean = level(protocol, ours)
    gain = None if baseline is None else metrics.gain(mean, level(protocol, baseline))
    points = None if gain is None or runtime_ms is None else score(gain, runtime_ms)
    over = "" if gain is None or math.isinf(gain) else f", {gain:+.4f} over {protocol.baseline}"
    if not rows:
        return Standing(None, gain, published, points, None, scores, what + over)
    obstacle = other_codecs or _obstacle(protocol, names, baseline)
    if obstacle:
        if over:
            what += (f"{over}; the {len(rows)} published entries gained {min(published.values()):+.4f} to "
                     f"{max(published.values()):+.4f}")
        if points is not None:
            what += (f"; score {points:.2f}, theirs {min(scores.values()):.2f} to {max(scores.values()):.2f} on "
                     f"{protocol.runtime}")
        return Standing(None, gain, published, points, None, scores, f"{what} (not comparable: {obstacle})")
    levels = {row["team"]: row[columns[0]] if len(columns) == 1 else f"{level(protocol, row):.3f}" for row in rows}
    rank, place = _place(mean, levels)
    text = f"{what} would be {place}"
    score_rank = None
    if points is not None:
        score_rank, place = _place(points, {team: printed[team] for team in scores})
        text += f"; score {points:.2f} would be {place}, their runtimes on {protocol.runtime}"
    return Standing(rank, gain, published, points, score_rank, scores, text)


def _weighed(protocol, ours, names, baseline):
    """The Standing where the score is of the images alone, and neither names nor a baseline tell these from others."""
    printed = {row["team"]: row["score"] for row in table(protocol)}
    scores = {team: float(text) for team, text in printed.items()}
    points = protocol.weigh(*(ours[key] for key in protocol.keys))
    gain = None if baseline is None else metrics.gain(ours[protocol.ranking], baseline[protocol.ranking])
    what = ", ".join(f"{label(key)} {ours[key]:.4f}" for key in protocol.keys) + f"; score {points:.4f}"
    if same_images(protocol, names):
        rank, place = _place(points, printed)
        text = f"{what} would be {place}, if these are {protocol.test_set}"
        return Standing(rank, gain, {}, points, rank, scores, text)
    theirs = f"{min(scores.values()):.4f} to {max(scores.values()):.4f}"
    return Standing(None, gain, {}, points, None, scores, f"{what}, theirs {theirs} (not comparable: other images)")


def _place(value, others):
    """(rank, text) of a value among {team: figure as printed}, best first."""
    better = [team for team, other in others.items() if float(other) > value]
    worse = list(others)[len(better):]
    neighbours = [f"{word} {team} {others[team]}" for word, team in
                  [*(("below", team) for team in better[-1:]), *(("above", team) for team in worse[:1])]]
    rank = len(better) + 1
    return rank, f"rank {rank} of {len(others) + 1} in the published table, {', '.join(neighbours)}"


def _obstacle(protocol, names, baseline):
    """The reason why these images are not the table's, "" if they are."""
    if not same_images(protocol, names):
        return "other images"
    if baseline is None:
        return "" if protocol.test_names else f"only the score of {protocol.baseline} could tell whose images these are"
    for name in protocol.ranking_columns:
        if abs(baseline[name] - float(protocol.published[name])) > BASELINE_TOLERANCE_DB:
            at = name.removeprefix(protocol.ranking)
            return (f"{protocol.baseline}{at} is {baseline[name]:.4f} dB here and {protocol.published[name]} in the "
                    "table, so these are other images or another degradation")
    return ""


def same_images(protocol: Protocol, names: Iterable[str]) -> bool:
    """Whether images with these file stems, each once at every one of `table_qps`, can be the table's."""
    names = list(names)
    return (len(names) == protocol.test_count * max(len(protocol.table_qps), 1)
            and len(set(names)) == protocol.test_count and protocol.test_names in (None, set(names)))

"""Challenges: what each of them measured, on which images, and its published table.

A challenge is a row of `PROTOCOLS` and a file `tables/<name>.csv`, one line a team, the reports' figures as printed.
"""

import csv
import dataclasses
from pathlib import Path

from jsr.config import nearest
from jsr.errors import UserError
from jsr.metrics import label

TABLES = Path(__file__).parent / "tables"
# A bicubic score this far from the published one comes of other images or another degradation. Codec versions
# alone move it by less.
BASELINE_TOLERANCE_DB = 0.1


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How a challenge judged.

    Attributes:
      name: key of `PROTOCOLS`.
      title: one line for people.
      scale: HR size over LR size.
      keys: the scores to report, "metric[profile]".
      ranking: the one of `keys` that orders the table, dB, and its column there.
      crop_border: px cut off each side before anything is compared.
      degradation: key of jsr.degradations.PROTOCOLS that makes the LR images.
      test_set: the images behind the table, in words.
      test_names: their file stems.
      bicubic: the published score of bicubic upscaling, dB.
    """

    name: str
    title: str
    scale: int
    keys: tuple[str, ...]
    ranking: str
    crop_border: int
    degradation: str
    test_set: str
    test_names: frozenset[str]
    bicubic: float


PROTOCOLS = {row.name: row for row in (
    # Report: Yang, Timofte et al., ECCVW 2022, section 2.3 and Tables 1 and 2; "evaluated in the RGB domain by PSNR"
    # (RenYang-home/AIM22_CompressSR, README). That the mean is over images and no border is cut is inferred.
    Protocol(name="aim22_t1", title="AIM 2022 super-resolution of compressed images, track 1 (x4, JPEG quality 10)",
             scale=4, keys=("psnr[rgb]", "ssim[rgb]", "psnr[y_601]"), ranking="psnr[rgb]", crop_border=0,
             degradation="aim22_t1", test_set="the 100 test images of DIV2K, 0901 to 1000",
             test_names=frozenset(f"{i:04d}" for i in range(901, 1001)), bicubic=22.2420),
)}


def protocol(name):
    """The Protocol called `name`; raises UserError naming the nearest where there is none."""
    if name not in PROTOCOLS:
        raise UserError(f"challenge protocol {name!r} is unknown; {nearest(name, PROTOCOLS)}")
    return PROTOCOLS[name]


def table(protocol):
    """The published table, best first: a dict a team, its figures as printed but the ranking one a float, dB.

    Columns: team, method, the ranking key, runtime_s (s an image, by the participants, each on another machine),
    hardware, ensemble, extra_data (training data beyond the organisers'); "" where the report has a dash.
    """
    with open(TABLES / f"{protocol.name}.csv", encoding="utf-8", newline="") as file:
        rows = [{**row, protocol.ranking: float(row[protocol.ranking])} for row in csv.DictReader(file)]
    return sorted(rows, key=lambda row: -row[protocol.ranking])


@dataclasses.dataclass(frozen=True)
class Standing:
    """Where a score stands beside a published table.

    Attributes:
      rank: 1 is best, among the table's entries and this one; None where the score cannot be compared with them.
      gain: over bicubic on the same images, dB; None where bicubic was not scored.
      published_gains: {team: the entry's gain over the published bicubic score, dB}, best first.
      text: one line for people.
    """

    rank: int | None
    gain: float | None
    published_gains: dict[str, float]
    text: str


def standing(protocol, mean, names, bicubic=None):
    """Ranks a score in the published table where it was measured on that table's images, and nowhere else.

    Args:
      protocol: a Protocol.
      mean: the mean of the ranking score over the images, dB.
      names: the file stems of these images.
      bicubic: the same mean of bicubic upscaling, if known; far from the published one, it forbids the comparison.

    Returns:
      Standing.
    """
    rows = table(protocol)
    gain = None if bicubic is None else mean - bicubic
    published = {row["team"]: row[protocol.ranking] - protocol.bicubic for row in rows}
    what = f"{label(protocol.ranking)} {mean:.4f} dB"
    obstacle = _obstacle(protocol, names, bicubic)
    if obstacle:
        if gain is not None:
            what += (f", {gain:+.4f} over bicubic; the {len(rows)} published entries gained "
                     f"{min(published.values()):+.4f} to {max(published.values()):+.4f}")
        return Standing(None, gain, published, f"{what} (not comparable: {obstacle})")
    better = [row for row in rows if row[protocol.ranking] > mean]
    worse = rows[len(better):]
    neighbours = [f"{word} {row['team']} {row[protocol.ranking]:.4f}"
                  for word, row in [*(("below", row) for row in better[-1:]), *(("above", row) for row in worse[:1])]]
    text = f"{what} would be rank {len(better) + 1} of {len(rows) + 1} in the published table, {', '.join(neighbours)}"
    return Standing(len(better) + 1, gain, published, text)


def _obstacle(protocol, names, bicubic):
    """Why these images are not those of the table, "" where they are."""
    names = list(names)
    if len(names) != len(protocol.test_names) or set(names) != protocol.test_names:
        return "other images"
    if bicubic is not None and abs(bicubic - protocol.bicubic) > BASELINE_TOLERANCE_DB:
        return (f"bicubic is {bicubic:.4f} dB here and {protocol.bicubic:.4f} in the table, so these are other images "
                "or another degradation")
    return ""

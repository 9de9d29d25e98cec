"""Published weights of perceptual scores, each with its address, licence and SHA-256: scores.csv.

Nothing of them is shipped; `jsr models get lpips-alex` brings them. Hashes are those of the files in the authors'
repositories at the commit that the address names. NIQE's model, the mean and covariance of features of undistorted
pictures, is that of LIVE's release (The University of Texas at Austin) in the form that BasicSR gives it.
"""

import csv
import dataclasses
import functools
from pathlib import Path

TABLE = Path(__file__).with_name("scores.csv")


@dataclasses.dataclass(frozen=True)
class ScoreWeights:
    """Weights of a score.

    Attributes:
      name: name for `jsr models get`.
      score: key of the score, "lpips[alex]".
      network: public model whose features the score compares, "" of none.
      licence: as in SPDX's list.
      bytes: size of the file.
      sha256: SHA-256 of the file.
      address: address of the file.
      page: page of the authors.
    """

    name: str
    score: str
    network: str
    licence: str
    bytes: int
    sha256: str
    address: str
    page: str


@functools.cache
def table() -> dict[str, ScoreWeights]:
    """{name: ScoreWeights}."""
    with open(TABLE, encoding="utf-8", newline="") as file:
        rows = [{**row, "bytes": int(row["bytes"])} for row in csv.DictReader(file)]
    return {row["name"]: ScoreWeights(**row) for row in rows}


def of_score(key: str) -> ScoreWeights:
    """The weights of a score by its key."""
    return next(row for row in table().values() if row.score == key)

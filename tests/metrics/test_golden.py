import json
from pathlib import Path

import numpy as np
import pytest

from jsr import metrics

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "metrics.npz")
ROWS = json.loads(str(GOLDEN["rows"]))


@pytest.mark.parametrize("key", sorted({row["key"] for row in ROWS}))
def test_published_code_gives_the_same_numbers(key):
    rows = [row for row in ROWS if row["key"] == key]
    assert {row["pair"] for row in rows} == set(range(6))
    for row in rows:
        sr, hr = GOLDEN[f"sr{row['pair']}"], GOLDEN[f"hr{row['pair']}"]
        value = metrics.score(sr, hr, [key], row["crop_border"])[key]
        # Not exact: published code that averages in float32.
        assert value == pytest.approx(row["value"], rel=1e-9 if row["exact"] else 2e-6, abs=0), row


def test_golden_covers_every_metric_and_profile():
    keys = {row["key"] for row in ROWS}
    assert keys == {f"{metric}[{profile}]" for metric in metrics.METRICS for profile in metrics.PROFILES} - {
        "psnr_b[y_601_rounded]"}  # no published code combines these two
    assert all("@" in row["source"] for row in ROWS)

import csv

import pytest

from jsr import challenges, degradations, metrics
from jsr.errors import UserError

AIM22 = challenges.protocol("aim22_t1")
TEST_NAMES = [f"{i:04d}" for i in range(901, 1001)]


def test_unknown_protocol():
    with pytest.raises(UserError, match=r"challenge protocol 'aim22' is unknown; did you mean 'aim22_t1'\?"):
        challenges.protocol("aim22")


@pytest.mark.parametrize("name", challenges.PROTOCOLS)
def test_rows_are_whole(name):
    protocol = challenges.protocol(name)
    assert protocol.name == name and protocol.ranking in protocol.keys
    assert degradations.protocol(protocol.degradation).scale == protocol.scale
    for key in protocol.keys:
        metrics.parse_key(key)
    rows = challenges.table(protocol)
    assert rows == sorted(rows, key=lambda row: -row[protocol.ranking])
    with open(challenges.TABLES / f"{name}.csv", encoding="utf-8", newline="") as file:
        assert all(None not in row and None not in row.values() for row in csv.DictReader(file))
    assert {path.stem for path in challenges.TABLES.iterdir()} == set(challenges.PROTOCOLS)


def test_aim22_table():
    rows = challenges.table(AIM22)
    assert [(row["team"], row["psnr[rgb]"]) for row in rows[::11]] == [("VUE", 23.6677), ("cvlab", 23.2828)]
    assert len(rows) == 12 and AIM22.bicubic == 22.2420
    assert sum(row["psnr[rgb]"] for row in rows) == pytest.approx(281.4452, abs=5e-5)  # a typing error shows
    assert sum(float(row["runtime_s"]) for row in rows) == pytest.approx(329.638, abs=5e-4)
    # The report, section 3.1: all gain more than 1 dB, the top three more than 1.3; the fastest is Giantpandacv.
    gains = [row["psnr[rgb]"] - AIM22.bicubic for row in rows]
    assert min(gains) > 1 and [gain > 1.3 for gain in gains] == [True] * 3 + [False] * 9
    assert min(rows, key=lambda row: float(row["runtime_s"]))["team"] == "Giantpandacv"


@pytest.mark.parametrize("mean, rank, text", [
    (23.41, 9, "rank 9 of 13 in the published table, below Aselsan Research 23.4239, above SRMUI 23.4033"),
    (23.9, 1, "PSNR[rgb] 23.9000 dB would be rank 1 of 13 in the published table, above VUE 23.6677"),
    (22.0, 13, "rank 13 of 13 in the published table, below cvlab 23.2828"),
    (23.4033, 9, "rank 9 of 13 in the published table, below Aselsan Research 23.4239, above SRMUI 23.4033"),
])
def test_rank_on_the_tables_own_images(mean, rank, text):
    standing = challenges.standing(AIM22, mean, TEST_NAMES, bicubic=22.2420)
    assert standing.rank == rank and standing.text.endswith(text)
    assert standing.gain == pytest.approx(mean - 22.2420)
    assert challenges.standing(AIM22, mean, TEST_NAMES).rank == rank


@pytest.mark.parametrize("names", [TEST_NAMES[:-1], TEST_NAMES + ["1001"], TEST_NAMES[:-1] + ["0900"],
                                   TEST_NAMES + ["0901"], []])
def test_no_rank_on_other_images(names):
    standing = challenges.standing(AIM22, 25.5, names, bicubic=24.5)
    assert standing.rank is None and standing.gain == 1.0
    assert standing.text == ("PSNR[rgb] 25.5000 dB, +1.0000 over bicubic; the 12 published entries gained +1.0408 to "
                             "+1.4257 (not comparable: other images)")
    assert standing.published_gains["VUE"] == pytest.approx(1.4257) and len(standing.published_gains) == 12


def test_no_rank_and_no_gain_without_a_baseline():
    standing = challenges.standing(AIM22, 25.5, ["a"])
    assert standing.gain is None and standing.text == "PSNR[rgb] 25.5000 dB (not comparable: other images)"


def test_no_rank_where_bicubic_gives_it_away():
    standing = challenges.standing(AIM22, 25.5, TEST_NAMES, bicubic=24.5)
    assert standing.rank is None and "bicubic is 24.5000 dB here and 22.2420 in the table" in standing.text

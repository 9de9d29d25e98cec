import csv
import math

import pytest

from jsr import challenges, degradations, metrics
from jsr.degradations.enlarge import KERNELS
from jsr.errors import UserError

AIM22, NTIRE23_X2, NTIRE23_X3, AIS24 = map(challenges.protocol, ("aim22_t1", "ntire23_x2", "ntire23_x3", "ais24"))
TEST_NAMES = [f"{i:04d}" for i in range(901, 1001)]
NAMES_4K = [str(i) for i in range(110)]
AIM20 = [challenges.protocol(f"aim20_x{scale}") for scale in (2, 3, 4)]
SCORED = [p for p in challenges.PROTOCOLS.values() if p.runtime]


def rgb(value):
    return {"psnr[rgb]": value}


@pytest.mark.parametrize("chosen, ranking, count", [
    ("", "psnr[ntire23_script]", 5), ("psnr[rgb]", "psnr[rgb]", 5), ("psnr_b[y_601]", "psnr_b[y_601]", 6)])
def test_a_recipe_may_be_ranked_by_another_score(chosen, ranking, count):
    found = challenges.of("ais24", chosen)
    assert found.ranking == ranking and ranking in found.keys and len(found.keys) == count


@pytest.mark.parametrize("chosen, message", [
    ("psnr[rgbb]", "did you mean 'rgb'"), ("psnr", "ranking: score key 'psnr' is not")])
def test_rankings_that_are_none(chosen, message):
    with pytest.raises(UserError, match=message):
        challenges.of("ais24", chosen)


def test_unknown_protocol():
    with pytest.raises(UserError, match=r"'aim22' is unknown; did you mean 'aim22_t1' or 'aim22_t2'\?"):
        challenges.protocol("aim22")


@pytest.mark.parametrize("name", challenges.PROTOCOLS)
def test_rows_are_whole(name):
    protocol = challenges.protocol(name)
    assert protocol.name == name and protocol.ranking in protocol.keys and set(protocol.table_qps) <= set(protocol.qps)
    if protocol.degradation:
        assert degradations.protocol(name).steps == protocol.degradation
    assert protocol.kernel in KERNELS and protocol.baseline in protocol.kernel
    for key in protocol.keys:
        metrics.parse_key(key)
    rows = challenges.table(protocol)
    if not protocol.table:
        assert (rows, protocol.test_set, protocol.test_count, protocol.published) == ([], "", 0, {})
        return
    levels = [float(row["score"]) if protocol.weigh else challenges.level(protocol, row) for row in rows]
    assert levels == sorted(levels, reverse=True) and len({row["team"] for row in rows}) == len(rows)
    assert set(protocol.ranking_columns) <= rows[0].keys() and protocol.published.keys() <= rows[0].keys()
    assert set(protocol.ranking_columns) <= protocol.published.keys() or protocol.weigh and not protocol.published
    with open(challenges.TABLES / f"{protocol.table}.csv", encoding="utf-8", newline="") as file:
        assert all(None not in row and None not in row.values() for row in csv.DictReader(file))


def test_every_table_is_of_one_challenge():
    assert sorted(path.stem for path in challenges.TABLES.iterdir()) == sorted(
        track.table for track in challenges.CHALLENGES.values() if track.table)
    assert challenges.CHALLENGES.keys() == challenges.PROTOCOLS.keys()


def test_a_line_of_a_table_is_found_by_its_id():
    line = challenges.published("ntire23_x2", "npu_sr_x2")
    assert (line["team"], line["flops_g"], line["section"]) == ("NPU SR", "0.165 (*)", "3.23")
    assert challenges.figures(line) == {"params_M": 0.2001, "gmacs": 0.165, "runtime_ms": 74.0, "model_mb": None}
    said = challenges.figures(challenges.published("ntire24", "ntire24_fbcnn_baseline"))
    assert said == {"params_M": None, "gmacs": None, "runtime_ms": None, "model_mb": 275.0}
    assert challenges.figures(challenges.published("aim22_t1", "aim22_cvlab_hat"))["runtime_ms"] == 6000.0
    assert challenges.published("ais24", "") == challenges.published("bicubic_x4", "") == {}


@pytest.mark.parametrize("name, entry, message", [
    ("ais24", "casr", r"ais24: no entry 'casr' in its table; did you mean 'casr_x4'\?"),
    ("bicubic_x4", "casr_x4", "bicubic_x4: has no published table and so no entry 'casr_x4'; leave the")])
def test_lines_that_are_in_no_table(name, entry, message):
    with pytest.raises(UserError, match=message):
        challenges.published(name, entry)


@pytest.mark.parametrize("name, figures, kept, verdict, excess", [
    ("ais24", {"runtime_ms": 33.0, "model_mb": 999}, {"runtime_ms": True}, "33 ms keeps the limit of 33 ms", ""),
    ("ais24", {"runtime_ms": 40.0}, {"runtime_ms": False}, "40 ms exceeds the limit of 33 ms", ", allowed 33"),
    ("ntire24", {"model_mb": 300.5}, {"model_mb": False}, "300.5 MB exceeds the limit of 300 MB", ", allowed 300"),
    ("ntire24", {"model_mb": None}, {}, "", ""), ("ntire24", {}, {}, "", ""),
    ("aim22_t1", {"model_mb": 1e9, "runtime_ms": 1e9}, {}, "", ""),
])
def test_limits(name, figures, kept, verdict, excess):
    protocol = challenges.protocol(name)
    assert challenges.kept(protocol, figures) == kept and challenges.verdict(protocol, figures) == verdict
    assert "".join(challenges.excess(protocol, limit, figure) for limit, figure in figures.items()) == excess


def test_all_published_entries_kept_their_limits():
    for name, track in challenges.CHALLENGES.items():
        for line in challenges.printed(name):
            assert all(challenges.kept(track, challenges.figures(line)).values())


def test_aim22_table():
    rows = challenges.table(AIM22)
    assert [(row["team"], row["psnr[rgb]"]) for row in rows[::11]] == [("VUE", "23.6677"), ("cvlab", "23.2828")]
    assert len(rows) == 12 and AIM22.published == {"psnr[rgb]": "22.2420"}
    assert sum(float(row["psnr[rgb]"]) for row in rows) == pytest.approx(281.4452, abs=5e-5)  # a typing error shows
    assert sum(float(row["runtime_s"]) for row in rows) == pytest.approx(329.638, abs=5e-4)
    # The report, section 3.1: all gain more than 1 dB, the top three more than 1.3; the fastest is Giantpandacv.
    gains = [float(row["psnr[rgb]"]) - 22.2420 for row in rows]
    assert min(gains) > 1 and [gain > 1.3 for gain in gains] == [True] * 3 + [False] * 9
    assert min(rows, key=lambda row: float(row["runtime_s"]))["team"] == "Giantpandacv"


def test_ntire24_table():
    """The report, section 1: 13 submissions, 11 of them better than FBCNN; section 2.3: at most 300 MB."""
    protocol = challenges.protocol("ntire24")
    rows = challenges.table(protocol)
    assert len(rows) == 14 and [row["team"] for row in rows].index("organisers") == 11
    assert sum(float(row["psnr[rgb]"]) for row in rows) == pytest.approx(476.1334, abs=5e-5)
    assert sum(float(row["runtime_s"] or 0) for row in rows) == pytest.approx(1109.36, abs=5e-3)
    assert max(int(row["model_mb"]) for row in rows) <= 300
    standing = challenges.standing(protocol, rgb(33.9), TEST_NAMES, rgb(31.28))
    assert (standing.rank, standing.gain) == (12, pytest.approx(2.62))


def test_aim20_tables():
    for protocol, count, total, best, last in zip(
            AIM20, (17, 13, 21), (554.583, 381.102, 631.974), ("33.446", "30.950", "31.396"),
            ("29.851", "18.190", "26.392"), strict=True):
        rows = challenges.table(protocol)
        assert len(rows) == count and rows[0]["team"] == "Baidu"
        assert (rows[0]["psnr[rgb]"], rows[-1]["psnr[rgb]"]) == (best, last)
        assert sum(float(row["psnr[rgb]"]) for row in rows) == pytest.approx(total, abs=5e-4)
        assert challenges.printed(protocol.name) == rows  # the report has them in this order
        for row in rows:  # SSIM's three digits alone allow 0.00042
            points = protocol.weigh(float(row["psnr[rgb]"]), float(row["ssim[rgb]"]))
            assert points == pytest.approx(float(row["score"]), abs=4.5e-4), row["team"]


def test_aim20_is_ranked_by_its_score_of_psnr_and_ssim():
    ours, names = {"psnr[rgb]": 33.0, "ssim[rgb]": 0.9265}, [str(i) for i in range(60)]
    standing = challenges.standing(AIM20[0], ours, names, {"psnr[rgb]": 31.5, "ssim[rgb]": 0.9})
    assert standing.score == pytest.approx(0.33 + 0.5265 / 1.2)
    assert (standing.rank, standing.score_rank, standing.gain, standing.published_gains) == (6, 6, 1.5, {})
    assert standing.published_scores["Kailos"] == 0.7601
    assert standing.text == (
        "PSNR[rgb] 33.0000, SSIM[rgb] 0.9265; score 0.7688 would be rank 6 of 18 in the published table, below "
        "TeamInception 0.7690, above Noah_TerminalVision 0.7686, if these are the challenge's 60 test "
        "photographs, which nothing published names")
    standing = challenges.standing(AIM20[0], ours, names[1:])
    assert (standing.rank, standing.gain) == (None, None) and standing.score == pytest.approx(0.76875)
    assert standing.text == ("PSNR[rgb] 33.0000, SSIM[rgb] 0.9265; score 0.7688, theirs 0.6696 to 0.7736 (not "
                             "comparable: other images)")


@pytest.mark.parametrize("protocol", SCORED, ids=lambda p: p.name)
def test_formula_gives_the_published_scores(protocol):
    """Every figure of a row enters it: within the rounding of two decimals in NTIRE 2023, to the digit in AIS 2024."""
    tolerance = 0.0 if protocol is AIS24 else 0.01
    scored = 0
    for row in challenges.table(protocol):
        if row["score"]:
            gain = challenges.level(protocol, row) - challenges.level(protocol, protocol.published)
            low, high = (challenges.score(gain + off, float(row["runtime_ms"])) for off in (-tolerance, tolerance))
            assert low - 0.0101 <= float(row["score"]) <= high + 0.0101, row["team"]
            scored += 1
    assert scored == {"ntire23_x2": 24, "ntire23_x3": 17, "ais24": 16}[protocol.name]


def test_real_time_tables():
    for protocol, teams, best, slowest, y in (
            (NTIRE23_X2, 24, "R.I.P. ShopeeVideo", "YNOT", 897.57),
            (NTIRE23_X3, 17, "R.I.P. ShopeeVideo", "P.AI.R", 592.39)):
        rows = challenges.table(protocol)
        assert len(rows) == teams and rows[0]["team"] == best
        assert max(rows, key=lambda row: float(row["runtime_ms"]))["team"] == slowest
        assert sum(float(row["psnr[ntire23_script]"]) for row in rows) == pytest.approx(y, abs=5e-3)
    rows = challenges.table(AIS24)
    assert len(rows) == 17 and rows[0]["team"] == "VPEG-S" and rows[-1]["team"] == "402Lab"
    for row in rows:  # its own gain column; a slip of a digit shows
        if row["delta_db"]:
            assert float(row["delta_db"]) == pytest.approx(challenges.level(AIS24, row) - 30.935, abs=1e-6)
        assert 2.2 < float(row["psnr[ntire23_script] QP31"]) - float(row["psnr[rgb] QP31"]) < 2.5
        assert 2.3 < float(row["psnr[ntire23_script] QP63"]) - float(row["psnr[rgb] QP63"]) < 2.5
        assert 0.03 < float(row["ssim[ntire23_script] QP31"]) - float(row["ssim[rgb] QP31"]) < 0.05


@pytest.mark.parametrize("mean, rank, text", [
    (23.41, 9, "rank 9 of 13 in the published table, below Aselsan Research 23.4239, above SRMUI 23.4033"),
    (23.9, 1, "PSNR[rgb] 23.9000 dB would be rank 1 of 13 in the published table, above VUE 23.6677"),
    (22.0, 13, "rank 13 of 13 in the published table, below cvlab 23.2828"),
    (23.4033, 9, "rank 9 of 13 in the published table, below Aselsan Research 23.4239, above SRMUI 23.4033"),
])
def test_rank_on_the_tables_own_images(mean, rank, text):
    standing = challenges.standing(AIM22, rgb(mean), TEST_NAMES, rgb(22.2420))
    assert standing.rank == rank and standing.text.endswith(text)
    assert standing.gain == pytest.approx(mean - 22.2420)
    assert (standing.score, standing.score_rank, standing.published_scores) == (None, None, {})
    assert challenges.standing(AIM22, rgb(mean), TEST_NAMES).rank == rank


@pytest.mark.parametrize("names", [TEST_NAMES[:-1], TEST_NAMES + ["1001"], TEST_NAMES[:-1] + ["0900"],
                                   TEST_NAMES + ["0901"], []])
def test_no_rank_on_other_images(names):
    standing = challenges.standing(AIM22, rgb(25.5), names, rgb(24.5))
    assert standing.rank is None and standing.gain == 1.0
    assert standing.text == ("PSNR[rgb] 25.5000 dB, +1.0000 over bicubic; the 12 published entries gained +1.0408 to "
                             "+1.4257 (not comparable: other images)")
    assert standing.published_gains["VUE"] == pytest.approx(1.4257) and len(standing.published_gains) == 12


def test_no_rank_and_no_gain_without_a_baseline():
    standing = challenges.standing(AIM22, rgb(25.5), ["a"])
    assert standing.gain is None and standing.text == "PSNR[rgb] 25.5000 dB (not comparable: other images)"


def test_equal_images_gain_nothing_over_an_equal_baseline():
    assert challenges.standing(AIM22, rgb(math.inf), ["flat"], rgb(math.inf)).gain == 0


def test_no_rank_where_bicubic_gives_it_away():
    standing = challenges.standing(AIM22, rgb(25.5), TEST_NAMES, rgb(24.5))
    assert standing.rank is None and "bicubic is 24.5000 dB here and 22.2420 in the table" in standing.text


def test_unpublished_images_are_told_by_their_number_and_the_baseline():
    ours, baseline = rgb(34.66), rgb(33.95)
    standing = challenges.standing(NTIRE23_X2, ours, NAMES_4K, baseline, runtime_ms=4.0)
    assert standing.rank == 11 and standing.score == pytest.approx(10 * 2**0.71) and standing.score_rank == 5
    assert standing.text == (
        "PSNR[rgb] 34.6600 dB would be rank 11 of 25 in the published table, below PixelBE 34.70, above P.AI.R 34.65; "
        "score 16.36 would be rank 5 of 25 in the published table, below Team OV 19.06, above DFCDN Team 15.17, "
        "their runtimes on GeForce RTX 3090, FP16, without TensorRT")
    for names, bicubic, obstacle in ((NAMES_4K[1:], baseline, "other images"),
                                     (NAMES_4K, rgb(33.7), "bicubic is 33.7000 dB"),
                                     (NAMES_4K, None, "only the score of bicubic could tell")):
        other = challenges.standing(NTIRE23_X2, ours, names, bicubic, runtime_ms=4.0)
        assert other.rank is None and other.score_rank is None and f"(not comparable: {obstacle}" in other.text
        assert (other.score is None) == (bicubic is None)
    text = challenges.standing(NTIRE23_X2, ours, ["a"], baseline, runtime_ms=4.0).text
    assert "; score 16.36, theirs 2.25 to 24.13 on GeForce RTX 3090" in text


def test_without_a_table_there_is_a_gain_and_no_rank():
    protocol = challenges.protocol("bicubic_x4")
    ours, baseline = {"psnr[y_601]": 32.2096}, {"psnr[y_601]": 28.4290}
    standing = challenges.standing(protocol, ours, ["baby"], baseline)
    assert standing == challenges.Standing(None, pytest.approx(3.7806), {}, None, None, {},
                                           "PSNR[y_601] 32.2096 dB, +3.7806 over bicubic")
    assert challenges.standing(protocol, ours, ["baby"]).text == "PSNR[y_601] 32.2096 dB"


def test_ais24_is_the_mean_of_two_qps():
    ours = {"psnr[ntire23_script] QP31": 33.5, "psnr[ntire23_script] QP63": 29.3, "psnr[rgb] QP39": 30.0}
    baseline = {"psnr[ntire23_script] QP31": 32.75, "psnr[ntire23_script] QP63": 29.12}
    standing = challenges.standing(AIS24, ours, NAMES_4K * 2, baseline, runtime_ms=1.0)
    assert standing.gain == pytest.approx((0.75 + 0.18) / 2) and standing.score == pytest.approx(20 * 2**0.465)
    assert standing.rank == 7 and standing.score_rank == 6
    assert standing.text.startswith(
        "PSNR[ntire23_script] QP31 33.5000 dB, PSNR[ntire23_script] QP63 29.3000 dB would be rank 7 of 18 in the "
        "published table, below USTC Noah 31.420, above FZUQXT 31.390; score")
    assert challenges.standing(AIS24, ours, NAMES_4K, baseline).rank is None
    far = baseline | {"psnr[ntire23_script] QP63": 29.5}
    text = challenges.standing(AIS24, ours, NAMES_4K * 2, far).text
    assert "lanczos QP63 is 29.5000 dB here and 29.12 in the table" in text
    del ours["psnr[ntire23_script] QP63"]
    standing = challenges.standing(AIS24, ours, NAMES_4K, baseline, runtime_ms=1.0)
    assert (standing.rank, standing.gain, standing.score) == (None, None, None)
    assert standing.text == "PSNR[ntire23_script] QP31 33.5000 dB (not comparable: the table is of QP31 and QP63)"


def test_clips_are_ranked_by_name_number_and_bicubic():
    protocol, names = challenges.protocol("aim22_t2"), [f"{i:03d}" for i in range(1, 16)]
    standing = challenges.standing(protocol, rgb(24.5), names, rgb(22.8))
    assert standing.rank == 2 and "rank 2 of 4" in standing.text and "below NoahTerminalCV 25.1723" in standing.text
    assert list(standing.published_gains) == ["NoahTerminalCV", "NTIRE'22 winner (TaoMC2)", "IVL"]
    assert standing.published_gains["IVL"] == pytest.approx(0.2966)
    others = challenges.standing(protocol, rgb(24.5), names, rgb(22.4))  # of x265, or of the 15 validation clips
    assert others.rank is None and "bicubic is 22.4000 dB here and 22.7926 in the table" in others.text
    assert challenges.standing(protocol, rgb(24.5), names[:14], rgb(22.8)).rank is None

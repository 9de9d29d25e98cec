"""Challenges: what each of them measured, on which images, and its published table.

A challenge is a row of `PROTOCOLS` and a file `tables/<name>.csv`, one line an entry, the reports' figures as printed.
The benchmarks of clean images are rows without a table.
A column of such a table is a score, "psnr[rgb]", or, where images were judged at several QPs, that of one of them:
"psnr[rgb] QP31".
"""

from collections.abc import Callable
import csv
import dataclasses
import math
from pathlib import Path

from jsr import evaluation, metrics
from jsr.config import nearest
from jsr.errors import UserError

TABLES = Path(__file__).parent / "tables"
# A baseline's score this far from the published one comes of other images or another degradation. Codec versions
# alone move it by less.
BASELINE_TOLERANCE_DB = 0.1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a challenge judged.

    Attributes:
      name: key of `PROTOCOLS`.
      title: one line for people.
      scale: HR size over LR size.
      keys: the scores to report, "metric[profile]".
      ranking: the one of `keys` that training follows, dB, and its column in the table, which it orders.
      weigh: function of the means of `keys`, in their order, to the score that orders the table instead; None for most.
      crop_border: px cut off each side before anything is compared.
      degradation: key of jsr.degradations.PROTOCOLS that makes the LR images; "" where they are photographs too.
      qps: the QPs at which every image is judged, each by itself; () where there is no such choice.
      table_qps: those of the published table, over which ranking and score take the mean.
      test_set: the images behind the table, in words; "" where there is no table.
      test_count: how many they are.
      test_names: their file stems; None where they were never published.
      baseline: what entries are compared with, "bicubic", "lanczos" or, of restoration, "input".
      kernel: key of jsr.evaluation.KERNELS that does it.
      published: the baseline's published scores, {column: figure as printed}; {} where there are none.
      runtime: what the published runtimes behind the table's scores were measured on; "" where none enter them.
    """

    name: str
    title: str
    scale: int
    keys: tuple[str, ...]
    ranking: str
    weigh: Callable[..., float] | None = None
    crop_border: int = 0
    degradation: str
    qps: tuple[int, ...] = ()
    table_qps: tuple[int, ...] = ()
    test_set: str = ""
    test_count: int = 0
    test_names: frozenset[str] | None = None
    baseline: str = "bicubic"
    kernel: str = "pillow_bicubic"
    published: dict[str, str] = dataclasses.field(default_factory=dict)
    runtime: str = ""

    @property
    def ranking_columns(self):
        """The columns whose mean orders the table."""
        return [column(self.ranking, qp) for qp in self.table_qps or (None,)]


def weighted_score(psnr, ssim):
    """The score of AIM 2020 of the means over the images: half of PSNR over 50, half of SSIM from 0.4 to 1.

    Equation 1 of the report lacks both halves: it gives twice the score of every row of its table.
    """
    return 0.5 * psnr / 50 + 0.5 * (ssim - 0.4) / 0.6


# AIM 2020 (Wei, Lu, Timofte et al., ECCV Workshops 2020, section 2 and Tables 1 and 2): half of the photographs of
# DRealSR, LR and HR by the same cameras. It does not say how SSIM is computed, nor that a border is cut: inferred.
_AIM20 = dict(keys=("psnr[rgb]", "ssim[rgb]"), ranking="psnr[rgb]", weigh=weighted_score, degradation="",
              test_set="the challenge's 60 test photographs, which nothing published names", test_count=60)
_RTSR_4K = dict(test_set="the 110 images of the 4K RTSR benchmark, never released", test_count=110)
# NTIRE 2023 (Conde, Zamfir, Timofte et al., CVPRW 2023, section 2.3 and Table 1): PSNR and SSIM; LR by bicubic and JPEG
# of quality 90 (README of eduardzamfir/NTIRE23-RTSR). calc_metrics.py there makes the table's "Y" from RGB with the
# weights of BGR (y_601 has the right ones). Inferred: the table's bicubic is that of its sr_demo.py, torch's.
_NTIRE23 = dict(keys=("psnr[rgb]", "psnr[ntire23_script]", "psnr[y_601]", "ssim[rgb]"), ranking="psnr[rgb]", **_RTSR_4K,
                kernel="torch_bicubic", runtime="GeForce RTX 3090, FP16, without TensorRT")
PROTOCOLS = {row.name: row for row in (
    # Report: Yang, Timofte et al., ECCVW 2022, section 2.3 and Tables 1 and 2; "evaluated in the RGB domain by PSNR"
    # (RenYang-home/AIM22_CompressSR, README). That the mean is over images and no border is cut is inferred.
    Protocol(name="aim22_t1", title="AIM 2022 super-resolution of compressed images, track 1 (x4, JPEG quality 10)",
             scale=4, keys=("psnr[rgb]", "ssim[rgb]", "psnr[y_601]"), ranking="psnr[rgb]", degradation="aim22_t1",
             test_set="the 100 test images of DIV2K, 0901 to 1000", test_count=100,
             test_names=frozenset(f"{i:04d}" for i in range(901, 1001)), published={"psnr[rgb]": "22.2420"}),
    Protocol(name="ntire23_x2", title="NTIRE 2023 real-time 4K super-resolution, track 1 (x2, JPEG quality 90)",
             scale=2, degradation="ntire23_x2", **_NTIRE23,
             published={"psnr[rgb]": "33.92", "psnr[ntire23_script]": "36.66", "ssim[rgb]": "0.8829"}),
    Protocol(name="ntire23_x3", title="NTIRE 2023 real-time 4K super-resolution, track 2 (x3, JPEG quality 90)",
             scale=3, degradation="ntire23_x3", **_NTIRE23,
             published={"psnr[rgb]": "31.30", "psnr[ntire23_script]": "33.82", "ssim[rgb]": "0.8245"}),
    *(Protocol(name=f"aim20_x{scale}", title=f"AIM 2020 real image super-resolution, track {track} (x{scale})",
               scale=scale, **_AIM20) for track, scale in ((1, 2), (2, 3), (3, 4))),
    # Report: Yang, Timofte et al., CVPRW 2024, sections 2.1 and 2.2 and Table 1. It says PSNR and no more: RGB of 8 bits
    # and no border, as in the organisers' challenge of 2022, is inferred. The qualities of its test images were drawn
    # and not published: a mean over the same images differs by what these draw. LIVE1 was its second test set.
    Protocol(name="ntire24", title="NTIRE 2024 blind enhancement of compressed images (JPEG of quality 10 to 71)",
             scale=1, keys=("psnr[rgb]", "ssim[rgb]", "psnr[y_601]", "psnr_b[rgb]"), ranking="psnr[rgb]",
             degradation="ntire24", test_set="the 100 test images of DIV2K, 0901 to 1000", test_count=100,
             test_names=frozenset(f"{i:04d}" for i in range(901, 1001)), baseline="input", kernel="input",
             published={"psnr[rgb]": "31.2827"}),
    # Report: Conde et al., CVPRW 2024, sections 2.2 and 2.3 and Table 1. It names the scripts of NTIRE 2023: that its
    # "Y" is theirs is inferred. It does not say what enlarged the baseline; inferred: the filter that shrank it.
    Protocol(name="ais24", title="AIS 2024 real-time 4K super-resolution of AVIF images (x4)", scale=4,
             keys=("psnr[rgb]", "psnr[ntire23_script]", "psnr[y_601]", "ssim[rgb]", "ssim[ntire23_script]"),
             ranking="psnr[ntire23_script]", degradation="ais24", qps=(31, 39, 47, 55, 63), table_qps=(31, 63),
             **_RTSR_4K, baseline="lanczos", kernel="swscale_lanczos", runtime="GeForce RTX 4090",
             published={"psnr[rgb] QP31": "30.36", "psnr[rgb] QP63": "26.67",
                        "psnr[ntire23_script] QP31": "32.75", "psnr[ntire23_script] QP63": "29.12",
                        "ssim[rgb] QP31": "0.800", "ssim[rgb] QP63": "0.715",
                        "ssim[ntire23_script] QP31": "0.843", "ssim[ntire23_script] QP63": "0.774"}),
    # No challenge: how papers score Set5, Set14, BSD100 and Urban100, a grey image as RGB. The bicubic rows of their
    # tables are older: the luma alone was shrunk and enlarged, and grey levels were scored as such (Set14: -0.09 dB).
    *(Protocol(name=f"bicubic_x{scale}", title=f"super-resolution of clean images (x{scale}, MATLAB's bicubic)",
               scale=scale, keys=("psnr[y_601]", "ssim[y_601]", "psnr[rgb]"), ranking="psnr[y_601]", crop_border=scale,
               degradation=f"bicubic_x{scale}", kernel="matlab_bicubic") for scale in (2, 3, 4)),
)}


def protocol(name):
    """The Protocol called `name`; raises UserError naming the nearest where there is none."""
    if name not in PROTOCOLS:
        raise UserError(f"challenge protocol {name!r} is unknown; {nearest(name, PROTOCOLS)}")
    return PROTOCOLS[name]


def of(config):
    """The Protocol by which a recipe is judged: its challenge's, ranked by the recipe's `ranking` where there is one.

    Raises:
      UserError: an unknown challenge or score.
    """
    found = protocol(config.protocol)
    if not config.ranking or config.ranking == found.ranking:
        return found
    try:
        metrics.parse_key(config.ranking)
    except ValueError as e:
        raise UserError(f"ranking: {e} (--config.ranking; {found.name} has {', '.join(found.keys)})") from e
    return dataclasses.replace(found, ranking=config.ranking, keys=tuple(dict.fromkeys([*found.keys, config.ranking])))


def runtime_ms(report):
    """The ms an image of a recipe's `report`, which has them as runtime_ms or as runtime_s; None where it is silent."""
    seconds = report.get("runtime_s")
    return report.get("runtime_ms") if seconds is None else seconds * 1e3


def column(key, qp=None):
    """The column of a score: "psnr[rgb] QP31" of "psnr[rgb]" at QP 31, the key itself without a QP."""
    return f"{key} QP{qp}" if qp else key


def label(column):
    """How a column is printed: "psnr[rgb] QP31" as "PSNR[rgb] QP31"."""
    key, *qp = column.split(" ")
    return " ".join([metrics.label(key), *qp])


def table(protocol):
    """The published table, best first by what orders it: a dict an entry, its figures as printed; [] without one.

    Columns: team, method, the scores, runtime_s or runtime_ms (an image) and others that the report has, such as score
    (see `score`), params_m (M), flops_g and macs_g (G); "" where the report has a dash.
    """
    if not protocol.test_set:
        return []
    with open(TABLES / f"{protocol.name}.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return sorted(rows, key=lambda row: -(float(row["score"]) if protocol.weigh else level(protocol, row)))


def level(protocol, scores):
    """The mean of {column: score} over the ranking columns, dB."""
    return sum(float(scores[name]) for name in protocol.ranking_columns) / len(protocol.ranking_columns)


def score(gain, runtime_ms):
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
    """Where scores stand beside a published table.

    Attributes:
      rank: 1 is best by what orders the table, among its entries and this one; None where they cannot be compared.
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


def standing(protocol, ours, names, baseline=None, runtime_ms=None):
    """Ranks scores in the published table where they were measured on that table's images, and nowhere else.

    Args:
      protocol: a Protocol.
      ours: {column: mean over the images}.
      names: the file stems of these images, at each of `table_qps`.
      baseline: the same means of the baseline, if known. Where they are far from the published ones the images are
        others; where the names of the images are not known, nothing else can tell.
      runtime_ms: ms an image, for the score.

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
    gain = None if baseline is None else evaluation.gain(mean, level(protocol, baseline))
    points = None if gain is None or runtime_ms is None else score(gain, runtime_ms)
    over = "" if gain is None else f", {gain:+.4f} over {protocol.baseline}"
    if not rows:
        return Standing(None, gain, published, points, None, scores, what + over)
    obstacle = _obstacle(protocol, names, baseline)
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
    gain = None if baseline is None else evaluation.gain(ours[protocol.ranking], baseline[protocol.ranking])
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
    """Why these images are not those of the table, "" where they are."""
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


def same_images(protocol, names):
    """Whether images with these file stems, each once at every one of `table_qps`, can be those of the table."""
    names = list(names)
    return (len(names) == protocol.test_count * max(len(protocol.table_qps), 1)
            and len(set(names)) == protocol.test_count and protocol.test_names in (None, set(names)))

"""A challenge as data: how it judged, degraded and timed, and its limits."""

from collections.abc import Callable
import dataclasses
from typing import Any

from jsr import metrics

# JPEG as Pillow writes and reads it. Tracks whose organisers had another library name it (jsr.degradations.jpeg); most
# teams read files by OpenCV, whose libjpeg-turbo is Pillow's.
JPEG: dict[str, Any] = {"fn": "jpeg", "subsampling": "4:2:0", "encoder": "pillow", "decoder": "pillow"}


@dataclasses.dataclass(frozen=True)
class Timing:
    """A challenge's rules of timing.

    Attributes:
      size: (height, width) of the LR image, px; batch 1.
      warm_up, repeats: calls before, and those timed.
    """

    size: tuple[int, int]
    warm_up: int
    repeats: int


@dataclasses.dataclass(frozen=True)
class Submission:
    """The form in which results were submitted.

    Attributes:
      where: to whom or what, and what else was handed in, as the report says.
      unit: unit by which the readme's first line counts the runtime.
      inferred: what of the archive's form the report is silent of, and whose it is instead; "" of nothing.
    """

    where: str
    unit: str = "image"
    inferred: str = "names, PNG and readme.txt are those of the CodaLab challenges of NTIRE and MIPI"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protocol:
    """A track of a challenge: how it degraded, judged and timed.

    Attributes:
      name: key of `CHALLENGES`.
      title: one line for people.
      scale: HR size over LR size.
      degradation: steps that make the LR images (jsr.degradations.Degradation); () where they are photographs too.
      video: HR and LR are clips.
      keys: the scores to report, "metric[profile]"; () of a track that nothing here judges.
      ranking: the one of `keys` that training follows, dB, and its column in the table, which it orders.
      weigh: function of the means of `keys`, in their order, to the score that orders the table instead; None for most.
      crop_border: px cut off each side before anything is compared.
      qps: the QPs at which every image is judged, each by itself; () where there is no such choice.
      table: stem of the published table, tables/<table>.csv; "" where there is none.
      table_qps: QPs of the published table, over which ranking and score take the mean.
      test_set: the images behind the table, in words.
      test_count: number of these images.
      test_names: their file stems; None where they were never published.
      baseline: peer of the entries, "bicubic", "lanczos" or, for restoration, "input".
      kernel: key of jsr.degradations.enlarge.KERNELS that does it.
      published: the baseline's published scores, {column: figure as printed}; {} where there are none.
      runtime: what the published runtimes behind the table's scores were measured on; "" where none enter them.
      timing: Timing; None where entries are not timed here.
      limits: the most that the report allows an entry: {"model_mb": code and models, MB of 2^20 bytes as the tables
        count them, "runtime_ms": ms an image}; {} where it names no limit.
      kept_out: datasets that its rules do not allow to train on.
      submission: Submission; None of benchmarks, to which nothing is handed in.
    """

    name: str
    title: str
    scale: int
    degradation: tuple[dict[str, Any], ...] = ()
    video: bool = False
    keys: tuple[str, ...] = ()
    ranking: str
    weigh: Callable[..., float] | None = None
    crop_border: int = 0
    qps: tuple[int, ...] = ()
    table: str = ""
    table_qps: tuple[int, ...] = ()
    test_set: str = ""
    test_count: int = 0
    test_names: frozenset[str] | None = None
    baseline: str = "bicubic"
    kernel: str = "pillow_bicubic"
    published: dict[str, str] = dataclasses.field(default_factory=dict)
    runtime: str = ""
    timing: Timing | None = None
    limits: dict[str, float] = dataclasses.field(default_factory=dict)
    kept_out: tuple[str, ...] = ()
    submission: Submission | None = None

    @property
    def ranking_columns(self) -> list[str]:
        """The columns whose mean orders the table."""
        return [column(self.ranking, qp) for qp in self.table_qps or (None,)]


def column(key: str, qp: int | None = None) -> str:
    """The column of a score: "psnr[rgb] QP31" of "psnr[rgb]" at QP 31, the key itself without a QP."""
    return f"{key} QP{qp}" if qp else key


def label(column: str) -> str:
    """A column's heading in print: "psnr[rgb] QP31" as "PSNR[rgb] QP31"."""
    key, *qp = column.split(" ")
    return " ".join([metrics.label(key), *qp])

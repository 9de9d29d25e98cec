"""AIM 2020, real image super-resolution: half of the photographs of DRealSR, LR and HR by the same cameras.

Report: Wei, Lu, Timofte et al., ECCV Workshops 2020, section 2 and Tables 1 and 2. It does not say how SSIM is
computed, nor that a border is cut: inferred.
"""

from jsr.challenges.rules import Protocol, Submission


def weighted_score(psnr: float, ssim: float) -> float:
    """The score of the means over the images: half of PSNR over 50, half of SSIM from 0.4 to 1.

    Equation 1 of the report lacks both halves: it gives twice the score of every row of its table.
    """
    return 0.5 * psnr / 50 + 0.5 * (ssim - 0.4) / 0.6


TRACKS = tuple(Protocol(
    name=f"aim20_x{scale}", title=f"AIM 2020 real image super-resolution, track {track} (x{scale})", scale=scale,
    keys=("psnr[rgb]", "ssim[rgb]"), ranking="psnr[rgb]", weigh=weighted_score,
    table=f"aim20_x{scale}", test_set="the challenge's 60 test photographs, which nothing published names",
    test_count=60, submission=Submission("CodaLab; code and factsheet by mail"))
    for track, scale in ((1, 2), (2, 3), (3, 4)))

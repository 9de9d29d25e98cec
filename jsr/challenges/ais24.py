"""AIS 2024, real-time 4K super-resolution of AVIF images.

Report: Conde et al., CVPR Workshops 2024, sections 2 to 2.3 and Table 1. It names the scripts of NTIRE 2023: that its
"Y" is theirs is inferred. It does not say what enlarged the baseline; inferred: the filter that shrank it. Entries were
timed in 100 runs; the warm-up is inferred: as in 2023.
"""

from jsr.challenges.rules import Protocol, Submission, Timing

_QPS = 31, 39, 47, 55, 63
TRACKS = (
    Protocol(
        name="ais24", title="AIS 2024 real-time 4K super-resolution of AVIF images (x4)", scale=4,
        # One ffmpeg command with Lanczos and SVT-AV1, preset 5; every image at each of five QPs. Pillow decodes, as in
        # the programs of the two teams that read AVIF, and as `jsr upscale` does.
        degradation=({"fn": "avif", "scale": 4, "qp": _QPS, "preset": 5, "decoder": "pillow"},),
        keys=("psnr[rgb]", "psnr[ntire23_script]", "psnr[y_601]", "ssim[rgb]", "ssim[ntire23_script]"),
        ranking="psnr[ntire23_script]", qps=_QPS,
        table="ais24", table_qps=(31, 63), test_set="the 110 images of the 4K RTSR benchmark, never released",
        test_count=110, baseline="lanczos", kernel="swscale_lanczos",
        published={"psnr[rgb] QP31": "30.36", "psnr[rgb] QP63": "26.67",
                   "psnr[ntire23_script] QP31": "32.75", "psnr[ntire23_script] QP63": "29.12",
                   "ssim[rgb] QP31": "0.800", "ssim[rgb] QP63": "0.715",
                   "ssim[ntire23_script] QP31": "0.843", "ssim[ntire23_script] QP63": "0.774"},
        runtime="GeForce RTX 4090", timing=Timing((540, 960), 50, 100),
        submission=Submission("to the organisers: code, models and results", inferred=(
            "names, PNG and readme.txt are those of the CodaLab challenges of NTIRE and MIPI, an archive for each QP")),
        limits={"runtime_ms": 33}),  # "upscale the image under 33ms"
)

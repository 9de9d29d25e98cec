"""NTIRE 2023, real-time 4K super-resolution: x2 from 1080p and x3 from 720p, JPEG of quality 90.

Report: Conde, Zamfir, Timofte et al., CVPR Workshops 2023, section 2.3 and Table 1: PSNR and SSIM, half precision,
without TensorRT. It says bicubic and no more; prepare_data.py of eduardzamfir/NTIRE23-RTSR saves JPEG of quality 90,
and calc_metrics.py there makes the table's "Y" from RGB with the weights of BGR (y_601 has the right ones). Inferred:
the table's bicubic is that of its sr_demo.py, torch's. The report names no limit of size or time.
"""

from jsr.challenges.rules import JPEG, Protocol, Submission, Timing

_PUBLISHED = {2: {"psnr[rgb]": "33.92", "psnr[ntire23_script]": "36.66", "ssim[rgb]": "0.8829"},
              3: {"psnr[rgb]": "31.30", "psnr[ntire23_script]": "33.82", "ssim[rgb]": "0.8245"}}
TRACKS = tuple(Protocol(
    name=f"ntire23_x{scale}", scale=scale,
    title=f"NTIRE 2023 real-time 4K super-resolution, track {track} (x{scale}, JPEG quality 90)",
    degradation=({"fn": "pillow_bicubic", "scale": scale}, {**JPEG, "quality": 90}),
    keys=("psnr[rgb]", "psnr[ntire23_script]", "psnr[y_601]", "ssim[rgb]"), ranking="psnr[rgb]",
    table=f"ntire23_x{scale}", test_set="the 110 images of the 4K RTSR benchmark, never released", test_count=110,
    kernel="torch_bicubic", published=_PUBLISHED[scale], runtime="GeForce RTX 3090, FP16, without TensorRT",
    timing=Timing(size, 50, 244), submission=Submission("by mail: images, code and factsheet"))
    for track, scale, size in ((1, 2, (1080, 1920)), (2, 3, (720, 1280))))

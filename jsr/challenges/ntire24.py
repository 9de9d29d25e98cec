"""NTIRE 2024, blind enhancement of compressed images: JPEG of unknown quality, at its own size.

Report: Yang, Timofte et al., CVPR Workshops 2024, sections 2.1 to 2.3 and Table 1. It says PSNR and no more: RGB of 8
bits and no border, as in the organisers' challenge of 2022, is inferred. The qualities of its test images were drawn
and not published: a mean over the same images differs by what these draw. LIVE1 was its second test set. It names no
way of timing. Inferred: the most frequent size of DIV2K, and a few runs.
"""

from jsr.challenges.rules import JPEG, Protocol, Submission, Timing

TRACKS = (
    Protocol(
        name="ntire24", title="NTIRE 2024 blind enhancement of compressed images (JPEG of quality 10 to 71)", scale=1,
        # One quality an image, from Python's randint(10, 71), which can give 71; the text says 10 to 70. The script
        # asserts Pillow 10.0.1 with libjpeg 9. Inferred: 9e, as in Anaconda's build of it for Linux.
        degradation=({**JPEG, "encoder": "9e", "quality": range(10, 72)},),
        keys=("psnr[rgb]", "ssim[rgb]", "psnr[y_601]", "psnr_b[rgb]"), ranking="psnr[rgb]",
        table="ntire24", test_set="the 100 test images of DIV2K, 0901 to 1000", test_count=100,
        test_names=frozenset(f"{i:04d}" for i in range(901, 1001)), baseline="input", kernel="input",
        published={"psnr[rgb]": "31.2827"}, timing=Timing((1356, 2040), 1, 3),
        limits={"model_mb": 300},  # "the total size of submitted codes and models cannot exceed 300 MB"
        submission=Submission("code and models before the test phase, the factsheet with the runtime"),
        kept_out=("live1",)),  # "not allowed to use the LIVE1 dataset for training", section 2.1
)

"""AIM 2022, super-resolution of compressed images (track 1) and videos (track 2).

Report: Yang, Timofte et al., ECCV Workshops 2022, sections 2.3, 2.4 and Tables 1 to 4. "Evaluated in the RGB domain by
PSNR", says the README of RenYang-home/AIM22_CompressSR; that the mean is over images and no border is cut is inferred.
Of track 2 the README of RenYang-home/NTIRE22_VEnh_SR, the same task, says that clips become RGB by `ffmpeg -i 001.mkv
%3d.png`. Inferred: the mean is over clips, and of each over its frames; the baseline is of frames in RGB. TCC is not
the report's: it says whether a clip flickers.
The report names no way of timing. Inferred: the most frequent size of DIV2K, divided by 4, and a few runs.
"""

from jsr.challenges.rules import JPEG, Protocol, Submission, Timing

TRACKS = (
    Protocol(
        name="aim22_t1", title="AIM 2022 super-resolution of compressed images, track 1 (x4, JPEG quality 10)", scale=4,
        # Pillow's bicubic to (W/4, H/4), JPEG saved with quality 10 and no other argument. The wheel of the organisers'
        # Pillow 7.2.0 carries libjpeg 9d.
        degradation=({"fn": "pillow_bicubic", "scale": 4}, {**JPEG, "encoder": "9d", "quality": 10}),
        keys=("psnr[rgb]", "ssim[rgb]", "psnr[y_601]"), ranking="psnr[rgb]",
        table="aim22_t1", test_set="the 100 test images of DIV2K, 0901 to 1000", test_count=100,
        test_names=frozenset(f"{i:04d}" for i in range(901, 1001)), published={"psnr[rgb]": "22.2420"},
        timing=Timing((339, 510), 2, 10), submission=Submission("CodaLab, competition 5076")),
    Protocol(
        name="aim22_t2", title="AIM 2022 super-resolution of compressed video, track 2 (x4, HEVC of QP 37)", scale=4,
        # ffmpeg's bicubic in YUV 4:2:0, HEVC low-delay P at QP 37. The organisers' encoder is HM 16.20 (encoder=hm);
        # x265, which needs nothing, gives other pictures: better ones, in larger files.
        degradation=({"fn": "swscale_bicubic", "scale": 4}, {"fn": "hevc", "qp": 37, "encoder": "x265", "fps": 25}),
        video=True, keys=("psnr[rgb]", "ssim[rgb]", "psnr[y_601]", "tcc[rgb]"), ranking="psnr[rgb]",
        table="aim22_t2", test_set="the 15 test clips of LDV 3.0, 001 to 015", test_count=15,
        test_names=frozenset(f"{i:03d}" for i in range(1, 16)), published={"psnr[rgb]": "22.7926"},
        submission=Submission("", "frame", "names of frames are those of the organisers' ffmpeg command; the readme is "
                              "track 1's, of a frame's runtime: the report calls 0.008 s real time")),
)

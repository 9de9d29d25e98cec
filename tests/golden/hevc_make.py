"""Writes hevc.npz: a clip and what the ffmpeg command makes of it, step by step as AIM 2022 Track 2 prescribes.

    python tests/golden/hevc_make.py

ffmpeg with libx265 must be on the path. Not run by the tests.

- `rgb`: a made-up clip (T, H, W, 3); `yuv`: `ffmpeg -i %3d.png -pix_fmt yuv420p`, as `jsr.degradations._video` has it.
- `stream`: that by ffmpeg's libx265, in Matroska; `lossless`: the same with lossless=1.
- `stream_yuv`, `stream_rgb`: what ffmpeg decodes of `stream`, raw and to numbered PNG files.
"""

from pathlib import Path
import subprocess
import tempfile

import numpy as np
from PIL import Image


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-y", "-loglevel", "error", *map(str, arguments)], check=True)


def made_up(frames, height, width):
    y, x = np.mgrid[:height, :width]
    clip = np.stack([[127 + 100 * np.sin((x + 3 * t) / (5 + c)) * np.cos(y / (9 - c)) for c in range(3)]
                     for t in range(frames)])
    clip[:, :, height // 4:height // 2, width // 3:width // 2] = np.array([230, 20, 60])[:, None, None]
    return np.ascontiguousarray(np.clip(np.moveaxis(clip, 1, -1), 0, 255).astype(np.uint8))


def main():
    rgb = made_up(3, 64, 80)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for index, image in enumerate(rgb):
            Image.fromarray(image).save(folder / f"{index + 1:03d}.png")
        ffmpeg("-i", folder / "%3d.png", "-pix_fmt", "yuv420p", "-f", "rawvideo", folder / "clip.yuv")
        raw = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "80x64", "-i", folder / "clip.yuv", "-c:v", "libx265"]
        ffmpeg(*raw, "-x265-params", "qp=37:info=0:log-level=none", folder / "stream.mkv")
        ffmpeg(*raw, "-x265-params", "lossless=1:info=0:log-level=none", folder / "lossless.mkv")
        ffmpeg("-i", folder / "stream.mkv", "-f", "rawvideo", folder / "stream.yuv")
        ffmpeg("-i", folder / "stream.mkv", folder / "out%3d.png")
        arrays = {
            "rgb": rgb,
            **{name: np.fromfile(folder / f"{file}.yuv", np.uint8).reshape(-1, 96, 80)
               for name, file in (("yuv", "clip"), ("stream_yuv", "stream"))},
            **{name: np.fromfile(folder / f"{name}.mkv", np.uint8) for name in ("stream", "lossless")},
            "stream_rgb": np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("out*.png"))]),
        }
    version = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True).stdout.split()[2]
    np.savez_compressed(Path(__file__).with_name("hevc.npz"), ffmpeg=version, **arrays)


if __name__ == "__main__":
    main()

"""Writes avif.npz: AVIF files and what the ffmpeg command makes of them.

    python tests/golden/avif_make.py

jsr must be installed with its extra `video`, and ffmpeg with libsvtav1 on the path. Not run by the tests.

- `report`: what the command of the AIS 2024 report, QP 63, makes of a made-up image; by ffmpeg's version of SVT-AV1.
- `odd`: a file of odd height and width, by jsr.degradations.avif, which older versions of SVT-AV1 refuse.
- `report_rgb`, `odd_rgb`: `ffmpeg -i FILE x.png`.
"""

from pathlib import Path
import subprocess
import tempfile

import numpy as np
from PIL import Image

from jsr.degradations import avif

FILTER = "scale=ceil(iw/4):ceil(ih/4):flags=lanczos+accurate_rnd+full_chroma_int:sws_dither=none:param0=5"


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-y", "-loglevel", "error", *map(str, arguments)], check=True)


def made_up(height, width):
    y, x = np.mgrid[:height, :width]
    image = np.stack([127 + 100 * np.sin(x / (9 + c)) * np.cos(y / (12 - c)) for c in range(3)], -1)
    image[height // 4:height // 2, width // 3:width // 2] = (230, 20, 60)
    return np.clip(image, 0, 255).astype(np.uint8)


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        Image.fromarray(made_up(256, 272)).save(folder / "image.png")
        ffmpeg("-i", folder / "image.png", "-vf", FILTER, "-c:v", "libsvtav1", "-qp", 63, "-preset", 5,
               folder / "report.avif")
        (folder / "odd.avif").write_bytes(avif.encode(made_up(35, 33), 31))
        arrays = {}
        for name in ("report", "odd"):
            ffmpeg("-i", folder / f"{name}.avif", folder / f"{name}.png")
            arrays[name] = np.frombuffer((folder / f"{name}.avif").read_bytes(), np.uint8)
            arrays[f"{name}_rgb"] = np.asarray(Image.open(folder / f"{name}.png"))
    version = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True).stdout.split()[2]
    np.savez_compressed(Path(__file__).with_name("avif.npz"), ffmpeg=version, **arrays)


if __name__ == "__main__":
    main()

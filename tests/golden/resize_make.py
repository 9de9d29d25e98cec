"""Writes resize.npz: made-up images and what published code and the ffmpeg command make of them.

    python tests/golden/resize_make.py BASICSR MATLAB_IMRESIZE

The arguments are git clones of XPixelGroup/BasicSR and fatheral/matlab_imresize; numpy, pillow and torch must be
installed, and ffmpeg on the path. Not run by the tests.

`rows` holds, for each result: the image, the key of jsr.degradations.resize.RESIZES or the pixel format for which it
stands, and its source. ffmpeg was run as

    ffmpeg -i image.png -vf scale=WIDTH:HEIGHT:OPTIONS -pix_fmt PIX_FMT -f rawvideo result

and, for yuv420p to yuv420p as in AIM 2022 Track 2, with `-pix_fmt yuv420p -s WxH -f rawvideo` before a raw input.
"""

import importlib.util
import json
from pathlib import Path
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

SWSCALE_OPTIONS = {
    "bicubic": "flags=bicubic",
    "lanczos": "flags=lanczos+accurate_rnd+full_chroma_int:sws_dither=none:param0=5",
}


def load(repository, file):
    spec = importlib.util.spec_from_file_location(Path(file).stem, Path(repository) / file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    commit = subprocess.run(["git", "-C", repository, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return module, f"{Path(repository).name}@{commit.stdout.strip()}:{file}"


def images():
    """uint8 RGB, even widths: versions of swscale differ at odd ones."""
    rng = np.random.default_rng(2022)
    y, x = np.mgrid[:20, :36]
    smooth = np.stack([127 + 100 * np.sin(x / (5 + c)) * np.cos(y / (7 - c)) for c in range(3)], -1)
    yield np.clip(smooth + rng.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8)
    yield rng.integers(0, 256, (12, 24, 3), np.uint8)
    yield np.where(rng.integers(0, 2, (15, 14, 3)), 255, 0).astype(np.uint8)


def ffmpeg(arguments, source, suffix):
    with tempfile.TemporaryDirectory() as folder:
        path, result = Path(folder) / f"image{suffix}", Path(folder) / "result"
        if suffix == ".png":
            Image.fromarray(source).save(path)
        else:
            source.tofile(path)
        before, after = arguments
        subprocess.run(["ffmpeg", "-loglevel", "error", *before, "-i", path, *after, "-f", "rawvideo", result],
                       check=True)
        return np.fromfile(result, np.uint8)


def swscale_rows(image, size):
    """Yields (name, result, options): RGB to RGB, RGB to yuv420p, yuv420p to yuv420p."""
    height, width = image.shape[:2]
    for name, options in SWSCALE_OPTIONS.items():
        scale = ["-vf", f"scale={size[1]}:{size[0]}:{options}"]
        rgb = ffmpeg(([], [*scale, "-pix_fmt", "rgb24"]), image, ".png")
        yield f"swscale_{name}", rgb.reshape(*size, 3), options
        yield "rgb24 to yuv420p", ffmpeg(([], [*scale, "-pix_fmt", "yuv420p"]), image, ".png"), options
        raw = image.ravel()[:height * width + 2 * ((height + 1) // 2) * (width // 2)]
        before = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}"]
        yield "yuv420p to yuv420p", ffmpeg((before, scale), raw, ".yuv"), options


def main(basicsr_dir, matlab_imresize_dir):
    basicsr, basicsr_file = load(basicsr_dir, "basicsr/utils/matlab_functions.py")
    copy, copy_file = load(matlab_imresize_dir, "imresize.py")
    version = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    arrays, rows = {}, []

    def add(index, name, result, source, **how):
        arrays[f"result{len(rows)}"] = result
        rows.append({"image": index, "name": name, "source": source, **how})

    for index, image in enumerate(images()):
        arrays[f"image{index}"] = image
        height, width = image.shape[:2]
        for scale in (1 / 2, 1 / 3, 1 / 4, 1.5, 2):
            exact = basicsr.imresize(image.astype(np.float32) / 255, scale)
            add(index, "matlab_bicubic_double", (exact.clip(0, 1) * 255).round().astype(np.uint8),
                basicsr_file, scale=scale)
        # No factors of 2 here: the copy rounds halves to even, MATLAB upwards.
        for size in ((height // 3, width // 3), (height // 3, width - 5), (height + 7, width // 5),
                     (2 * height + 1, 31)):
            add(index, "matlab_bicubic", copy.imresize(image, output_shape=size), copy_file, size=size)
            result = copy.convertDouble2Byte(copy.imresize(image / 255, output_shape=size))
            add(index, "matlab_bicubic_double", result, copy_file, size=size)
        for size in ((-(-height // 4), -(-width // 4)), (height + 3, width + 5)):
            for name, result, options in swscale_rows(image, size):
                add(index, name, result, version, size=size, options=options)
    np.savez_compressed(Path(__file__).with_name("resize.npz"), rows=np.array(json.dumps(rows)), **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])

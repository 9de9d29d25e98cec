"""Writes metrics.npz: made-up image pairs and what the published metric code gives for them.

    python tests/golden/metrics_make.py BASICSR SWINIR NTIRE23_RTSR

The arguments are git clones of XPixelGroup/BasicSR, JingyunLiang/SwinIR and eduardzamfir/NTIRE23-RTSR; numpy, torch and
opencv-python-headless must be installed. Not run by the tests.

The luma enters PSNR and PSNR-B of SwinIR and NTIRE23-RTSR as float64 here (`exact`); as those repositories are written
their float32 means are the rows whose `exact` is false.
"""

import importlib.util
import json
from pathlib import Path
import subprocess
import sys
import types

import numpy as np


def load(repository, file, name):
    spec = importlib.util.spec_from_file_location(name, Path(repository) / file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    commit = subprocess.run(["git", "-C", repository, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return module, f"{Path(repository).name}@{commit.stdout.strip()}:{file}"


def basicsr(repository):
    """Its metric files alone: the package's own __init__ imports every network."""
    for name in ("basicsr", "basicsr.utils", "basicsr.metrics"):
        sys.modules[name] = types.ModuleType(name)
    colour, colour_file = load(repository, "basicsr/utils/color_util.py", "basicsr.utils.color_util")
    sys.modules["basicsr.utils"].bgr2ycbcr = colour.bgr2ycbcr
    registry = types.SimpleNamespace(register=lambda: lambda function: function)
    sys.modules["basicsr.utils.registry"] = types.SimpleNamespace(METRIC_REGISTRY=registry)
    load(repository, "basicsr/metrics/metric_util.py", "basicsr.metrics.metric_util")
    module, file = load(repository, "basicsr/metrics/psnr_ssim.py", "basicsr.metrics.psnr_ssim")
    return module, file, colour, colour_file


def pairs():
    """(sr, hr), uint8 RGB: smooth with noise, pure noise, blocky, flat, nearly equal, equal; odd sizes."""
    rng = np.random.default_rng(2022)
    y, x = np.mgrid[:45, :61]
    smooth = np.stack([127 + 100 * np.sin(x / (5 + c)) * np.cos(y / (7 - c)) for c in range(3)], -1)
    smooth = smooth.round().astype(np.uint8)
    yield np.clip(smooth + rng.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8), smooth
    yield rng.integers(0, 256, (24, 17, 3), np.uint8), rng.integers(0, 256, (24, 17, 3), np.uint8)
    yield smooth[::8, ::8].repeat(8, 0).repeat(8, 1)[:45, :61], smooth
    yield np.full((16, 32, 3), 201, np.uint8), np.full((16, 32, 3), 200, np.uint8)
    changed = smooth.copy()
    changed[20, 30, 2] ^= 1
    yield changed, smooth
    yield smooth, smooth


def rows_of(sr, hr, border, basic, swinir, ntire23):
    """Yields (key, value, file, exact)."""
    module, file, colour, colour_file = basic
    sr_bgr, hr_bgr = (np.ascontiguousarray(image[..., ::-1]) for image in (sr, hr))
    for metric in ("psnr", "ssim"):
        function = getattr(module, f"calculate_{metric}")
        yield f"{metric}[rgb]", function(sr_bgr, hr_bgr, border), file, True
        yield f"{metric}[y_601]", function(sr_bgr, hr_bgr, border, test_y_channel=True), file, True
        lumas = (colour.bgr2ycbcr(image, y_only=True) for image in (sr_bgr, hr_bgr))
        yield f"{metric}[y_601_rounded]", function(*lumas, border), f"{colour_file} and {file}", True
    for (module, file), images, profile in ((swinir, (sr_bgr, hr_bgr), "y_601"), (ntire23, (sr, hr), "ntire23_script")):
        as_written = module.to_y_channel
        for metric in ("psnr", "ssim", "psnrb"):
            function, name = getattr(module, f"calculate_{metric}"), metric.replace("psnrb", "psnr_b")
            yield f"{name}[rgb]", function(*images, border), file, True
            if metric != "ssim":
                yield f"{name}[{profile}]", function(*images, border, test_y_channel=True), file, False
            module.to_y_channel = lambda image, as_written=as_written: as_written(image).astype(np.float64)
            yield f"{name}[{profile}]", function(*images, border, test_y_channel=True), file, True
            module.to_y_channel = as_written


def main(basicsr_dir, swinir_dir, ntire23_dir):
    sources = (basicsr(basicsr_dir), load(swinir_dir, "utils/util_calculate_psnr_ssim.py", "swinir"),
               load(ntire23_dir, "demo/utils/util_metrics.py", "ntire23"))
    arrays, rows = {}, []
    for index, (sr, hr) in enumerate(pairs()):
        arrays |= {f"sr{index}": sr, f"hr{index}": hr}
        for border in (0, 4) if min(sr.shape[:2]) >= 32 else (0,):
            rows += [{"pair": index, "crop_border": border, "key": key, "value": float(value), "source": file,
                      "exact": exact} for key, value, file, exact in rows_of(sr, hr, border, *sources)]
    np.savez_compressed(Path(__file__).with_name("metrics.npz"), rows=np.array(json.dumps(rows)), **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Scores the networks of configs/box.py: gain over bicubic (restoring: over the input) by quality and by picture.

    python benchmarks/box/score.py x2.safetensors Set14=data/Set14 BSD100=data/BSD100 --out x2.json

Each SET=FOLDER holds HR pictures that were never trained on. BSD100's are decoded JPEG files of quality 95: files of
that quality and better are nearly the pictures themselves, and no measure of harm; give a folder of pictures of
lossless origin for that. Gains are means over pictures in dB; `worst` is the smallest gain of one picture, `lost`
counts those below 0.
"""

import argparse
import json
from pathlib import Path
import sys
import time

import numpy as np
from rich.console import Console
from rich.table import Table

import jsr
from jsr import degradations, evaluation, metrics, model_file
from jsr.data import validation
from jsr.data.sources import open_source
from jsr.degradations.enlarge import enlarge
from jsr.errors import UserError
from jsr.files import atomic_write

KEYS = ("psnr[rgb]", "psnr[y_601]", "ssim[y_601]", "psnr_b[rgb]")
QUALITIES = (10, 20, 30, 40, 60, 75, 80, 85, 90, 95)
QPS = (31, 39, 47, 55, 63)


def levels(scale, avif):
    """{label: (degradation, its settings)} at which a network of this scale is judged."""
    clean = {"clean": (f"photo_x{scale}_clean", {})}
    if avif:
        return {f"QP {qp}": ("ais24", {"qp": qp}) for qp in QPS} | clean
    return {f"quality {quality}": (f"photo_x{scale}", {"quality": quality}) for quality in QUALITIES} | clean


def judge(upscaler, folder, scale, degrade, fixed, warm):
    """The scores of a folder's pictures: {baseline, gain, worst, worst_name, lost, images, codecs, seconds_per_mpx}.

    `warm` holds the sizes whose program is compiled already, so that seconds are those of computing.
    """
    kernel = "input" if scale == 1 else "pillow_bicubic"
    rows, base, records, seconds, pixels = [], [], {}, 0.0, 0
    pairs = validation.eval_pairs(open_source(folder, "train"), scale=scale, degrade=degrade, fixed=fixed)
    for name, lr, hr, made in pairs:
        ready = upscaler.told(degradations.jpeg_quality(made))
        if lr.shape not in warm:
            warm.add(lr.shape)
            ready.upscale(lr)
        begin = time.process_time()
        sr = ready.upscale(lr)
        seconds, pixels = seconds + time.process_time() - begin, pixels + hr.shape[0] * hr.shape[1]
        rows.append(metrics.score(sr, hr, KEYS, 0))
        base.append(metrics.score(enlarge(lr, scale, kernel), hr, KEYS, 0))
        records[name] = made
    pairs = list(zip(rows, base, strict=True))
    gains = [min(ours["psnr[rgb]"], 60) - min(before["psnr[rgb]"], 60) for ours, before in pairs]
    gains_y = [min(ours["psnr[y_601]"], 60) - min(before["psnr[y_601]"], 60) for ours, before in pairs]
    worst = int(np.argmin(gains))
    return {"baseline": evaluation.mean_scores(base), "ours": evaluation.mean_scores(rows),
            "gain": float(np.mean(gains)), "gain_y": float(np.mean(gains_y)),
            "worst": gains[worst], "worst_name": [*records][worst],
            "lost": int(np.sum(np.array(gains) < 0)), "images": len(records),
            "codecs": evaluation.same_codecs(records), "seconds_per_mpx": seconds / pixels * 1e6}


def main():
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model file")
    parser.add_argument("sets", nargs="+", metavar="SET=FOLDER", help="HR pictures")
    parser.add_argument("--only", nargs="+", metavar="LEVEL", help="labels of levels, as 'quality 90' or clean")
    parser.add_argument("--out", type=Path, help="a JSON file for the scores")
    args = parser.parse_args()
    try:
        run(args)
    except UserError as e:
        sys.exit(f"error: {e}")


def run(args):
    """Scores, prints a table a set, writes --out."""
    sets = dict(each.partition("=")[::2] for each in args.sets)
    for title, folder in sets.items():
        if not Path(folder or "").is_dir() or not folder:
            raise UserError(f"{title}={folder}: no such folder; give NAME=FOLDER with HR pictures")
    upscaler, console, found, warm = jsr.load(args.model), Console(width=120), {}, set()
    meta, *_ = model_file.load(args.model)
    scale, avif = upscaler.scale, "avif" in meta["recipe"]
    for title, folder in sets.items():
        table = Table("", "before", "gain", "gain y", "worst", "lost", "CPU s/Mpx", "codecs",
                      title=f"{args.model} on {title}")
        found[title] = {}
        for label, (degrade, fixed) in levels(scale, avif).items():
            if args.only and label not in args.only:
                continue
            row = found[title][label] = judge(upscaler, folder, scale, degrade, fixed, warm)
            table.add_row(label, f"{row['baseline']['psnr[rgb]']:.2f}", f"{row['gain']:+.3f}", f"{row['gain_y']:+.3f}",
                          f"{row['worst']:+.2f} {row['worst_name']}", f"{row['lost']}/{row['images']}",
                          f"{row['seconds_per_mpx']:.2f}", row["codecs"])
        console.print(table)
    if args.out:
        with atomic_write(args.out, "w") as file:
            json.dump(metrics.json_ready({"model": Path(args.model).name, "steps": meta["steps"], "sets": found}),
                      file, indent=1)


if __name__ == "__main__":
    main()

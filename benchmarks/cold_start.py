"""CPU seconds that `jsr upscale` of one picture takes from start to end, with an empty and a full cache of programs.

    python benchmarks/cold_start.py --out FILE            # about a minute and a half
    python benchmarks/cold_start.py --against CHECKOUT    # another checkout of jsr by turns with this one

The seconds are user and system time of the process and its children, the least of several runs by turns. Beside them
stand `jsr --version`, and what Python takes to import JAX and PyTorch alone. Python's compiled files lie in a folder of
the measurement, as an installed jsr has them beside its own. JAX computes one picture; the shipped network is told the
picture's quality, which other runtimes cannot. With --folder the pictures of a folder are upscaled instead, and the
number of programs is shown.
"""

import argparse
import importlib.util
import json
import os
from pathlib import Path
import re
import resource
import shutil
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # before an installed jsr

_BARE = {"import jax": "jax", "import torch": "torch"}  # {code: its package}
_SIDE = 512  # of the picture, px


def photograph(path):
    """Writes a picture of waves and noise, (_SIDE, _SIDE)."""
    rng, (y, x) = np.random.default_rng(0), np.mgrid[:_SIDE, :_SIDE] / 40
    waves = np.stack([128 + 90 * np.sin(x + channel) * np.cos(y - channel) for channel in range(3)], axis=-1)
    Image.fromarray(np.clip(waves + rng.normal(0, 5, waves.shape), 0, 255).astype(np.uint8)).save(path)


def seconds(words, checkout, caches):
    """(CPU seconds, standard output) of Python with some words, on a checkout of jsr.

    Args:
      words: words behind the interpreter's name.
      checkout: folder in which the package jsr lies.
      caches: folder that has, or gets, compiled programs and compiled Python.

    Raises:
      subprocess.CalledProcessError: it failed.
    """
    given = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    given |= {"PYTHONPATH": str(checkout), "PYTHONPYCACHEPREFIX": str(caches / "python"), "XDG_CACHE_HOME": str(caches)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *words], cwd=checkout, env=given, check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def measured(inputs, checkouts, runs, folder):
    """{checkout: {what: row}}, each row {"least", "all"} of CPU seconds, and "programs" where they were counted.

    Args:
      inputs: path of a picture or a folder.
      checkouts: {name: folder}.
      runs: number of times that each is run, by turns.
      folder: empty folder for caches and results.
    """
    command = ["-m", "jsr", "upscale", str(inputs), "--out", str(folder / "results"), "--overwrite"]
    rows = {name: {} for name in checkouts}

    def note(name, what, words):
        took, said = seconds(words, checkouts[name], folder / name)
        row = rows[name].setdefault(what, {"least": took, "all": []})
        row["all"].append(round(took, 3))
        row["least"] = min(row["all"])
        if programs := re.search(r"(\d+) programs? compiled", said):
            row["programs"] = int(programs[1])

    for name, checkout in checkouts.items():  # compiles Python's files
        seconds(command, checkout, folder / name)
    for _ in range(runs):
        for name in checkouts:
            note(name, "jsr --version", ["-m", "jsr", "--version"])
            shutil.rmtree(folder / name / "jsr")
            note(name, "jsr upscale, empty cache", command)
            note(name, "jsr upscale, full cache", command)
        for code in (code for code, package in _BARE.items() if importlib.util.find_spec(package)):
            note(next(iter(checkouts)), code, ["-c", code])
    return rows


def main():
    """The command line above."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5, help="times that each is run (default: 5)")
    parser.add_argument("--folder", type=Path, metavar="FOLDER", help="pictures to upscale instead of one of 512x512")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="another checkout of jsr")
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON file for the results")
    args = parser.parse_args()
    checkouts = {"here": Path(__file__).resolve().parents[1]}
    if args.against:
        if not (args.against / "jsr" / "__main__.py").exists():
            parser.error(f"--against {args.against}: is no checkout of jsr")
        checkouts["against"] = args.against.resolve()
    if args.folder and not args.folder.is_dir():
        parser.error(f"--folder {args.folder}: no such folder")
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder, "picture.png")
        photograph(picture)
        rows = measured(args.folder.resolve() if args.folder else picture, checkouts, args.runs, Path(folder))
    results = [{"checkout": name, "what": what, **row} for name, its in rows.items() for what, row in its.items()]
    for row in results:
        programs = f", programs: {row['programs']}" if "programs" in row else ""
        print(f"{row['checkout']}: {row['what']}: {row['least']:.2f} s{programs}")
    if args.out:
        from jsr.files import atomic_write
        from jsr.timing import timing

        head = timing.head(["python", "benchmarks/cold_start.py", *sys.argv[1:]], "cold_start")
        with atomic_write(args.out, "w") as file:
            json.dump({**head, "results": results}, file, indent=1)


if __name__ == "__main__":
    main()

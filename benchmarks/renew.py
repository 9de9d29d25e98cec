"""Measures the figures of this folder anew, one file after the other, then writes their tables and the picture.

    python benchmarks/renew.py                                       # all files, on one core: two to three hours
    python benchmarks/renew.py --only loader_1core.json,README.md    # some of them
    python benchmarks/renew.py --list                                # the commands

A command that fails is named, its file stays as it was, and the others go on. compiled.json needs XLA's compilers for
TPUs and for NVIDIA's GPUs (the extras "tpu" and "cuda"). Accelerators are measured on such a machine
(device.py); clips, an index and a cluster have scripts of their own.
"""

import argparse
import os
from pathlib import Path
import shlex
import subprocess
import sys
import time

ROOT = Path(__file__).resolve().parent.parent
_JSR = "-m jsr benchmark"
_CHALLENGE = f"{_JSR} challenge --again --overwrite"
_COMPILED = "benchmarks/compiled.py --out FILE"
FIGURES = {  # file: Python's words of the commands that write it, FILE for its path
    "cpu_1core.json": [f"{_CHALLENGE} --peers torch,onnxruntime,openvino,ncnn --max_seconds 6 --out FILE"],
    "cpu_1core_tile.json": [f"{_CHALLENGE} --protocol aim22_t1,ntire24 --size 96x96 --rounds 3 --max_seconds 20 "
                            "--peers torch,onnxruntime,openvino --out FILE"],
    "loader_1core.json": [f"{_JSR} loaders PHOTOGRAPHS --rounds 9 --overwrite --out FILE"],
    "degrade_1core.json": [f"{_JSR} degrade --overwrite --out FILE"],
    "cold_start.json": ["benchmarks/cold_start.py --out FILE"],
    "convolutions.json": ["benchmarks/convolutions.py --out FILE"],
    "compiled.json": [f"{_COMPILED} --on h200:1", f"{_COMPILED} --on v5e:1 --quick"],
}
PAGE = "README.md"  # with the tables of all files above, and gain_latency.svg


def commands(name, photographs):
    """[words behind the interpreter's name] of the commands that write a file, a key of FIGURES or PAGE.

    Args:
      photographs: folder of them, "" to make pictures up.
    """
    folder = Path("benchmarks")
    if name == PAGE:
        files = [str(folder / each) for each in FIGURES if (ROOT / folder / each).exists()]
        return [[*_JSR.split(), "picture", *files, "--table", str(folder / PAGE), "--out",
                 str(folder / "gain_latency.svg"), "--overwrite"]]
    places = {"FILE": [str(folder / name)], "PHOTOGRAPHS": [os.path.abspath(photographs)] * bool(photographs)}
    return [[word for each in line.split() for word in places.get(each, [each])] for line in FIGURES[name]]


def main(argv=None):
    """The command line above; returns the exit status."""
    known = [*FIGURES, PAGE]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", type=lambda text: text.split(","), default=known, metavar="FILE[,FILE]",
                        help=f"files to write, of {', '.join(known)} (default: all)")
    parser.add_argument("--photographs", default="", metavar="FOLDER",
                        help="photographs for loader_1core.json (default: made-up pictures)")
    parser.add_argument("--list", action="store_true", help="print the commands and do nothing")
    args = parser.parse_args(argv)
    if unknown := [name for name in args.only if name not in known]:
        parser.error(f"--only: no file {unknown[0]!r}; there are {', '.join(known)}")
    if hasattr(os, "sched_setaffinity") and not args.list:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core for all that is compared
    failed = []
    for name in (name for name in known if name in args.only):
        for words in commands(name, args.photographs):
            print(shlex.join(["python", *words]), flush=True)
            start = time.monotonic()
            if not args.list and subprocess.run([sys.executable, *words], cwd=ROOT).returncode:
                failed.append(name)
            elif not args.list:
                print(f"{name}: {(time.monotonic() - start) / 60:.1f} min", flush=True)
    if failed:
        print(f"not renewed: {', '.join(dict.fromkeys(failed))}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

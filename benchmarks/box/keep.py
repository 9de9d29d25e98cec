"""Puts a run's model file among the weights that jsr ships, with its scores, its training and the pictures behind it.

    python benchmarks/box/keep.py x2 runs/box/photo_x2 runs/box/x2_finish --scores x2.json --data data/box/data.tsv

The last of the runs gives the file; those before it are what it started from, in order. jsr/weights/x2.safetensors is
fused and in float16, benchmarks/box/training/x2.safetensors has the training branches, so that `start_from` goes on
from it. The metadata gains `licence` (of the weights), `scores` by set and level (of `score.py`), `training`
[{steps, learning_rate, schedule, ema_decay, seed, data, curve: [[step, gain in dB], ...]}], a run each, and `pictures`
[{origin, licence, standing, author, count}] with the SHA-256 of the list that `prepare.py` wrote. `jsr models show x2`
prints all of it as a card, with the notes of jsr/weights/x2.md.
"""

import argparse
import collections
import csv
import json
from pathlib import Path

import jax
import numpy as np

from jsr import model_file
from jsr.files import sha256

WEIGHTS = Path(__file__).parents[2] / "jsr" / "weights"
TRAINING = Path(__file__).parent / "training"


def pictures(path):
    """The pictures of a `data.tsv`, [{origin, licence, standing, author, count}]."""
    with open(path, newline="", encoding="utf-8") as file:
        keys = [tuple(row[key] for key in ("origin", "licence", "standing", "author"))
                if row["standing"] != "drawn" else ("drawings.py", row["licence"], "drawn", row["author"])
                for row in csv.DictReader(file, delimiter="\t")]
    return [dict(zip(("origin", "licence", "standing", "author", "count"), (*key, count), strict=True))
            for key, count in collections.Counter(keys).items()]


def training(run, last):
    """What one run did up to a step, see above; `last` None is its last validation."""
    config = json.loads((run / "config.json").read_text())
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    curve = [[row["step"], round(row["gain"], 3)] for row in rows if row["kind"] == "eval"]
    curve = [point for point in curve if last is None or point[0] <= last]
    stage = config["stages"][0]
    player = stage["players"][0]
    return {"steps": curve[-1][0], "learning_rate": player["learning_rate"], "schedule": player["schedule"],
            "ema_decay": config["ema_decay"], "seed": config["seed"], "crop": stage["crop"], "batch": stage["batch"],
            "data": [[row["dataset"], row["degrade"], row["set"], row["weight"]] for row in config["data"]["train"]],
            "curve": curve}


def main():
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="what it is called")
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs")
    parser.add_argument("--scores", type=Path, required=True, help="the file of score.py --out")
    parser.add_argument("--data", type=Path, required=True, help="the list of prepare.py")
    args = parser.parse_args()
    model = args.runs[-1] / "best.safetensors"
    meta, networks, variables = model_file.load(model)
    steps = meta["steps"]
    meta |= {"licence": "Apache-2.0", "scores": meta["scores"] | json.loads(args.scores.read_text())["sets"],
             "training": [training(run, steps if run == args.runs[-1] else None) for run in args.runs],
             "pictures": pictures(args.data), "pictures_sha256": sha256(args.data)}
    TRAINING.mkdir(exist_ok=True)
    _save(TRAINING / f"{args.name}.safetensors", variables, meta)
    meta, _, variables, _ = model_file.fused(meta, networks, variables)
    _save(WEIGHTS / f"{args.name}.safetensors", variables, meta)


def _save(path, variables, meta):
    model_file.save(path, jax.tree.map(np.float16, variables), {k: v for k, v in meta.items() if k != "format"})


if __name__ == "__main__":
    main()

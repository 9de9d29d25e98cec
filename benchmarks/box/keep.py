"""Puts a run's model file among the weights that jsr ships, in float16, with its scores and the pictures behind it.

    python benchmarks/box/keep.py runs/box/photo_x2/best.safetensors x2 --scores x2.json --data data/box/data.tsv

jsr/weights/x2.safetensors stays in training form, so that `start_from` goes on from it. Its metadata gains `licence`
(of the weights), `scores` by set and level (of `score.py`), `pictures` [{origin, licence, standing, author, count}]
with the SHA-256 of the list that `prepare.py` wrote.
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


def pictures(path):
    """The pictures of a `data.tsv`, [{origin, licence, standing, author, count}]."""
    with open(path, newline="", encoding="utf-8") as file:
        keys = [tuple(row[key] for key in ("origin", "licence", "standing", "author"))
                if row["standing"] != "drawn" else ("drawings.py", row["licence"], "drawn", row["author"])
                for row in csv.DictReader(file, delimiter="\t")]
    return [dict(zip(("origin", "licence", "standing", "author", "count"), (*key, count), strict=True))
            for key, count in collections.Counter(keys).items()]


def main():
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a run's model file")
    parser.add_argument("name", help="what it is called")
    parser.add_argument("--scores", type=Path, required=True, help="the file of score.py --out")
    parser.add_argument("--data", type=Path, required=True, help="the list of prepare.py")
    args = parser.parse_args()
    meta, _, variables = model_file.load(args.model)
    meta = {key: value for key, value in meta.items() if key != "format"}
    scores = json.loads(args.scores.read_text())["sets"]
    meta |= {"licence": "Apache-2.0", "scores": meta["scores"] | scores, "pictures": pictures(args.data),
             "pictures_sha256": sha256(args.data)}
    WEIGHTS.mkdir(exist_ok=True)
    model_file.save(WEIGHTS / f"{args.name}.safetensors", jax.tree.map(np.float16, variables), meta)


if __name__ == "__main__":
    main()

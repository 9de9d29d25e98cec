"""Recall, build time, query time and memory of a database's index at three sizes, and what follows for two million.

    python benchmarks/retrieval.py --out benchmarks/retrieval.json [--sizes 5000 15000 45000]

Features are drawn, 100 a frame: 22 frames around the centre of each video, as NoahTerminalCV's 2,000,000 samples of
90,000 videos have them. Queries are further frames of videos that are in the database. The last row is not measured: it
goes on from the others, times by the power of the size that fits them best, bytes a frame as at the largest size.
"""

import argparse
import json
from pathlib import Path
import tempfile
import time

import numpy as np
import psutil

from jsr.files import atomic_write
from jsr.retrieval import database
from jsr.retrieval.database import Database, Video

FEATURES, PER_VIDEO, SPREAD, QUERIES, WHOLE = 100, 22, 0.5, 200, 2_000_000
COUNT = 16  # frames that are sought


def drawn(rng, videos, per_video):
    """Float32 (videos, per_video, FEATURES), of length one."""
    centres = rng.normal(size=(videos, 1, FEATURES))
    found = (centres + SPREAD * rng.normal(size=(videos, per_video, FEATURES))).astype(np.float32)
    return found / np.linalg.norm(found, axis=-1, keepdims=True)


class NoEngine:
    """In the place of the networks, of which nothing is measured here."""

    fingerprint, multiple = "none", 8

    def save(self, path):
        """Leaves a file of no networks."""
        path.parent.mkdir(parents=True)
        path.touch()


def measured(size, folder):
    """The row of one size."""
    rng = np.random.default_rng(size)
    videos = size // PER_VIDEO
    features = drawn(rng, videos, PER_VIDEO + 1)
    made = Database.create(folder, NoEngine())
    latents = np.zeros((1, 1, 1), np.uint8)
    for first in range(0, videos, 500):
        named = [Video(f"{number:06d}.mkv", "", made.next_shard) for number in range(first, min(first + 500, videos))]
        rows = features[first:first + len(named), :PER_VIDEO].reshape(-1, FEATURES)
        frames = [(video, number) for video in named for number in range(PER_VIDEO)]
        made.write(list(rows), [latents] * len(rows), frames, named, {video.name for video in named})
    before, started = _memory(), time.process_time()
    made.refresh()
    seconds = time.process_time() - started
    queries = features[rng.choice(videos, min(QUERIES, videos), replace=False), PER_VIDEO]
    started = time.process_time()
    found = [made.search(query, COUNT) for query in queries]
    query = (time.process_time() - started) / len(queries)
    started = time.process_time()
    exact = [made.search(query, COUNT, exact=True) for query in queries]
    exact_query = (time.process_time() - started) / len(queries)
    recall = np.mean([len({hit.key for hit in a} & {hit.key for hit in b}) / COUNT
                      for a, b in zip(found, exact, strict=True)])
    return {"frames": len(made), "recall": round(float(recall), 4), "build_s": round(seconds, 2),
            "query_ms": round(1000 * query, 3), "exact_query_ms": round(1000 * exact_query, 3),
            "index_bytes_a_frame": round((folder / "index.usearch").stat().st_size / len(made), 1),
            "memory_mb": round(_memory() - before, 1)}


def _memory():
    """Of this process, MB."""
    return psutil.Process().memory_info().rss / 1e6


def extrapolated(rows):
    """The row of WHOLE frames, by the others; recall and memory are not guessed."""
    sizes = np.log([row["frames"] for row in rows])

    def power(key):
        slope, start = np.polyfit(sizes, np.log([max(row[key], 1e-3) for row in rows]), 1)
        return round(float(np.exp(start + slope * np.log(WHOLE))), 2)

    return {"frames": WHOLE, "extrapolated": True, "build_s": power("build_s"), "query_ms": power("query_ms"),
            "exact_query_ms": power("exact_query_ms"), "index_mb": round(rows[-1]["index_bytes_a_frame"] * WHOLE / 1e6)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5_000, 15_000, 45_000])
    args = parser.parse_args()
    rows = []
    for size in args.sizes:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measured(size, Path(folder) / "database"))
        print(json.dumps(rows[-1]), flush=True)
    rows.append(extrapolated(rows))
    print(json.dumps(rows[-1]))
    with atomic_write(args.out, "w") as file:
        json.dump({"features": FEATURES, "connectivity": database.CONNECTIVITY, "expansion": database.EXPANSION,
                   "count": COUNT, "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()

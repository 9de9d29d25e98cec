"""Says by how much one method's results are better than another's, and how sure that is.

    python examples/two_methods.py RESULTS_A RESULTS_B ORIGINALS

PNG files of the same names in three folders. `jsr evaluate --sr RESULTS_A RESULTS_B --hr ORIGINALS` does this, too.
"""

from pathlib import Path
import sys

import numpy as np

import jsr
from jsr.evaluation import comparison
from jsr.images import read_rgb


def main(a, b, originals, key="psnr[y_601]", border=4):
    """Prints the mean difference with its interval of 95 %, by drawing images anew (bootstrap), and the extremes."""
    names, differences = [path.name for path in sorted(Path(originals).glob("*.png"))], []
    for name in names:
        hr = read_rgb(Path(originals) / name)
        scores = [jsr.metrics.score(read_rgb(Path(folder) / name), hr, [key], border)[key] for folder in (a, b)]
        differences.append(scores[0] - scores[1])
    differences = np.array(differences)
    low, high, _ = comparison.bootstrap(differences)
    print(f"{a} over {b}: {differences.mean():+.3f} dB {key}, {low:+.3f} to {high:+.3f} over {len(names)} images")
    for index in (differences.argmin(), differences.argmax()):
        print(f"{differences[index]:+.3f}  {names[index]}")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Enlarges every picture of a folder.

    python examples/better_a_folder.py PICTURES [MODEL]

Each result lies beside its picture, as `jsr upscale PICTURES` writes it; that command does more, in tiles and with a
manifest. This shows the same from Python.
"""

from pathlib import Path
import sys

import jsr
from jsr.errors import UserError


def main(folder, model="x2"):
    """Enlarges the pictures in `folder`; one that cannot be read is a line."""
    upscaler = jsr.load(model)
    for path in sorted(Path(folder).iterdir()):
        try:
            print(upscaler.upscale(path))  # the path of the result
        except UserError as e:
            print(e, file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])

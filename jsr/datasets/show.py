"""A prepared dataset as a picture: its records below each other, HR, LR, and the steps that made the LR image."""

import json
import textwrap

import numpy as np
from PIL import Image, ImageDraw

from jsr import images
from jsr.datasets import records
from jsr.degradations import explain

WIDTH = 1200  # px
_WHOLE = 400  # side of the box that the whole HR image is fitted into, px
_LINE = 18  # height of a line of text, px
_LETTERS = 185  # in a line


def contact_sheet(source, count):
    """The first records of a source: the whole HR image, one place of it, the same place of the LR image.

    Args:
      source: images, see `jsr.data.sources`.
      count: records, at most.

    Returns:
      uint8 (H, W, 3).

    Raises:
      UserError: a damaged record.
    """
    return np.concatenate([_row(source[index]) for index in range(min(count, len(source)))])


def _row(record):
    hr = images.read_rgb(record["hr"], name=f"{record['name']} (hr)")
    panels, made = [("HR", hr, "")], ""
    if "lr" in record:
        panels.append(("LR", records.lr_image(record), ""))
        made = record["degradation"] or "taken by a camera"
    lines = [f"{record['name']}  {hr.shape[1]}x{hr.shape[0]} px", *textwrap.wrap(_readable(made), _LETTERS)]
    whole = Image.fromarray(hr)
    whole.thumbnail((_WHOLE, _WHOLE))
    strip = Image.fromarray(explain.side_by_side(panels))
    strip.thumbnail((WIDTH - _WHOLE, _WHOLE))
    top = _LINE * len(lines) + 8
    row = Image.new("RGB", (WIDTH, top + max(whole.height, strip.height) + 8), "white")
    ImageDraw.Draw(row).text((4, 4), "\n".join(lines), fill="black", font_size=13)
    row.paste(whole, (0, top))
    row.paste(strip, (_WHOLE, top))
    return np.asarray(row)


def _readable(made):
    """A degradation record as a line of text; other text as it is."""
    if not made.startswith("{"):
        return made
    made = json.loads(made)
    steps = ("{}({}) [{}]".format(step["fn"], *explain.in_words(step, ", ")) for step in made["steps"])
    return f"{made['protocol']}, seed {made['seed']}: {', then '.join(steps)}"

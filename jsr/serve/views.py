"""Files for the screen: pictures as they are where browsers show them, else as PNG; of clips a frame in the middle."""

from fractions import Fraction
import io

import numpy as np
from PIL import Image

from jsr import clips, pictures
from jsr.files import atomic_write

SHOWN = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "avif": "image/avif", "gif": "image/gif"}
LIMIT = 64_000_000  # px that a browser is given
_SIDE = 8000  # of what is shown of larger ones, px
THUMBNAIL = ".thumbnail"  # name of such a file beside its picture
_SMALL = 240  # px, its longer side
_WEBP = ".webp[Q=80]"


def whole(path, kept):
    """A file that shows a picture or clip at its own size, or smaller where it is large.

    Args:
      path: path of the picture or clip.
      kept: folder of such files once they are made.

    Returns:
      (path, media type).

    Raises:
      UserError: the picture cannot be read.
    """
    if kept.exists():
        return kept, "image/png"
    if clips.is_clip(path):
        data = _frame(path)
    else:
        with pictures.open_picture(path) as picture:
            if picture.format in SHOWN and picture.height * picture.width <= LIMIT:
                return path, SHOWN[picture.format]
            data = picture.preview(_SIDE, ".png[compression=1]")
    with atomic_write(kept) as file:
        file.write(data)
    return kept, "image/png"


def thumbnail(path, kept):
    """A small file that shows a picture or clip; arguments, result and errors as in `whole`."""
    if not kept.exists():
        if clips.is_clip(path):
            small = Image.open(io.BytesIO(_frame(path)))
            small.thumbnail((_SMALL, _SMALL))
            sink = io.BytesIO()
            small.save(sink, "WEBP", quality=80)
            data = sink.getvalue()
        else:
            with pictures.open_picture(path) as picture:
                data = picture.preview(_SMALL, _WEBP)
        with atomic_write(kept) as file:
            file.write(data)
    return kept, "image/webp"


def _frame(path):
    """The frame in the middle of a clip, the first of a short one, as PNG."""
    clip = clips.inspect(path)
    middle = Fraction(clip.seconds / 2).limit_denominator(1000) if clip.seconds >= 1 else None
    shown = next(iter(clips.Frames(clip, start=middle)), None) or next(iter(clips.Frames(clip)))
    codes = np.rint(np.clip(clips.to_rgb(shown.frame, clip.colours), 0, 1) * 255).astype(np.uint8)
    sink = io.BytesIO()
    Image.fromarray(codes[..., 0] if codes.shape[2] == 1 else codes).save(sink, "PNG", compress_level=1)
    return sink.getvalue()

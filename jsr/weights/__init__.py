"""Names of model files: `x4` is the file that jsr ships, or that `jsr models get` has put into the user's cache folder.

Whatever takes a model file takes such a name too (jsr.model_file.find). Shipped are the files beside this one:

  x2, x4    photographs as people have them, clean or JPEG of any quality
  x4-avif   AVIF
  restore   JPEG, at its own size
"""

import contextlib
from pathlib import Path

from jsr import places
from jsr.errors import UserError, nearest
from jsr.weights import public

SHIPPED = Path(__file__).parent
PURPOSES = {  # of the shipped ones, continuing "made for"
    "x2": "photographs, clean or JPEG of any quality",
    "x4": "photographs, clean or JPEG of any quality",
    "x4-avif": "photographs in AVIF",
    "restore": "JPEG files of any quality, at their own size",
}


def downloads():
    """The folder of downloaded model files, a Path, which need not exist; UserError for a user without a home."""
    try:
        return places.cache("models")
    except RuntimeError:
        raise UserError("there is no home folder for downloaded models; set XDG_CACHE_HOME to a folder") from None


def files():
    """{name: path} of the model files that are there, the shipped ones first."""
    folders, found = [SHIPPED], {}
    with contextlib.suppress(UserError):
        folders.append(downloads())
    for folder in folders:
        for path in sorted(folder.glob("*.safetensors")):
            found.setdefault(path.stem, path)
    return found


def unknown(name):
    """An error message's words on a word that is neither a path nor the name of a model on this machine."""
    if name in public.models():
        return f"is a public model that is not here yet; `jsr models get {name}` downloads it"
    hint = nearest(name, [*files(), *public.models()])
    return ("no such model file and no model of this name; "
            f"{f'{hint} ' if hint.startswith('did') else ''}`jsr models` lists the names")

"""Names of model files: `x4` is the file that jsr ships, or that `jsr models get` has put into the user's cache folder.

Whatever takes a model file takes such a name too (jsr.model_file.find).
"""

import contextlib
from pathlib import Path

from jsr import places
from jsr.errors import UserError, nearest

SHIPPED = Path(__file__).parent


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
    """What an error message says of a word that is neither a path nor the name of a model."""
    hint = nearest(name, files())
    return f"{hint if hint.startswith('did') else ''} `jsr models` lists the names".strip()

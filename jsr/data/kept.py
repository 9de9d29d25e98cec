"""LR files of whole images, kept on disk from the first use on.

A codec that predicts across the whole image, as AVIF does, gives another picture of a part alone: the part is cut from
the whole image's file. To make that takes 0.3 s of CPU for an image of DIV2K. A sample of a file that is there takes 11
to 15 ms, crops of 32 and 128 LR px compressed alone 10 and 45 ms; these have 1.3 dB less at QP 31, of 32 px (116 crops
of Set14 and BSD100, luma of the decoded LR against the one before its compression), and 0.6 dB less of 64 px.
"""

import contextlib
import hashlib
import json
from pathlib import Path
import zlib

from jsr.errors import UserError
from jsr.files import atomic_write

FOLDER = ".degraded"  # in the folder of the datasets; a few KB an image and setting, and nothing removes them
_SUM = 4  # bytes of the checksum


def kept(folder, hr, made_of, make):
    """The bytes of an LR file, made once.

    Workers and runs may share the folder. Where it cannot be written the file is made anew each time. A kept file ends
    in its bytes' CRC-32; one that was damaged since is made anew.

    Args:
      folder: folder of all such files; None keeps nothing.
      hr: bytes-like, the HR image's file.
      made_of: all else that decides of the LR file, for JSON.
      make: function without arguments that gives the bytes.
    """
    if folder is None:
        return make()
    digest = hashlib.sha256(hr)
    digest.update(json.dumps(made_of, sort_keys=True).encode())
    name = digest.hexdigest()
    path = Path(folder, name[:2], name[2:])
    with contextlib.suppress(OSError):
        whole = path.read_bytes()
        if len(whole) > _SUM and _sum(whole[:-_SUM]) == whole[-_SUM:]:
            return whole[:-_SUM]
    data = make()
    with contextlib.suppress(OSError, UserError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(data + _sum(data))
    return data


def _sum(data):
    return zlib.crc32(data).to_bytes(_SUM, "little")

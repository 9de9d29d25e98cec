"""Model files on cloud storage, gs:// and s3://: copied into the user's cache folder, and used from there.

Only whole files are read so. A run, a folder of results and a dataset want locks, renames and memory maps, which such
storage has none of: `jsr.files.refuse_remote` says what to do instead.
"""

import hashlib

from jsr import places
from jsr.errors import UserError
from jsr.files import atomic_write


def local(url):
    """The Path of the local copy of a model file, which lies in a folder called by the hash of its content.

    Args:
      url: as "gs://bucket/model.safetensors".

    Raises:
      UserError: there is no such file, it cannot be read, or the library for such storage is not installed.
    """
    from etils import epath

    try:
        path = epath.Path(url)
        if path.is_dir():
            raise UserError(f"{url}: is a folder; name the model file in it, as {url.rstrip('/')}/best.safetensors")
        data = path.read_bytes()  # each time: not every storage tells when a file was changed
        copy = places.cache("remote") / hashlib.sha256(data).hexdigest()[:16] / path.name
        if not copy.exists():
            with atomic_write(copy) as file:
                file.write(data)
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{url}: no such file") from None
    except ImportError as e:  # fsspec's words name the package
        raise UserError(f"{url}: {str(e).partition(chr(10))[0]} (pip install gcsfs, of s3:// s3fs)") from e
    except Exception as e:  # whatever the libraries of a cloud raise: no permission, no network, no bucket
        words = (str(e).strip().splitlines() or [""])[0]
        raise UserError(f"{url}: cannot be read ({type(e).__name__}: {words})") from e
    return copy

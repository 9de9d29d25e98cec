"""Models on the Hugging Face hub, in both directions, by its own library (`huggingface_hub`, an extra).

The library keeps what it downloads in a cache of its own, goes on where a download broke off, and takes HF_TOKEN and
HF_ENDPOINT from the environment.
"""

import contextlib
from pathlib import Path

import jsr
from jsr import native
from jsr.errors import MissingLibrary, UserError, install, nearest

SCHEME = "hf:"
ENDINGS = (".safetensors", ".pth", ".pt", ".ckpt")  # of weights, those to take first in front


def pull(place):
    """Downloads a file of a repository.

    Args:
      place: "hf:ORG/REPO/FILE"; without FILE the only one with weights, safetensors before others.

    Returns:
      (Path of the file in the library's cache, "hf:ORG/REPO/FILE@COMMIT").

    Raises:
      UserError: no such repository or file, several, no connection, or the library is not installed.
    """
    repo, file = _split(place)
    with _library(place) as hub:
        api = hub.HfApi(library_name="jsr", library_version=jsr.__version__)
        found = api.model_info(repo)
        names = [entry.rfilename for entry in found.siblings or ()]
        file = file or _only(place, names)
        if file not in names:
            raise UserError(f"{place}: the repository has no such file; {nearest(file, names)}")
        return Path(api.hf_hub_download(repo, file, revision=found.sha)), f"{SCHEME}{repo}/{file}@{found.sha}"


def push(place, contents, *, private):
    """Uploads files to a repository, which is made where there is none, as one commit.

    Args:
      place: "hf:ORG/REPO".
      contents: {name in the repository: Path, or the bytes}.
      private: whether a repository that is made is for its owner alone.

    Returns:
      The address of the commit.

    Raises:
      UserError: no rights, no connection, or the library is not installed.
    """
    repo, file = _split(place)
    if file:
        raise UserError(f"{place}: a model is pushed to a repository, {SCHEME}{repo}")
    with _library(place) as hub:
        api = hub.HfApi(library_name="jsr", library_version=jsr.__version__)
        api.create_repo(repo, exist_ok=True, private=private or None)
        commit = api.create_commit(repo, [hub.CommitOperationAdd(name, content) for name, content in contents.items()],
                                   commit_message="Upload by jsr")
        return commit.commit_url


def _split(place):
    """("ORG/REPO", "FILE" or "") of a place."""
    org, repo, file = (place.removeprefix(SCHEME).split("/", 2) + ["", ""])[:3]
    if not org or not repo:
        raise UserError(f"{place}: a place on the hub is {SCHEME}ORG/REPO or {SCHEME}ORG/REPO/FILE")
    return f"{org}/{repo}", file


def _only(place, names):
    for ending in ENDINGS:
        found = [name for name in names if name.endswith(ending)]
        if len(found) == 1:
            return found[0]
        if found:
            raise UserError(f"{place}: has several files; name one of {', '.join(sorted(found))}")
    raise UserError(f"{place}: has no file that ends in {', '.join(ENDINGS)}")


@contextlib.contextmanager
def _library(place):
    """The package huggingface_hub, without its telemetry; what it raises within becomes a UserError about the place."""
    with native.environment("HF_HUB_DISABLE_TELEMETRY", "1"):  # read at the import
        try:
            import huggingface_hub
        except ImportError:
            raise MissingLibrary(f"{place}: needs the package huggingface_hub: {install('hub')}") from None
    try:
        yield huggingface_hub
    except UserError:
        raise
    except Exception as e:  # of httpx, its own, ValueError, OSError... by what failed
        reason = next((line.strip() for line in str(e).splitlines() if line.strip()), type(e).__name__)
        raise UserError(f"{place}: {reason}") from e

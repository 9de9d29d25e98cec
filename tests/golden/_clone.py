"""For the scripts that write goldens of networks whose code imports nothing but its neighbours and torch."""

import importlib
from pathlib import Path
import subprocess
import sys


def load(repository, file, root="."):
    """A module of a git clone, imported from its folder `root`, and where it is from."""
    sys.path.insert(0, str(Path(repository, root)))
    module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    commit = subprocess.run(["git", "-C", repository, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return module, f"{Path(repository).resolve().name}@{commit.stdout.strip()}:{Path(root, file)}"

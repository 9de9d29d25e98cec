"""Prints the SHA-256 of what a short run leaves: equal before and after a change that should change no numbers.

    python benchmarks/same_run.py                     # in the checkout before the change, and in the one after
    python benchmarks/same_run.py --steps 200

It trains `aim22_t1:quick` for some steps in a new folder and hashes the tensors of last.safetensors, in the order of
their names. The same machine and libraries give the same bits.
"""

import argparse
import hashlib
from pathlib import Path
import subprocess
import sys
import tempfile

import safetensors.numpy


def tensors_sha256(path):
    """The SHA-256 of a .safetensors file's tensors and their names, without its metadata."""
    digest = hashlib.sha256()
    for name, tensor in sorted(safetensors.numpy.load_file(path).items()):
        digest.update(f"{name} {tensor.dtype} {tensor.shape}\n".encode() + tensor.tobytes())
    return digest.hexdigest()


def main():
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=60, help="training steps (default: 60)")
    args = parser.parse_args()
    root = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "jsr.main", f"--config={root / 'configs' / 'aim22_t1.py'}",
                   f"--workdir={folder}", f"--config.stages[0].steps={args.steps}"]
        subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)
        print(tensors_sha256(Path(folder) / "last.safetensors"))


if __name__ == "__main__":
    main()

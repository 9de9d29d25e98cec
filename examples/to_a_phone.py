"""Writes a network as an ONNX file of one input size, as runtimes on phones want it, and runs it here.

    pip install ".[export]"
    python examples/to_a_phone.py x2 x2.onnx

The file takes and gives uint8 (1, height, width, 3) RGB. ONNX Runtime Mobile reads it as it is; the execution
providers of phones (NNAPI, Core ML) want sizes that are fixed, as these are.
"""

import subprocess
import sys

import numpy as np

SIZE = 180, 320


def main(model, out):
    """Exports, runs, and says what goes in and out."""
    import onnxruntime

    size = "x".join(map(str, SIZE))
    subprocess.run([sys.executable, "-m", "jsr", "export", model, out, "--size", size, "--overwrite"], check=True)
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    (given,), (result,) = session.get_inputs(), session.get_outputs()
    image = np.random.default_rng(0).integers(0, 256, (1, *SIZE, 3), np.uint8)
    (sr,) = session.run([result.name], {given.name: image})
    print(f"{given.name} {image.shape} {image.dtype} to {result.name} {sr.shape} {sr.dtype}")


if __name__ == "__main__":
    main(*sys.argv[1:])

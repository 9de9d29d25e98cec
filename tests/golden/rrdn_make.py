"""Writes rrdn.npz: a small RRDN of the original code with random weights, an input and what it makes of it.

    python tests/golden/rrdn_make.py image-super-resolution

The argument is a git clone of idealo/image-super-resolution; TensorFlow must be installed, and tf-keras. Not run by the
tests. tests/models/test_rrdn.py says which layer is which: there are no rules of conversion, since the original has no
state dict but a Keras file.
"""

import json
import os
from pathlib import Path
import sys

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import _clone  # noqa: E402
import numpy as np  # noqa: E402

FIELDS = dict(scale=4, num_feat=6, num_block=2, num_grow_ch=3)
SIZE = 5, 7


def main(repository):
    original, file = _clone.load(repository, "ISR/models/rrdn.py")
    net = original.RRDN({"C": 4, "D": 3, "G": FIELDS["num_grow_ch"], "G0": FIELDS["num_feat"], "T": FIELDS["num_block"],
                         "x": FIELDS["scale"]}).model
    rng, arrays = np.random.default_rng(0), {}
    for layer in net.layers:
        if not layer.weights:
            continue
        kernel, bias = (weight.shape for weight in layer.weights)
        drawn = rng.normal(0, np.prod(kernel[:3])**-0.5, kernel), rng.normal(0, 0.3, bias)
        its = [np.float32(np.round(values * 64) / 64) for values in drawn]  # which compress well
        layer.set_weights(its)
        arrays |= {f"{layer.name}/kernel": its[0], f"{layer.name}/bias": its[1]}
    lr = rng.integers(0, 256, (1, *SIZE, 3), np.uint8)
    sr = net.predict(lr.astype(np.float32) / 255)
    about = {"tensorflow": original.tf.__version__, "file": file, "fields": FIELDS}
    np.savez_compressed(Path(__file__).with_name("rrdn.npz"), about=np.array(json.dumps(about)), lr=lr, sr=sr, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Times the convolutions that jsr computes otherwise on a CPU, beside XLA's own and PyTorch's, on one core.

    taskset -c 0 python benchmarks/convolutions.py --out FILE

FILE (JSON) has a row for each convolution, forward and for its gradients: CPU milliseconds, the least of some repeats
in turns.
"""

import argparse
import json
from pathlib import Path
import sys
import time

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # before an installed jsr

SIZE = 135, 240  # of images, px
CASES = [  # kernel's side, channels, features, groups, and pixels of padding where not half the side
    (3, 3, 12, 1), (3, 3, 32, 1), (3, 8, 8, 1), (3, 12, 12, 1), (3, 16, 16, 1), (5, 16, 16, 1),
    (3, 32, 32, 4), (3, 64, 64, 2), (3, 64, 64, 8), (3, 64, 64, 64), (7, 64, 64, 64),
    (1, 16, 32, 1), (3, 46, 46, 1), (3, 50, 50, 1), (3, 32, 32, 1, 0), (3, 64, 64, 1, 0),
    (3, 32, 32, 1), (3, 64, 64, 1),  # left to XLA
]
REPEATS = 5


def measured(side, channels, features, groups, padding=None):
    """The row of a convolution: {"forward", "gradients"} of {"jsr", "xla", "torch"} in CPU ms."""
    import jax
    from jax import lax
    import numpy as np
    import torch

    from jsr.layers.conv import convolve

    padding = side // 2 if padding is None else padding

    def xla(x, kernel):
        return lax.conv_general_dilated(x, kernel, (1, 1), [(padding, padding)] * 2, feature_group_count=groups,
                                        dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def jsr(x, kernel):
        return convolve(x, kernel, padding=(padding, padding), groups=groups)

    rng = np.random.default_rng(0)
    x = rng.random((1, *SIZE, channels), np.float32)
    kernel = rng.standard_normal((side, side, channels // groups, features), np.float32)
    theirs = [torch.from_numpy(x).permute(0, 3, 1, 2),
              torch.from_numpy(kernel).permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)]

    def of_torch(*arguments):
        return torch.nn.functional.conv2d(*arguments, padding=padding, groups=groups)

    def gradients_of_torch():
        leaves = [leaf.detach().requires_grad_() for leaf in theirs]
        torch.autograd.grad(of_torch(*leaves).square().sum(), leaves)

    runs = {"forward": {"torch": torch.inference_mode()(lambda: of_torch(*theirs))},
            "gradients": {"torch": gradients_of_torch}}
    given = jax.device_put((x, kernel))
    for name, function in (("jsr", jsr), ("xla", xla)):
        gradients = jax.grad(lambda *its, function=function: (function(*its)**2).sum(), (0, 1))
        for what, made in (("forward", jax.jit(function)), ("gradients", jax.jit(gradients))):
            runs[what][name] = lambda made=made: jax.block_until_ready(made(*given))
    return {what: _least(functions) for what, functions in runs.items()}


def _least(functions):
    least = {}
    for _ in range(REPEATS + 1):  # the first one compiles
        for name, function in functions.items():
            start = time.process_time()
            function()
            least.setdefault(name, []).append(time.process_time() - start)
    return {name: round(1e3 * min(times[1:]), 2) for name, times in least.items()}


def main(argv=None):
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="results, JSON")
    args = parser.parse_args(argv)

    import torch

    from jsr.files import atomic_write
    from jsr.timing import timing

    torch.set_num_threads(1)
    head = timing.head(["python", "benchmarks/convolutions.py", "--out", str(args.out)], "convolutions")
    rows = []
    for case in CASES:
        names = "kernel", "channels", "features", "groups", "padding"
        rows.append({**dict(zip(names, case, strict=False)), **measured(*case)})
        print(rows[-1], flush=True)
    with atomic_write(args.out, "w") as file:
        json.dump({**head, "size": SIZE, "results": rows}, file, indent=1)


if __name__ == "__main__":
    main()

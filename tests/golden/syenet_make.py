"""Writes syenet.npz: a quadratic connection unit of SYENet with random weights, an input and what it makes of it.

    python tests/golden/syenet_make.py SYENET

The argument is a git clone of sanechips-multimedia/syenet; numpy and torch must be installed. Not run by the tests. The
unit's blocks are plain 3x3 convolutions, in the first with a PReLU between.

`x` and `y` are float32 NHWC; `state_dict/<key>` as torch has them; `slim/b` is the kernel (OIHW) of the second block of
the unit for deployment, which has no factor and makes the same `y`; `about` is JSON.
"""

import json
from pathlib import Path
import sys

import _official
import numpy as np
import torch
from torch import nn


def main(repository):
    module, file = _official.load(repository, "model/utils.py")
    torch.manual_seed(0)
    first = nn.Sequential(nn.Conv2d(3, 5, 3, 1, 1), nn.PReLU(5), nn.Conv2d(5, 5, 3, 1, 1))
    unit = module.QuadraticConnectionUnit(first, nn.Conv2d(3, 5, 3, 1, 1), 5)
    _official.randomise(unit)
    slim = module.QuadraticConnectionUnitS(first, nn.Conv2d(3, 5, 3, 1, 1), 5)
    # as SYESRX2Net.slim (model/srx2.py) folds it
    slim.load_state_dict({key: value * (0.1 if "block2" in key else 1) for key, value in unit.state_dict().items()})
    x = torch.rand(1, 3, 6, 7)
    with torch.no_grad():
        y = unit(x)
        assert torch.allclose(y, slim(x), atol=1e-6)
    arrays = {f"state_dict/{key}": value.numpy() for key, value in unit.state_dict().items()}
    arrays |= {"x": x.permute(0, 2, 3, 1).numpy(), "y": y.permute(0, 2, 3, 1).numpy(),
               "slim/b": slim.block2.weight.detach().numpy()}
    about = {"torch": torch.__version__, "file": file}
    np.savez_compressed(Path(__file__).with_name("syenet.npz"), about=np.array(json.dumps(about)), **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Writes srresdnet.npz: a small SRResDNet of the original code with random weights, an input and what it makes of it.

    python tests/golden/srresdnet_make.py SRResCycGAN

The argument is a git clone of RaoUmer/SRResCycGAN; numpy and torch must be installed. Not run by the tests. The format
is that of _official.write.
"""

from pathlib import Path
import sys

import _official

FOLDER = "srrescycgan_code_demo"
CASES = {  # model, size of the input, fields
    "base": ("srresdnet/base", (9, 7), dict(scale=4, num_feat=6, num_block=3)),
}


def main(repository):
    sys.path.insert(0, str(Path(repository) / FOLDER))  # its folder `modules`

    def make(model, fields):
        denoiser, _ = _official.load(repository, f"{FOLDER}/models/ResDNet.py", replace={"64": str(fields["num_feat"])})
        module, file = _official.load(repository, f"{FOLDER}/models/SRResDNet.py")
        return module.SRResDNet(denoiser.ResDNet(fields["num_block"]), fields["scale"]), file

    def run(net, fields, lr):
        return {"sr": net(lr.contiguous() * 255) / 255}

    _official.write("srresdnet", CASES, make, run)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Writes abpn.npz: small ABPNs of the original code with random weights, an input and what they make of it.

    python tests/golden/abpn_make.py ABPN

The argument is a git clone of Holmes-Alan/ABPN; numpy and torch must be installed. Not run by the tests. The format is
that of _official.write. A case of three stages has the original's first three of its ten.
"""

from pathlib import Path
import re
import sys

import _official

CASES = {  # model, size of the input, fields
    "three_stages": ("abpn/base", (3, 4), dict(scale=4, dim=3, num_stage=3, unused=True)),
    "base": ("abpn/base", (4, 6), dict(scale=4, dim=2, unused=True)),
}


def shortened(repository):
    """{the original network's text: its text with three stages}."""
    text = (Path(repository) / "model.py").read_text()
    text = text[text.index("class ABPN_v5"):text.index("class ABPN_v6")]
    short = re.sub(r" +# BP 4\n.*?(?= +# reconstruction)", "", text, flags=re.DOTALL)
    for old, new in {"up3, up4, up5, up6, up7, up8, up9, up10": "up3", "10 * dim": "3 * dim", "9 * dim": "2 * dim",
                     "down2, down3, down4, down5, down6, down7, down8, down9": "down2"}.items():
        short = short.replace(old, new)
    return {text: short}


def main(repository):
    def make(model, fields):
        replace = shortened(repository) if "num_stage" in fields else {}
        module, file = _official.load(repository, "model.py", replace=replace)
        return module.ABPN_v5(3, fields["dim"]), file

    _official.write("abpn", CASES, make, lambda net, fields, lr: {"sr": net(lr.contiguous())})


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Writes omnisr.npz: small OmniSRs of the original code with random weights, inputs and what they make of them.

    python tests/golden/omnisr_make.py OMNI-SR

The argument is a git clone of Francis0625/Omni-SR; numpy, torch and einops must be installed. Not run by the tests. The
format is that of _official.write.
"""

import sys

import _clone
import _official

CASES = {  # model, size of the input, fields
    "x2": ("omnisr", (15, 17), dict(scale=2, num_feat=8, num_group=1, num_block=2, window_size=4)),
}


def main(repository):
    module, file = _clone.load(repository, "components/OmniSR.py")

    def make(model, fields):
        return module.OmniSR(num_feat=fields["num_feat"], res_num=fields["num_group"], upsampling=fields["scale"],
                             bias=True, block_num=fields["num_block"], window_size=fields["window_size"], pe=True,
                             block_script_name="OSA", block_class_name="OSA_Block"), file

    _official.write("omnisr", CASES, make, lambda net, fields, lr: {"sr": net(lr)})


if __name__ == "__main__":
    main(*sys.argv[1:])

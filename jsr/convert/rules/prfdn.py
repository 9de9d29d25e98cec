"""State dicts of PRFDN."""

import math

from jsr.convert.engine import Rules
from jsr.convert.rules import rfdn

_NAMES = {  # of a file's modules by the number of branches: head, small block, blocks
    4: ("fea_conv1234", "B2S123", ["B1234"]),
    2: ("fea_conv12", "B2S2", ["B13", "B24"]),
}


def official(model):
    """yindaheng98/NTIRE23-RTSR, classes RFDNB4S_P and RFDNB2S_P; the files are pickled modules of these."""
    head, small, blocks = _NAMES[model.num_branch]
    rows = [(head, "conv_first"), ("split_left", "split_first"), ("split_right", "split_others"),
            ("split", "split_head"), ("c.0", "conv_fuse"), ("LR_conv", "conv_after_body"), ("upsampler.0", "conv_last")]
    if len(blocks) > 1:
        rows.append(("cat_p", "conv_regroup"))
    bodies = ((block, f"body_{i}", 3) for i, block in enumerate(blocks))
    for source, target, num_distil in ((small, "small", 1), *bodies):
        parts = [part for part in rfdn.BLOCK if part[1] not in _LATER[num_distil]]
        if target != "small" or model.num_branch > 2:
            parts.append(("cat_p", "conv_regroup"))
        rows += [(f"{source}.{theirs}", f"{target}/{ours}") for theirs, ours in parts]
    return Rules([(*row, "conv") for row in rows])


_LATER = {1: {f"{part}_{i}" for part in ("distil", "conv") for i in (1, 2)}, 3: set()}
FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    def features(name):
        return state_dict[f"{name}.weight"].shape[0]

    for num_branch, (head, _, blocks) in _NAMES.items():
        if {f"{head}.weight", "split_left.weight", f"{blocks[0]}.c5.weight", "upsampler.0.weight"} <= state_dict.keys():
            return math.isqrt(features("upsampler.0") // 3), dict(
                num_branch=num_branch, num_block=len(blocks), num_head_feat=features(head),
                num_feat=features("split_left"), num_small_feat=features("split_right"),
                num_block_feat=features(f"{blocks[0]}.c5"), img_range=255.0), ["img_range 255"]
    return None

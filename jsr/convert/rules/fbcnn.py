"""State dicts of FBCNN."""

import numpy as np

from jsr.convert.engine import Rules
from jsr.convert.identify import count


def official(model):
    """jiaxi-jiang/FBCNN, models/network_fbcnn.py, act_mode "R", and "BR" of a network with `norm`; xinyaoict/MUNet."""
    blocks = {theirs: ours for index in range(model.num_block)
              for theirs, ours in _blocks(index, model.num_block).items()}
    layers = [("0", "conv_0", "conv"), ("1", "norm", "norm"), ("3", "conv_1", "conv")] if model.norm else [
        ("0", "conv_0", "conv"), ("2", "conv_1", "conv")]
    rows = [(f"{theirs}.res.{number}", f"{ours}/res/{layer}", layout)
            for theirs, ours in blocks.items() for number, layer, layout in layers]
    rows += [("m_head", "head", "conv"), ("m_tail", "tail", "conv")]
    for level in (1, 2, 3):
        rows += [(f"m_down{level}.{model.num_block}", f"down{level}_conv", "conv"),
                 (f"m_up{level}.0", f"up{level}_conv", "transposed_conv"),
                 *((f"to_{part}_{level}.0", f"up{level}_modulation/{part}", "linear") for part in ("gamma", "beta"))]
    for index in range(3):
        rows += [(f"qf_pred.{model.num_block + 2 + 2 * index}", f"quality/linear_{index}", "linear"),
                 (f"qf_embed.{2 * index}", f"embedding/linear_{index}", "linear")]
    batches = {f"{theirs}.res.1.num_batches_tracked": np.array(0) for theirs in blocks} if model.norm else {}
    return Rules(rows, constants=batches, ignore=["*.num_batches_tracked"] if batches else ())


def _blocks(index, num_block):
    """{their name: ours} of the blocks that are the `index`-th of their sequence; one alone has no number there."""
    number = f".{index}" if num_block > 1 else ""
    return {f"m_body_encoder{number}": f"encoder_{index}",
            f"m_body_decoder{number}": f"decoder_{index}",
            f"qf_pred.{index}": f"quality/body_{index}",
            **{f"m_down{level}.{index}": f"down{level}_{index}" for level in (1, 2, 3)},
            **{f"m_up{level}.{index + 1}": f"up{level}_{index}" for level in (1, 2, 3)}}


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"m_head.weight", "to_gamma_3.0.weight", "m_up1.1.res.0.weight"} <= state_dict.keys():
        return None
    norm = "m_up1.1.res.1.weight" in state_dict  # FBCNN's own weights have none, MUNet gives no quality
    fields = dict(num_feat=state_dict["m_head.weight"].shape[0], num_block=count(state_dict, "m_up1.") - 1, norm=norm,
                  estimates_quality=not norm)
    return 1, fields, ["estimates_quality False"] if norm else []

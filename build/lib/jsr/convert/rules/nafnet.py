"""State dicts of NAFNet."""

from jsr.convert.engine import Rules
from jsr.convert.identify import count

_BLOCK = [("norm1", "norm1", "norm"), ("conv1", "conv1", "conv"), ("conv2", "conv2", "conv"),
          ("sca.1", "sca_1", "conv"), ("conv3", "conv3", "conv"), ("beta", "beta", "channels"),
          ("norm2", "norm2", "norm"), ("conv4", "conv4", "conv"), ("conv5", "conv5", "conv"),
          ("gamma", "gamma", "channels")]


def official(model):
    """megvii-research/NAFNet, basicsr/models/archs/NAFNet_arch.py."""
    stages = {f"{part}.{level}": blocks
              for part, numbers in (("encoders", model.enc_blk_nums), ("decoders", model.dec_blk_nums))
              for level, blocks in enumerate(numbers)} | {"middle_blks": model.middle_blk_num}
    levels = range(len(model.enc_blk_nums))
    return Rules(rows=[
        ("intro", "intro", "conv"),
        *((f"{stage}.{i}.{theirs}", f"{stage.replace('.', '_')}_{i}/{ours}", layout)
          for stage, blocks in stages.items() for i in range(blocks) for theirs, ours, layout in _BLOCK),
        *((f"downs.{level}", f"downs_{level}", "conv") for level in levels),
        *((f"ups.{level}.0", f"ups_{level}/conv", "conv") for level in levels),
        ("ending", "ending", "conv")])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"intro.weight", "encoders.0.0.sca.1.weight", "downs.0.weight", "ending.weight"} <= state_dict.keys():
        return None
    enc_blk_nums, dec_blk_nums = (
        tuple(count(state_dict, f"{part}.{level}.") for level in range(count(state_dict, f"{part}.")))
        for part in ("encoders", "decoders"))
    return 1, dict(width=state_dict["intro.weight"].shape[0], enc_blk_nums=enc_blk_nums,
                   middle_blk_num=count(state_dict, "middle_blks."), dec_blk_nums=dec_blk_nums), []

"""State dicts of VCBPv2."""

from jsr.convert.engine import Rules
from jsr.convert.identify import count

UP = [("mConv.1", "mConv_1", "conv"), ("mConv.2.weight", "mConv_2/slope", "tensor"), ("upper.2", "upper_2", "conv")]
DOWN = [*((f"DB.{k}", f"db_{k}", "conv") for k in (1, 4)),
        *((f"DB.{k}.weight", f"db_{k}/slope", "tensor") for k in (2, 5)),
        ("down.1", "down_1", "conv"), ("ca.conv_du.0", "ca_conv_du_0", "conv"),
        ("ca.conv_du.1.weight", "ca_conv_du_1/slope", "tensor"), ("ca.conv_du.2", "ca_conv_du_2", "conv")]


def official(model):
    """fsalmasri/AIM20SRx2_LISA, vCycle.py."""
    parts = [("upscaler", "upscaler", UP)]
    for cycle in range(model.num_cycle + model.unused):
        parts += [(f"innerBlocks.{2 * cycle + k}", f"innerBlocks_{2 * cycle + k}", (UP, DOWN)[k]) for k in (0, 1)]
    return Rules(rows=[
        *((f"{name}.layers.1", name, "conv") for name in ("anal0", "anal2", "synth2")),
        *((f"blocks.{i}.{source}.{theirs}", f"blocks_{i}/{target}/{ours}", layout)
          for i in range(model.num_block) for source, target, rows in parts for theirs, ours, layout in rows)])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"anal0.layers.1.weight", "blocks.0.upscaler.mConv.1.weight", "synth2.layers.1.weight"} <= set(state_dict):
        return None
    cycles = count(state_dict, "blocks.0.innerBlocks.") // 2
    return 2, dict(
        num_feat=state_dict["anal0.layers.1.weight"].shape[0],
        num_large_feat=state_dict["anal2.layers.1.weight"].shape[0],
        num_block=count(state_dict, "blocks."),
        num_cycle=(cycles + 1) // 2,
        unused=cycles > (cycles + 1) // 2), []

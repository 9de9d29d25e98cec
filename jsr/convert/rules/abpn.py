"""State dicts of ABPN."""

from jsr.convert.engine import Rules
from jsr.convert.identify import count


def official(model):
    """Holmes-Alan/ABPN, model.py, ABPN_v5."""
    stages, downs = model.num_stage, model.num_stage - (0 if model.unused else 1)
    rows = [(name, name, "conv") for name in ("SR_conv3", "final_feat2")]
    rows += [(f"{name}.{part}", f"{name}/{part}", "conv")
             for name in ("SA0", "final_SA0", *(f"SA{i}" for i in range(1, downs + 1)))
             for part in ("K", "Q", "V", "local_weight")]
    blocks = ["feat1", "feat2", "SR_conv1", "SR_conv2", "LR_conv1", "final_feat1",
              *(f"weight_up{i}" for i in range(1, stages - 1)), *(f"weight_down{i}" for i in range(1, downs - 1))]
    blocks = [(name, "conv") for name in blocks]
    for name, up in (*((f"up{i}", True) for i in range(1, stages + 1)), ("LR_conv2", True),
                     *((f"down{i}", False) for i in range(1, downs + 1))):
        blocks += [(f"{name}.{part}", "deconv" if up == there else "conv")
                   for part, there in (("conv1", True), ("conv2", False), ("conv3", True))]
        blocks += [(f"{name}.{part}", "conv") for part in ("local_weight1", "local_weight2")]
    for name, conv in blocks:
        target = name.replace(".", "/")
        rows += [(f"{name}.{conv}", f"{target}/{conv}", "transposed_conv" if conv == "deconv" else "conv"),
                 (f"{name}.act.weight", f"{target}/act/slope", "tensor")]
    return Rules(rows=rows)


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"feat2.conv.weight", "SA0.K.weight", "up1.conv1.deconv.weight", "final_SA0.K.weight"} <= set(state_dict):
        return None
    dim, *_, size = state_dict["up1.conv1.deconv.weight"].shape
    stages = count([key.removeprefix("up") for key in state_dict if key.startswith("up")], "") - 1
    return size - 2, dict(dim=dim, num_stage=stages, unused=f"SA{stages}.K.weight" in state_dict), []

"""State dicts of SCUNet."""

from jsr.convert.engine import Rules
from jsr.convert.identify import count

_STAGES = ("m_down1", "m_down2", "m_down3", "m_body", "m_up3", "m_up2", "m_up1")  # in the order of `depths`
_BLOCK = [
    ("conv1_1", "conv1_1", "conv"),
    ("conv_block.0", "conv_block_0", "conv"),
    ("conv_block.2", "conv_block_1", "conv"),
    ("trans_block.ln1", "trans_block/ln1", "norm"),
    ("trans_block.msa.embedding_layer", "trans_block/msa/embedding_layer", "linear"),
    ("trans_block.msa.relative_position_params", "trans_block/msa/relative_position_params", "tensor"),
    ("trans_block.msa.linear", "trans_block/msa/linear", "linear"),
    ("trans_block.ln2", "trans_block/ln2", "norm"),
    ("trans_block.mlp.0", "trans_block/mlp_0", "linear"),
    ("trans_block.mlp.2", "trans_block/mlp_1", "linear"),
    ("conv1_2", "conv1_2", "conv"),
]


def official(model):
    """cszn/SCUNet, models/network_scunet.py; zdyshine/BasicSR-NTIRE2024-Compressed-Image names the tensors alike."""
    rows = [("m_head.0", "m_head", "conv"), ("m_tail.0", "m_tail", "conv")]
    for stage, depth in zip(_STAGES, model.depths, strict=True):
        first = int(stage.startswith("m_up"))  # there the convolution comes before the blocks
        rows += [(f"{stage}.{first + i}.{theirs}", f"{stage}_{i}/{ours}", layout)
                 for i in range(depth) for theirs, ours, layout in _BLOCK]
        if stage != "m_body":
            rows.append((f"{stage}.0", f"{stage}_conv", "transposed_conv") if first else
                        (f"{stage}.{depth}", f"{stage}_conv", "conv"))
    return Rules(rows)


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if "m_head.0.weight" not in state_dict:
        return None
    tables = [value.shape for key, value in state_dict.items() if key.endswith("msa.relative_position_params")]
    dim = state_dict["m_head.0.weight"].shape[0]
    first = next((key for key in state_dict if key.endswith("msa.embedding_layer.weight")), None)
    if not tables or first is None:
        return None
    depths = tuple(count(state_dict, f"{stage}.") - (stage != "m_body") for stage in _STAGES)
    return 1, dict(dim=dim, depths=depths, head_dim=state_dict[first].shape[1] // tables[0][0],
                   window_size=(tables[0][1] + 1) // 2), []

"""State dicts of SRResDNet."""

from jsr.convert.engine import Rules
from jsr.convert.identify import count


def official(model):
    """RaoUmer/SRResCycGAN, srrescycgan_code_demo/models/SRResDNet.py; SRResCGAN's weights too."""
    blocks = range(model.num_block)
    return Rules(rows=[
        ("alpha", "alpha", "tensor"),
        ("model.conv1", "conv1", "weight_norm_conv"),
        *((f"model.layer1.{i}.conv{k}", f"layer1_{i}/conv{k}", "weight_norm_conv") for i in blocks for k in (1, 2)),
        *((f"model.layer1.{i}.relu{k}.weight", f"layer1_{i}/relu{k}/slope", "tensor") for i in blocks for k in (1, 2)),
        ("model.conv_out", "conv_out", "weight_norm_transposed_conv")])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"alpha", "model.conv1.weight_v", "model.layer1.0.relu1.weight", "model.conv_out.weight_g"} <= {*state_dict}:
        return None
    fields = dict(num_feat=state_dict["model.conv1.weight_v"].shape[0], num_block=count(state_dict, "model.layer1."))
    return 4, fields, ["scale 4"]

"""State dicts of FFTformer."""

from jsr.convert.engine import Rules
from jsr.convert.identify import count

FFN = [("norm2.body", "norm2", "norm"), ("ffn.fft", "ffn/fft", "tensor"),
       *((f"ffn.{name}", f"ffn/{name}", "conv") for name in ("project_in", "dwconv", "project_out"))]
ATTENTION = [("norm1.body", "norm1", "norm"), ("attn.norm.body", "attn/norm", "norm"),
             *((f"attn.{name}", f"attn/{name}", "conv") for name in ("to_hidden", "to_hidden_dw", "project_out"))]
FUSE = [("conv", "conv", "conv"), ("conv2", "conv2", "conv"),
        *((f"att_channel.{theirs}", f"att_channel/{ours}", layout) for theirs, ours, layout in FFN)]

QFEM = [(f"qfem.{name}", f"qfem/{name}", layout) for name, layout in (
    ("conv_0", "conv"), ("conv_1", "conv"), ("conv_2", "conv"), ("linear", "linear"))]


def official(model):
    """kkkls/FFTformer, basicsr/models/archs/fftformer_arch.py; QFEM, which has no official code, as here."""
    stages = [("refinement", ATTENTION + FFN, model.num_refinement_blocks)]
    for level, num_blocks in enumerate(model.num_blocks, 1):
        stages += [(f"encoder_level{level}", FFN, num_blocks), (f"decoder_level{level}", ATTENTION + FFN, num_blocks)]
    blocks = [(f"{name}.{i}", f"{name}_{i}", rows) for name, rows, num_blocks in stages for i in range(num_blocks)]
    blocks += [(name, name, FUSE) for name in ("fuse1", "fuse2")]
    return Rules(rows=[
        ("patch_embed.proj", "patch_embed", "conv"), ("output", "output", "conv"),
        ("reduce_chan_level2.weight", "reduce_chan_level2", "kernel"),
        *((f"{name}.body.1", name, "conv") for name in ("down1_2", "down2_3", "up3_2", "up2_1")),
        *((f"{source}.{theirs}", f"{target}/{ours}", layout)
          for source, target, rows in blocks for theirs, ours, layout in rows),
        *(QFEM if model.estimates_quality else ())])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"patch_embed.proj.weight", "encoder_level1.0.ffn.fft", "output.weight"} <= state_dict.keys():
        return None
    dim = state_dict["patch_embed.proj.weight"].shape[0]
    return 1, dict(
        dim=dim,
        num_blocks=tuple(count(state_dict, f"encoder_level{level}.") for level in (1, 2, 3)),
        num_refinement_blocks=count(state_dict, "refinement."),
        ffn_expansion_factor=state_dict["encoder_level1.0.ffn.project_out.weight"].shape[1] / dim,
        estimates_quality="qfem.linear.weight" in state_dict), []

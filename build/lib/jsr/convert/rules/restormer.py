"""State dicts of Restormer."""

from jsr.convert.engine import Rules
from jsr.convert.identify import count

BLOCK = [("norm1.body", "norm1", "norm"), ("attn.temperature", "attn/temperature", "tensor"),
         ("norm2.body", "norm2", "norm"),
         *((f"{part}.{name}", f"{part}/{name}", "conv") for part, name in (
             ("attn", "qkv"), ("attn", "qkv_dwconv"), ("attn", "project_out"),
             ("ffn", "project_in"), ("ffn", "dwconv"), ("ffn", "project_out")))]


def block_rows(source, target, block=BLOCK):
    """Rows of a TransformerBlock, or of another whose rows are `block`."""
    return [(f"{source}.{theirs}", f"{target}/{ours}", layout) for theirs, ours, layout in block]


def stage_rows(source, target, num_blocks, block=BLOCK):
    """Rows of a Trunk's stage: numbered blocks."""
    return [row for i in range(num_blocks) for row in block_rows(f"{source}.{i}", f"{target}_{i}", block)]


def official(model):
    """swz30/Restormer, basicsr/models/archs/restormer_arch.py."""
    return Rules(rows=[("patch_embed.proj", "trunk/patch_embed", "conv"), *network_rows(model)])


def network_rows(model, block=BLOCK):
    """Rows of a network with a Trunk, whose blocks have the rows `block`, and a last convolution; not of the first."""
    *levels, coarsest = model.num_blocks
    stages = {"latent": coarsest, "refinement": model.num_refinement_blocks} | {
        f"{part}_level{level}": num_blocks
        for level, num_blocks in enumerate(levels, 1) for part in ("encoder", "decoder")}
    numbers = range(1, len(model.num_blocks))
    return [
        *(row for name, num_blocks in stages.items() for row in stage_rows(name, f"trunk/{name}", num_blocks, block)),
        *((f"{name}.body.0", f"trunk/{name}/conv", "conv")
          for n in numbers for name in (f"down{n}_{n + 1}", f"up{n + 1}_{n}")),
        *((f"reduce_chan_level{n}", f"trunk/reduce_chan_level{n}", "conv") for n in numbers[1:]),
        ("output", "output", "conv")]


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"patch_embed.proj.weight", "encoder_level1.0.attn.temperature", "encoder_level1.0.ffn.dwconv.weight",
            "refinement.0.norm1.body.weight", "output.weight"} <= state_dict.keys():
        return None
    dim = state_dict["patch_embed.proj.weight"].shape[0]
    return 1, stages(state_dict, "attn") | dict(
        dim=dim,
        ffn_factor=ffn_factor(dim, state_dict["encoder_level1.0.ffn.project_out.weight"].shape[1]),
        norm_bias="refinement.0.norm1.body.bias" in state_dict), []


def stages(state_dict, attention):
    """The fields of a Trunk's blocks, in which the attention between channels is called `attention`."""
    levels = 1 + sum(f"down{n}_{n + 1}.body.0.weight" in state_dict for n in range(1, 10))
    names = [*(f"encoder_level{n}" for n in range(1, levels)), "latent"]
    return dict(num_blocks=tuple(count(state_dict, f"{name}.") for name in names),
                heads=tuple(state_dict[f"{name}.0.{attention}.temperature"].shape[0] for name in names),
                num_refinement_blocks=count(state_dict, "refinement."))


def ffn_factor(features, hidden_features):
    """The published 2.66 where it comes to these widths, else their ratio."""
    return 2.66 if int(features * 2.66) == hidden_features else hidden_features / features

"""State dicts of PromptCIR."""

import math

from jsr.convert.engine import Rules
from jsr.convert.identify import count
from jsr.convert.rules import _swin, _swin_shapes, hat
from jsr.convert.rules.restormer import block_rows, ffn_factor, stage_rows
from jsr.layers.window import relative_position_index
from jsr.models.hat import overlap_index

GATED = [(f"ffn.{name}", f"mlp/{name}", "conv") for name in ("project_in", "dwconv", "project_out")]
PROMPT = [("prompt", "prompt", "tensor"),
          *((f"{part}_mlp.{layer}", f"{part}_{layer}", "linear") for part in ("basis", "task")
            for layer in ("fc1", "fc2")),
          ("conv3x3", "conv", "conv")]


def official(model):
    """lbc12345/PromptCIR-NTIRE24, model.py, with decoder=True."""
    levels = range(1, len(model.num_blocks))
    return Rules(
        rows=[
            ("patch_embed_input.proj", "patch_embed", "conv"),
            *(row for n in levels for part in ("encoder", "decoder")
              for row in _level_rows(f"{part}_level{n}", model.num_blocks[n - 1], grouped=n <= 2)),
            *stage_rows("latent", "latent", model.num_blocks[-1]),
            *stage_rows("refinement", "refinement", model.num_refinement_blocks),
            *((f"{name}.body.0", f"{name}/conv", "conv")
              for n in levels for name in (f"down{n}_{n + 1}", f"up{n + 1}_{n}")),
            *((f"reduce_chan_level{n}", f"reduce_chan_level{n}", "conv") for n in levels[1:]),
            *(row for n in levels for row in _prompt_rows(n)),
            ("output", "output", "conv")],
        constants={"relative_position_index_SA": relative_position_index(model.window_size),
                   "relative_position_index_OCA": overlap_index(model.window_size, model.overlap)})


def _level_rows(name, num_blocks, *, grouped):
    if not grouped:
        return stage_rows(name, name, num_blocks)
    parts = {f"blocks.{i}": hat.LAYER for i in range(num_blocks)} | {"overlap_attn": hat.OVERLAP}
    return [*((f"{name}.residual_group.{part}.{theirs}", f"{name}/{_swin.path(part)}/{ours}", layout)
              for part, rows in parts.items() for theirs, ours, layout in [*_without_mlp(rows), *GATED]),
            (f"{name}.conv", f"{name}/conv/conv_0", "conv")]


def _without_mlp(rows):
    return [(name, _swin.path(name), layout) for name, layout in rows if not name.startswith("mlp.")]


def _prompt_rows(n):
    return [*((f"prompt{n}.{theirs}", f"prompt{n}/prompt/{ours}", layout) for theirs, ours, layout in PROMPT),
            *block_rows(f"noise_level{n}", f"prompt{n}/block"),
            (f"reduce_noise_level{n}", f"prompt{n}/reduce", "conv")]


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    table, overlap_table = (f"encoder_level1.residual_group.{name}.relative_position_bias_table"
                            for name in ("blocks.0.attn", "overlap_attn"))
    if not {"patch_embed_input.proj.weight", "prompt1.prompt", table, overlap_table} <= state_dict.keys():
        return None
    dim = state_dict["patch_embed_input.proj.weight"].shape[0]
    window_size = _swin_shapes.window_of(state_dict[table])
    larger = math.isqrt(state_dict[overlap_table].shape[0]) + 1 - window_size  # side of the keys' windows
    groups = [f"encoder_level{n}.residual_group.blocks." for n in (1, 2)]
    stages = ["encoder_level3.", "latent."]
    prompts = [state_dict[f"prompt{n}.prompt"] for n in (1, 2, 3)]
    hidden_features = state_dict[f"{groups[0]}0.ffn.project_out.weight"].shape[1]
    cab = f"{groups[0]}0.conv_block.cab."
    return 1, dict(
        dim=dim,
        num_blocks=tuple(count(state_dict, prefix) for prefix in groups + stages),
        heads=(*(state_dict[f"{prefix}0.attn.relative_position_bias_table"].shape[1] for prefix in groups),
               *(state_dict[f"{prefix}0.attn.temperature"].shape[0] for prefix in stages)),
        num_refinement_blocks=count(state_dict, "refinement."),
        ffn_factor=ffn_factor(dim, hidden_features),
        window_size=window_size,
        overlap_ratio=(larger - window_size) / window_size,
        compress_ratio=dim // state_dict[f"{cab}0.weight"].shape[0],
        squeeze_factor=dim // state_dict[f"{cab}3.attention.1.weight"].shape[0],
        num_task=prompts[0].shape[1],
        num_basis=tuple(prompt.shape[2] for prompt in prompts),
        prompt_dim=tuple(prompt.shape[3] for prompt in prompts),
        prompt_heads=state_dict["noise_level1.attn.temperature"].shape[0],
    ), ["conv_scale 0.01"]

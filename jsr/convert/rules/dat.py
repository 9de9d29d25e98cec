"""State dicts of DAT."""

import numpy as np

from jsr.convert.engine import Rules
from jsr.convert.identify import count
from jsr.convert.rules import _swin, _swin_shapes
from jsr.layers.window import shifted_regions
from jsr.models.dat import is_shifted

POSITIONS = [("pos_proj", "pos_proj", "linear"),
             *((f"pos{k}.{place}", f"pos{k}_{place}", layout) for k in (1, 2, 3)
               for place, layout in ((0, "norm"), (2, "linear")))]
INTERACTIONS = [("dwconv.0", "dwconv", "conv"), ("dwconv.1", "dwconv_norm", "norm"),
                *((f"{kind}_interaction.{first + place}", f"{kind}_interaction/{name}", layout)
                  for kind, first in (("channel", 1), ("spatial", 0))
                  for place, name, layout in ((0, "conv_0", "conv"), (1, "norm", "norm"), (3, "conv_1", "conv")))]
NORMS = [("norm1", "norm1", "norm"), ("norm2", "norm2", "norm")]
FEED_FORWARD = [("fc1", "fc1", "linear"), ("sg.norm", "norm", "norm"), ("sg.conv", "conv", "conv"),
                ("fc2", "fc2", "linear")]
BLOCK = [*NORMS, ("attn.qkv", "attn/qkv", "linear"), ("attn.proj", "attn/proj", "linear"),
         *((f"ffn.{theirs}", f"ffn/{ours}", layout) for theirs, ours, layout in FEED_FORWARD),
         *((f"attn.{theirs}", f"attn/{ours}", layout) for theirs, ours, layout in INTERACTIONS)]
WINDOWS = [(f"attn.attns.{k}.pos.{theirs}", f"attn/pos_{k}/{ours}", layout)
           for k in (0, 1) for theirs, ours, layout in POSITIONS]
CHANNELS = [("attn.temperature", "attn/temperature", "tensor")]
FIRST = "layers.0.blocks.0."


def official(model):
    """zhengchen1999/DAT, basicsr/archs/dat_arch.py; its masks, written here, are those of img_size 64."""
    counters = {f"attn.{name}.num_batches_tracked": np.zeros((), np.int64)
                for name in ("dwconv.1", "channel_interaction.2", "spatial_interaction.1")}
    return around(model, [*BLOCK, *WINDOWS], [*BLOCK, *CHANNELS], counters)


def around(model, windows, others, buffers=None):
    """The Rules of DAT and RGT, by rows of the blocks with windows and of the others, and buffers of both."""
    rows, constants = [], {}
    for group, depth in enumerate(model.depths):
        for index in range(depth):
            theirs, ours = f"layers.{group}.blocks.{index}.", f"layers_{group}_blocks_{index}/"
            rows += [(theirs + source, ours + target, layout)
                     for source, target, layout in (others if index % 2 else windows)]
            own = {} if index % 2 else position_buffers(model.split_size, is_shifted(group, index))
            constants |= {theirs + key: value for key, value in ((buffers or {}) | own).items()}
        rows += _swin.group_conv_rows(f"layers.{group}.conv", f"layers_{group}_conv", model.resi_connection)
    return Rules(
        rows=[("conv_first", "conv_first", "conv"), ("before_RG.1", "before_RG", "norm"), *rows,
              ("norm", "norm", "norm"),
              *_swin.group_conv_rows("conv_after_body", "conv_after_body", model.resi_connection),
              *_swin.head_rows(model.upsampler, model.scale)],
        constants=constants, ignore=["*.attn_mask_?", "*.num_batches_tracked"])


def position_buffers(split_size, shifted, side=64):
    """{key in the block: buffer} of a block with windows: differences, their indices, masks for `side` px."""
    buffers = {}
    for k, (height, width) in enumerate((split_size, split_size[::-1])):
        differences = np.indices((2 * height - 1, 2 * width - 1)).reshape(2, -1).T - [height - 1, width - 1]
        rows, columns = np.divmod(np.arange(height * width), width)
        rows, columns = (a[:, None] - a + length - 1 for a, length in ((rows, height), (columns, width)))
        buffers[f"attn.attns.{k}.rpe_biases"] = differences.astype(np.float32)
        buffers[f"attn.attns.{k}.relative_position_index"] = rows * (2 * width - 1) + columns
        if shifted:
            whole = -(-side // max(split_size)) * max(split_size)
            regions = shifted_regions(whole, whole, (height, width), (height // 2, width // 2))
            buffers[f"attn.attn_mask_{k}"] = np.where(regions[:, None, :] != regions[:, :, None], np.float32(-100),
                                                 np.float32(0))
    return buffers


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if f"{FIRST}ffn.sg.conv.weight" not in state_dict:
        return None
    scale, fields = told(state_dict)
    ratio = state_dict[f"{FIRST}ffn.fc1.weight"].shape[0] / fields["embed_dim"]
    return scale, fields | dict(expansion_factor=ratio), ["img_range 1"]


def told(state_dict):
    """(scale, fields) of a state dict of DAT's or RGT's groups."""
    scale, head = _swin_shapes.head(state_dict)
    groups = range(count(state_dict, "layers."))
    heads = (state_dict[f"layers.{g}.blocks.0.attn.attns.0.pos.pos3.2.weight"].shape[0] for g in groups)
    return scale, head | dict(
        embed_dim=state_dict["conv_first.weight"].shape[0],
        depths=tuple(count(state_dict, f"layers.{g}.blocks.") for g in groups),
        num_heads=tuple(2 * half for half in heads),
        split_size=tuple(int(last) + 1 for last in state_dict[f"{FIRST}attn.attns.0.rpe_biases"][-1]),
        resi_connection="3conv" if "conv_after_body.4.weight" in state_dict else "1conv")

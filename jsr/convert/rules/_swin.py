"""Rows and constants that the state dicts of SwinIR and the networks made after it share."""

import re

import numpy as np

from jsr.layers.upsample import factors
from jsr.layers.window import relative_position_index, shifted_regions


def layer_rows(model, names):
    """Rows of all transformer layers; `names` are (name inside one, layout).

    Theirs are in `layers.<group>.residual_group.blocks.<layer>`, here in `layers_<group>/blocks_<layer>`.
    """
    return [(f"layers.{g}.residual_group.blocks.{i}.{name}", f"layers_{g}/blocks_{i}/{path(name)}", layout)
            for g, depth in enumerate(model.depths) for i in range(depth) for name, layout in names]


def path(name):
    """The path of a module here: "mlp.fc1" is mlp/fc1, "cab.0" is cab_0."""
    return re.sub(r"\.(?=\d)", "_", name).replace(".", "/")


def trunk_rows(groups, resi_connection="1conv"):
    """Rows of the convolutions around the transformer layers, for a number of groups."""
    after_body = "3conv" if resi_connection == "3conv" else "1conv"  # as SwinIR.after_body
    return [("conv_first", "conv_first", "conv"), ("patch_embed.norm", "patch_embed_norm", "norm"),
            *(row for g in range(groups)
              for row in group_conv_rows(f"layers.{g}.conv", f"layers_{g}/conv", resi_connection)),
            ("norm", "norm", "norm"), *group_conv_rows("conv_after_body", "conv_after_body", after_body)]


_SPATIAL_FREQUENCY = {  # modules of SwinFIR's SFB: submodules of a SpatialFrequencyBlock
    "S.body.0": "spatial_0", "S.body.2": "spatial_2", "F.conv1.0": "spectral/conv1_0",
    "F.fu.conv_layer": "spectral/fu_conv_layer", "F.conv2": "spectral/conv2", "fusion": "fusion"}


def group_conv_rows(source, target, kind):
    """Rows of a jsr.layers.swin.GroupConv of a kind."""
    if kind == "1conv":
        return [(source, f"{target}/conv_0", "conv")]
    if kind == "3conv":
        return [(f"{source}.{2 * k}", f"{target}/conv_{k}", "conv") for k in range(3)]
    return [(f"{source}.{name}", f"{target}/block/{ours}", "conv") for name, ours in _SPATIAL_FREQUENCY.items()]


def head_rows(upsampler, scale):
    """Rows of the jsr.layers.swin.Reconstruction `head`."""
    if upsampler == "pixelshuffledirect":
        return [("upsample.0", "head/upsample", "conv")]
    between = {"pixelshuffle": upsample_rows(scale),
               "nearest+conv": [(name, f"head/{name}", "conv") for name in ("conv_up1", "conv_up2")[:scale // 2]]
               + [("conv_hr", "head/conv_hr", "conv")]}
    first = [("conv_before_upsample.0", "head/conv_before_upsample", "conv"), *between[upsampler]] if upsampler else []
    return [*first, ("conv_last", "head/conv_last", "conv")]


def upsample_rows(scale):
    """Rows of the PixelShuffleUpsample `head/upsample`."""
    return [(f"upsample.{2 * k}", f"head/upsample/conv_{k}", "conv") for k in range(len(factors(scale)))]


def attention_masks(model):
    """The buffers `attn_mask` of the shifted layers: they depend on the constructor's img_size.

    What is written fits the img_size that SwinIR's and Swin2SR's test scripts construct their networks with: 64, for
    denoising 128, for JPEG artefacts 126. `load_state_dict(strict=True)` needs the same.
    """
    side = {7: 126}.get(model.window_size, 64 if model.upsampler else 128)
    return masks_at(side - side % model.window_size, model.depths, model.window_size)


def masks_at(side, depths, window_size):
    """The buffers `attn_mask` of layers that were constructed for square images of `side` px."""
    regions = shifted_regions(side, side, window_size, window_size // 2)
    mask = np.where(regions[:, None, :] != regions[:, :, None], np.float32(-100), np.float32(0))
    return {f"layers.{g}.residual_group.blocks.{i}.attn_mask": mask
            for g, depth in enumerate(depths) for i in range(1, depth, 2)}


def position_indices(depths, window_size):
    """The buffers `relative_position_index` of all layers."""
    index = relative_position_index(window_size)
    return {f"layers.{g}.residual_group.blocks.{i}.attn.relative_position_index": index
            for g, depth in enumerate(depths) for i in range(depth)}

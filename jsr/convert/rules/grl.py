"""State dicts of GRL.

Their buffers of coordinates, indices and masks, `table_*`, `index_*` and `mask_*`, follow from the size of the images
in training and take a gigabyte where windows are large. They are neither read nor written: what is written takes
load_state_dict(strict=False). The original's own convert_checkpoint drops them too.
"""

import math
import re

from jsr.convert.engine import Rules
from jsr.convert.identify import count
from jsr.convert.rules import _swin, _swin_shapes

_TRANSFORMS = ("window_attn.attn_transform", "stripe_attn.attn_transform1", "stripe_attn.attn_transform2")
LAYER = [
    ("attn.qkv.body", "linear"), ("attn.anchor.body.0.reduction", "linear"),
    *((f"attn.{transform}.{name}", layout) for transform in _TRANSFORMS
      for name, layout in (("logit_scale", "tensor"), ("cpb_mlp.0", "linear"), ("cpb_mlp.2", "linear"))),
    ("attn.proj", "linear"), ("norm1", "norm"), ("mlp.fc1", "linear"), ("mlp.fc2", "linear"), ("norm2", "norm"),
]
LOCAL = [(f"conv.cab.{name}", "conv") for name in ("0", "2", "3.attention.1", "3.attention.3")]
FIRST = "layers.0.blocks.0."


def official(model):
    """ofsoundof/GRL-Image-Restoration, models/networks/grl.py."""
    layer = LAYER + LOCAL * model.local_connection
    return Rules(
        rows=[("conv_first", "conv_first", "conv"), ("norm_start", "norm_start", "norm"),
              *((f"layers.{g}.blocks.{i}.{name}", f"layers_{g}/blocks_{i}/{_path(name)}", layout)
                for g, depth in enumerate(model.depths) for i in range(depth) for name, layout in layer),
              *((f"layers.{g}.conv", f"layers_{g}/conv/conv_0", "conv") for g in range(len(model.depths))),
              ("norm_end", "norm_end", "norm"), ("conv_after_body", "conv_after_body/conv_0", "conv"),
              *((re.sub("^upsample", "upsample.up", theirs), ours, layout)
                for theirs, ours, layout in _swin.head_rows(model.upsampler, model.scale))],
        ignore=["table_*", "index_*", "mask_*"])


def _path(name):
    """The path inside a layer here, which has fewer levels."""
    return _swin.path(re.sub(r"\.body(\.0\.reduction)?|(?<=window_attn)\.attn_transform", "", name))


def lightning(model):
    """The same inside a checkpoint of the repository's training."""
    rules = official(model)
    return Rules(rows=[(f"model.{theirs}", ours, layout) for theirs, ours, layout in rules.rows],
                 ignore=[f"model.{pattern}" for pattern in rules.ignore])


FORMATS = {"official": official, "lightning": lightning}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    state_dict = {key.removeprefix("model."): value for key, value in state_dict.items()}
    logit_scales = [f"{FIRST}attn.{half}.logit_scale"
                    for half in ("window_attn.attn_transform", "stripe_attn.attn_transform1")]
    if not {"conv_first.weight", *logit_scales} <= state_dict.keys():
        return None
    scale, head = _swin_shapes.head({key.replace("upsample.up.", "upsample."): v for key, v in state_dict.items()})
    groups = range(count(state_dict, "layers."))
    embed_dim = state_dict["conv_first.weight"].shape[0]
    of_window, of_stripe = (tuple(state_dict[key.replace("layers.0", f"layers.{g}")].shape[0] for g in groups)
                            for key in logit_scales)
    windows, assumed = _windows(state_dict)
    return scale, head | windows | _local(state_dict, embed_dim) | dict(
        embed_dim=embed_dim, depths=tuple(count(state_dict, f"layers.{g}.blocks.") for g in groups),
        num_heads_window=of_window, num_heads_stripe=of_stripe,
        mlp_ratio=state_dict[f"{FIRST}mlp.fc1.weight"].shape[0] / embed_dim), [*assumed, "img_range 1"]


def _local(state_dict, embed_dim):
    """Fields of the local connection; its squeeze factor is the original's where that fits."""
    key = f"{FIRST}conv.cab.3.attention.1.weight"
    if key not in state_dict:
        return {}
    inner = state_dict[key].shape[0]
    return dict(local_connection=True, squeeze_factor=18 if embed_dim // 18 == inner else embed_dim // inner)


def _windows(state_dict):
    """(fields of the windows, assumptions about them), from the shapes of the buffers, where these are there."""
    if not {"table_w", "table_sh", "index_sh_w2a"} <= state_dict.keys():
        return {}, [f"{field} of the variant" for field in ("window_size", "stripe_size", "down_factor")]
    pixels, anchors = state_dict["index_sh_w2a"].shape
    down_factor = math.isqrt(pixels // anchors)
    # a side of s pixels and s / factor anchors has s + s / factor - 1 differences
    stripe_size = tuple((n + 1) * down_factor // (down_factor + 1) for n in state_dict["table_sh"].shape[1:3])
    return dict(window_size=(state_dict["table_w"].shape[1] + 1) // 2, stripe_size=stripe_size,
                down_factor=down_factor), []

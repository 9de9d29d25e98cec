"""State dicts of Retinexformer."""

from jsr.convert.engine import Rules
from jsr.convert.identify import count

_BLOCK = [*((f"0.{name}", f"attn/{name.replace('.', '_')}", layout) for name, layout in (
              ("to_q", "linear"), ("to_k", "linear"), ("to_v", "linear"), ("rescale", "tensor"), ("proj", "linear"),
              ("pos_emb.0", "conv"), ("pos_emb.2", "conv"))),
          ("1.norm", "norm", "norm"), *((f"1.fn.net.{i}", f"ffn/net_{i}", "conv") for i in (0, 2, 4))]


def official(model):
    """caiyuanhao1998/Retinexformer, basicsr/models/archs/RetinexFormer_arch.py."""
    return Rules(rows=[
        (f"body.{stage}.{theirs}", f"stages_{stage}/{ours}", layout)
        for stage in range(model.num_stage) for theirs, ours, layout in _stage(model.num_blocks)])


def _stage(num_blocks):
    *levels, bottleneck = num_blocks
    rows = [(f"estimator.{name}", f"estimator/{name}", "conv") for name in ("conv1", "depth_conv", "conv2")]
    rows += [(f"denoiser.{name}", f"denoiser/{name}", "conv") for name in ("embedding", "mapping")]
    blocks = {"bottleneck": ("bottleneck", bottleneck)}
    for level, (encoder, decoder) in enumerate(zip(levels, reversed(levels), strict=True)):
        blocks |= {f"encoder_layers.{level}.0": (f"encoder_{level}", encoder),
                   f"decoder_layers.{level}.2": (f"decoder_{level}", decoder)}
        rows += [(f"denoiser.{theirs}", f"denoiser/{ours}_{level}", layout) for theirs, ours, layout in (
            (f"encoder_layers.{level}.1", "down", "conv"), (f"encoder_layers.{level}.2", "guide_down", "conv"),
            (f"decoder_layers.{level}.0", "up", "transposed_conv"), (f"decoder_layers.{level}.1", "fuse", "conv"))]
    return rows + [(f"denoiser.{source}.blocks.{i}.{theirs}", f"denoiser/{target}_{i}/{ours}", layout)
                   for source, (target, number) in blocks.items() for i in range(number)
                   for theirs, ours, layout in _BLOCK]


FAR = None  # it makes dark pictures bright, which no enlargement tells
FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    embedding, denoiser = "body.0.denoiser.embedding.weight", "body.0.denoiser."
    if not {embedding, "body.0.estimator.depth_conv.weight"} <= state_dict.keys():
        return None
    levels = count(state_dict, f"{denoiser}encoder_layers.")
    blocks = [*(f"encoder_layers.{level}.0" for level in range(levels)), "bottleneck"]
    return 1, dict(num_feat=state_dict[embedding].shape[0], num_stage=count(state_dict, "body."),
                   num_blocks=tuple(count(state_dict, f"{denoiser}{name}.blocks.") for name in blocks)), []

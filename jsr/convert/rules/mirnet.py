"""State dicts of MIRNet."""

import numpy as np

from jsr.convert.engine import Rules
from jsr.convert.identify import count

FUSION = [("conv_du.0", "conv_du_0", "conv"), ("conv_du.1.weight", "conv_du_1/slope", "tensor")]
UNIT = [("body.0", "body_0", "conv"), ("body.2", "body_2", "conv"), ("SA.spatial.conv", "sa_conv", "conv"),
        ("CA.conv_du.0", "ca_conv_du_0", "conv"), ("CA.conv_du.2", "ca_conv_du_2", "conv"),
        ("conv1x1", "conv1x1", "conv")]
UP = [("top.0", "top_0", "conv"), ("top.1.weight", "top_1/slope", "tensor"), ("top.2", "top_2", "transposed_conv"),
      ("top.3.weight", "top_3/slope", "tensor"), ("top.4", "top_4", "conv"), ("bot.1", "bot_1", "conv")]
DOWN = [("top.0", "top_0", "conv"), ("top.1.weight", "top_1/slope", "tensor"), ("top.2", "top_2", "conv"),
        ("top.3.weight", "top_3/slope", "tensor"), ("top.5", "top_5", "conv"), ("bot.1", "bot_1", "conv")]
BLUR = np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32) / 16


def official(model):
    """swz30/MIRNet, networks/MIRNet_model.py."""
    streams, columns = range(model.height), range(model.width)
    blocks = [(f"body.{g}.body.{m}", f"body_{g}_{m}") for g in range(model.n_rrg) for m in range(model.n_msrb)]
    slopes = [f"{source}.blocks.{j}.{k}.body.1.weight" for source, _ in blocks for j in streams for k in columns]
    parts = [(f"blocks.{j}.0", f"blocks_{j}", UNIT) for j in streams]
    parts += [(f"selective_kernel.{j}", f"selective_kernel_{j}",
               FUSION + [(f"fcs.{k}", f"fcs_{k}", "conv") for k in streams]) for j in streams]
    blurs = {}
    for k in streams:
        for j in streams:
            way, steps = "up" if k > j else "down", abs(k - j)
            parts += [(f"{way}.{model.n_feat * 2**k}_{2**steps}.body.{n}", f"{way}_{k}_{j}/body_{n}",
                       UP if k > j else DOWN) for n in range(steps)]
            if k < j:
                blurs |= {f"{way}.{model.n_feat * 2**k}_{2**steps}.body.{n}.{place}.filt": model.n_feat * 2**(k + n)
                          for n in range(steps) for place in ("top.4", "bot.0")}
        parts += [(f"last_up.{k}.body.{n}", f"last_up_{k}/body_{n}", UP) for n in range(k)]
    parts.append(("conv_out", "conv_out", [("", "", "conv")]))
    return Rules(
        rows=[("conv_in", "conv_in", "conv"), ("conv_out", "conv_out", "conv"), (slopes[0], "act", "tensor"),
              *((f"body.{g}.body.{model.n_msrb}", f"body_{g}_{model.n_msrb}", "conv") for g in range(model.n_rrg)),
              *((f"{source}.{part}.{theirs}".rstrip("."), f"{target}/{own}/{ours}".rstrip("/"), layout)
                for source, target in blocks for part, own, rows in parts for theirs, ours, layout in rows)],
        copies={**dict.fromkeys(slopes[1:], slopes[0]),
                **{f"{source}.blocks.{j}.{k}.{theirs}.weight": f"{source}.blocks.{j}.0.{theirs}.weight"
                   for source, _ in blocks for j in streams for k in columns[1:] for theirs, _, _ in UNIT}},
        constants={f"{source}.{name}": np.broadcast_to(BLUR, (features, 1, 3, 3))
                   for source, _ in blocks for name, features in blurs.items()})


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"conv_in.weight", "body.0.body.0.blocks.0.0.SA.spatial.conv.weight", "conv_out.weight"} <= set(state_dict):
        return None
    return 1, dict(
        n_feat=state_dict["conv_in.weight"].shape[0],
        n_rrg=count(state_dict, "body."),
        n_msrb=count(state_dict, "body.0.body.") - 1,
        height=count(state_dict, "body.0.body.0.blocks."),
        width=count(state_dict, "body.0.body.0.blocks.0.")), []

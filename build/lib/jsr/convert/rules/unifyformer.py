"""State dicts of UnifyFormer."""

from jsr.convert.engine import Rules
from jsr.convert.rules import restormer

_NORMS = {"attn1.aggregator.agg0.norm": "attn1/agg0_norm"} | {f"norm{n}": f"norm{n}" for n in (1, 2, 3, 4)}
_BLOCK = [
    ("attn1.qkv", "attn1/qkv", "conv"),
    *((f"attn1.aggregator.{theirs}.{name}", f"attn1/{ours}/{name}", "conv")
      for theirs, ours in (("agg0.conv", "agg0"), ("agg1", "agg1"), ("agg2", "agg2"), ("agg3", "agg3"))
      for name in ("conv1", "pointwise_conv")),
    ("attn1.proj", "attn1/proj", "conv"),
    ("attn2.temperature", "attn2/temperature", "tensor"),
    *((f"attn2.{name}", f"attn2/{name}", "conv") for name in ("qkv", "qkv_dwconv", "project_out")),
    *((f"ffn{n}.{name}", f"ffn{n}/{name}", "conv") for n in (1, 2) for name in ("project_in", "dwconv", "project_out")),
    *((f"{theirs}.body.{name}", f"{ours}/{leaf}", "channels")
      for theirs, ours in _NORMS.items() for name, leaf in (("g", "scale"), ("b", "bias"))),
]


def official(model):
    """yasharora102/UnifyFormer, unifyformer_arch.py."""
    return Rules(rows=[*((f"patch_embed.proj.{2 * i}", f"trunk/patch_embed_{i}", "conv") for i in range(4)),
                       *restormer.network_rows(model, _BLOCK)])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {"patch_embed.proj.6.weight", "latent.0.attn1.aggregator.agg0.conv.conv1.weight",
            "latent.0.attn2.temperature"} <= state_dict.keys():
        return None
    features, hidden_features = state_dict["latent.0.ffn1.project_out.weight"].shape[:2]
    return 1, restormer.stages(state_dict, "attn2") | dict(
        dim=state_dict["patch_embed.proj.6.weight"].shape[0], ffn_factor=_ffn_factor(features, hidden_features)), []


def _ffn_factor(features, hidden_features):
    """The published 2.66 where it comes to these widths, else their ratio."""
    return 2.66 if round(features * 2.66 / 16) * 16 == hidden_features else hidden_features / features

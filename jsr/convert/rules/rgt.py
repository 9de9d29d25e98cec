"""State dicts of RGT."""

from jsr.convert.rules import dat

FEED_FORWARD = [*dat.NORMS, ("gamma", "gamma", "tensor"),
                *((f"mlp.{theirs}", f"mlp/{ours}", layout) for theirs, ours, layout in dat.FEED_FORWARD)]
WINDOWS = [("attn.qkv", "attn/qkv", "linear"), ("attn.get_v", "attn/get_v", "conv"),
           ("attn.proj", "attn/proj", "linear"), *dat.WINDOWS]
RECURSIVE = [*((f"attn.{name}", f"attn/{name}", "conv") for name in ("reduction1", "dwconv", "conv", "cpe")),
             ("attn.norm_act.0", "attn/norm", "norm"),
             *((f"attn.{name}", f"attn/{name}", "linear") for name in ("q", "k", "v", "proj"))]


def official(model):
    """zhengchen1999/RGT, basicsr/archs/rgt_arch.py; its masks, written here, are those of img_size 64."""
    return dat.around(model, [*FEED_FORWARD, *WINDOWS], [*FEED_FORWARD, *RECURSIVE])


FORMATS = {"official": official}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    if not {f"{dat.FIRST}gamma", f"{dat.FIRST}mlp.sg.conv.weight"} <= state_dict.keys():
        return None
    scale, fields = dat.told(state_dict)
    fields["mlp_ratio"] = state_dict[f"{dat.FIRST}mlp.fc1.weight"].shape[0] / fields["embed_dim"]
    inner = next((value.shape[0] for key, value in state_dict.items() if key.endswith(".attn.conv.weight")), None)
    if inner:
        fields["c_ratio"] = inner / fields["embed_dim"]
    return scale, fields, ["img_range 1"]

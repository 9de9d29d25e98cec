"""RRDN against the original, whose layers are named here."""

import json
from pathlib import Path

import numpy as np

from jsr import models

ALONE = {"conv_first": "Pre_blocks_conv", "conv_body": "post_blocks_conv", "conv_last": "SR"}
GOLDEN = Path(__file__).parents[1] / "golden" / "rrdn.npz"


def original_layer(path, scale):
    """(the original layer of a convolution's path, how its output channels are ordered here)."""
    if path[0] == "conv_up":  # channels before the shuffle are (row, column, colour) there, (colour, row, column) here
        return "PreShuffle", np.arange(3 * scale**2).reshape(scale**2, 3).T.ravel()
    if path[0] in ALONE:
        return ALONE[path[0]], slice(None)
    block, dense, conv = (int(part[-1]) for part in path)
    return f"LFF_{block + 1}_{dense}" if conv == 5 else f"F_{block + 1}_{dense}_{conv}", slice(None)


def test_weights_of_the_original_give_its_outputs(run):
    with np.load(GOLDEN) as file:
        arrays, fields = dict(file), json.loads(str(file["about"]))["fields"]
    used = []

    def fill(tree, path=()):
        if "kernel" in tree:
            layer, order = original_layer(path, fields["scale"])
            used.append(layer)
            return {name: arrays[f"{layer}/{name}"][..., order] for name in tree}
        return {name: fill(its, (*path, name)) for name, its in tree.items()}

    params = fill(models.abstract("rrdn", **fields)["params"])
    assert sorted(used) == sorted(name.partition("/")[0] for name in arrays if name.endswith("/kernel"))
    sr = run(models.create("rrdn", **fields), {"params": params}, arrays["lr"] / np.float32(255))
    assert np.abs(sr - arrays["sr"]).max() < 1e-6 * np.abs(arrays["sr"]).max()

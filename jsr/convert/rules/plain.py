"""State dicts of the plain networks that have public code, in training and in deployed form."""

import dataclasses
import math
from typing import Any

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from jsr import models
from jsr.convert.engine import Rules
from jsr.convert.identify import count
from jsr.errors import UserError
from jsr.layers.rep import EDGES

_EDGES = {"conv1x1_sbx": (2, "sobel_x"), "conv1x1_sby": (3, "sobel_y"), "conv1x1_lpl": (4, "laplacian")}

# Of a block in training: (module or parameter there, submodule or parameter here, layout).
_ECB = [
    ("conv3x3", "conv_0", "conv"),
    ("conv1x1_3x3.k0", "conv_1_0/kernel", "kernel"), ("conv1x1_3x3.b0", "conv_1_0/bias", "tensor"),
    ("conv1x1_3x3.k1", "conv_1_1/kernel", "kernel"), ("conv1x1_3x3.b1", "conv_1_1/bias", "tensor"),
    *(row for branch, (index, _) in _EDGES.items() for row in (
        (f"{branch}.k0", f"conv_{index}_0/kernel", "kernel"), (f"{branch}.b0", f"conv_{index}_0/bias", "tensor"),
        (f"{branch}.scale", f"edge_{index}_1/scale", "kernel"), (f"{branch}.bias", f"edge_{index}_1/bias", "tensor")))]
_LRSRN = [("conv0", "conv_0_0", "conv"), ("conv1", "conv_0_1", "conv")]
_LRSRN_V2 = [*_LRSRN, ("conv1_res", "conv_1", "conv")]
_CASR = [*_LRSRN, ("conv0_b2", "conv_1_0", "conv"), ("conv1_b2", "conv_1_1", "conv"), ("conv1_res", "conv_2", "conv")]


def official(model):
    """Names as in the repository of the network, or of its blocks.

    Raises:
      UserError: there is none.
    """
    if model.block not in _OFFICIAL:
        raise UserError(f"plain: no public code has networks of the block {model.block!r}, so there are no names to "
                        "convert from or to")
    if model.block in _DEPLOYED and not model.deploy:
        raise UserError(f"plain: {_DEPLOYED[model.block]}'s code is public in its deployed form alone; convert with "
                        "deploy=True")
    return _OFFICIAL[model.block](model)


def etds(model):
    """ECNUSR/ETDS, ECBSRT: a deployed ECBSR."""
    rows = []
    for index, name in enumerate(_convolutions(model)):
        rows += [(f"backbone.{index}.0", name, "conv"), (f"backbone.{index}.1.weight", f"act_{index}/slope", "tensor")]
    return Rules(_present(rows, _leaves(model)))


def _plain(model):
    """aselsan-research-imaging-team/bicubic-plusplus, and yuqing-liu-dut/NTIRE2023-CRC."""
    *names, last = _convolutions(model)
    if model.anchor == "bicubic":
        return _sequence("conv", [*names, last])
    return Rules([*((f"conv{index}", name, "conv") for index, name in enumerate(names)), ("conv_out", last, "conv")])


def _repnet(model):
    """ezrealzhang/REPNet_NTIRE23-RTSR."""
    return _sequence("body", _convolutions(model))


def _sequence(source, names):
    """Convolutions in a row with an activation after each."""
    return Rules([(f"{source}.{2 * index}", name, "conv") for index, name in enumerate(names)])


def _ecbsr(model):
    """xindongzhang/ECBSR, deployed its PlainSR; for three colours ECNUSR/ETDS."""
    leaves, rows, masks = _leaves(model), [], {}
    for index, name in enumerate(_convolutions(model)):
        source = f"backbone.{index}"
        rows += [*_both_forms(_ECB, source, name), (f"{source}.act.weight", f"act_{index}/slope", "tensor")]
        for branch, (place, edge) in _EDGES.items():
            if scale := leaves.get(f"{name}/edge_{place}_1/scale"):
                mask = np.broadcast_to(np.array(EDGES[edge], np.float32), (scale.size, 1, 3, 3))
                masks[f"{source}.{branch}.mask"] = mask
    return Rules(_present(rows, leaves), masks)


def _lrsrn(model):
    """Ganzooo/LRSRN, and rlghksdbs/CASR with another convolution at the end; their blocks have each parameter twice."""
    sources = ["head", *(f"backbone.{index}" for index in range(model.num_block)), "transition.0", "input_conv2"]
    parts = {"lrsrn": _LRSRN, "lrsrn_v2": _LRSRN_V2, "casr": _CASR}[model.block]
    named = zip(sources, _convolutions(model), strict=False)  # without an enlarging convolution the last is not there
    rows = [row for source, name in named for row in _both_forms(parts, source, name)]
    rows = _present(rows, _leaves(model))
    modules = {module for module, _, _ in rows}
    letters = {"w": "weight", "b": "bias"} if model.use_bias else {"w": "weight"}
    return Rules(rows, copies={
        f"{source}.{letter}{k}{branch}": f"{source}.conv{k}{branch}.{leaf}"
        for source in sources for branch in ("", "_b2") for k in (0, 1) for letter, leaf in letters.items()
        if f"{source}.conv{k}{branch}" in modules})


def _anunet(model):
    """zhoumenghan/AIS2024_ANUNet."""
    head, *body, tail = _convolutions(model)
    return Rules([("backbone.0.rbr_reparam", head, "conv"),
                  *((f"backbone.{index}.nrb.rep_conv", name, "conv") for index, name in enumerate(body, 1)),
                  (f"backbone.{model.num_block + 1}.rbr_reparam", tail, "conv")])


_OFFICIAL = {"plain": _plain, "ecb": _ecbsr, "lrsrn": _lrsrn, "lrsrn_v2": _lrsrn, "casr": _lrsrn, "nrb": _anunet,
             "conv_norm_conv": _repnet}
_DEPLOYED = {"nrb": "ANUNet", "conv_norm_conv": "Repnet"}
FORMATS = {"official": official, "etds": etds}


def _convolutions(model):
    """The names of a network's convolutions in their order."""
    body = [f"body_{index}" for index in range(model.num_block)]
    return ["head", *body, "tail", *(["up"] if model.up_feat else [])]


def _leaves(model) -> dict[str, Any]:
    """{path: abstract parameter} of a network."""
    lr = jax.ShapeDtypeStruct(models.card(model).lr_shape(model.size_multiple, model.size_multiple), jnp.float32)
    return traverse_util.flatten_dict(jax.eval_shape(model.init, jax.random.key(0), lr)["params"], sep="/")


def _both_forms(parts, source, name):
    """Rows of a convolution as it is deployed, and of the parts of its block in training."""
    return [(f"{source}.conv3x3", name, "conv"),
            *((f"{source}.{part}", f"{name}/{target}", layout) for part, target, layout in parts)]


def _present(rows, leaves):
    """The rows whose parameters a network has: one of the forms, and a bypass only where the features change."""
    return [row for row in rows if row[1] in leaves or f"{row[1]}/kernel" in leaves]


def identify(state_dict):
    """(scale, fields, assumed) of a state dict in any of these forms; None of another network's.

    The fields belong to the network that names its tensors so, with the sizes and the form that they tell.
    """
    shapes = {key: value.shape for key, value in state_dict.items()}
    name, first, last, num_block = _recognise(shapes)
    num_feat, channels = (_features(shapes, source) for source in (first, last))
    if not num_feat or not channels or num_block < 0:
        return None
    shrunk = 2 if name in ("bicubicpp", "anunet", "repnet") else 1
    scale = math.isqrt(channels // 3) // shrunk
    if name == "lrsrn" and scale == 4:
        name = "lrsrn_teacher"
    if channels != 3 * (shrunk * scale)**2 or scale not in models.card(f"plain/{name}").allowed_scales:
        return None
    published = models.create(f"plain/{name}", scale=scale)
    fields = {field.name: getattr(published, field.name) for field in dataclasses.fields(published)
              if field.name not in ("scale", "dtype", "parent", "name")}
    trained = published.block == published.end_block == "plain" or any(
        key.endswith((".conv1.weight", ".conv1x1_3x3.k1")) for key in shapes)
    fields |= dict(num_feat=num_feat, num_block=num_block, use_bias=any(key.endswith("bias") for key in shapes),
                   deploy=not trained)
    if name.startswith("lrsrn") and not fields["deploy"]:
        everywhere = "head.conv1.weight" in shapes
        fields |= dict(block="lrsrn_v2", end_block="lrsrn_v2") if everywhere else dict(block="lrsrn", end_block="plain")
    assumed = [] if name.startswith("ecbsr") else [f"act {published.act}"]
    return scale, fields, [*assumed, "bgr False"] if name == "qqcoin" else assumed


def _recognise(shapes):
    """(variant, first convolution, last convolution, those between the first and the one that ends the body)."""
    blocks = count(shapes, "backbone.")
    if any(key.startswith("input_conv2.") for key in shapes):
        return "casr", "head", "input_conv2", blocks
    if any(key.startswith("transition.0.") for key in shapes):
        return "lrsrn", "head", "transition.0", blocks
    last = len(shapes) - 2  # of a weight and a bias at every other place
    for source, channels, name in (("body", 12, "repnet"), ("conv", 3, "qqcoin")):
        keys = {f"{source}.{index}.{leaf}" for index in range(0, last + 2, 2) for leaf in ("weight", "bias")}
        if shapes.keys() == keys and shapes[f"{source}.0.weight"][1:] == (channels, 3, 3):
            return name, f"{source}.0", f"{source}.{last}", last // 2 - 1
    if "backbone.0.rbr_reparam.weight" in shapes:
        return "anunet", "backbone.0", f"backbone.{blocks - 1}", blocks - 2
    if "backbone.0.act.weight" in shapes or len(shapes.get("backbone.0.1.weight", ())) == 1:
        return "ecbsr_m4c16", "backbone.0", f"backbone.{blocks - 1}", blocks - 2
    return "bicubicpp", "conv0", "conv_out", count(shapes, "conv") - 1


def _features(shapes, source):
    """Those that a convolution gives, by its tensor in one of the forms; None if it is not there."""
    for part in ("", "conv3x3.", "conv1.", "0.", "rbr_reparam."):
        if shape := shapes.get(f"{source}.{part}weight"):
            return shape[0]
    return None

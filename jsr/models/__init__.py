"""The zoo: every network by its id, `<file stem>/<variant>`; the stem alone means the first variant.

A network file of this folder holds, in this order: docstring (title, paper, where each choice comes from), imports,
blocks, the network, VARIANTS (a table from variant to fields), SMALL (fields that make it small enough for tests),
Model(variant, *, scale, **fields), CARD. It is imported when its network is asked for.

The network is a Linen module: `__call__(lr, *, train=False)` takes NHWC RGB in [0, 1], or clips NTHWC where
`Card.frames` says so, and returns SR in the same dtype, or a dict that holds it as `sr`; `create` has it raise
ValueError for integers. Conditions such as a quality factor are further keyword arguments with defaults. An auxiliary
network (`Card.auxiliary`), for example a critic, returns features or logits for losses instead. Every network has the
fields `scale` and `dtype` (of the computation; parameters stay float32) and names every submodule that has parameters,
since parameter paths are what files on disk are read by. One that divides images into parts of a grid that follows
their size has the attribute `grid_follows_size`: tiles are never exact with it. One that estimates the JPEG quality of
its input has the attribute `estimates_quality` and gives `qf`, float32 (N, 1), 1 - quality / 100; if it can be told the
quality instead, in the same unit, its keyword is `qf_input`. One for images that need not be RGB has the field
`channels`, and `out_channels` where SR may have others than LR. One whose program follows the sizes of images, but for
those that are multiples of a number of px, has that as `open_multiple`. One whose results bfloat16 would cost levels of
8 bits has `needs_float32`: inference computes it in float32 instead. One that adds to the image, enlarged or not, may
have the field `zero_start`: its last convolution starts at zero, and the network as that image. One that refines an
image by references has the attribute `takes_refs` and the keyword `refs`, float (N, K, H, W, 3).

A network of another package is a module of the same form, named "mypkg.mynet/base" (jsr.guests).
"""

from collections.abc import Sequence
import dataclasses
import fnmatch
import functools
import importlib
import math
import os
from pathlib import Path
import sys
from typing import Any

import flax.linen as nn
import jax
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jax.interpreters import partial_eval
import jax.numpy as jnp

from jsr import guests
from jsr.errors import UserError, mismatch, nearest
from jsr.models._card import Card

__all__ = ["STEMS", "Card", "abstract", "card", "create", "init", "list_models", "load", "outputs", "resolve"]

_LARGEST = 4096  # whole number in a field: features, blocks, sides of windows

STEMS = tuple(sorted(p.stem for p in Path(__file__).parent.glob("[!_]*.py")))


def create(model_id: str, *, scale: int, **fields: Any) -> nn.Module:
    """Makes a network.

    Args:
      model_id: "edsr/full", or "edsr" for the first variant.
      scale: SR size over LR size.
      **fields: override the variant's; lists are taken as tuples.

    Returns:
      A Linen module.

    Raises:
      UserError: unknown network, variant or field (the nearest is named), a value of another type than the field's or
        that is no size, or a scale that the network is not made for.
    """
    module, variant = _find(model_id)
    scales = card(model_id).allowed_scales
    if scale not in scales:
        raise UserError(f"{model_id}: no scale {scale}; it has {', '.join(map(str, scales))}")
    default = module.Model(variant, scale=scale)
    _refuse_integers(type(default))
    known = {f.name: f.default for f in dataclasses.fields(default) if f.name not in ("scale", "parent", "name")}
    for field, value in fields.items():
        if field not in known:
            raise UserError(f"{model_id}: no field {field!r}; {nearest(field, known)}")
        if value is None and known[field] is None:  # as the network has it, whatever the variant says
            continue
        if wrong := mismatch(value, getattr(default, field)) or _out_of_range(value):
            raise UserError(f"{model_id}: field {field}: {wrong}")
    return module.Model(variant, scale=scale, **{field: _hashable(value) for field, value in fields.items()})


def load(file: str | os.PathLike[str]) -> tuple[nn.Module, dict[str, Any]]:
    """Loads the network of a model file, for programs of your own.

        module, variables = jsr.models.load("x2")
        sr = module.apply(variables, lr)          # float32 (N, H, W, 3) in [0, 1], not clipped

    Args:
      file: path of the model file or of a run's folder, or a model's name (`jsr models`).

    Returns:
      (module, variables): the network with its training branches fused, its Flax collections of numpy arrays.

    Raises:
      UserError: see jsr.model_file.load; a file of several networks, each of which that function gives.
    """
    model_file = importlib.import_module("jsr.model_file")  # stands above this package
    _, networks, variables, _ = model_file.fused(*model_file.load(file))
    if len(networks) > 1:
        raise UserError(f"{file}: holds several networks, {', '.join(networks)}; use jsr.model_file.load, which gives "
                        "them all, or jsr.load, which passes images through them")
    (name, module), = networks.items()
    return module, variables[name]


def abstract(model_id: str, *, scale: int, **fields: Any) -> dict[str, Any]:
    """The variables of a network as jax.ShapeDtypeStruct, without computing anything; arguments as for `create`."""
    return jax.tree.map(lambda leaf: leaf, _abstract(create(model_id, scale=scale, **fields)))  # the caller's own dicts


@functools.lru_cache(maxsize=256)
def _abstract(network):
    """Traced once: each stage of a recipe asks, and deep networks take seconds."""
    # the key is abstract too: drawing one would compile a program
    return {"params": {}} | jax.eval_shape(lambda lr: network.init(jax.random.key(0), lr), _lr(network))


def init(model: nn.Module, key: jax.Array, input_shape: Sequence[int] | None = None) -> dict[str, Any]:
    """Draws a network's variables: the same bits as `model.init(key, lr)`, without running or compiling the network.

    The initialisers are taken out of the traced `model.init` and run one by one, so that parameters of equal shape
    share their compiled kernels. Compiling a whole `model.init` is the dearest thing that one can do to a deep network.

    Args:
      model: a network.
      key: PRNG key.
      input_shape: shape of the LR input that it is traced with; one that the network takes by default.

    Returns:
      Variables: {collection: {...}} of arrays; `params` is there even if empty.
    """
    lr = _lr(model) if input_shape is None else jax.ShapeDtypeStruct(input_shape, jnp.float32)
    closed, shapes = jax.make_jaxpr(model.init, return_shape=True)(key, lr)
    jaxpr, used = partial_eval.dce_jaxpr(closed.jaxpr, [True] * len(closed.out_avals), instantiate=[True, False])
    if used[1]:
        raise ValueError(f"the variables of {type(model).__name__} depend on the values of its input")
    leaves = jaxpr_as_fun(ClosedJaxpr(jaxpr, closed.consts))(key)
    return {"params": {}} | jax.tree.unflatten(jax.tree.structure(shapes), leaves)


def card(model: str | nn.Module) -> Card:
    """The Card of a network, given as an id or as a module; ValueError for a module that is not of the zoo.

    An id's card has the scales of its variant; channels and the size multiple in `padding` are the network's at hand.
    """
    if isinstance(model, str):
        file, variant = _find(model)
        found = dataclasses.replace(
            file.CARD, scales=file.CARD.variant_scales.get(variant, file.CARD.scales),
            other_scales=file.CARD.variant_other_scales.get(variant, file.CARD.other_scales))
        model = file.Model(variant, scale=found.scales[0])
    else:
        file = sys.modules[type(model).__module__]
        if not hasattr(file, "CARD"):
            raise ValueError(f"{type(model).__name__} is no network of the zoo: {file.__name__} has no CARD")
        found = file.CARD
    multiple = getattr(model, "size_multiple", found.padding.multiple)
    channels = getattr(model, "channels", None)
    return dataclasses.replace(found, padding=dataclasses.replace(found.padding, multiple=multiple),
                               in_channels=channels or found.in_channels,
                               out_channels=getattr(model, "out_channels", channels) or found.out_channels)


def resolve(model_id: str) -> str:
    """The full id, with the variant: "edsr" becomes "edsr/baseline"; UserError names the nearest for an unknown one."""
    return f"{model_id.partition('/')[0]}/{_find(model_id)[1]}"


def list_models(pattern: str = "*") -> list[str]:
    """The ids that match a shell pattern such as "edsr/*", sorted by file; imports every network file."""
    ids = [f"{stem}/{variant}" for stem in STEMS for variant in _import(stem).VARIANTS]
    return fnmatch.filter(ids, pattern)


def outputs(result: Any) -> dict[str, Any]:
    """A network's output as a dict with `sr`: an array is the SR image itself."""
    if not isinstance(result, dict):
        return {"sr": result}
    if "sr" not in result:
        raise ValueError(f"a network's output holds {', '.join(map(repr, result))}, but no 'sr'")
    return result


def _refuse_integers(kind):
    """Has a class of networks raise ValueError for images that are no floats: 0 to 255 would pass for 0 to 1."""
    call = kind.__call__
    if hasattr(call, "refuses_integers"):
        return

    @functools.wraps(call)
    def checked(self, *images, **named):
        image = images[0] if images else next(iter(named.values()), None)
        dtype = getattr(image, "dtype", None)
        if dtype is not None and not jnp.issubdtype(dtype, jnp.floating):
            raise ValueError(f"{kind.__name__}: the image is {dtype}, expected floats in [0, 1]; divide uint8 by 255")
        return call(self, *images, **named)

    checked.refuses_integers = True  # pyright: ignore[reportAttributeAccessIssue]
    kind.__call__ = checked


def _import(stem):
    return importlib.import_module(f"{__name__}.{stem}")


def _find(model_id):
    """(module, variant) of an id; UserError names the nearest."""
    stem, _, variant = model_id.partition("/")
    if guests.is_network(model_id):
        module = guests.module(model_id)
        if missing := [name for name in ("VARIANTS", "Model", "CARD") if not hasattr(module, name)]:
            raise UserError(f"{model_id}: {stem} has no {', '.join(missing)}, which a network's file needs")
    elif stem in STEMS:
        module = _import(stem)
    else:
        raise UserError(f"{model_id}: no network {stem!r}; {nearest(stem, STEMS)}")
    variant = variant or next(iter(module.VARIANTS))
    if variant not in module.VARIANTS:
        raise UserError(f"{model_id}: no variant {variant!r}; {nearest(variant, module.VARIANTS)}")
    return module, variant


def _out_of_range(value):
    """The mistake in the numbers of a field's value, "" if there is none."""
    if isinstance(value, (list, tuple)):
        return next(filter(None, map(_out_of_range, value)), "")
    if isinstance(value, int) and not 0 <= value <= _LARGEST:
        return f"{value!r}; give from 0 to {_LARGEST:,}"
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value!r}; give a number"
    return ""


def _lr(network):
    """A small abstract input that the network takes."""
    its_card = card(network)
    side = its_card.padding.multiple * -(-64 // its_card.padding.multiple)
    return jax.ShapeDtypeStruct(its_card.lr_shape(side, side), jnp.float32)


def _hashable(value):
    """Lists, as JSON and configs have them, as the tuples that Linen modules need."""
    return tuple(map(_hashable, value)) if isinstance(value, list) else value

"""A chain of networks: passing an image through it, its scale, the sizes that it takes."""

import contextlib
import functools
import itertools
import math

import jax
import numpy as np

from jsr import models
from jsr.errors import UserError
from jsr.layers.padding import Padding


def apply(network, variables, image, *, train=False, rngs=None, taps=(), conditions=None):
    """One network on one array.

    Args:
      network: a module.
      variables: its Flax collections.
      image: what it takes; the frames of clips (N, T, H, W, 3) pass a network for images one by one.
      train: passed to the network; its statistics are updated where True.
      rngs: PRNG keys for the network, as Flax takes them.
      taps: paths of submodules, as "body_0/conv1".
      conditions: further keyword arguments of the network.

    Returns:
      (its outputs as a dict with `sr`, {path: what that submodule gives}, the changed collections); the dict of taps
      lacks those that are no submodule.
    """
    paths = {path: tuple(path.split("/")) for path in taps}
    by_frame = image.ndim == 5 and not models.card(network).video
    clip, image = image.shape[:2], _frames(image) if by_frame else image
    result, changed = network.apply(
        variables, image, train=train, rngs=rngs, **(conditions or {}),
        mutable=[*(c for c in variables if train and c != "params"), *(["intermediates"] if paths else [])],
        capture_intermediates=bool(paths) and (lambda module, method: method == "__call__"
                                               and module.path in paths.values()))
    captured, tapped = changed.pop("intermediates", {}), {}
    for path, parts in paths.items():
        with contextlib.suppress(KeyError):
            tapped[path] = functools.reduce(lambda tree, part: tree[part], parts, captured)["__call__"][0]
    result = models.outputs(result)
    if by_frame:
        result, tapped = jax.tree.map(functools.partial(_clips, clip), (result, tapped))
    return result, tapped, changed


def run_chain(networks, chain, variables, lr, *, train=(), rngs=None, taps=(), conditions=None):
    """Passes `lr` through the networks of a chain.

    Args:
      networks: {name: module}.
      chain: names in order; each gets the `sr` of the one before.
      variables: {name: Flax collections}.
      lr: float array (N, H, W, 3) in [0, 1], or clips (N, T, H, W, 3), whose frames pass the networks for images one
        by one.
      train: names of the networks that are in training, see `apply`.
      rngs: PRNG keys for the networks, as Flax takes them.
      taps: what else to return: "sr@body_1" is what the submodule body_1 of the network sr gives.
      conditions: {name: further keyword arguments of that network}.

    Returns:
      (outputs, updated): the last network's outputs as a dict with `sr`, every earlier one's as `<name>/<key>`, the
      taps, and {name: the changed non-parameter collections}.
    """
    outputs, updated, image = {}, {}, lr
    for name in chain:
        paths = [path for net, _, path in (tap.partition("@") for tap in taps) if net == name]
        result, tapped, updated[name] = apply(networks[name], variables[name], image, train=name in train, rngs=rngs,
                                              taps=paths, conditions=(conditions or {}).get(name))
        image = result["sr"]
        outputs |= {f"{name}@{path}": value for path, value in tapped.items()}
        outputs |= {key if name == chain[-1] else f"{name}/{key}": value for key, value in result.items()}
    return outputs, updated


def _frames(clips):
    """(N, T, ...) as (N * T, ...)."""
    return clips.reshape(-1, *clips.shape[2:])


def _clips(lead, frames):
    """The inverse, for lead = (N, T)."""
    return frames.reshape(*lead, *frames.shape[1:])


def takes_quality(networks):
    """The names of the networks of {name: module} that must be told the JPEG quality of their images."""
    return [name for name, module in networks.items() if getattr(module, "takes_quality", False)]


def told(names, quality):
    """Conditions of `run_chain` by which networks know the JPEG quality of their images.

    Args:
      names: names of the networks.
      quality: float array (N,) in 1..100, 100 for what never was a JPEG file; or one number.
    """
    # of a number in NumPy, where JAX would compile each operation
    quality = quality if isinstance(quality, jax.Array) else np.asarray(quality)
    return {name: {"qf_input": 1 - quality.astype(np.float32).reshape(-1, 1) / np.float32(100)} for name in names}


def referred(networks, refs):
    """Conditions of `run_chain` by which the networks of {name: module} that refine by references have them.

    `refs` are float (N, K, H, W, 3), of the size of the images that those networks get.
    """
    return {name: {"refs": refs} for name, module in networks.items() if getattr(module, "takes_refs", False)}


def chain_scale(networks):
    """SR size over LR size of {name: module} in the order in which an image passes them."""
    return math.prod(module.scale for module in networks.values())


def chain_frames(networks):
    """Frames that a chain {name: module} sees at once, see `jsr.models.Card.frames`; its network for clips decides.

    Raises:
      UserError: two of its networks take clips.
    """
    found = {name: frames for name, module in networks.items() if (frames := models.card(module).frames) is not None}
    if len(found) > 1:
        raise UserError(f"{' and '.join(found)} both take clips; only one network of a chain can")
    return next(iter(found.values()), None)


def chain_channels(networks):
    """(channels of LR, channels of SR) of a chain {name: module}: 3 is RGB, 1 grey, 4 RGB and straight alpha.

    Raises:
      UserError: a network does not take what the one before it gives.
    """
    cards = {name: models.card(module) for name, module in networks.items()}
    for (before, one), (name, other) in itertools.pairwise(cards.items()):
        if one.out_channels != other.in_channels:
            raise UserError(f"{before} gives images of {one.out_channels} channels, {name} takes {other.in_channels}")
    first, *_, last = [*cards.values()] * 2
    return first.in_channels, last.out_channels


def chain_open_multiple(networks):
    """The number of px that sides are multiples of where a program is for images of any such size; 1 of most chains."""
    multiple, scale = 1, 1
    for module in networks.values():
        own = getattr(module, "open_multiple", 1)
        multiple = math.lcm(multiple, own // math.gcd(own, scale))
        scale *= module.scale
    return multiple


def chain_padding(networks):
    """The sizes that a chain takes (Padding): of the first network, with a multiple that suits those after it too."""
    cards = [models.card(module).padding for module in networks.values()]
    multiple, scale = 1, 1
    for module, card in zip(networks.values(), cards, strict=True):
        multiple = math.lcm(multiple, card.multiple // math.gcd(card.multiple, scale))
        scale *= module.scale
    return Padding(multiple=multiple, mode=cards[0].mode, always=cards[0].always and multiple > 1)

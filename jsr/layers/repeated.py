"""Layers of equal form, one after the other: each a part of the program of its own, or one that is compiled once."""

import contextlib
import contextvars

import jax
import jax.numpy as jnp

_scanned = contextvars.ContextVar("scanned", default=False)
_within = contextvars.ContextVar("within", default=False)


@contextlib.contextmanager
def scanned(on=True):
    """While it is entered, `in_turn` scans layers of equal form where `on` is True.

    It spares the compilers of accelerators, whose time grows with the program. Stochastic depth draws other bits for a
    seed then, as each layer has a key of a split one.
    """
    token = _scanned.set(on)
    try:
        yield
    finally:
        _scanned.reset(token)


def within_scan():
    """Whether layers of a scan are being traced, whose activations are computed again as a whole."""
    return _within.get()


def in_turn(layers, x, *, varying=None):
    """Passes an array through layers.

    Within `scanned`, layers that repeat are one program, run over their stacked parameters: [a, b, a, b, a] is a scan
    of two rounds through a and b, and an a. For the gradient a scan keeps what goes into each layer, and computes the
    rest again: to keep more would be to write it to memory, even what a compiler leaves to the gradient's own kernels.
    Parameters keep their names and places. Layers stay apart while a network is initialised, where something inside
    them is noted (the collection "intermediates"), and where they have more than parameters.

    Args:
      layers: bound modules with names, functions of one array to another of its shape and dtype.
      x: array.
      varying: name of the field, a number or a tuple of numbers, in which layers of equal form may differ. A scan
        hands them arrays for it where they do. None: in nothing.

    Returns:
      Array, like x.
    """
    rounds, period = _rounds(layers, varying)
    if rounds > 1:
        x = _scan([layers[start:start + period] for start in range(0, rounds * period, period)], x, varying)
        layers = layers[rounds * period:]
    for layer in layers:
        x = layer(x)
    return x


def _rounds(layers, varying):
    """(rounds, layers a round) of the shortest round of which the layers are made; (0, 0) where they stay apart."""
    if not layers or not _scanned.get() or any(map(layers[0].is_mutable_collection, ("params", "intermediates"))):
        return 0, 0
    forms = [_form(layer, varying) for layer in layers]
    if None in forms:
        return 0, 0
    period = next(period for period in range(1, len(layers) + 1) if forms[period:] == forms[:-period])
    return len(layers) // period, period


def _form(layer, varying):
    """All that layers of one program have in common; None of a layer with more than parameters."""
    variables = layer.variables
    if variables.keys() != {"params"}:
        return None
    shapes = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), variables)
    if not varying:
        return layer.clone(parent=None, name=None), shapes
    alike = layer.clone(parent=None, name=None, **{varying: None})
    return alike, jax.tree.structure(getattr(layer, varying)), shapes


def _scan(rounds, x, varying):
    """Passes an array through rounds of layers that are alike."""
    places = list(zip(*rounds, strict=True))  # the layers that are one in the program
    variables = [_stacked([layer.variables for layer in place]) for place in places]
    values = [[getattr(layer, varying or "", None) for layer in place] for place in places]
    same = [all(isinstance(leaf, int | float) for leaf in jax.tree.leaves(its)) and its == its[:1] * len(its)
            for its in values]
    values = [None if fixed else _stacked(its) for its, fixed in zip(values, same, strict=True)]
    keys = None
    if rounds[0][0].has_rng("dropout"):
        keys = jax.random.split(rounds[0][0].make_rng("dropout"), (len(rounds), len(places)))

    def one_round(x, given):
        variables, values, keys = given
        for index, layer in enumerate(rounds[0]):
            fields = {} if same[index] else {varying: values[index]}
            rngs = None if keys is None else {"dropout": keys[index]}
            apply = jax.checkpoint(layer.clone(parent=None, **fields).apply, prevent_cse=False)
            x = apply(variables[index], x, rngs=rngs)
        return x, None

    token = _within.set(True)
    try:
        return jax.lax.scan(one_round, x, (variables, values, keys))[0]
    finally:
        _within.reset(token)


def _stacked(trees):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)

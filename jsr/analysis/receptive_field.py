"""The receptive field of a network, read off its traced computation: no weights, no compilation, no running.

A network is traced on a strip of an image to a jaxpr, which is then evaluated on reaches (jsr.analysis.reach) instead
of numbers: for each element of each array, the lowest and the highest row (in a second pass, column) of the strip that
it depends on. How far the outputs in the strip's middle reach is the receptive field. Every weight counts as different
from zero. Reaches are few: the features of a convolution share theirs, and so do all columns while rows are traced.
"""

import dataclasses
import functools
import math

import jax
from jax.extend.core import Literal
import jax.numpy as jnp
import numpy as np

from jsr import models
from jsr.analysis.reach import (
    Reach,
    hull,
    of_image,
    placed,
)
from jsr.analysis.reach_rules import RULES, everything, known_value, reaches_of, row_of, stacked

_LENGTH, _BREADTH = 512, 64  # of the first strip, px
_SQUARE = 256                # px, up to which strips are squares, so that rows and columns share a trace
_LONGEST_LOOP = 128          # rounds of a scan that are followed one by one


@dataclasses.dataclass(frozen=True)
class ReceptiveField:
    """The farthest LR pixels, up or down and left or right, that an SR pixel of an LR pixel depends on.

    An SR pixel at row y belongs to LR row y // scale. The larger of both directions counts; all SR pixels do.
    """

    rows: int
    columns: int


def receptive_field(function, *arguments, lr_shape=lambda height, width: (1, height, width, 3), multiple=1, limit=1500):
    """The receptive field of a function of an image.

    It is exact where every weight counts: a dependence of value zero, as on what a constant mask hides, is one. But
    products with constant matrices, as jax.image.resize makes them, count only where the matrix is not zero. Where the
    field depends on the position, as with attention in windows, it is the largest in the middle quarter of a strip, and
    at least over `multiple` px. Operations that are not known here (callbacks, loops of an unknown number of rounds,
    gathers at places that depend on the image...) make all they return depend on all they are given: the answer is then
    too large or None, never too small. One assumption is unproven: a dependence far up or down is also visible within
    32 columns of the pixel, and one far to the side within 32 rows.

    Args:
      function: function from (*arguments, lr), lr a float32 array, to an array (..., H * scale, W * scale, C).
      *arguments: arguments before the image: pytrees of arrays, or of jax.ShapeDtypeStruct, such as variables. Their
        values do not matter.
      lr_shape: function of height and width to the shape of lr, (..., H, W, C).
      multiple: the function takes H and W that are multiples of it.
      limit: the largest field that is of interest, px. A smaller one saves time with networks that look farther.

    Returns:
      A ReceptiveField; None where it is larger than `limit`, as it is for every limit where the function looks at the
      whole image.

    Raises:
      ValueError: the output's size is no multiple of the input's.
    """
    @functools.cache
    def traced(height, width):
        return jax.make_jaxpr(function)(*arguments, jax.ShapeDtypeStruct(lr_shape(height, width), jnp.float32))

    radius = functools.partial(_radius, traced, multiple)
    longest = max(8 * (limit + 4) // 3, 2 * (limit + 4) + multiple)  # its middle has more than `limit` px on both sides
    lengths = [length for length in (max(_LENGTH, 4 * multiple), longest) if length <= longest]
    rows, length = _settled(functools.partial(radius, -3), lengths)
    columns, _ = _settled(functools.partial(radius, -2), [n for n in lengths if n >= length])
    return None if max(rows, columns) > limit else ReceptiveField(rows, columns)


def of_model(model, *, limit=1500):
    """The receptive field of a network of the zoo, with the limit and the result of `receptive_field`."""
    card = models.card(model)
    side = _rounded(_BREADTH, card.padding.multiple)
    lr = jax.ShapeDtypeStruct(card.lr_shape(side, side), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), lr)
    return receptive_field(lambda variables, lr: models.outputs(model.apply(variables, lr))["sr"], variables,
                           lr_shape=card.lr_shape, multiple=card.padding.multiple, limit=limit)


def _rounded(side, multiple):
    return -(-side // multiple) * multiple


def _settled(radius, lengths):
    """(radius, length) of the first strip that is long enough, provided that one a quarter longer tells the same.

    The second is for what comes round from a strip's other end or is mirrored there, which changes with the length.
    Where no strip is long enough the radius is infinite.
    """
    for length in lengths:
        found = radius(length)
        if found < math.inf and found == radius(length * 5 // 4):
            return found, length
    return math.inf, math.inf


def _radius(trace, multiple, axis, length):
    """The radius along `axis`, -3 or -2, in a strip of `length` px; infinite where the middle reaches the ends."""
    length = _rounded(length, multiple)
    breadth = length if length <= _SQUARE else _rounded(_BREADTH, multiple)
    size = (length, breadth) if axis == -3 else (breadth, length)
    traced = trace(*size)
    lr, out_shape = traced.in_avals[-1], traced.out_avals[0].shape
    scale = out_shape[axis] // length if len(out_shape) == len(lr.shape) else 0
    if len(traced.out_avals) > 1 or not scale or tuple(out_shape[-3:-1]) != tuple(side * scale for side in size):
        shapes = ", ".join(str(aval.shape) for aval in traced.out_avals)
        raise ValueError(f"output {shapes} is no multiple of the image {lr.shape} in height and width")

    inputs = [_unknown] * (len(traced.in_avals) - 1) + [of_image(lr.shape, axis, length)]
    result, = _evaluate(traced, inputs)
    if not isinstance(result, Reach):
        return 0
    middle = max(length // 4, multiple)
    start = (length - middle) // 2
    at = np.arange(start * scale, (start + middle) * scale)
    others = tuple(d + 1 for d in range(len(lr.shape)) if d != len(lr.shape) + axis)
    lowest, highest = result.data.min(axis=others)[:, result.axes[axis][at]] * [[1], [-1]]
    if lowest.min() <= 0 or highest.max() >= length - 1:
        return math.inf
    return int(max(0, (at // scale - lowest).max(), (highest - at // scale).max()))


# Evaluation ----------------------------------------------------------------------------------------------------------
# A value is a Reach, or, where it does not depend on the image, a function that returns it: an array, or None where it
# is not known, as the arguments are not.


def _unknown():
    return None


def _constant(array):
    return lambda: array


def _evaluate(jaxpr, inputs):
    """The values that a jaxpr, open or closed, returns."""
    consts, jaxpr = getattr(jaxpr, "consts", ()), getattr(jaxpr, "jaxpr", jaxpr)
    values = dict(zip(jaxpr.invars, inputs, strict=True))
    values |= zip(jaxpr.constvars, map(_constant, consts), strict=True)

    def read(atom):
        return _constant(atom.val) if isinstance(atom, Literal) else values[atom]

    last_use = {var: eqn for eqn in jaxpr.eqns for var in eqn.invars if not isinstance(var, Literal)}
    last_use.update((var, None) for var in jaxpr.outvars if not isinstance(var, Literal))
    for eqn in jaxpr.eqns:
        values.update(zip(eqn.outvars, _apply(eqn, [read(atom) for atom in eqn.invars]), strict=True))
        for var in {var for var in eqn.invars if not isinstance(var, Literal)}:
            if last_use[var] is eqn:
                del values[var]
    return [read(atom) for atom in jaxpr.outvars]


def _apply(eqn, inputs):
    """The values that an equation returns."""
    name = eqn.primitive.name
    if name in _CALLS:
        return _evaluate(eqn.params[_CALLS[name]], inputs)
    if not reaches_of(inputs):
        return _computed(eqn, inputs)
    result = _RULES.get(name, everything)(eqn, *inputs)
    results = result if isinstance(result, list) else [result] * len(eqn.outvars)
    return [value if var.aval.size else _constant(np.zeros(var.aval.shape))
            for var, value in zip(eqn.outvars, results, strict=True)]


def _computed(eqn, inputs):
    """Computes values that do not depend on the image, when a rule asks for them, which is seldom."""
    @functools.cache
    def compute():
        operands = [value() for value in inputs]
        if any(operand is None for operand in operands):
            return [None] * len(eqn.outvars)
        with jax.ensure_compile_time_eval():
            result = eqn.primitive.bind(*operands, **eqn.params)
        return result if eqn.primitive.multiple_results else [result]

    return [lambda index=index: compute()[index] for index in range(len(eqn.outvars))]


# Rules ---------------------------------------------------------------------------------------------------------------
# From an equation and its inputs, one at least a Reach, to the value of all its outputs, or a list of values.


def _cond(eqn, index, *operands):
    known, branches = known_value(index), eqn.params["branches"]
    if known is not None:
        return _evaluate(branches[np.clip(known, 0, len(branches) - 1)], operands)
    results = []
    for var, *values in zip(eqn.outvars, *(_evaluate(branch, operands) for branch in branches), strict=True):
        if isinstance(index, Reach):
            values.append(placed(index, var.aval.shape, ()))
        results.append(hull(reaches_of(values)) if reaches_of(values) else _unknown)
    return results


def _scan(eqn, *inputs):
    params = eqn.params
    if params["length"] > _LONGEST_LOOP:
        return everything(eqn, *inputs)
    # Sequences lose a dimension inside. (The parameters that say how many there are changed with JAX 0.11.)
    body = params["jaxpr"]
    stop = sum(var.aval.ndim == aval.ndim for var, aval in zip(eqn.invars, body.in_avals, strict=True))
    start = stop - sum(var.aval.ndim == aval.ndim for var, aval in zip(eqn.outvars, body.out_avals, strict=True))
    consts, carry, sequences = inputs[:start], inputs[start:stop], inputs[stop:]
    rows = {}
    for i in range(params["length"])[::-1 if params["reverse"] else 1]:
        results = _evaluate(body, [*consts, *carry, *(row_of(value, i) for value in sequences)])
        carry, rows[i] = results[:len(carry)], results[len(carry):]
    sequences = zip(*(rows[i] for i in sorted(rows)), strict=True)
    return [*carry, *(stacked(values, 0) if reaches_of(values) else _unknown for values in sequences)]


_CALLS = {  # primitives that call a jaxpr, and the parameter that holds it
    "jit": "jaxpr", "remat2": "jaxpr", "closed_call": "call_jaxpr", "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr", "convolution_otherwise": "jaxpr", "pixels_moved": "jaxpr",
}


_RULES = RULES | {"cond": _cond, "scan": _scan}

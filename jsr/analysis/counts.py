"""Parameters and multiply-accumulates of networks, least times and memory, from shapes: nothing is compiled."""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
from jax.extend.core import Var, jaxprs_in_params
import jax.numpy as jnp

from jsr.layers.conv import Conv
from jsr.layers.upsample import TransposedConv

CONVOLUTIONS = Conv, TransposedConv, nn.Conv, nn.ConvTranspose
COUNTED_ACTIVATIONS = {"relu", "relu6", "leaky_relu", "prelu", "elu"}  # names of the traced functions


class Counts(NamedTuple):
    """The figures that networks are compared by, of one call.

    Attributes:
      params: parameters.
      macs: multiply-accumulates of all convolutions and matrix products. They are read off the traced call before dead
        code is removed: a branch that is computed and thrown away counts. Additions of biases, activations and
        element-wise products do not.
      hook_macs: "FLOPs" as eduardzamfir/NTIRE23-RTSR counts them (demo/utils/model_summary.py), by hooks on modules:
        multiply-accumulates of convolution and dense modules, without kernels that are fixed or computed; 2
        for each value that a BatchNorm gives, and 1 for each of a ReLU, ReLU6, leaky ReLU, PReLU or ELU, but none for
        other activations. What is called twice counts twice.
        In a recurrent network they are read off the trace, whose loops say how often they are called.
      activations: values in the outputs of convolution modules, that tool's other figure; of a recurrent network those
        of one frame.
    """

    params: int
    macs: int
    hook_macs: int
    activations: int


def count_params(variables):
    """The number of values in the collection `params` of variables, arrays or abstract."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables.get("params", {})))


def count(model, lr_shape):
    """(parameters, multiply-accumulates) of a network, the first two of its Counts; arguments as for `tally`."""
    return tally(model, lr_shape)[:2]


def tally(model, lr_shape):
    """The Counts of a network.

    Args:
      model: a network.
      lr_shape: shape of the input, as in jsr.models.card(model).lr_shape(192, 192).

    Returns:
      Counts, of ints; the published "GFLOPs" are often twice `macs`, in 1e9, in the real-time challenges `hook_macs`.
    """
    hooked, activations = [], []

    def hook(call, args, kwargs, context):
        y = call(*args, **kwargs)
        module = context.module
        if context.method_name != "__call__":
            return y
        if isinstance(module, (*CONVOLUTIONS, nn.Dense)):
            kernel = module.get_variable("params", "kernel")
            hooked.append(y.size * kernel.size // kernel.shape[-1])
        if isinstance(module, CONVOLUTIONS):
            activations.append(y.size)
        if isinstance(module, nn.BatchNorm):
            hooked.append(2 * y.size)
        return y

    # One trace for all: the initialisation's, which runs the network on the way.
    lr = jax.ShapeDtypeStruct(lr_shape, jnp.float32)
    with nn.intercept_methods(hook):
        closed, variables = jax.make_jaxpr(model.init, return_shape=True)(jax.random.key(0), lr)
    if any(eqn.primitive.name == "scan" for eqn in closed.jaxpr.eqns):  # modules in it are called once, and run often
        hooked = [_sum(closed.jaxpr, lambda eqn: _convolution(eqn) if _is_convolution(eqn) else None)]
    return Counts(count_params(variables), _sum(closed.jaxpr, _macs),
                  sum(hooked) + _sum(closed.jaxpr, _activation), sum(activations))


class Roofline(NamedTuple):
    """Least times of a call on a device, s, by the device's peak rates alone.

    Attributes:
      floor: no program takes less: all multiply-accumulates at the peak, or arguments and results passed through memory
        once, whichever takes longer.
      separate: the time where each convolution and matrix product reads its operands from memory and writes its result
        there, and all else costs nothing. A compiler that does not fuse them with one another stays above it.
    """

    floor: float
    separate: float


def roofline(call, *arguments, flops_per_s, bytes_per_s):
    """The Roofline of a call.

    Args:
      call: a function that JAX can trace.
      *arguments: trees of arrays, or of jax.ShapeDtypeStruct.
      flops_per_s: peak rate of convolutions and matrix products in the call's dtype; a multiply-accumulate is two.
      bytes_per_s: bandwidth of the memory.
    """
    closed = jax.make_jaxpr(call)(*arguments)

    def seconds(eqn):
        macs = _macs(eqn)
        if macs is not None:
            return max(2 * macs / flops_per_s, _bytes([*eqn.invars, *eqn.outvars]) / bytes_per_s)

    ends = [*closed.jaxpr.invars, *closed.jaxpr.outvars]
    return Roofline(max(2 * _sum(closed.jaxpr, _macs) / flops_per_s, _bytes(ends) / bytes_per_s),
                    _sum(closed.jaxpr, seconds))


def live_bytes(jaxpr):
    """Bytes of the arrays that a traced call holds at a time at most, but for its arguments.

    Every primitive's result counts until its last use. Compiled, most of them are never in memory, so that a program
    takes less as a rule.
    """
    last = {var: number for number, eqn in enumerate(jaxpr.eqns) for var in eqn.invars if isinstance(var, Var)}
    last |= dict.fromkeys((var for var in jaxpr.outvars if isinstance(var, Var)), len(jaxpr.eqns))
    own = {var for eqn in jaxpr.eqns for var in eqn.outvars}
    held = peak = 0
    for number, eqn in enumerate(jaxpr.eqns):
        held += _bytes(eqn.outvars)
        inside = max(map(live_bytes, jaxprs_in_params(eqn.params)), default=0)
        peak = max(peak, held, held - _bytes(eqn.outvars) + inside)
        dead = {var for var in (*eqn.invars, *eqn.outvars) if isinstance(var, Var) and last.get(var, -1) <= number}
        held -= _bytes(dead & own)
    return peak


def _bytes(variables):
    return sum(var.aval.size * var.aval.dtype.itemsize for var in variables)


def _sum(jaxpr, of):
    """The sum over a jaxpr, and those that its primitives hold, of a function that gives None to look inside."""
    return sum(_inside(eqn, of) if (own := of(eqn)) is None else own for eqn in jaxpr.eqns)


def _inside(eqn, of):
    match str(eqn.primitive):
        case "cond":
            return max(_sum(branch.jaxpr, of) for branch in eqn.params["branches"])
        case "scan":
            rounds = eqn.params["length"]
        case _:
            rounds = 1
    found = rounds * sum(_sum(jaxpr, of) for jaxpr in jaxprs_in_params(eqn.params))
    if found and str(eqn.primitive) == "while":
        raise ValueError(f"{found} multiply-accumulates are in a loop whose number of rounds is not known beforehand")
    return found


def _macs(eqn):
    match str(eqn.primitive):
        case "conv_general_dilated":
            return _convolution(eqn)
        case "dot_general":
            (contracted, _), _ = eqn.params["dimension_numbers"]
            return eqn.outvars[0].aval.size * math.prod(eqn.invars[0].aval.shape[d] for d in contracted)


def _convolution(eqn):
    image, kernel = (var.aval.shape for var in eqn.invars)
    out_features, in_features, *kernel_size = (kernel[d] for d in eqn.params["dimension_numbers"].rhs_spec)
    if any(d != 1 for d in eqn.params["lhs_dilation"]):  # transposed: the zeros between the pixels cost nothing
        return math.prod(image) * math.prod(kernel_size) * out_features // eqn.params["feature_group_count"]
    return eqn.outvars[0].aval.size * math.prod(kernel_size) * in_features


def _is_convolution(eqn):
    return eqn.primitive.name == "conv_general_dilated"


def _activation(eqn):
    """The number of values that one of COUNTED_ACTIVATIONS gives."""
    return sum(var.aval.size for var in eqn.outvars) if eqn.params.get("name") in COUNTED_ACTIVATIONS else None

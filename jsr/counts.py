"""Parameters and multiply-accumulates of networks, counted on shapes: nothing is computed or compiled."""

import math

import jax
from jax.extend.core import jaxprs_in_params
import jax.numpy as jnp


def count_params(variables):
    """The number of values in the collection `params` of variables, arrays or abstract."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables.get("params", {})))


def count(model, lr_shape):
    """Parameters, and multiply-accumulates of the convolutions and matrix products of one call, of a network.

    The latter are what networks are compared by. They are read off the traced call before dead code is removed: a
    branch that is computed and thrown away counts, as in the published figures. Additions of biases, activations and
    element-wise products do not.

    Args:
      model: a network.
      lr_shape: of the input, as in jsr.models.card(model).lr_shape(192, 192).

    Returns:
      (parameters, multiply-accumulates), ints; the published "GFLOPs" are often twice the second, in 1e9.
    """
    # One trace for both: that of the initialisation, which runs the network on the way.
    lr = jax.ShapeDtypeStruct(lr_shape, jnp.float32)
    closed, variables = jax.make_jaxpr(model.init, return_shape=True)(jax.random.key(0), lr)
    return count_params(variables), _macs(closed.jaxpr)


def _macs(jaxpr):
    return sum(_COUNTERS.get(str(eqn.primitive), _nested)(eqn) for eqn in jaxpr.eqns)


def _convolution(eqn):
    image, kernel = (var.aval.shape for var in eqn.invars)
    out_features, in_features, *kernel_size = (kernel[d] for d in eqn.params["dimension_numbers"].rhs_spec)
    if any(d != 1 for d in eqn.params["lhs_dilation"]):  # transposed: the zeros between the pixels cost nothing
        return math.prod(image) * math.prod(kernel_size) * out_features // eqn.params["feature_group_count"]
    return math.prod(eqn.outvars[0].aval.shape) * math.prod(kernel_size) * in_features


def _dot(eqn):
    (contracted, _), _ = eqn.params["dimension_numbers"]
    return math.prod(eqn.outvars[0].aval.shape) * math.prod(eqn.invars[0].aval.shape[d] for d in contracted)


def _scan(eqn):
    return eqn.params["length"] * _nested(eqn)


def _while(eqn):
    if macs := _nested(eqn):
        raise ValueError(f"{macs} multiply-accumulates are in a loop whose number of rounds is not known beforehand")
    return 0


def _cond(eqn):
    return max(_macs(branch.jaxpr) for branch in eqn.params["branches"])


def _nested(eqn):
    """Of whatever jaxprs a primitive holds: jit, remat, custom derivatives..."""
    return sum(_macs(jaxpr) for jaxpr in jaxprs_in_params(eqn.params))


_COUNTERS = {
    "conv_general_dilated": _convolution,
    "dot_general": _dot,
    "scan": _scan,
    "while": _while,
    "cond": _cond,
}

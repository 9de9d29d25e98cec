"""Operators of ONNX for loops."""

import numpy as np

from jsr.onnx_graph.graph import Graph
from jsr.onnx_graph.values import Constant, Tensor, image_layout


def _scan(writer, eqn, *values):
    """A Scan: what is passed from round to round lies as images do, and so does a round's part of the rest."""
    params, closed = eqn.params, eqn.params["jaxpr"]
    consts, carry = params["num_consts"], params["num_carry"]
    body = Graph(writer.graph)
    names, given = [], list(values[:consts])
    for number, (value, var) in enumerate(zip(values[consts:], eqn.invars[consts:], strict=True)):
        each = number >= carry
        shape = var.aval.shape[each:]
        names.append(writer.in_order(value, var.aval, _along_time(shape, each)))
        given.append(Tensor(body.add_input(var.aval.dtype), shape, image_layout(len(shape)), var.aval.dtype))
    inner = writer.within(body)
    results = inner.run(closed.jaxpr, [Constant(np.asarray(const)) for const in closed.consts], given)
    for result, var in zip(results, closed.jaxpr.outvars, strict=True):
        name = inner.in_order(result, var.aval, image_layout(var.aval.ndim))
        body.outputs.append((body.add("Identity", name), var.aval.dtype))
    body.tidy(*(name for name, _ in body.outputs))
    made = writer.graph.add("Scan", *names, outputs=len(results), body=body, carry=carry, reverse=params["reverse"])
    return [Tensor(name, var.aval.shape, _along_time(var.aval.shape[number >= carry:], number >= carry), var.aval.dtype)
            for number, (name, var) in enumerate(zip([made] if len(results) == 1 else made, eqn.outvars, strict=True))]


def _along_time(shape, each):
    """The layout of a value of a loop, which has an axis more in front where each round has its own."""
    layout = image_layout(len(shape))
    return (0, *(axis + 1 for axis in layout)) if each else layout


def _cumsum(writer, eqn, value):
    if eqn.params["reverse"]:
        raise ValueError("no ONNX operator is known for JAX's 'cumsum' from the end")
    value = writer.full(value, eqn.invars[0].aval)
    axis = writer.graph.constant(np.array(value.layout.index(eqn.params["axis"]), np.int64))
    return writer.tensor("CumSum", [value.name, axis], value.shape, value.layout, value.dtype)


TABLE = {"scan": _scan, "cumsum": _cumsum}

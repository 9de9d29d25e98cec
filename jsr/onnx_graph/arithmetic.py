"""Operators of ONNX for arithmetic, value by value."""


import jax
import numpy as np

from jsr.onnx_graph.values import Constant, Size, Tensor


def elementwise(op, **attributes):
    """A writer of the operator `op`, value by value, of values brought to one order of axes."""
    def write(writer, eqn, *values):
        names, shape, layout = writer.aligned(values)
        return writer.tensor(op, names, shape, layout, eqn.outvars[0].aval.dtype, **attributes)

    return write


def _composed(function):
    """An elementwise operation made of several, by a function of a helper op(name, *operands), params and operands."""
    def write(writer, eqn, *values):
        names, shape, layout = writer.aligned(values)
        dtype = values[0].dtype if isinstance(values[0], Tensor) else eqn.outvars[0].aval.dtype

        def op(kind, *operands):
            operands = [x if isinstance(x, str) else writer.graph.constant(np.asarray(x, dtype)) for x in operands]
            return writer.tensor(kind, operands, shape, layout, dtype).name

        return Tensor(function(op, eqn.params, *names), shape, layout, np.dtype(eqn.outvars[0].aval.dtype))

    return write


def _scale(op):
    """A product or a quotient, where a factor of one is left out and the quotient of a sum by its length is a mean."""
    plain = elementwise(op)

    def write(writer, eqn, a, b):
        if _is_unit(b) and isinstance(a, Tensor):
            return a
        if op == "Mul" and _is_unit(a) and isinstance(b, Tensor):
            return b
        if op == "Div" and isinstance(a, Tensor) and a.name in writer.sums:
            length, mean = writer.sums[a.name]
            if length == _number(b):
                return mean(a)
        return plain(writer, eqn, a, b)

    return write


def _is_unit(value):
    return isinstance(value, Constant) and _number(value) == 1


def _number(value):
    """A value that is one number known by now, or None."""
    if isinstance(value, Size):
        return value.length
    return value.array.item() if isinstance(value, Constant) and value.array.size == 1 else None


def _convert(writer, eqn, value):
    dtype = np.dtype(eqn.params["new_dtype"])
    return Size(value.length, dtype) if isinstance(value, Size) else writer.cast(value, dtype)


def _select(writer, eqn, which, *cases):
    if len(cases) != 2 or eqn.invars[0].aval.dtype != bool:
        raise ValueError(f"no ONNX operator is known for JAX's 'select_n' among {len(cases)} cases of a number")
    return elementwise("Where")(writer, eqn, which, *cases[::-1])


def _round(op, params, x):
    if params["rounding_method"] != jax.lax.RoundingMethod.TO_NEAREST_EVEN:
        raise ValueError("no ONNX operator is known for JAX's 'round' away from zero")
    return op("Round", x)

ELEMENTWISE = {
    "add": elementwise("Add"),
    "add_any": elementwise("Add"),
    "sub": elementwise("Sub"),
    "mul": _scale("Mul"),
    "div": _scale("Div"),
    "rem": elementwise("Mod", fmod=1),
    "max": elementwise("Max"),
    "min": elementwise("Min"),
    "pow": elementwise("Pow"),
    "neg": elementwise("Neg"),
    "abs": elementwise("Abs"),
    "sign": elementwise("Sign"),
    "floor": elementwise("Floor"),
    "ceil": elementwise("Ceil"),
    "exp": elementwise("Exp"),
    "log": elementwise("Log"),
    "sin": elementwise("Sin"),
    "cos": elementwise("Cos"),
    "tanh": elementwise("Tanh"),
    "erf": elementwise("Erf"),
    "sqrt": elementwise("Sqrt"),
    "logistic": elementwise("Sigmoid"),
    "eq": elementwise("Equal"),
    "lt": elementwise("Less"),
    "le": elementwise("LessOrEqual"),
    "gt": elementwise("Greater"),
    "ge": elementwise("GreaterOrEqual"),
    "and": elementwise("And"),
    "or": elementwise("Or"),
    "not": elementwise("Not"),
    "ne": _composed(lambda op, params, a, b: op("Not", op("Equal", a, b))),
    "square": _composed(lambda op, params, x: op("Mul", x, x)),
    "integer_pow": _composed(lambda op, params, x: op("Mul", x, x) if params["y"] == 2 else op("Pow", x, params["y"])),
    "rsqrt": _composed(lambda op, params, x: op("Reciprocal", op("Sqrt", x))),
    "erfc": _composed(lambda op, params, x: op("Sub", 1, op("Erf", x))),
    "log1p": _composed(lambda op, params, x: op("Log", op("Add", x, 1))),
    "expm1": _composed(lambda op, params, x: op("Sub", op("Exp", x), 1)),
    "clamp": _composed(lambda op, params, low, x, high: op("Min", op("Max", x, low), high)),
    "round": _composed(_round),
    "select_n": _select,
    "convert_element_type": _convert,
}

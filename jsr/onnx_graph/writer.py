"""A traced JAX function as an ONNX graph: one table from primitives to operators, one from functions known by name.

Axes are tracked, not moved. A value says how it lies in the graph (`Tensor.layout`), a transposition in the trace only
relabels it, and what does not care about the order of axes (arithmetic, sums, slices, concatenation) takes it as it is.
A Transpose is written where a convolution or a merge of axes needs another order. Repeats along new axes are not
written where ONNX repeats by itself. What follows from parameters alone is computed here.
"""

from jax import export
from jax.extend.core import Literal
import numpy as np

from jsr.onnx_graph import arithmetic, loops, named, products, shapes
from jsr.onnx_graph.lengths import is_known, is_one
from jsr.onnx_graph.values import FUNCTIONS, Constant, Expression, Size, Tensor, image_layout

TABLE = arithmetic.ELEMENTWISE | shapes.TABLE | products.TABLE | loops.TABLE
NEVER_FOLDED = "broadcast_in_dim", "dim_as_value"


class Writer:
    """Writes the equations of a jaxpr into a graph.

    Args:
      graph: jsr.onnx_graph.graph.Graph.
      image: Tensor, the function's input.
      variables: {name of a symbolic length: (axis in the graph's input, the multiple of it that the axis has)}.

    Attributes:
      table: {primitive: function that writes its operators}.
      by_name: the same of functions known by name.
      sums: {name of a sum: (number of its summands, function from its Tensor to that of their mean)}.
    """

    table, by_name = TABLE, named.NAMED

    def __init__(self, graph, image, variables):
        self.graph, self.image, self.variables = graph, image, variables
        self.sums = {}
        self._kept = {}

    def run(self, jaxpr, constants, inputs):
        """The values of a jaxpr's outputs."""
        values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *inputs], strict=True))

        def read(var):
            return Constant(np.asarray(var.val, var.aval.dtype)) if isinstance(var, Literal) else values[var]

        outer = self.graph.scope
        for eqn in jaxpr.eqns:
            self.graph.scope = f"{outer}/{eqn.source_info.name_stack}".strip("/")
            values.update(zip(eqn.outvars, self._equation(eqn, [read(var) for var in eqn.invars]), strict=True))
        self.graph.scope = outer
        return [read(var) for var in jaxpr.outvars]

    def _equation(self, eqn, inputs):
        name = eqn.primitive.name
        known = all(isinstance(value, Constant) for value in inputs)
        if name in named.INLINED:
            write = None if known else self.by_name.get(eqn.params.get("name"))
            result = write and write(self, eqn, *inputs)
            return [result] if result else self._inline(eqn.params[named.INLINED[name]], inputs)
        if known and (folded := _fold(eqn, inputs)) is not None:
            return folded
        if name not in self.table:
            raise ValueError(f"no ONNX operator is known for JAX's {name!r}")
        result = self.table[name](self, eqn, *inputs)
        return result if isinstance(result, list) else [result]

    def within(self, body):
        """A writer of a loop's body, which reads what stands around it."""
        inner = type(self)(body, self.image, self.variables)
        inner._kept, inner.sums = dict(self._kept), dict(self.sums)
        return inner

    def _inline(self, jaxpr, inputs):
        constants = [Constant(np.asarray(const)) for const in getattr(jaxpr, "consts", ())]
        return self.run(getattr(jaxpr, "jaxpr", jaxpr), constants, inputs)

    def tensor(self, op, inputs, shape, layout, dtype, **attributes):
        """A Tensor that a new node makes; the same node is not written twice."""
        key = op, *inputs, *(sorted(attributes.items()))
        if key not in self._kept:
            self._kept[key] = self.graph.add(op, *inputs, **attributes)
        return Tensor(self._kept[key], tuple(shape), tuple(layout), np.dtype(dtype))

    # Lengths

    def lengths(self, lengths):
        """The name of the int64 vector of some lengths."""
        if all(is_known(length) for length in lengths):
            return self.graph.integers(*lengths)
        names = [self.graph.integers(length) if is_known(length) else self._computed(length) for length in lengths]
        return names[0] if len(names) == 1 else self._once("Concat", *names, axis=0)

    def _computed(self, length):
        if length not in self._kept:
            known = {name: self._variable(*place) for name, place in self.variables.items()}
            # JAX prints lengths in the grammar that jax.export.symbolic_shape reads, in which ^ is a power
            self._kept[length] = eval(str(length).replace("^", "**"), {"__builtins__": {}}, FUNCTIONS | known).name
        return self._kept[length]

    def _variable(self, axis, multiple):
        shape = self._once("Shape", self.image.name)
        side = Expression(self.graph, self._once("Gather", shape, self.graph.integers(axis), axis=0))
        return side if multiple == 1 else side // multiple

    def _once(self, op, *inputs, **attributes):
        return self.tensor(op, inputs, (), (), np.int64, **attributes).name

    # Ways to lie in the graph

    def arranged(self, value, layout):
        """The name of a value that lies in the graph as `layout`, which names every axis once, says."""
        layout = tuple(layout)
        if isinstance(value, Constant):
            return self.graph.constant(value.array.transpose(layout), value.name)
        value = self.as_tensor(value)
        if extra := [k for k, axis in enumerate(value.layout) if axis is None]:
            kept = tuple(axis for axis in value.layout if axis is not None)
            value = self.tensor("Squeeze", [value.name, self.graph.integers(*extra)], value.shape, kept, value.dtype)
        order = tuple(value.layout.index(axis) for axis in layout if axis in value.layout)
        if order != tuple(range(len(order))):
            kept = tuple(axis for axis in layout if axis in value.layout)
            value = self.tensor("Transpose", [value.name], value.shape, kept, value.dtype, perm=order)
        if missing := [k for k, axis in enumerate(layout) if axis not in value.layout]:
            return self.tensor("Unsqueeze", [value.name, self.graph.integers(*missing)], (), (), value.dtype).name
        return value.name

    def full(self, value, aval):
        """The value with its repeats written out: a Tensor of the traced shape."""
        value = self.as_tensor(value)
        layout = _complete(value.layout, len(value.shape))
        if value.shape == tuple(aval.shape):
            return value if set(layout) <= set(value.layout) else self._moved(value, layout)
        name = self.arranged(value, layout)
        target = self.lengths([aval.shape[axis] for axis in layout])
        return self.tensor("Expand", [name, target], aval.shape, layout, value.dtype)

    def in_order(self, value, aval, layout=None):
        """The name of a value with its repeats written out, in the order of the trace unless `layout` says another."""
        layout = tuple(layout or range(len(aval.shape)))
        if isinstance(value, Constant) and value.shape == tuple(aval.shape):
            return self.arranged(value, layout)
        return self.arranged(self.full(value, aval), layout)

    def _moved(self, value, layout):
        return Tensor(self.arranged(value, layout), value.shape, tuple(layout), value.dtype)

    def as_tensor(self, value):
        """Any value as a Tensor."""
        if isinstance(value, Tensor):
            return value
        if isinstance(value, Size):
            name = self.lengths([value.length])
            return self.cast(Tensor(name, (), (None,), np.dtype(np.int64)), value.dtype)
        layout = image_layout(value.array.ndim)
        return Tensor(self.arranged(value, layout), value.shape, layout, value.array.dtype)

    def cast(self, value, dtype):
        """A tensor in another dtype."""
        if value.dtype == dtype:
            return value
        return self.tensor("Cast", [value.name], value.shape, value.layout, dtype, to=np.dtype(dtype))

    def as_image(self, value):
        """A Tensor, of four axes, in the order of ONNX's images; others as they are."""
        return self._moved(value, image_layout(len(value.shape)))

    def aligned(self, values):
        """(names, shape, layout) of values of one rank, or scalars, that arithmetic combines."""
        values = [self.as_tensor(value) if isinstance(value, Size) else value for value in values]
        rank = max(len(value.shape) for value in values)
        tensors = [value for value in values if isinstance(value, Tensor) and len(value.shape) == rank]
        layouts = {value.layout for value in tensors}
        if len(layouts) == 1 and set(range(rank)) <= set(*layouts):
            layout, = layouts
        else:  # the order of images, or of the largest
            largest = max(tensors, key=lambda value: sum(length != 1 for length in value.shape))
            layout = image_layout(rank) if image_layout(rank) in layouts else _complete(largest.layout, rank)
        shape = tuple(next((n for n in lengths if not is_one(n)), 1)
                      for lengths in zip(*(value.shape for value in values if len(value.shape) == rank), strict=True))
        return [self._operand(value, layout) for value in values], shape, layout

    def _operand(self, value, layout):
        if isinstance(value, Tensor):
            is_number = not value.shape and len(value.layout) <= len(layout)
            return value.name if value.layout == layout or is_number else (
                self.arranged(value, layout if value.shape else ()))
        if value.array.size == 1:
            return self.graph.constant(value.array.reshape(()), value.name)
        axes = [axis for axis in layout if axis is not None]
        array = value.array.transpose(axes)
        for k, axis in enumerate(layout):
            array = np.expand_dims(array, k) if axis is None else array
        first = next(k for k, length in enumerate(array.shape) if length != 1)
        return self.graph.constant(array.reshape(array.shape[first:]), value.name)


def _complete(layout, rank):
    """A layout of all axes and nothing more; one that it lacked comes behind the axis before it."""
    layout = [axis for axis in layout if axis is not None]
    for axis in range(rank):
        if axis not in layout:
            layout.insert(layout.index(axis - 1) + 1 if axis else 0, axis)
    return tuple(layout)


def _fold(eqn, inputs):
    """An equation's result for constants, or None if its shape is open."""
    arrays = [value.array for value in inputs]
    if eqn.primitive.name in arithmetic.ELEMENTWISE:
        arrays = np.broadcast_arrays(*arrays)
    elif eqn.primitive.name in NEVER_FOLDED:
        return None
    elif any(export.is_symbolic_dim(n) for var in (*eqn.invars, *eqn.outvars) for n in var.aval.shape):
        return None
    else:
        arrays = [np.broadcast_to(array, var.aval.shape) for array, var in zip(arrays, eqn.invars, strict=True)]
    results = eqn.primitive.bind(*arrays, **eqn.params)
    results = results if eqn.primitive.multiple_results else [results]
    name = next((value.name for value in inputs if value.name), "")
    return [Constant(np.asarray(result), name) for result in results]


# Arithmetic


# Shapes


# Sums, products, windows


# Functions known by their names

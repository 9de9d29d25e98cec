"""What stands for an array of the traced function while its graph is written."""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Constant:
    """An array known beforehand, of the traced shape but for axes of length 1 that stand for repeats."""

    array: np.ndarray
    name: str = ""

    @property
    def shape(self):
        return self.array.shape


@dataclasses.dataclass(frozen=True)
class Size:
    """A length that follows the input's size, as a number of some dtype."""

    length: Any
    dtype: np.dtype


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A value of the graph.

    Attributes:
      name: in the graph.
      shape: shape in the trace, of ints and of JAX's symbolic lengths, but for axes of length 1 that stand for repeats:
        ONNX repeats them where it must.
      layout: how it lies there: axis k in the graph is axis layout[k] of the trace, or, if None, one of length 1 more;
        axes of length 1 may be missing there.
      dtype: numpy's.
    """

    name: str
    shape: tuple
    layout: tuple
    dtype: np.dtype


def squeezed(tensor, axes):
    """A tensor without axes of length 1, which stay in the graph."""
    kept = [axis for axis in range(len(tensor.shape)) if axis not in axes]
    layout = tuple(kept.index(axis) if axis in kept else None for axis in tensor.layout)
    return dataclasses.replace(tensor, shape=tuple(tensor.shape[axis] for axis in kept), layout=layout)


def permuted(tensor, permutation):
    """A tensor whose axis k is axis permutation[k] of another; it stays as it is in the graph."""
    layout = tuple(None if axis is None else permutation.index(axis) for axis in tensor.layout)
    return dataclasses.replace(tensor, shape=tuple(tensor.shape[axis] for axis in permutation), layout=layout)


def image_layout(rank):
    """The order in which values of no order of their own lie: images as ONNX's convolutions want them."""
    return (0, 3, 1, 2) if rank == 4 else tuple(range(rank))


class Expression:
    """Arithmetic on lengths, none of them negative, written into a graph in place of being computed."""

    def __init__(self, graph, name):
        self.graph, self.name = graph, name


def _operation(op):
    def write(*operands):
        graph = next(x.graph for x in operands if isinstance(x, Expression))
        names = [x.name if isinstance(x, Expression) else graph.integers(x) for x in operands]
        return Expression(graph, graph.add(op, *names))

    return write


for _name, _op in {"add": "Add", "sub": "Sub", "mul": "Mul", "floordiv": "Div", "mod": "Mod", "pow": "Pow"}.items():
    _write = _operation(_op)
    setattr(Expression, f"__{_name}__", _write)
    setattr(Expression, f"__r{_name}__", lambda b, a, write=_write: write(a, b))

Expression.__neg__ = _operation("Neg")
FUNCTIONS = {name: _operation(op) for name, op in {"floordiv": "Div", "mod": "Mod", "max": "Max", "min": "Min"}.items()}

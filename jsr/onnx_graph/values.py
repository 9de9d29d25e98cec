"""Stand-ins for arrays of the traced function while its graph is written."""

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
    """Arithmetic on lengths, written into a graph in place of being computed; `signed` ones may be negative."""

    def __init__(self, graph, name, signed=False):
        self.graph, self.name, self.signed = graph, name, signed


def _operation(op):
    def write(*operands):
        graph = next(x.graph for x in operands if isinstance(x, Expression))
        names = [x.name if isinstance(x, Expression) else graph.integers(x) for x in operands]
        return Expression(graph, graph.add(op, *names), op in ("Neg", "Sub") or _is_signed(*operands))

    return write


def _is_signed(*operands):
    return any(x.signed if isinstance(x, Expression) else x < 0 for x in operands)


def _floordiv(a, b):
    """ONNX's Div rounds towards zero, Python's down."""
    return _div(_sub(a, _mod(a, b)) if _is_signed(a, b) else a, b)


_sub, _div, _mod = map(_operation, ("Sub", "Div", "Mod"))
for _name, _write in {"add": _operation("Add"), "sub": _sub, "mul": _operation("Mul"), "floordiv": _floordiv,
                      "mod": _mod, "pow": _operation("Pow")}.items():
    setattr(Expression, f"__{_name}__", _write)
    setattr(Expression, f"__r{_name}__", lambda b, a, write=_write: write(a, b))

Expression.__neg__ = _operation("Neg")
FUNCTIONS = {"floordiv": _floordiv, "mod": _mod, "max": _operation("Max"), "min": _operation("Min")}

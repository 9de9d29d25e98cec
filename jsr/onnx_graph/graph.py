"""An ONNX graph while it is written: nodes and constants, made tidy at the end."""

import collections
import dataclasses

import numpy as np

OPSET = 20  # the first with Gelu
IR_VERSION = 9  # belongs to this opset


@dataclasses.dataclass
class Node:
    """One operator; `inputs` and `outputs` are names of values, `scope` the path of the submodule that it is of."""

    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict
    scope: str = ""


class Graph:
    """Nodes in order, and constants by name.

    Attributes:
      nodes: list of Node.
      constants: {name: array}.
      hints: {name of a constant: its final name, or ""}.
      scope: path of the submodule that the next nodes are of.
    """

    def __init__(self):
        self.nodes, self.constants = [], {}
        self.hints, self.scope = {}, ""
        self._known, self._count = {}, collections.Counter()

    def add(self, op, *inputs, outputs=1, **attributes):
        """Appends a node; the name of its output, or the list of `outputs` names where there are several."""
        names = [self._new(op) for _ in range(outputs)]
        self.nodes.append(Node(op, list(inputs), names, attributes, self.scope))
        return names[0] if outputs == 1 else names

    def constant(self, array, hint=""):
        """The name of a constant, once for equal ones of the same hint, which becomes its name if it can."""
        array = np.asarray(array, order="C")
        key = hint, array.dtype.str, array.shape, array.tobytes()
        if key not in self._known:
            self._known[key] = name = self._new("constant")
            self.constants[name], self.hints[name] = array, hint
        return self._known[key]

    def integers(self, *values):
        """The name of a constant int64 vector."""
        return self.constant(np.array(values, np.int64))

    def finish(self, result, name):
        """Folds biases and orders of channels into convolutions, drops what `result` does not need, and names it."""
        result = self._named(result, name)
        for merge in (_merge_channel_orders, _merge_biases):
            self._drop_unused(result)
            merge(self)
        self._drop_unused(result)
        self._rename_constants()

    def consumers(self):
        """{name of a value: [nodes that read it]}."""
        found = collections.defaultdict(list)
        for node in self.nodes:
            for name in node.inputs:
                found[name].append(node)
        return found

    def to_proto(self, inputs, outputs):
        """The onnx.ModelProto; `inputs` and `outputs` are {name: (numpy dtype, shape of ints and names)}."""
        from onnx import helper, numpy_helper

        def declared(values):
            return [helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
                    for key, (dtype, shape) in values.items()]

        def attributes(node):
            types = {"to": helper.np_dtype_to_tensor_dtype(node.attributes["to"])} if node.op == "Cast" else {}
            return node.attributes | types

        nodes = [helper.make_node(node.op, node.inputs, node.outputs, name=node.outputs[0], **attributes(node))
                 for node in self.nodes]
        constants = [numpy_helper.from_array(array, key) for key, array in self.constants.items()]
        graph = helper.make_graph(nodes, "jsr", declared(inputs), declared(outputs), constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
                                 producer_name="jsr")

    def _new(self, kind):
        self._count[kind] += 1
        return f"{kind.lower()}_{self._count[kind]}"

    def _named(self, result, name):
        """A value under another name; the graph's input and constants keep theirs and are copied."""
        if not any(result in node.outputs for node in self.nodes):
            self.nodes.append(Node("Identity", [result], [name], {}))
            return name
        for node in self.nodes:
            for names in (node.inputs, node.outputs):
                names[:] = [name if own == result else own for own in names]
        return name

    def _drop_unused(self, result):
        needed, kept = {result}, []
        for node in reversed(self.nodes):
            if needed & set(node.outputs):
                needed |= set(node.inputs)
                kept.append(node)
        self.nodes = kept[::-1]
        self.constants = {name: array for name, array in self.constants.items() if name in needed}

    def _rename_constants(self):
        """By their hints, in the order of use; a hint that is taken gets a number."""
        names, taken = {}, collections.Counter()
        for node in self.nodes:
            for name in node.inputs:
                if name in self.constants and name not in names:
                    hint = self.hints[name] or name
                    taken[hint] += 1
                    names[name] = hint if taken[hint] == 1 else f"{hint}_{taken[hint]}"
            node.inputs = [names.get(name, name) for name in node.inputs]
        self.constants = {names.get(name, name): array for name, array in self.constants.items()}


def _merge_channel_orders(graph):
    """A fixed order of channels before a convolution is one of its kernel's input channels."""
    orders = {node.outputs[0]: node for node in graph.nodes if node.op == "Gather" and node.attributes["axis"] == 1
              and node.inputs[1] in graph.constants}
    for node in graph.nodes:
        order = orders.get(node.inputs[0]) if node.op == "Conv" and node.attributes["group"] == 1 else None
        if order is None or node.inputs[1] not in graph.constants:
            continue
        indices, kernel = (graph.constants[name] for name in (order.inputs[1], node.inputs[1]))
        if len(np.unique(indices)) == len(indices):
            hint = graph.hints[node.inputs[1]]
            node.inputs[:2] = order.inputs[0], graph.constant(kernel[:, np.argsort(indices)], hint)


def _merge_biases(graph):
    """What is added to each feature of a convolution, and to nothing else, is its bias."""
    consumers = graph.consumers()
    for node in graph.nodes:
        added = consumers[node.outputs[0]]
        if node.op != "Conv" or len(node.inputs) > 2 or len(added) != 1:
            continue
        addition, = added
        bias, = [name for name in addition.inputs if name != node.outputs[0]][:1] or [None]
        if addition.op == "Add" and bias in graph.constants and _is_per_feature(graph.constants[bias], node, graph):
            node.inputs.append(graph.constant(graph.constants[bias].reshape(-1), graph.hints[bias]))
            node.outputs, addition.outputs = addition.outputs, node.outputs


def _is_per_feature(array, conv, graph):
    kernel = graph.constants.get(conv.inputs[1])
    return kernel is not None and array.size == len(kernel) and array.shape[-3:] == (len(kernel), 1, 1)

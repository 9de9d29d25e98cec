"""An ONNX graph while it is written: nodes and constants, made tidy at the end."""

import collections
import dataclasses

import numpy as np

OPSET = 20  # the first with Gelu
LEAST_OPSET = 13  # before it, Squeeze and Unsqueeze had their axes elsewhere


@dataclasses.dataclass
class Node:
    """One operator; `inputs` and `outputs` are names of values, `scope` the path of the submodule that it is of."""

    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict
    scope: str = ""

    @property
    def reads(self):
        """Names of the values that it needs: its inputs, and what the body of a loop takes from around it."""
        return [*self.inputs, *(self.attributes["body"].reads if self.op == "Scan" else ())]


class Graph:
    """Nodes in order, and constants by name.

    Args:
      around: Graph that this one is the body of a loop in, whose constants it shares; None of a whole one.

    Attributes:
      inputs, outputs: [(name, dtype)] of a body.
      nodes: list of Node.
      constants: {name: array}.
      hints: {name of a constant: its final name, or ""}.
      scope: path of the submodule that the next nodes are of.
    """

    def __init__(self, around=None):
        self.nodes, self.inputs, self.outputs = [], [], []
        self.constants, self.hints = (around.constants, around.hints) if around else ({}, {})
        self.scope = around.scope if around else ""
        self._known, self._count = (around._known, around._count) if around else ({}, collections.Counter())

    def add(self, op, *inputs, outputs=1, **attributes):
        """Appends a node; the name of its output, or the list of `outputs` names where there are several."""
        names = [self._new(op) for _ in range(outputs)]
        self.nodes.append(Node(op, list(inputs), names, attributes, self.scope))
        return names[0] if outputs == 1 else names

    def add_input(self, dtype):
        """The name of a body's next input."""
        self.inputs.append((self._new("input"), dtype))
        return self.inputs[-1][0]

    @property
    def reads(self):
        """Names of the values, constants among them, that a body takes from around it."""
        made = {name for name, _ in self.inputs} | {name for node in self.nodes for name in node.outputs}
        return sorted({name for node in self.nodes for name in node.reads} - made - {""})

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
        self.tidy(self._named(result, name))
        needed = {name for node in self.nodes for name in node.reads}
        self.constants = {name: array for name, array in self.constants.items() if name in needed}
        names = {}
        self._rename_constants(names, collections.Counter())
        self.constants = {names.get(name, name): array for name, array in self.constants.items()}

    def tidy(self, *results):
        """Tidies the nodes as `finish` does, without the constants."""
        for merge in (_merge_channel_orders, _merge_biases):
            self._drop_unused(results)
            merge(self)
        self._drop_unused(results)

    def consumers(self):
        """{name of a value: [nodes that read it]}."""
        found = collections.defaultdict(list)
        for node in self.nodes:
            for name in node.reads:
                found[name].append(node)
        return found

    def to_proto(self, inputs, outputs, opset=OPSET):
        """The onnx.ModelProto; `inputs` and `outputs` are {name: (numpy dtype, shape of ints and names)}."""
        from onnx import helper, numpy_helper

        constants = [numpy_helper.from_array(array, key) for key, array in self.constants.items()]
        graph = helper.make_graph(self._protos(), "jsr", _declared(inputs), _declared(outputs), constants)
        opsets = [helper.make_opsetid("", opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets),
                                 producer_name="jsr")

    def _protos(self):
        """The onnx.NodeProto of each node."""
        from onnx import helper

        def attributes(node):
            if node.op == "Cast":
                return node.attributes | {"to": helper.np_dtype_to_tensor_dtype(node.attributes["to"])}
            if node.op != "Scan":
                return node.attributes
            body, carry, turned = (node.attributes[key] for key in ("body", "carry", "reverse"))
            values = [{name: (dtype, None) for name, dtype in ends} for ends in (body.inputs, body.outputs)]
            counts = [len(its) - carry for its in values]
            taken, given = map(_declared, values)
            return {"body": helper.make_graph(body._protos(), "body", taken, given),
                    "num_scan_inputs": counts[0], "scan_input_directions": [int(turned)] * counts[0],
                    "scan_output_directions": [int(turned)] * counts[1]}

        return [helper.make_node(node.op, node.inputs, node.outputs, name=node.outputs[0], **attributes(node))
                for node in self.nodes]

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

    def _drop_unused(self, results):
        needed, kept = set(results), []
        for node in reversed(self.nodes):
            if needed & set(node.outputs):
                needed |= set(node.reads)
                kept.append(node)
        self.nodes = kept[::-1]

    def _rename_constants(self, names, taken):
        """Renames constants by their hints, in the order of use; a hint that is taken gets a number."""
        for node in self.nodes:
            for name in node.inputs:
                if name in self.constants and name not in names:
                    hint = self.hints[name] or name
                    taken[hint] += 1
                    names[name] = hint if taken[hint] == 1 else f"{hint}_{taken[hint]}"
            node.inputs = [names.get(name, name) for name in node.inputs]
            if node.op == "Scan":
                node.attributes["body"]._rename_constants(names, taken)


def _declared(values):
    """The onnx.ValueInfoProto of each of {name: (numpy dtype, shape)}."""
    from onnx import helper

    return [helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
            for key, (dtype, shape) in values.items()]


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
    """Makes a value that is added to each feature of a convolution, and to nothing else, its bias."""
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

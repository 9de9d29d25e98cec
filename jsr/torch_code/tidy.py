"""Simplifies the nodes of a traced graph before they are written as PyTorch code."""

import collections
import dataclasses

from jsr.onnx_graph.graph import Node


def tidied(graph):
    """The nodes of a finished jsr.onnx_graph.graph.Graph, in order, with `Linear` and `Select` in place of two each.

    Linear is a product by a constant matrix and a bias, Select an index in place of a slice of one and a squeeze.
    Nothing is added to zero, joined with nothing, or padded by nothing. So it is with the body of a `Scan`.
    """
    nodes = graph.nodes
    for rule in (_without_idle, _with_linears, _with_indices):
        nodes = rule(nodes, graph.constants)
    for node in nodes:
        if node.op == "Scan":
            node.attributes["body"].nodes = tidied(node.attributes["body"])
    return nodes


def _without_idle(nodes, constants):
    same, kept = {}, []
    for node in nodes:
        inputs = [same.get(name, name) for name in node.inputs]
        if node.op == "Scan":
            _rename(node.attributes["body"], same)
        zeros = [name for name in inputs if name in constants and constants[name].ndim == 0 and constants[name] == 0]
        is_idle = (node.op, len(inputs), len(zeros)) in (("Add", 2, 1), ("Concat", 1, 0)) or (
            node.op == "Pad" and inputs[1] in constants and not constants[inputs[1]].any())
        if is_idle and node.outputs != ["sr"]:
            same[node.outputs[0]] = next(name for name in inputs if name not in zeros)
        else:
            kept.append(dataclasses.replace(node, inputs=inputs))
    return kept


def _rename(body, same):
    """Has the body of a loop read other values from around it."""
    for node in body.nodes:
        node.inputs = [same.get(name, name) for name in node.inputs]
        if node.op == "Scan":
            _rename(node.attributes["body"], same)


def _with_linears(nodes, constants):
    def merged(node, following):
        kernel = constants.get(node.inputs[1]) if node.op == "MatMul" else None
        if kernel is None or kernel.ndim != 2 or node.inputs[0] in constants:
            return None
        bias = [name for name in following.inputs if name in constants] if following and following.op == "Add" else []
        if bias and constants[bias[0]].shape == kernel.shape[1:]:
            return Node("Linear", [*node.inputs, bias[0]], following.outputs, {}, node.scope), following
        return Node("Linear", node.inputs, node.outputs, {}, node.scope), None

    return _merged(nodes, merged)


def _with_indices(nodes, constants):
    def merged(node, following):
        if node.op != "Slice" or not following or following.op != "Squeeze" or node.inputs[1] not in constants:
            return None
        bounds = [constants[name].tolist() if name in constants else [None] for name in node.inputs[1:]]
        (start, *more), (end, *_), (axis, *_), (step, *_) = bounds
        if more or (end, step) != (start + 1, 1) or constants[following.inputs[1]].tolist() != [axis]:
            return None
        return Node("Select", node.inputs[:1], following.outputs, {"axis": axis, "index": start}, node.scope), following

    return _merged(nodes, merged)


def _merged(nodes, rule):
    """Nodes with others in place of some.

    Args:
      nodes: in order.
      rule: function of a node and the only one that reads it, or None, to (a node in its place, the other if that goes
        too), or None.
    """
    readers = collections.defaultdict(list)
    for node in nodes:
        for name in node.reads:
            readers[name].append(node)
    kept, gone = [], set()
    for node in nodes:
        if id(node) in gone:
            continue
        following = readers[node.outputs[0]]
        found = rule(node, following[0] if len(following) == 1 else None)
        kept.append(found[0] if found else node)
        if found and found[1]:
            gone.add(id(found[1]))
    return kept

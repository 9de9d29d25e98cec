"""ONNX nodes as PyTorch's functions, beside ONNX's own reference implementation."""

import numpy as np
import pytest

for package in ("torch", "onnx"):
    pytest.importorskip(package, reason="a peer of `jsr benchmark`, the extra [bench]")

import onnx  # noqa: E402
from onnx import helper, numpy_helper, reference  # noqa: E402
import torch  # noqa: E402

from jsr.timing import torch_graph  # noqa: E402

INT = np.int64
CASES = [  # (kind of node, inputs besides the image, attributes)
    ("Add", [np.float32(0.5)], {}),
    ("Mul", [np.float32([[[1.0]], [[2.0]], [[3.0]], [[4.0]]])], {}),
    ("Max", [np.float32(0.1)], {}),
    ("Min", [np.float32([[[1.0]], [[0.2]], [[3.0]], [[-0.4]]])], {}),
    ("Conv", [np.float32(np.arange(72).reshape(2, 4, 3, 3) / 9), np.float32([1, 2])],
     dict(pads=[0, 1, 1, 0], strides=[2, 1])),
    ("Conv", [np.float32(np.arange(36).reshape(4, 1, 3, 3) / 9)], dict(pads=[1, 1, 1, 1], group=4)),
    ("LeakyRelu", [], dict(alpha=0.2)),
    ("PRelu", [np.float32([[[0.1]], [[0.2]], [[0.3]], [[0.4]]])], {}),
    ("PRelu", [np.float32(0.1)], {}),
    ("Gelu", [], {}),
    ("Softmax", [], dict(axis=1)),
    ("MaxPool", [], dict(kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1])),
    ("DepthToSpace", [], dict(blocksize=2, mode="CRD")),
    ("SpaceToDepth", [], dict(blocksize=2)),
    ("ReduceMean", [INT([2, 3])], dict(keepdims=1)),
    ("ReduceMax", [INT([1])], dict(keepdims=0)),
    ("Pad", [INT([0, 0, 1, 2, 0, 0, 3, 0]), np.float32(0.7)], dict(mode="constant")),
    ("Slice", [INT([1, 0]), INT([9, -1]), INT([2, 3]), INT([2, 1])], {}),
    ("Slice", [INT([-1]), INT([-2**63]), INT([2]), INT([-1])], {}),
    ("Resize", [np.float32([]), np.float32([1, 1, 2, 2])], dict(
        mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")),
    ("Gather", [INT([3, 0, 0])], dict(axis=1)),
    ("Transpose", [], dict(perm=[0, 2, 3, 1])),
    ("Reshape", [INT([1, 2, 2, 6, 8])], {}),
    ("Unsqueeze", [INT([0, 3])], {}),
    ("Expand", [INT([2, 4, 6, 8])], {}),
    ("Cast", [], dict(to=onnx.TensorProto.INT64)),
]


def graph(kind, inputs, attributes):
    names = [f"c{index}" for index in range(len(inputs))]
    made = helper.make_graph([helper.make_node(kind, ["lr", *names], ["sr"], **attributes)], "one", [
        helper.make_tensor_value_info("lr", onnx.TensorProto.FLOAT, [1, 4, 6, 8])],
        [helper.make_tensor_value_info("sr", onnx.TensorProto.UNDEFINED, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in zip(names, inputs, strict=True)])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)])


@pytest.mark.parametrize("kind, inputs, attributes", CASES)
def test_a_node_is_what_onnx_says(kind, inputs, attributes):
    lr, proto = np.random.default_rng(0).normal(size=(1, 4, 6, 8)).astype(np.float32), graph(kind, inputs, attributes)
    expected, = reference.ReferenceEvaluator(proto).run(None, {"lr": lr})
    sr = torch_graph.module(proto)(torch.from_numpy(lr)).numpy()
    assert sr.shape == expected.shape and sr.dtype == expected.dtype
    np.testing.assert_allclose(sr, expected, rtol=2e-6, atol=2e-6)


def test_enlargement_is_pytorchs():
    lr = torch.rand(1, 4, 6, 8)
    for mode, name in (("linear", "bilinear"), ("cubic", "bicubic")):
        proto = graph("Resize", [np.float32([]), np.float32([]), INT([1, 4, 12, 16])], dict(
            mode=mode, coordinate_transformation_mode="half_pixel", cubic_coeff_a=-0.75))
        expected = torch.nn.functional.interpolate(lr, (12, 16), mode=name, align_corners=False)
        assert torch.equal(torch_graph.module(proto)(lr), expected)


def test_weights_take_a_dtype_and_a_memory_layout():
    module = torch_graph.module(graph(*CASES[4])).to(dtype=torch.bfloat16, memory_format=torch.channels_last)
    kernel, = (each for each in module.parameters() if each.ndim == 4)
    assert kernel.dtype == torch.bfloat16 and kernel.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind, attributes, message", [
    ("Hardmax", {}, "nodes that are not written in PyTorch here: Hardmax"),
    ("DepthToSpace", dict(blocksize=2, mode="DCR"), "DepthToSpace of mode DCR is not written in PyTorch here"),
])
def test_what_is_not_written_is_named(kind, attributes, message):
    with pytest.raises(ValueError, match=message):
        torch_graph.module(graph(kind, [], attributes))

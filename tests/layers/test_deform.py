"""Deformable convolution and warping against ONNX Runtime, PyTorch and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr.layers.conv import convolve
from jsr.layers.deform import DeformConv, deform_convolve, flow_warp


def case(*, n=2, size=(6, 7), channels=8, features=6, kernel=(3, 3), groups=1, offset_groups=2, strides=(1, 1),
         padding=(1, 1), dilation=(1, 1), masked=True, reach=3.0, dtype=np.float32):
    """(x, offset, kernel, mask) and the window, at random; offsets lead beyond the image."""
    rng, taps = np.random.default_rng(0), kernel[0] * kernel[1]
    out = [(side + 2 * p - d * (k - 1) - 1) // s + 1
           for side, p, d, k, s in zip(size, padding, dilation, kernel, strides, strict=True)]
    arrays = (rng.normal(size=(n, *size, channels)), rng.uniform(-reach, reach, (n, *out, offset_groups * taps * 2)),
              rng.normal(size=(*kernel, channels // groups, features)), rng.random((n, *out, offset_groups * taps)))
    x, offset, weight, mask = (array.astype(dtype) for array in arrays)
    return (x, offset, weight, mask if masked else None), dict(strides=strides, padding=padding, dilation=dilation)


CASES = {
    "one group": dict(offset_groups=1),
    "groups of offsets": dict(offset_groups=4),
    "no mask": dict(masked=False),
    "strides": dict(strides=(2, 3)),
    "dilation": dict(dilation=(2, 1), padding=(2, 1)),
    "no padding": dict(padding=(0, 0)),
    "oblong kernel": dict(kernel=(1, 3), padding=(0, 1)),
    "groups": dict(groups=2),
    "a channel a group, as STOPN": dict(groups=8, offset_groups=8, features=16),
    "far beyond": dict(reach=40.0),
}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_onnxruntime_gives_the_same(options):
    ort = pytest.importorskip("onnxruntime", reason="the extra [export]")
    onnx = pytest.importorskip("onnx", reason="the extra [export]")
    (x, offset, kernel, mask), window = case(**options)
    found = np.asarray(deform_convolve(x, offset, kernel, mask, **window))
    inputs = {"x": x.transpose(0, 3, 1, 2), "w": kernel.transpose(3, 2, 0, 1), "offset": offset.transpose(0, 3, 1, 2),
              "bias": np.zeros(kernel.shape[-1], np.float32),
              **({} if mask is None else {"mask": mask.transpose(0, 3, 1, 2)})}
    taps = kernel.shape[0] * kernel.shape[1]
    node = onnx.helper.make_node(
        "DeformConv", list(inputs), ["y"], kernel_shape=kernel.shape[:2], strides=window["strides"],
        pads=[*window["padding"]] * 2, dilations=window["dilation"], group=x.shape[-1] // kernel.shape[2],
        offset_group=offset.shape[-1] // (2 * taps))
    described = [onnx.helper.make_tensor_value_info(key, 1, value.shape) for key, value in inputs.items()]
    graph = onnx.helper.make_graph([node], "g", described, [onnx.helper.make_tensor_value_info("y", 1, None)])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 19)], ir_version=9)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    y, = session.run(None, {key: np.ascontiguousarray(value) for key, value in inputs.items()})
    np.testing.assert_allclose(found, y.transpose(0, 2, 3, 1), atol=2e-5)


@pytest.mark.parametrize("groups", [1, 2])
def test_taps_that_stay_are_those_of_a_convolution(groups):
    (x, offset, kernel, mask), _ = case(groups=groups)
    found = deform_convolve(x, jnp.zeros_like(offset), kernel, jnp.ones_like(mask))
    np.testing.assert_allclose(found, convolve(x, kernel, padding=(1, 1), groups=groups), atol=1e-5)


@pytest.mark.parametrize("options", [dict(offset_groups=4), dict(groups=2, masked=False), dict(reach=9.0)])
def test_gradients_are_those_of_finite_differences(options):
    with jax.enable_x64(True):
        arguments, window = case(n=1, size=(4, 5), channels=4, features=4, dtype=np.float64, **options)
        given = [array for array in arguments if array is not None]
        target = np.random.default_rng(1).normal(size=deform_convolve(*given, **window).shape)

        @jax.jit
        def loss(given):
            return (deform_convolve(*given, **window) * target).sum()

        gradients, rng = jax.jit(jax.grad(loss))(given), np.random.default_rng(2)
        for number, gradient in enumerate(gradients):
            for at in map(tuple, rng.integers(0, gradient.shape, (12, gradient.ndim))):
                changed = []
                for step in (1e-6, -1e-6):
                    moved = [np.array(array) for array in given]
                    moved[number][at] += step
                    changed.append(float(loss(moved)))
                assert gradient[at] == pytest.approx((changed[0] - changed[1]) / 2e-6, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("border", [False, True])
@pytest.mark.parametrize("size", [(5, 7), (2, 4)])
def test_warping_is_pytorchs(border, size):
    torch = pytest.importorskip("torch", reason="the extra [torch]")
    rng = np.random.default_rng(0)
    x, flow = rng.normal(size=(2, *size, 3)), rng.uniform(-4, 4, (2, *size, 2))
    rows, columns = torch.meshgrid(*map(torch.arange, size), indexing="ij")
    grid = torch.stack((columns, rows), 2) + torch.from_numpy(flow)
    grid = 2 * grid / torch.tensor([max(side - 1, 1) for side in size[::-1]]) - 1
    expected = torch.nn.functional.grid_sample(torch.from_numpy(x).permute(0, 3, 1, 2), grid, align_corners=True,
                                               padding_mode="border" if border else "zeros")
    with jax.enable_x64(True):
        found = flow_warp(jnp.asarray(x), jnp.asarray(flow), border=border)
    np.testing.assert_allclose(found, expected.permute(0, 2, 3, 1), atol=1e-12)


def test_places_that_are_no_numbers_stay_within_the_image():
    (x, offset, kernel, mask), _ = case()
    offset[0, 0, 0, 0] = np.nan
    found = deform_convolve(x, offset, kernel, mask)
    assert np.isnan(found[0, 0, 0]).all() and np.isfinite(found[0, 1:]).all()


def test_places_are_float32_where_the_rest_is_bfloat16():
    (x, offset, kernel, mask), _ = case(size=(4, 300))
    module = DeformConv(kernel.shape[-1], dtype=jnp.bfloat16)
    found = module.apply({"params": {"kernel": kernel, "bias": jnp.zeros(6)}}, x, offset, mask)
    assert found.dtype == jnp.bfloat16
    expected = deform_convolve(x, offset, kernel, mask)
    assert np.abs(found - expected).max() < 0.03 * np.abs(expected).max()


@pytest.mark.parametrize("wrong, message", [
    (dict(offset=(2, 6, 7, 35)), "35 offsets are not 2 for each of 9 taps"),
    (dict(offset=(2, 6, 6, 36)), r"offsets are of \(6, 6\) px, the output of \(6, 7\)"),
    (dict(mask=(2, 6, 7, 9)), "9 weights of taps do not fit 36 offsets"),
    (dict(kernel=(3, 3, 3, 6)), "a kernel of 3 to 6 channels does not fit 8 channels"),
])
def test_shapes_that_do_not_fit_are_refused(wrong, message):
    (x, offset, kernel, mask), _ = case()
    given = {"offset": offset, "kernel": kernel, "mask": mask} | {key: np.zeros(shape) for key, shape in wrong.items()}
    with pytest.raises(ValueError, match=message):
        deform_convolve(x, **given)

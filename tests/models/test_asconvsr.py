"""AsConvSR: kernels that an image assembles for itself, and its counts."""

import numpy as np
import pytest

from jsr import models
from jsr.analysis import counts
from jsr.models import asconvsr


@pytest.mark.parametrize("scale, size, plain, published", [
    (2, (1080, 1920), 8_957_952_000, 2.3523e6),
    (3, (720, 1280), 15_925_248_000, 17.797e6),
])
def test_counts(scale, size, plain, published):
    model = models.create("asconvsr", scale=scale)
    params, macs = counts.count(model, (1, *size, 3))
    assert abs(params / published - 1) < 0.02
    pixels, kernel = size[0] * size[1] // 4, 9 * model.num_feat**2
    control = model.control_feat * model.num_feat * (1 + 3 * model.num_basis)
    assemble = 3 * model.num_basis * (kernel + model.num_feat)
    # the report's figure is `plain` and what its tool saw of the control
    assert macs == plain + 3 * kernel * pixels + control + assemble


def test_each_image_is_convolved_with_kernels_of_its_own(drawn, run):
    model = models.create("asconvsr", scale=2, **asconvsr.SMALL | dict(num_block=1))
    params, lr = drawn(model)["params"], np.random.default_rng(1).random((2, 8, 6, 3))
    sr = run(model, {"params": params}, lr)

    body, features = params["body"], 4
    padded = np.pad(lr.reshape(2, 4, 2, 3, 2, 3).transpose(0, 1, 3, 5, 2, 4).reshape(2, 4, 3, 12),
                    [(0, 0), (1, 1), (1, 1), (0, 0)])
    for one, image in zip(sr, padded, strict=True):
        first = convolved(image, **params["conv_first"])
        hidden = np.maximum(first.mean((0, 1)) @ body["control_0"]["kernel"][0, 0] + body["control_0"]["bias"], 0)
        mixture = (hidden @ body["control_1"]["kernel"][0, 0] + body["control_1"]["bias"]).reshape(features, -1)
        kernel = np.tensordot(mixture, body["basis_0"], 1).transpose(1, 2, 3, 0)
        inside = np.maximum(convolved(np.pad(first, [(1, 1), (1, 1), (0, 0)]), kernel, mixture @ body["bias_0"]), 0)
        last = convolved(np.pad(inside, [(1, 1), (1, 1), (0, 0)]), **params["conv_last"])
        residual = last.reshape(4, 3, 3, 2, 2, 2, 2).transpose(0, 5, 3, 1, 6, 4, 2)  # to rows, columns, channel
        nearest = image[1:-1, 1:-1].reshape(4, 3, 3, 2, 2).transpose(0, 3, 1, 4, 2).reshape(8, 6, 3)
        expected = residual.reshape(16, 12, 3) + nearest.repeat(2, 0).repeat(2, 1)
        np.testing.assert_allclose(one, expected, rtol=1e-10)


def convolved(padded, kernel, bias):
    """A padded image (H + 2, W + 2, C) with a 3x3 kernel, by NumPy."""
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (0, 1))  # H, W, C, 3, 3
    return np.einsum("hwcij,ijco->hwo", windows, kernel) + bias

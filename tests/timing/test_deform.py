"""The benchmark of deformable convolution: what it times is the same output and the same gradient."""

import pytest

from jsr.timing import deform


def test_all_compute_the_same():
    pytest.importorskip("torch", reason="the extra [torch]")
    pytest.importorskip("onnxruntime", reason="the extra [export]")
    row = deform.measure_deform(features=4, groups=2, size=(5, 6), reach=3.0, rounds=1)
    assert [(form["what"], form["name"]) for form in row["rows"]][:3] == [
        ("forward", "jsr"), ("forward", "PyTorch, grid_sample"), ("forward", "ONNX Runtime")]
    assert {form["what"] for form in row["rows"]} == {"forward", "gradient"}
    assert max(form["error"] for form in row["rows"]) < 1e-5

"""SPAN: fused, it computes the same; SPANR's counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import convert, models, reparam
from jsr.analysis import counts
from jsr.convert.identify import identify
from jsr.errors import UserError
from jsr.inference.chain import Chain


def test_fused_it_has_the_kernels_of_the_original_and_computes_the_same(golden):
    case = golden("span", "x4")
    deployed, fused, report = reparam.fuse(case.model, case.variables)
    assert len(report) == 20 and max(report.values()) < 1e-12
    rules = convert.formats(deployed)["official"]
    state_dict = convert.to_torch(fused, rules)
    assert set(state_dict) == {key for key in case.state_dict if not any(part in key for part in (".sk.", ".conv."))}
    for key, value in state_dict.items():
        np.testing.assert_allclose(value, case.state_dict[key], rtol=0, atol=2e-5, err_msg=key)
    with jax.default_matmul_precision("highest"):
        sr = jax.jit(deployed.apply)(fused, case.lr)
    assert np.abs(sr - case.outputs["sr"]).max() < 1e-5 * np.abs(case.outputs["sr"]).max()
    found = identify(state_dict)
    assert models.create(found.model, scale=found.scale, **found.fields) == deployed


def test_inference_in_bfloat16_is_in_float32(caplog):
    model = models.create("span", scale=2, num_feat=4, num_block=2, deploy=True)
    chain = Chain({"sr": model}, {"sr": models.init(model, jax.random.key(0))})
    assert chain.with_dtype(jnp.bfloat16).networks["sr"].dtype == jnp.float32
    assert "SPAN is computed in float32" in caplog.text
    assert chain.with_dtype(jnp.float16).networks["sr"].dtype == jnp.float16


def test_spanr_has_the_published_counts():
    model = models.create("span/spanr", scale=4, deploy=True)
    assert counts.count(model, (1, 540, 960, 3)) == (25_952, 13_362_278_400)  # 0.026 M, 13.3 G


def test_what_the_official_code_lacks_is_not_converted():
    with pytest.raises(UserError, match="span: the official code has six blocks of conv3xc and concatenates four maps"):
        convert.formats(models.create("span/spanr", scale=4))


def test_unknown_fusions_are_refused():
    model = models.create("span", scale=2, fusion="three")
    with pytest.raises(ValueError, match="fusion = 'three' is neither 'four' nor 'two'"):
        jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))

"""SwinFIR against what the original code computes; what its spectra mean for tiles and for the computation's type."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import convert, counts, models
from jsr.inference import receptive_field
from jsr.layers.padding import crop_to, pad_to_multiple
from jsr.layers.swin import SpectralTransform

CASES = ("x4", "direct_x2")


@pytest.mark.parametrize("case", CASES)
def test_converted_weights_give_the_original_output(golden, run, case):
    case = golden("swinfir", case)
    variables = convert.to_jax(case.state_dict, case.rules, case.abstract)
    sr = run(case.model, variables, pad_to_multiple(case.lr, models.card(case.model).padding))
    expected = case.outputs["sr"]
    np.testing.assert_allclose(crop_to(sr, *expected.shape[1:3]), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("case", CASES)
def test_there_and_back_gives_the_same_state_dict(golden, case):
    case = golden("swinfir", case)
    back = convert.to_torch(convert.to_jax(case.state_dict, case.rules, case.abstract), case.rules)
    assert back.keys() == case.state_dict.keys()
    for key, value in case.state_dict.items():
        assert back[key].dtype == value.dtype, key
        # a mask's size is that of the images that the original was constructed for
        assert key.endswith(".attn_mask") or np.array_equal(back[key], value), key


def test_swinfir_t_is_the_network_with_the_fields_in_the_docstring():
    variables = models.abstract("swinfir", scale=4, embed_dim=60, depths=(6, 5, 5, 6), num_heads=(6,) * 4,
                                upsampler="pixelshuffledirect", resi_connection="HSFB")
    assert counts.count_params(variables) == 966_696  # of the original code


def test_tiles_are_never_exact():
    model = models.create("swinfir", scale=2, embed_dim=2, depths=(1,), num_heads=(1,), window_size=2, num_feat=2)
    assert receptive_field.of_model(model, limit=50) is None
    assert receptive_field.of_model(model.clone(resi_connection="1conv"), limit=50) is not None


def test_spectra_are_at_least_float32_and_the_rest_is_as_asked_for():
    def text(dtype):
        x = jnp.zeros((1, 5, 7, 4))
        return str(jax.make_jaxpr(lambda: SpectralTransform(dtype=dtype).init_with_output(jax.random.key(0), x)[0])())

    traced = text(jnp.bfloat16)
    assert "c64[1,5,4,2]" in traced and "bf16[1,5,4,4] = conv_general_dilated" in traced
    with jax.enable_x64(True):
        assert "c128[1,5,4,2]" in text(jnp.float64)

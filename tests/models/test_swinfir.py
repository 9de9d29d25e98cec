"""SwinFIR: what its spectra mean for tiles and for the computation's type."""

import jax
import jax.numpy as jnp

from jsr import models
from jsr.analysis import counts, receptive_field
from jsr.layers.swin import SpectralTransform


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

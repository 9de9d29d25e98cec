"""Retinexformer: how far it sees."""

from jsr import models
from jsr.analysis.receptive_field import of_model


def test_attention_is_of_the_whole_image():
    model = models.create("retinexformer", scale=1, num_feat=4, num_blocks=(1, 0))
    assert models.card(model).padding.multiple == 2
    assert of_model(model, limit=100) is None

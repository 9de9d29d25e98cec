"""RDN: how its blocks grow."""

from jsr import models


def test_each_convolution_of_a_block_sees_all_before_it():
    params = models.abstract("rdn", scale=2, num_feat=6, num_block=3, num_layer=4, num_grow_ch=2)["params"]
    kernels = [params["body_2"][f"conv_{index}"]["kernel"].shape for index in range(4)]
    assert kernels == [(3, 3, 6 + 2 * index, 2) for index in range(4)]
    assert params["body_2"]["fusion"]["kernel"].shape == (1, 1, 14, 6) and params["fusion"]["kernel"].shape[2] == 18

"""Attention of cosines, as Swin Transformer V2 has it (Liu et al., CVPR 2022)."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jsr.layers.attention import Linear, attend


class CosineAttention(nn.Module):
    """Cosines of queries and keys times a learned temperature, and a bias that a small MLP makes of positions.

    Queries and keys lie on grids over the same window, one of which may be coarser. Cosines are of float32 vectors: the
    temperature, up to 100, would blow up bfloat16's rounding.

    Attributes:
      query_size, key_size: (height, width) of the grids.

    Parameters: `logit_scale` (heads, 1, 1), the temperature's logarithm; submodules `cpb_mlp_0`, `cpb_mlp_2`.
    """

    query_size: tuple[int, int]
    key_size: tuple[int, int]

    @nn.compact
    def __call__(self, query, key, value, regions=None):
        """Attention of cosines; arguments and result as in jsr.layers.attention.attend."""
        num_heads = query.shape[-2]
        temperature = self.param("logit_scale", nn.initializers.constant(np.log(10)), (num_heads, 1, 1))
        table = nn.relu(Linear(512, name="cpb_mlp_0")(relative_coordinates(self.query_size, self.key_size)))
        table = 16 * nn.sigmoid(Linear(num_heads, use_bias=False, name="cpb_mlp_2")(table))
        return attend(unit(query), unit(key), value, scale=jnp.exp(jnp.minimum(temperature, np.log(100))),
                      bias=pairwise(table, self.query_size, self.key_size), regions=regions)


def unit(x):
    """Vectors along the last axis in float32, scaled to length 1; zero stays zero."""
    x = x.astype(jnp.float32)
    return x * jax.lax.rsqrt(jnp.maximum((x * x).sum(-1, keepdims=True), 1e-24))


def relative_coordinates(query_size, key_size):
    """Differences of positions on a logarithmic scale, for equal grids from -log2(9) / 3 to log2(9) / 3.

    Where one grid is coarser, the differences are those of indices all the same, moved by half of what the sides differ
    by; the largest one comes to log2(9) / 3.

    Args:
      query_size, key_size: (height, width) of the grids.

    Returns:
      float32 numpy array (rows, columns, 2) of rows and columns, in the order in which `pairwise` takes a table.
    """
    def along(query, key):
        larger, smaller = max(query, key), min(query, key)
        highest = larger - 1 - (larger - smaller) // 2
        line = np.arange(highest - larger - smaller + 2, highest + 1, dtype=np.float32) / highest * 8
        return np.sign(line) * np.log2(np.abs(line) + 1) / np.log2(8)

    lines = map(along, query_size, key_size)
    return np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).astype(np.float32)


def pairwise(table, query_size, key_size):
    """Spreads a table of values for differences of positions, query minus key, over all pairs.

    Args:
      table: array (query height + key height - 1, query width + key width - 1, heads), ascending differences.
      query_size, key_size: (height, width) of the grids.

    Returns:
      Array (heads, queries, keys), positions row by row.
    """
    rows, columns = (np.arange(query)[:, None] + np.arange(key)[::-1]
                     for query, key in zip(query_size, key_size, strict=True))
    pairs = table[rows][:, :, columns]  # query row, key row, query column, key column, head
    return pairs.transpose(4, 0, 2, 1, 3).reshape(table.shape[-1], rows.shape[0] * columns.shape[0], -1)

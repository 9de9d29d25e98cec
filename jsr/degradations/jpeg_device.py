"""JPEG on the device: encoding and decoding of an image in int32, bit for bit as the libraries do it.

The lossy part of JPEG alone: colour conversion, chroma scaling, DCT, quantisation and the way back. The entropy coding
between them is lossless and is left out. The result equals `jsr.degradations.jpeg`'s, encoded and decoded, for
every quality, size and subsampling.

libjpeg's DCT in one dimension (the accurate integer one, `islow`) rounds once, after its last addition. Whatever the
order of its additions, it is therefore a matrix of integers and one rounding shift, and so it is written here; the
matrices are sums of libjpeg's 13-bit constants. No result leaves 32 bits: forwards they are 2**30 at most, backwards
2**18 times a sample, which quantisation can carry to 3000 at most.

Source: the algorithms of libjpeg 6b, to which libjpeg-turbo keeps, and of libjpeg 9; held to the libraries by tests.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
import numpy as np

from jsr.degradations.jpeg import SUBSAMPLINGS
from jsr.errors import nearest

# The quantisation tables of the standard's Annex K: luma, chroma. Libraries differ in chroma's first step.
_ANNEX_K = np.array([
    [[16, 11, 10, 16, 24, 40, 51, 61],
     [12, 12, 14, 19, 26, 58, 60, 55],
     [14, 13, 16, 24, 40, 57, 69, 56],
     [14, 17, 22, 29, 51, 87, 80, 62],
     [18, 22, 37, 56, 68, 109, 103, 77],
     [24, 35, 55, 64, 81, 104, 113, 92],
     [49, 64, 78, 87, 103, 121, 120, 101],
     [72, 92, 95, 98, 112, 100, 103, 99]],
    [[17, 18, 24, 47, 99, 99, 99, 99],
     [18, 21, 26, 66, 99, 99, 99, 99],
     [24, 26, 56, 99, 99, 99, 99, 99],
     [47, 66, 99, 99, 99, 99, 99, 99],
     [99, 99, 99, 99, 99, 99, 99, 99],
     [99, 99, 99, 99, 99, 99, 99, 99],
     [99, 99, 99, 99, 99, 99, 99, 99],
     [99, 99, 99, 99, 99, 99, 99, 99]],
], np.int32)


def _mirrored(left):
    """A DCT matrix from its left half: even rows are symmetric, odd ones antisymmetric."""
    left = np.array(left, np.int32)
    right = left[:, ::-1].copy()
    right[1::2] *= -1
    return np.concatenate([left, right], axis=1)


# DCTs of 8 and 16 samples to 8 coefficients, times 2**13; the way back is the transpose. The one of 16 samples, by
# which libjpeg 9 halves and doubles chroma, has constants of its own on the way back, rounded otherwise.
_DCT8 = _mirrored([
    [8192, 8192, 8192, 8192],
    [11363, 9633, 6437, 2260],
    [10703, 4433, -4433, -10703],
    [9633, -2259, -11362, -6436],
    [8192, -8192, -8192, 8192],
    [6437, -11362, 2261, 9633],
    [4433, -10704, 10704, -4433],
    [2260, -6436, 9633, -11363],
])
_DCT16 = _mirrored([
    [8192, 8192, 8192, 8192, 8192, 8192, 8192, 8192],
    [11529, 11086, 10217, 8956, 7350, 5461, 3363, 1135],
    [11363, 9633, 6436, 2260, -2260, -6436, -9633, -11363],
    [11086, 7350, 1136, -5461, -10217, -11529, -8956, -3363],
    [10703, 4433, -4433, -10703, -10703, -4433, 4433, 10703],
    [10217, 1136, -8955, -11086, -3363, 7350, 11529, 5461],
    [9633, -2260, -11363, -6437, 6437, 11363, 2260, -9633],
    [8956, -5461, -11086, 1137, 11530, 3363, -10217, -7350],
])
_INVERSE_DCT16 = _mirrored([
    [8192, 8192, 8192, 8192, 8192, 8192, 8192, 8192],
    [11529, 11086, 10217, 8956, 7350, 5461, 3363, 1136],
    [11363, 9633, 6437, 2260, -2260, -6437, -9633, -11363],
    [11086, 7350, 1136, -5461, -10217, -11529, -8955, -3363],
    [10703, 4433, -4433, -10703, -10703, -4433, 4433, 10703],
    [10217, 1136, -8955, -11086, -3363, 7349, 11529, 5461],
    [9632, -2260, -11363, -6436, 6436, 11363, 2260, -9632],
    [8956, -5461, -11086, 1137, 11529, 3363, -10217, -7350],
])
_FORWARD = {8: _DCT8, 16: _DCT16}
_INVERSE = {8: _DCT8.T, 16: _INVERSE_DCT16.T}


class _Library(NamedTuple):
    """The points in which libraries differ.

    Attributes:
      chroma_dc: Annex K's step for the mean of chroma; the other steps are shared.
      green_from_cb: what Cb takes from green, times 2**16. The other weights of colours are shared, but for two towards
        Cb that never change its rounded value.
      scales_in_dct: chroma is halved and doubled by DCTs of 16 samples, not by averages and triangle filters.
      wraps: a sample decoded more than 512 off the middle grey turns up at the other end, instead of being clipped.
        Noise made for the purpose gets there; libjpeg-turbo's code for vector units (SIMD) clips.
    """

    chroma_dc: int
    green_from_cb: int
    scales_in_dct: bool
    wraps: bool


LIBRARIES = {
    "pillow": _Library(chroma_dc=17, green_from_cb=22554, scales_in_dct=False, wraps=False),
    "9d": _Library(chroma_dc=17, green_from_cb=22553, scales_in_dct=True, wraps=True),
    "9e": _Library(chroma_dc=16, green_from_cb=22553, scales_in_dct=True, wraps=True),
}

# (vertical, horizontal) factor -> what is added in even and in odd columns before the shift, so that halves are rounded
# up and down in turn.
_DOWN_BIAS = {(1, 2): (0, 1), (2, 2): (1, 2)}
_UP_BIAS = {(1, 2): (1, 2), (2, 2): (8, 7)}


@functools.partial(jax.jit, static_argnames=("subsampling", "library", "decoder"))
def jpeg(image: ArrayLike, quality: ArrayLike, *, subsampling: str = "4:2:0", library: str = "pillow",
         decoder: str = "", sizes: ArrayLike | None = None) -> jax.Array:
    """The image that is read back after it was saved as JPEG.

    Compiled once a shape; works under jit and vmap. There is no gradient; see `jpeg_float`.

    Args:
      image: uint8 or int32 (..., H, W, C) of values 0 to 255; C is 3 (RGB) or 1 (grey).
      quality: integers, of shape (...) or one that broadcasts to it; clipped to 1..100, as libjpeg does.
      subsampling: chroma sampling, a key of `jsr.degradations.jpeg.SUBSAMPLINGS`; grey has none.
      library: encoder and decoder, a key of `LIBRARIES`: "pillow" is libjpeg-turbo, as in Pillow's wheels; "9d" stands
        for libjpeg 9a to 9d, "9e" for 9e and 9f.
      decoder: the decoder where it is another, a key of `LIBRARIES`.
      sizes: int32 (..., 2), height and width of each image, which has the first rows and columns of its array; all by
        default, and 6 px at least. What the arrays hold beyond has no meaning, before and after.

    Returns:
      uint8 of the image's shape.

    Raises:
      ValueError: wrong type, shape or name.
    """
    image, quality = jnp.asarray(image), jnp.asarray(quality)
    if image.dtype not in (np.uint8, np.int32) or image.ndim < 3 or image.shape[-1] not in (1, 3) or not image.size:
        raise ValueError(f"expected uint8 or int32 (..., H, W, 3 or 1), got {image.dtype} {image.shape}")
    if not jnp.issubdtype(quality.dtype, jnp.integer):
        raise ValueError(f"quality must be an integer or an array of integers, got {quality.dtype}")
    if subsampling not in SUBSAMPLINGS:
        raise ValueError(f"subsampling {subsampling!r} is unknown; {nearest(subsampling, SUBSAMPLINGS)}")
    for name in (library, decoder or library):
        if name not in LIBRARIES:
            raise ValueError(f"library {name!r} is unknown; {nearest(name, LIBRARIES)}")

    encodes, decodes, shape = LIBRARIES[library], LIBRARIES[decoder or library], image.shape
    steps = jnp.broadcast_to(_steps(quality, encodes), (*shape[:-3], 2, 8, 8)).reshape(-1, 2, 8, 8)
    image = image.astype(jnp.int32).reshape(-1, *shape[-3:])
    if sizes is not None:
        sizes = jnp.broadcast_to(sizes, (*shape[:-3], 2)).reshape(-1, 2)
        image = _bordered(image, sizes)
    if shape[-1] == 1:
        decoded = _coded(image[..., 0], steps[:, 0], decodes)
    else:
        y, cb, cr = _ycc_from_rgb(image)
        chroma = _coded_chroma(jnp.concatenate([cb, cr]), jnp.tile(steps[:, 1], (2, 1, 1)), encodes, decodes,
                               SUBSAMPLINGS[subsampling], None if sizes is None else jnp.tile(sizes, (2, 1)))
        cb, cr = jnp.split(chroma, 2)
        decoded = _rgb_from_ycc(_coded(y, steps[:, 0], decodes), cb, cr, decodes)
    return decoded.astype(jnp.uint8).reshape(shape)


def jpeg_float(image: ArrayLike, quality: ArrayLike, *, subsampling: str = "4:2:0",
               library: str = "pillow") -> jax.Array:
    """`jpeg` of float images, with a straight-through gradient.

    Forwards exactly `jpeg` of the image clipped and rounded to 8 bits; backwards the identity, also where the image was
    clipped. The quality has no gradient.

    Args:
      image: float (..., H, W, C) in [0, 1]; C is 3 (RGB) or 1 (grey).
      quality, subsampling, library: as for `jpeg`.

    Returns:
      float of the image's shape and type: multiples of 1/255 in [0, 1].

    Raises:
      ValueError: wrong type, shape or name.
    """
    image = jnp.asarray(image)
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise ValueError(f"expected a float image in [0, 1], got {image.dtype}; integer images go to jpeg")
    rounded = jnp.rint(jnp.clip(image.astype(jnp.float32), 0, 1) * 255).astype(jnp.uint8)
    decoded = jpeg(rounded, quality, subsampling=subsampling, library=library).astype(jnp.float32) / 255
    # The second term is exactly zero and its gradient is one.
    return decoded.astype(image.dtype) + (image - jax.lax.stop_gradient(image))


def _steps(quality, lib):
    """The quantisation steps (..., 2, 8, 8) of luma and chroma at a quality (...)."""
    base = _ANNEX_K.copy()
    base[1, 0, 0] = lib.chroma_dc
    quality = jnp.clip(quality, 1, 100).astype(jnp.int32)
    percent = jnp.where(quality < 50, 5000 // quality, 200 - 2 * quality)[..., None, None, None]
    return jnp.clip((base * percent + 50) // 100, 1, 255)


def _ycc_from_rgb(image):
    """Planes Y, Cb and Cr, each (N, H, W) of 0 to 255, of an image (N, H, W, 3)."""
    r, g, b = (image[..., c] for c in range(3))
    half, center = 1 << 15, 128 << 16
    y = (19595 * r + 38470 * g + 7471 * b + half) >> 16
    # One less than a half, so that pure blue and pure red stay at 255.
    cb = (32768 * b - 11059 * r - 21709 * g + center + half - 1) >> 16
    cr = (32768 * r - 27439 * g - 5329 * b + center + half - 1) >> 16
    return y, cb, cr


def _rgb_from_ycc(y, cb, cr, lib):
    """The image (N, H, W, 3) of 0 to 255 of three planes (N, H, W)."""
    cb, cr = cb - 128, cr - 128
    half = 1 << 15
    r = y + ((91881 * cr + half) >> 16)
    g = y + ((half - lib.green_from_cb * cb - 46802 * cr) >> 16)
    b = y + ((116130 * cb + half) >> 16)
    return jnp.clip(jnp.stack([r, g, b], axis=-1), 0, 255)


def _coded_chroma(planes, steps, encoder, decoder, factors, sizes):
    """Chroma planes (N, H, W) scaled down by `factors` (vertical, horizontal), coded and scaled up again.

    With `sizes` (N, 2) the planes are `_bordered`.
    """
    _, height, width = planes.shape
    if factors == (1, 1):
        return _coded(planes, steps, decoder)
    whole = 8 * factors[0], 8 * factors[1]
    small_sizes = None if sizes is None else -(-sizes // np.array(factors))
    small = planes if encoder.scales_in_dct else _downsampled(planes, factors)
    if sizes is not None and not encoder.scales_in_dct:
        small = _bordered(small, small_sizes, axes=(1,))  # columns beyond the border were rounded in turn
    coefficients = _encoded(small, steps, whole if encoder.scales_in_dct else (8, 8))
    if decoder.scales_in_dct:
        return _decoded(coefficients, decoder, whole)[:, :height, :width]
    small = _decoded(coefficients, decoder, (8, 8))[:, :-(-height // factors[0]), :-(-width // factors[1])]
    if sizes is not None:
        small = _bordered(small, small_sizes)
    return _upsampled(small, factors)[:, :height, :width]


def _bordered(images, sizes, axes=(1, 2)):
    """Images (N, H, W, ...) with the last row and column of each, by its height and width (N, 2), repeated beyond."""
    for axis in axes:
        places = jnp.minimum(jnp.arange(images.shape[axis]), sizes[:, axis - 1, None] - 1)
        places = places.reshape(len(images), *(-1 if its == axis else 1 for its in range(1, images.ndim)))
        images = jnp.take_along_axis(images, places, axis)
    return images


def _coded(planes, steps, lib):
    """Planes (N, H, W) after DCT, quantisation by steps (N, 8, 8), and the way back; int32 of 0 to 255."""
    return _decoded(_encoded(planes, steps, (8, 8)), lib, (8, 8))[:, :planes.shape[1], :planes.shape[2]]


def _encoded(planes, steps, block):
    """Coefficients (8, 8, N, rows, columns of blocks) of planes (N, H, W) of 0 to 255, as they are decoded.

    `block` is the height and width in px, each 8 or 16, of what 8 x 8 coefficients stand for.
    """
    rows, columns = block
    planes = _padded(planes, rows, columns)
    blocks = planes.reshape(len(planes), planes.shape[1] // rows, rows, planes.shape[2] // columns, columns)
    # Position in the block first: all blocks together are then one long vector.
    x = blocks.transpose(2, 4, 0, 1, 3) - 128
    x = _transformed(_FORWARD[columns], x, 1, 11)
    x = _transformed(_FORWARD[rows], x, 0, 13 + rows // 8 + columns // 8)  # 16 samples add up to twice as much as 8
    # Coefficients are 8 times the true ones. Half a step is rounded away from zero.
    steps = jnp.broadcast_to(steps.transpose(1, 2, 0)[..., None, None], x.shape)
    return jnp.sign(x) * jax.lax.div(jnp.abs(x) + 4 * steps, 8 * steps) * steps


def _decoded(coefficients, lib, block):
    """The planes, of whole blocks, of coefficients; see `_encoded`."""
    x = _transformed(_INVERSE[block[0]], coefficients, 0, 11)
    x = _transformed(_INVERSE[block[1]], x, 1, 18)
    if lib.wraps:
        x = ((x + 512) & 1023) - 512
    x = jnp.clip(x + 128, 0, 255).transpose(2, 3, 0, 4, 1)
    return x.reshape(len(x), x.shape[1] * block[0], -1)


def _transformed(matrix, x, axis, shift):
    """The matrix times `x` along `axis`, shifted right with rounding."""
    product = jnp.moveaxis(jnp.tensordot(matrix, x, (1, axis)), 0, axis)
    return (product + (1 << shift - 1)) >> shift


def _padded(planes, rows, columns):
    """Planes (N, H, W) with the last row and column repeated until the sizes are multiples."""
    _, height, width = planes.shape
    return jnp.pad(planes, ((0, 0), (0, -height % rows), (0, -width % columns)), "edge")


def _downsampled(planes, factors):
    """Means over (vertical, horizontal) px, after filling up the right edge to whole blocks, the bottom to pairs."""
    vertical, horizontal = factors
    planes = _padded(planes, vertical, 8 * horizontal)
    total = sum(planes[:, i::vertical, j::horizontal] for i in range(vertical) for j in range(horizontal))
    bias = np.tile(np.array(_DOWN_BIAS[factors], np.int32), planes.shape[2] // horizontal // 2)
    return (total + bias) >> (vertical * horizontal // 2)


def _upsampled(planes, factors):
    """Planes (N, H, W) scaled up by (vertical, horizontal): 3/4 of the nearer sample and 1/4 of the next."""
    vertical, horizontal = factors
    if planes.shape[2] <= 2:  # too narrow for libjpeg's filter
        return jnp.repeat(jnp.repeat(planes, vertical, 1), horizontal, 2)
    if vertical == 2:
        planes = _interpolated(planes, 1)
    return _interpolated(planes, 2, _UP_BIAS[factors]) >> (2 * vertical)


def _interpolated(planes, axis, bias=(0, 0)):
    """Twice as many samples along `axis`: 3 times the nearer plus the next one plus bias; edges are repeated."""
    size = planes.shape[axis]
    before = jnp.take(planes, np.maximum(np.arange(size) - 1, 0), axis)
    after = jnp.take(planes, np.minimum(np.arange(size) + 1, size - 1), axis)
    pairs = jnp.stack([3 * planes + before + bias[0], 3 * planes + after + bias[1]], axis + 1)
    return pairs.reshape(*planes.shape[:axis], 2 * size, *planes.shape[axis + 1:])

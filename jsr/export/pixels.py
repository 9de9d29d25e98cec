"""The function that is exported: a chain of networks as one pure function of an image as files hold it, of any size."""

from collections.abc import Callable, Iterator, Mapping
import contextlib
from typing import Any

import flax.linen as nn
import jax
from jax import export, lax
import jax.numpy as jnp
from jax.typing import DTypeLike
import numpy as np

from jsr.chain import chain_channels, chain_open_multiple, chain_padding, chain_scale, run_chain
from jsr.errors import UserError, nearest
from jsr.layers.padding import crop_to, source_rows, taken

KERNELS = ("xla", "pallas", "attention")


def on_pixels(networks: Mapping[str, nn.Module], variables: Mapping[str, Any], *,
              dtype: DTypeLike = np.uint8, half: bool = False, kernels: str = "xla",
              platform: str | None = None) -> Callable[[jax.Array], jax.Array]:
    """A function, also of symbolic sizes, that treats a picture of the chain's channels as `jsr upscale` does, whole.

    Padding, cropping, clipping and rounding are inside, so that whoever runs the function needs nothing else of jsr.
    Padding is a gather of rows and columns; it reflects again where an image is smaller than the padding, as
    jsr.layers.padding.pad_to does. A chain that takes every size has none.

    Args:
      networks: {name: module} in order.
      variables: {name: Flax collections}; they become constants of the function.
      dtype: dtype of LR and SR: uint8, or float32 in [0, 1], clipped and not rounded.
      half: the parameters are kept, and the networks computed, in float16.
      kernels: "xla" compiles the networks as they are, "pallas" is the one kernel of jsr.kernels, of images of uint8,
        "attention" the kernel of jsr.fused for attention within windows.
      platform: that which kernels are compiled for, "tpu" or "cuda"; None is JAX's here.

    Returns:
      Function of lr (N, H, W, C) to sr (N, H * scale, W * scale, C), both of that dtype.

    Raises:
      UserError: unknown kernels; a platform, a dtype or networks for which there are none.
    """
    if half:
        networks = {name: module.clone(dtype=jnp.float16) for name, module in networks.items()}
        variables = jax.tree.map(lambda leaf: np.asarray(leaf, np.float16), dict(variables))
    padding, scale = chain_padding(networks), chain_scale(networks)
    if kernels not in KERNELS:
        raise UserError(f"kernels = {kernels}: {nearest(kernels, KERNELS)}")
    platform = platform or {"gpu": "cuda"}.get(jax.default_backend(), jax.default_backend())
    in_one_kernel = _in_one_kernel(networks, variables, dtype, platform) if kernels == "pallas" else None
    _attending(kernels, platform)  # which refuses a platform

    def upscale(lr):
        height, width = lr.shape[1:3]
        if in_one_kernel:
            return crop_to(in_one_kernel(_pad(lr, padding)), height * scale, width * scale)
        image = _pad(_to_unit(lr), padding)
        with _attending(kernels, platform):
            sr = run_chain(networks, list(networks), variables, image)[0]["sr"]
        return _from_unit(crop_to(sr, height * scale, width * scale), dtype)

    return upscale


def _in_one_kernel(networks, variables, dtype, platform):
    """The function of padded images by one kernel."""
    if dtype != np.uint8:
        raise UserError(f"kernels = pallas: for images of uint8, not of {np.dtype(dtype)}; leave kernels out")
    from jsr.kernels import upscaler  # which imports Pallas

    return upscaler(networks, variables, platform)


def _attending(kernels, platform):
    """The context in which networks are traced."""
    if kernels != "attention":
        return contextlib.nullcontext()
    from jsr.fused import attending  # which imports Pallas

    return attending(platform)


def traced_input(networks: Mapping[str, nn.Module], size: tuple[int, int] | None, dtype: DTypeLike,
                 batch: int | None = 1) -> jax.ShapeDtypeStruct:
    """The jax.ShapeDtypeStruct that `on_pixels` is traced with: (height, width), and a batch; symbolic for None."""
    multiple = chain_open_multiple(networks)
    sides = size or [side if multiple == 1 else f"{multiple}*{side}" for side in ("height", "width")]
    lengths = ", ".join(map(str, (batch or "batch", *sides, chain_channels(networks)[0])))
    return jax.ShapeDtypeStruct(export.symbolic_shape(lengths), dtype)


@contextlib.contextmanager
def tracing(size: tuple[int, int] | None, batch: int | None = 1) -> Iterator[None]:
    """Turns what goes wrong while a network is traced for any size or batch (None) into a UserError that helps."""
    try:
        yield
    except UserError:
        raise
    except Exception as e:  # of many classes: a network may do anything with the sizes that it is given
        if size is not None and batch is not None:
            raise
        reason = str(e).strip().partition("\n")[0]
        what, where = ("size", "--size 256x256") if size is None else ("number", "--batch 4")
        raise UserError(f"this network needs to know the {what} of its images ({type(e).__name__}: {reason:.80}); "
                        f"export it for one {what}: {where}") from e


def _pad(image, padding):
    """(1, H, W, C) with rows and columns added at the bottom and right."""
    if padding.multiple == 1:
        return image
    for axis in (1, 2):
        side = image.shape[axis]
        target = padding.target(side)
        if side == target:  # of symbolic sizes it is not known
            continue
        rows = source_rows(side, target, padding.mode)
        image = taken(image, rows, axis)
        if padding.mode == "zeros":
            inside = lax.iota(jnp.int32, image.shape[axis]) < side
            image *= jnp.expand_dims(inside, tuple(a for a in range(4) if a != axis)).astype(image.dtype)
    return image


def _to_unit(lr):
    """uint8 to float32 in [0, 1]; float32 as it is."""
    if lr.dtype == jnp.float32:
        return lr
    pixels = lr.astype(jnp.float32)
    # the maximum is always 255; by a constant XLA does not divide, it multiplies by 1 / 255, which rounds differently
    return pixels / lax.max(pixels, jnp.float32(255))


def _from_unit(sr, dtype):
    """Float32 to a file's values: clipped, and rounded half to even as NumPy does."""
    sr = jnp.clip(sr.astype(jnp.float32), 0, 1)
    return sr if dtype == np.float32 else lax.round(sr * 255, lax.RoundingMethod.TO_NEAREST_EVEN).astype(dtype)

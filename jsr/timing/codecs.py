"""The device twin of JPEG beside Pillow's encoder and decoder."""

import jax
import numpy as np

from jsr.degradations import jpeg, jpeg_device
from jsr.timing import timing


def measure_jpeg(batch, size, *, quality=10, subsampling="4:2:0", rounds=10):
    """Times compressing and decoding a batch of made-up images, by the twin on this device and by Pillow on one thread.

    Args:
      batch: images.
      size: (height, width), px.
      quality: 1 to 100.
      subsampling: chroma subsampling, as jsr.degradations.jpeg takes it.
      rounds: timed calls of each.

    Returns:
      {batch, size, quality, subsampling, compile_s, differing: values that are not equal, rows: [{name, images_per_s,
      best_ms, median_ms, p10_ms, p90_ms, rounds}]}.
    """
    images = _images(batch, *size)
    on_device = jax.device_put(images)
    call = jax.jit(lambda x: jpeg_device.jpeg(x, quality, subsampling=subsampling)).lower(on_device)
    compiled = []
    compile_s = timing.seconds_of(lambda: compiled.append(call.compile()))

    def by_pillow():
        return np.stack([jpeg.decode(jpeg.encode(image, quality, subsampling=subsampling)) for image in images])

    seconds = timing.interleaved({"jsr": lambda: compiled[0](on_device).block_until_ready(), "Pillow": by_pillow},
                                 rounds)
    return {"batch": batch, "size": list(size), "quality": quality, "subsampling": subsampling, "compile_s": compile_s,
            "differing": int((np.asarray(compiled[0](on_device)) != by_pillow()).sum()),
            "rows": [{"name": name, "images_per_s": batch / float(np.median(values)), **timing.spread(values)}
                     for name, values in seconds.items()]}


def _images(batch, height, width):
    """Gradients with noise, uint8 (batch, height, width, 3)."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    waves = np.stack([127 + 100 * np.sin(x / 9 + c) * np.cos(y / 7) for c in range(3)], axis=-1)
    return np.clip(waves + rng.normal(0, 12, (batch, height, width, 3)), 0, 255).astype(np.uint8)

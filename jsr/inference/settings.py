"""A person's settings beside size and model, and the networks for them, in `jsr upscale` and `jsr serve` alike."""

from collections.abc import Sequence
import dataclasses
import functools
from pathlib import Path

from jsr import weights as names
from jsr.inference import choice, upscaler


@dataclasses.dataclass(frozen=True)
class Settings:
    """All that results depend on but for the networks; as a dict it is the `settings` of `upscale_files`.

    Attributes:
      size: {field of jsr.inference.choice.Size: value}, {} of none.
      strength: 0..1, share of the network's result.
      weights: weights of several models in their average; None is equal ones.
      members: number of an ensemble's networks to use, from the first; None is all.
      self_ensemble, tile, overlap, tlc, runtime: see jsr.inference.upscaler.load.
      dtype: dtype of the computation, "float32", "bfloat16" or "float16".
      input_quality: JPEG quality, 1..100, that networks are told of all pictures; None is each file's own.
      quality: quality of lossy output formats, 1..100; None is each format's default.
      alpha: "transparency", or "separate" where it is none.
    """

    size: dict = dataclasses.field(default_factory=dict)
    strength: float = 1.0
    weights: Sequence[float] | None = None
    members: int | None = None
    self_ensemble: bool | None = None
    tile: int | str | Sequence[int] = "auto"
    overlap: int | None = None
    dtype: str = "float32"
    runtime: str = "auto"
    tlc: int | None = None
    input_quality: float | None = None
    quality: int | None = None
    alpha: str = "transparency"

    def networks(self, models: Sequence[Path] = (), name: str = ""):
        """The networks that pictures go through.

        Args:
          models: files that a person named; none is those that come with jsr, chosen for each picture.
          name: name of these in messages.

        Returns:
          (jsr.inference.choice.Networks, `named` of jsr.inference.choice.choose).

        Raises:
          UserError: a file is no model, or settings do not fit it.
        """
        load = functools.partial(
            upscaler.load, weights=self.weights, members=self.members, self_ensemble=self.self_ensemble,
            tile=self.tile, overlap=self.overlap, dtype=None if self.dtype == "float32" else self.dtype,
            runtime=self.runtime, tlc=self.tlc, separate_alpha=self.alpha == "separate", strength=self.strength)
        if not models:
            return choice.Networks({box: [names.SHIPPED / f"{box}.safetensors"] for box in choice.BOX}, load), None
        found = choice.Networks({name: models}, functools.partial(load, input_quality=self.input_quality))
        return found, (name, found[name].scale)

"""What users and tools must know of a network besides its code."""

import dataclasses

from jsr.layers.padding import Padding


@dataclasses.dataclass(frozen=True)
class Card:
    """One a network file, as its `CARD`.

    Attributes:
      title: the network's name as its paper writes it, with one clause on what it is.
      paper: authors, title, venue, year.
      code: the repository consulted and its licence; "" where there is none.
      scales: the factors between LR and SR that the network can be made for, ascending.
      task: "super-resolution", or what else the network does to the image.
      in_channels, out_channels: of LR and SR.
      padding: the sizes that the network takes, and how the original evaluation brings images to them.
      tiling: "exact" where an SR tile depends on a bounded neighbourhood of its LR tile only, else "approximate"
        (global pooling, attention windows, FFT, kernels made from the whole image).
      video: LR and SR are (N, T, H, W, C).
    """

    title: str
    paper: str
    code: str
    scales: tuple[int, ...]
    task: str = "super-resolution"
    in_channels: int = 3
    out_channels: int = 3
    padding: Padding = Padding()
    tiling: str = "exact"
    video: bool = False

    def __post_init__(self):
        if self.tiling not in ("exact", "approximate"):
            raise ValueError(f"tiling = {self.tiling!r} is neither 'exact' nor 'approximate'")
        if list(self.scales) != sorted(set(self.scales)) or not self.scales:
            raise ValueError(f"scales = {self.scales} are not ascending")

    def lr_shape(self, height, width, *, frames=5):
        """The shape of one LR image, or clip of `frames` images, as the network takes it."""
        return (1, *((frames,) if self.video else ()), height, width, self.in_channels)

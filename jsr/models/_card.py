"""What users and tools must know of a network besides its code."""

from collections.abc import Mapping
import dataclasses
from typing import Any, Literal

from jsr.layers.padding import Padding


@dataclasses.dataclass(frozen=True)
class Card:
    """The facts about a network, one Card per network file, as its `CARD`.

    Attributes:
      title: the network's name as its paper writes it, with one clause on what it is.
      paper: authors, title, venue, year.
      code: the repository consulted and its licence; "" where there is none.
      scales: the factors between LR and SR that the network was published for, ascending.
      task: "super-resolution", or what else the network does to the image.
      in_channels, out_channels: channels of LR and SR.
      padding: the sizes that the network takes, and how the original evaluation brings images to them. Where the
        multiple follows from a field of the network, as an attention window's, the network has it as `size_multiple`.
      frames: frames of a clip that the network sees at once; None of a network for images. An odd number n takes LR
        (N, n, H, W, C) and gives the SR image of the frame in the middle, (N, H, W, C); "all" takes and gives clips of
        any length, (N, T, H, W, C). Such a network also works frame by frame, for clips longer than memory: its
        `passes`, and `begin`, `rest`, `marks`, `step`, `reconstruct` as jsr.models.basicvsrpp has them.
      variant_scales: {variant: its scales}, of the variants published for others than `scales`.
      other_scales: factors that the structure allows whatever was published, ascending; for networks of one's own.
      variant_other_scales: {variant: its own}, of the variants that `other_scales` does not hold for.
      auxiliary: it serves the training of others. What it gives, as its `sr`, is for losses, and not an image of
        `scale` times the size.
    """

    title: str
    paper: str
    code: str
    scales: tuple[int, ...]
    task: str = "super-resolution"
    in_channels: int = 3
    out_channels: int = 3
    padding: Padding = Padding()
    frames: int | Literal["all"] | None = None
    variant_scales: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    other_scales: tuple[int, ...] = ()
    variant_other_scales: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    auxiliary: bool = False

    def __post_init__(self):
        published = self.scales, *self.variant_scales.values()
        for scales in (*published, self.other_scales, *self.variant_other_scales.values()):
            if list(scales) != sorted(set(scales)):
                raise ValueError(f"scales = {scales} are not ascending")
        if () in published:
            raise ValueError("scales = () name none")
        if isinstance(self.frames, int) and (self.frames < 1 or self.frames % 2 == 0):
            raise ValueError(f"frames = {self.frames} has no frame in the middle")

    @property
    def video(self) -> bool:
        """Whether LR is a clip."""
        return self.frames is not None

    @property
    def allowed_scales(self) -> tuple[int, ...]:
        """The factors that the network can be made for, ascending."""
        return tuple(sorted({*self.scales, *self.other_scales}))

    def lr_shape(self, height: int, width: int, *, frames: int = 5) -> tuple[int, ...]:
        """The shape of one LR image, or clip, as the network takes it; `frames` is the length where that is open."""
        lead = () if self.frames is None else (frames,) if self.frames == "all" else (self.frames,)
        return (1, *lead, height, width, self.in_channels)

    def sr_shape(self, lr_shape: tuple[int, ...], scale: int) -> tuple[int, ...]:
        """The shape of SR for LR of a shape that the network takes."""
        *lead, height, width, _ = lr_shape
        return (*(lead[:1] if isinstance(self.frames, int) else lead), height * scale, width * scale, self.out_channels)


def row_at(row, scale) -> dict[str, Any]:
    """A row of VARIANTS; of {scale: row}, where a method differs by scale, the nearest scale's."""
    if row and all(isinstance(key, int) for key in row):
        return row[min(sorted(row), key=lambda published: abs(published - scale))]
    return row

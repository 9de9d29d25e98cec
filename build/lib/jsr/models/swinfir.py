"""SwinFIR: SwinIR whose residual groups end in convolutions of the spatial and of the frequency domain.

Paper: Zhang et al., arXiv:2208.11247. Structure, fields and variants as in Zdafeng/SwinFIR (swinfir/archs/
swinfir_arch.py, swinfir_utils.py, options/), initialisation as SwinIR's. It is the SRC-B entry of AIM 2022, track 1
(report, section 4.6), which trained on LR patches of 64; the variant "aim22" has windows of 8 for that reason, which is
inferred, where the published configurations have 12 and patches of 60. SwinFIR-T (0.967 M at x4) is the network with
embed_dim=60, depths=(6, 5, 5, 6), num_heads=(6,) * 4, upsampler="pixelshuffledirect", resi_connection="HSFB".
"""

from jsr.layers.padding import Padding
from jsr.models._card import Card
from jsr.models.swinir import SwinIR


class SwinFIR(SwinIR):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Every pixel of the output depends on the whole input, by way of its spectrum: tiles are never exact.

    Attributes: those of SwinIR, with other defaults.
    """

    window_size: int = 12
    resi_connection: str = "SFB"
    mean: tuple[float, ...] = (0.3014, 0.3152, 0.3094)  # as in the code, where SwinIR has DIV2K's

VARIANTS = {  # parameters at x4
    "base": dict(),  # 14.50 M
    "aim22": dict(window_size=8),  # 14.43 M
}

SMALL = dict(embed_dim=4, depths=(1,), num_heads=(2,), window_size=4, num_feat=4, drop_path_rate=0.0)  # for tests


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return SwinFIR(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="SwinFIR, SwinIR with fast Fourier convolutions between its groups",
    paper="Zhang et al., SwinFIR: Revisiting the SwinIR with Fast Fourier Convolution and Improved Training for Image "
          "Super-Resolution, arXiv 2022",
    code="Zdafeng/SwinFIR (CC BY-NC-SA 4.0)",
    scales=(2, 3, 4),
    variant_scales={"aim22": (4,)},
    other_scales=(1, 2, 3, 4, 8),
    padding=Padding(12, "flip", always=True),
)

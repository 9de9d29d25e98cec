"""The blocks of published networks, as trees for `jsr.layers.rep.RepConv`: a function each, and BLOCKS by name."""

from jsr.errors import nearest
from jsr.layers.rep import (
    DETAIL,
    DIFFERENCES,
    HAAR,
    Bands,
    BatchNorm,
    Difference,
    Edge,
    Identity,
    In,
    Kernel,
    Out,
    Series,
    Sum,
    WhenSame,
)


def plain(kernel_size=3):
    """One convolution: a block that is deployed as it is trained."""
    return Kernel(kernel_size)


def residual():
    """3x3 plus the input: the shallow residual block of RFDN."""
    return Sum(Kernel(3), Identity())


def ecb(ratio=2, identity=False):
    """ECBSR's edge-oriented block (xindongzhang/ECBSR): 3x3, 1x1 to 3x3, 1x1 to each fixed filter.

    Args:
      ratio: ratio of the middle's features to the output's.
      identity: adds the input, where it has as many features.
    """
    shortcut = [WhenSame(Identity())] if identity else []
    return Sum(Kernel(3), Series(Kernel(1, Out(ratio)), Kernel(3)), *_edges(), *shortcut)


def ecb_idt():
    """ECBSR's block with the input added (its code's `with_idt`), by which deep bodies get a signal from the start."""
    return ecb(identity=True)


def _edges():
    return [Series(Kernel(1), Edge(name)) for name in DETAIL]


def haar(ratio=1):
    """1x1, Haar's four bands beside each other, 1x1 (NTIRE 2023, NPU SR): one branch; not decimated, inferred."""
    return Series(Kernel(1, Out(ratio)), Bands(HAAR), Kernel(1))


def rrrb(ratio=2):
    """FMEN's residual in residual block (NJU-Jet/FMEN, RT4KSR; without norm also called ERB): features in are out."""
    return _rrrb(ratio, Kernel(3))


def rvsr(ratio=2):
    """RVSR's RepConv (huai-chang/RVSR): FMEN's chain twice, a 3x3, a 1x1, and the input; features in are out."""
    chains = (Series(Kernel(1, In(ratio)), Kernel(3, In(1)), Kernel(1)) for _ in range(2))
    return Sum(*chains, Kernel(3), Kernel(1), Identity())


def nrb(ratio=2):
    """The nested block of ANUNet (AIS 2024): FMEN's, with an ECB for its 3x3; the branches are inferred."""
    return _rrrb(ratio, *ecb(ratio).parts)


def _rrrb(ratio, *middle):
    return Sum(Series(Kernel(1, In(ratio)), Sum(*middle, Identity(), features=In(1)), Kernel(1)), Identity())


def reprfn():
    """RepRFN's block (laonafahaodange/RepRFN): four convolutions and a chain, and where the features stay more.

    Those are 1x1 to each fixed filter, and the input.
    """
    middle = Series(Kernel(1, In(2), use_bias=False), Kernel(3, use_bias=False))
    where_same = map(WhenSame, [*_edges(), Identity()])
    return Sum(Kernel(3), Kernel((3, 1)), Kernel((1, 3)), Kernel(1), middle, *where_same)


def lrsrn(width=256):
    """LRSRN's wide block (Ganzooo/LRSRN): 3x3 to `width`, 1x1 back, and the input where it has as many features."""
    return Sum(_wide(width), WhenSame(Identity()))


def lrsrn_v2(width=256):
    """LRSRN's second: as the first, with a 1x1 bypass where the features change."""
    return Sum(_wide(width), WhenSame(Identity(), Kernel(1)))


def casr(width=256, second=128):
    """CASR's RepBlockV5 (rlghksdbs/CASR): LRSRN's second with another wide branch."""
    return Sum(_wide(width), _wide(second), WhenSame(Identity(), Kernel(1)))


def _wide(width):
    return Series(Kernel(3, width), Kernel(1))


def conv3xc(ratio=2):
    """SPAN's Conv3XC (hongyuanyu/SPAN): 1x1, 3x3, 1x1, widened by `ratio`, plus a 1x1 bypass."""
    return Sum(Series(Kernel(1, In(ratio)), Kernel(3, Out(ratio)), Kernel(1)), Kernel(1))


def lanczospp():
    """Lanczos++'s (AIS 2024): 1x1 to four times the features, 3x3, 1x1 to the output's, plus a 1x1 bypass."""
    return Sum(Series(Kernel(1, In(4)), Kernel(3, In(1)), Kernel(1)), Kernel(1))


def repvgg():
    """RepVGG's block (DingXiaoH/RepVGG): 3x3, 1x1 and identity, each with its BatchNorm."""
    return Sum(normed(3), normed(1), WhenSame(BatchNorm()))


def repvit():
    """RepViT's depthwise token mixer (THU-MIG/RepViT, RepVGGDW): 3x3, 1x1, identity; `groups` is to be the features.

    The first two have a BatchNorm each.
    """
    return Sum(normed(3), normed(1), Identity())


def normed(kernel_size=3):
    """One convolution and its BatchNorm, as a ResNet has them: deployed, the convolution alone."""
    return Series(Kernel(kernel_size, use_bias=False), BatchNorm())


def conv_norm_conv(ratio=2):
    """3x3, BatchNorm, 1x1 (NTIRE 2023, Repnet); the middle's width is inferred."""
    return Series(Kernel(3, Out(ratio)), BatchNorm(), Kernel(1))


def asymmetric():
    """3x3, 1x3 and 3x1 in parallel."""
    return Sum(Kernel(3), Kernel((1, 3)), Kernel((3, 1)))


def reprb(ratio=2):
    """Three fields of view and the input (NTIRE 2023, NJUST-RTSR, VPEG-R); the branches are inferred."""
    return Sum(Kernel(3), Series(Kernel(1, Out(ratio)), Kernel(3)), Kernel(1), WhenSame(Identity()))


def resr(ratio=2):
    """3x3, 1x1 to 3x3 to 1x1, Sobel and Laplacian (AIS 2024, RESR); the middle's width is inferred."""
    return Sum(Kernel(3), Series(Kernel(1, Out(ratio)), Kernel(3, In(1)), Kernel(1)), *_edges())


def decouple(kernel_size=3):
    """DecoupleConv (AIS 2024, USTC Noah): plain, three kinds of differences, and sums; their form is inferred."""
    return Sum(Kernel(kernel_size), *(Difference(kind, kernel_size) for kind in DIFFERENCES))


BLOCKS = {make.__name__: make for make in (
    plain, normed, residual, ecb, ecb_idt, haar, rrrb, rvsr, nrb, reprfn, lrsrn, lrsrn_v2, casr, conv3xc, repvgg,
    repvit, conv_norm_conv, asymmetric, reprb, resr, decouple, lanczospp)}


def block(name, **options):
    """The branches of a block by name, as recipes give it: `block("ecb", identity=True)`; ValueError for others."""
    if name not in BLOCKS:
        raise ValueError(f"no block {name!r}; {nearest(name, BLOCKS)}")
    return BLOCKS[name](**options)

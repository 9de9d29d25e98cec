"""Plain networks: a few 3x3 convolutions, as most real-time entries of NTIRE 2023 and AIS 2024 are; a row each.

    unshuffle, head, body_0 ... body_n (+ head), tail, shuffle (+ image), up, shuffle (+ enlarged image)

Sources: the reports (Conde et al., Efficient Deep Models for Real-Time 4K Image Super-Resolution, NTIRE 2023; Conde et
al., Real-Time 4K Super-Resolution of Compressed AVIF Images, AIS 2024; section 3 of both) and the code of ECBSR
(xindongzhang/ECBSR; in colour ECNUSR/ETDS), LRSRN (Ganzooo/LRSRN), Bicubic++ (aselsan-research-imaging-team/
bicubic-plusplus), Repnet (ezrealzhang/REPNet_NTIRE23-RTSR), DoYouChargeQQCoin's (yuqing-liu-dut/NTIRE2023-CRC), CASR
(rlghksdbs/CASR) and ANUNet (zhoumenghan/AIS2024_ANUNet). Deployed, the networks have the published parameters and
multiply-accumulates, from which widths, biases and kinds of activations follow where a report is silent or says
something else; NPU SR is as near as the text allows.

Inferred for all without code: which activation of a kind it is where a report does not name it; none after the last
convolution before a shuffle; no skip unless a report names one; the anchor, which no count shows, as the recipe's
`inferred` argues for each; that it is the body that trains in blocks unless a report says all convolutions do; how an
image of another size than size_multiple is padded.

DoYouChargeQQCoin's script gives its network BGR, as OpenCV reads images, which is the field `bgr`. Its public weights
are better on RGB (NTIRE 2023's x2, Set14: 27.72 dB against 27.69), and so are taken to be trained on it.
"""

import functools
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.errors import nearest
from jsr.layers import rep, rep_blocks
from jsr.layers.activation import PReLU, gelu
from jsr.layers.conv import Conv, detail
from jsr.layers.linear import Linear
from jsr.layers.resize import bicubic_upsample, bilinear
from jsr.layers.shuffle import pixel_shuffle, pixel_unshuffle
from jsr.models._card import Card, row_at

ACTS = {
    "relu": nn.relu,
    "lrelu": functools.partial(nn.leaky_relu, negative_slope=0.1),
    "gelu": gelu,
    "silu": nn.silu,
    "prelu": PReLU,
    "prelu_shared": functools.partial(PReLU, shared=True),
}
ENLARGE = {  # an image as an anchor: torch.nn.functional.interpolate of these modes
    "nearest": lambda image, scale: image.repeat(scale, 1).repeat(scale, 2),
    "bilinear": lambda image, scale: bilinear(image, image.shape[1] * scale, image.shape[2] * scale),
    "bicubic": bicubic_upsample,
}
ANCHORS = ("none", *ENLARGE)


class Plain(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    In training it is a dict of that as `sr` and what `taps` or `x2` add.

    Attributes:
      scale: SR size over LR size.
      num_feat: features of the head and of the body.
      num_block: convolutions of the body.
      block: what those train as, a name of jsr.layers.rep_blocks.BLOCKS; "plain" is the convolution itself.
      end_block: what the others train as; a 1x1 convolution is plain.
      act: one of ACTS.
      acts: the convolutions that it follows, the head being 0; None for the head and all of the body.
      use_bias: whether every convolution has a bias.
      unshuffle: factor by which pixels are put into channels before the head.
      head_strides, head_kernel_size, tail_kernel_size: strides and kernel sizes of the head and the tail.
      skip: adds the head's output to the body's.
      anchor: one of ANCHORS. "nearest" adds the image, each colour repeated, once features are shuffled to its size:
        without `up_feat` its nearest enlargement. "bilinear" and "bicubic" add the enlarged image to SR.
      up_feat: features at the image's size, from which another 3x3 convolution, `up`, makes SR's pixels; 0 where the
        tail does.
      taps: in training, `feature_1`, `feature_2`... are the outputs of the body's convolutions.
      x2: in training, `sr_x2`, (N, H * 2, W * 2, 3), is another convolution and shuffle of the body's output, with an
        anchor as SR's.
      img_range: the inside works on values of [0, img_range].
      bgr: the inside has the colours in the order blue, green, red.
      detail_start: the head, which must be plain, starts with kernels without a mean, four times He's: its features
        show detail instead of colour, from which a restorer that begins as the identity learns sooner.
      zero_start: the last convolution starts at zero, so that with `anchor` the network begins as the enlarged image.
      quality_feat: features of an embedding of the image's JPEG quality, by which the output of each convolution but
        the tail is scaled and shifted; 0 is without. Our own, not of the reports.
      deploy: each block is one convolution, and what only `x2` needs is gone.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int
    num_block: int
    block: str = "plain"
    end_block: str = "plain"
    act: str = "gelu"
    acts: tuple[int, ...] | None = None
    use_bias: bool = True
    unshuffle: int = 1
    head_strides: int = 1
    head_kernel_size: int = 3
    tail_kernel_size: int = 3
    skip: bool = False
    anchor: str = "none"
    up_feat: int = 0
    taps: bool = False
    x2: bool = False
    img_range: float = 1.0
    bgr: bool = False
    detail_start: bool = False
    zero_start: bool = False
    quality_feat: int = 0
    deploy: bool = False
    dtype: Any = None

    @property
    def size_multiple(self):
        return self.unshuffle * self.head_strides

    @property
    def takes_quality(self):
        return self.quality_feat > 0

    @nn.compact
    def __call__(self, lr, *, train=False, qf_input=None):
        """`qf_input`: float (N, 1) or (1, 1), 1 - quality / 100; None is an image that never was a JPEG file, as 0."""
        shrunk, colours, extras = self.size_multiple, lr.shape[-1], {}
        if self.anchor not in ANCHORS:
            raise ValueError(f"no anchor {self.anchor!r}; {nearest(self.anchor, ANCHORS)}")
        image = (lr[..., ::-1] if self.bgr else lr) * self.img_range
        modulate = self.modulation(jnp.zeros((1, 1)) if qf_input is None else qf_input)
        x = pixel_unshuffle(image, self.unshuffle)
        x = modulate(self.head()(x, train=train), 0)
        x = head = self.activate(x, 0)
        for index in range(1, self.num_block + 1):
            x = self.conv(f"body_{index - 1}", self.num_feat, self.block)(x, train=train)
            x = self.activate(modulate(x, index), index)
            if self.taps:
                extras[f"feature_{index}"] = x
        if self.skip:
            x += head
        if self.x2 and not self.deploy:
            y = self.conv("tail_x2", colours * (2 * shrunk)**2, "plain")(x)
            y = pixel_shuffle(y, 2 * shrunk).astype(lr.dtype)
            extras["sr_x2"] = (y if self.anchor == "none" else y + ENLARGE[self.anchor](image, 2)) / self.img_range

        features = (self.up_feat or colours * self.scale**2) * shrunk**2
        x = self.conv("tail", features, self.end_block, self.tail_kernel_size,
                      zero_start=self.zero_start and not self.up_feat)(x, train=train)
        factor = shrunk * self.scale
        if self.anchor == "nearest" or self.up_feat:
            x, factor = pixel_shuffle(x, shrunk), self.scale
        if self.anchor == "nearest":
            x += jnp.repeat(image, x.shape[-1] // colours, axis=-1)
        if self.up_feat:
            x = self.conv("up", colours * self.scale**2, self.end_block, zero_start=self.zero_start)(x, train=train)
        x = pixel_shuffle(x, factor).astype(lr.dtype)
        if self.anchor not in ("none", "nearest"):
            x += ENLARGE[self.anchor](image, self.scale)
        sr = (x[..., ::-1] if self.bgr else x) / self.img_range
        return {"sr": sr} | extras if train and extras else sr

    def head(self):
        """The first convolution."""
        if not self.detail_start:
            return self.conv("head", self.num_feat, self.end_block, self.head_kernel_size, self.head_strides)
        if self.end_block != "plain":
            raise ValueError(f"detail_start is for a plain head, not for end_block = {self.end_block!r}")
        head = Conv(self.num_feat, self.head_kernel_size, self.head_strides, padding=(self.head_kernel_size - 1) // 2,
                    use_bias=self.use_bias, kernel_init=detail(4.0), dtype=self.dtype, name="head")
        return lambda x, train: head(x)

    def modulation(self, qf):
        """The function of features and their convolution's number that scales and shifts them for a quality.

        It starts as the identity. Beside 1 - quality / 100 its embedding gets the root of it, which spreads the
        qualities above 90. Both are continuous: compiled, 1 - 100 / 100 may come out as 2e-8 on either side of 0.
        """
        if not self.quality_feat:
            return lambda x, index: x
        qf = jnp.maximum(jnp.asarray(qf, jnp.float32), 0)
        embedding = jnp.concatenate([qf, jnp.sqrt(qf)], axis=-1)
        for index in range(2):
            embedding = nn.relu(Linear(self.quality_feat, name=f"quality_{index}")(embedding))

        def modulate(x, index):
            scale_shift = nn.Dense(2 * x.shape[-1], kernel_init=nn.initializers.zeros, name=f"modulation_{index}")
            gamma, beta = jnp.split(scale_shift(embedding)[:, None, None].astype(x.dtype), 2, axis=-1)
            return x * (1 + gamma) + beta

        return modulate

    def conv(self, name, features, block, kernel_size=3, strides=1, zero_start=False):
        """A convolution in its training or its deployed form, which are the same of a plain one."""
        plain = block == "plain" or kernel_size == 1
        options = {} if kernel_size == 3 else {"kernel_size": kernel_size}
        return rep.RepConv(features, None if plain else rep_blocks.block(block, **options), kernel_size, strides,
                           padding=(kernel_size - 1) // 2, use_bias=self.use_bias, zero_start=zero_start,
                           deploy=self.deploy or plain, dtype=self.dtype, name=name)

    def activate(self, x, index):
        """The activation after a convolution, if it has one."""
        if self.act not in ACTS:
            raise ValueError(f"no activation {self.act!r}; {nearest(self.act, ACTS)}")
        if self.acts is not None and index not in self.acts:
            return x
        act = ACTS[self.act]
        return act(dtype=self.dtype, name=f"act_{index}")(x) if self.act.startswith("prelu") else act(x)


VARIANTS = {  # {scale: row} where a method differs by scale; at another scale the nearest one's row
    # Zhang et al.: M convolutions of C features
    "ecbsr_m4c16": dict(num_feat=16, num_block=4, block="ecb", end_block="ecb", act="prelu", anchor="nearest"),
    "ecbsr_m4c32": dict(num_feat=32, num_block=4, block="ecb", end_block="ecb", act="prelu", anchor="nearest"),
    "ecbsr_m6c40": dict(num_feat=40, num_block=6, block="ecb", end_block="ecb", act="prelu", anchor="nearest"),

    # NTIRE 2023
    "bicubicpp": dict(head_strides=2, num_feat=32, num_block=2, act="lrelu", use_bias=False, skip=True),
    "lrsrn": {2: dict(num_feat=32, num_block=4, block="lrsrn", act="relu", skip=True),
              3: dict(num_feat=32, num_block=4, block="lrsrn_v2", end_block="lrsrn_v2", act="gelu", skip=True)},
    # The text says 64 features and 5 blocks at x3, the counts 32 and 11 convolutions. FMEN's block is inferred, and
    # the form of the anchor.
    "runet": {2: dict(unshuffle=3, num_feat=32, num_block=3, block="rrrb", act="gelu", anchor="nearest"),
              3: dict(unshuffle=4, num_feat=32, num_block=11, block="rrrb", act="silu", anchor="nearest")},
    "runet_text": dict(unshuffle=4, num_feat=64, num_block=5, block="rrrb", act="silu", anchor="nearest"),
    "repnet": {2: dict(unshuffle=2, num_feat=32, num_block=1, block="conv_norm_conv", end_block="conv_norm_conv",
                       act="lrelu", anchor="bilinear"),
               3: dict(unshuffle=2, num_feat=32, num_block=2, block="conv_norm_conv", end_block="conv_norm_conv",
                       act="lrelu", anchor="bilinear")},
    # The text says 16 features at x3, the counts 12 and no biases. FMEN's block is inferred.
    "team_ov": dict(num_feat=12, num_block=2, block="rrrb", act="gelu", use_bias=False, anchor="bilinear"),
    "njust_rtsr": dict(num_feat=16, num_block=4, block="reprb", act="gelu", acts=(1, 2, 3, 4), use_bias=False,
                       anchor="bilinear"),
    "qqcoin": dict(num_feat=6, num_block=0, act="relu", anchor="bicubic", img_range=255.0),
    # One activation of 16 features and one parameter, by the counts; its place is inferred.
    "oelsr": dict(num_feat=16, num_block=2, block="rrrb", act="prelu_shared", acts=(1,), anchor="bilinear",
                  img_range=255.0),
    # ECBSR with Haar's wavelet in its one branch; the text has no widths: the natural ones nearest to the published
    # 0.2001 M.
    "npu_sr": dict(num_feat=64, num_block=5, block="haar", end_block="haar", act="prelu", anchor="nearest"),

    # AIS 2024
    "anunet": dict(unshuffle=2, num_feat=28, num_block=3, block="nrb", end_block="ecb", act="gelu", anchor="nearest"),
    "basicvision": dict(num_feat=16, num_block=2, block="ecb", act="gelu", anchor="nearest"),
    "c3": dict(num_feat=32, num_block=1, block="conv3xc", end_block="conv3xc", act="silu",  # as SPAN, inferred
               anchor="bilinear"),
    "casr": dict(unshuffle=3, num_feat=32, num_block=1, block="casr", end_block="casr", act="gelu", use_bias=False,
                 up_feat=3, anchor="nearest"),
    "kren": dict(num_feat=14, num_block=2, block="ecb", act="gelu", anchor="nearest", taps=True),
    "lanczospp": dict(unshuffle=3, num_feat=32, num_block=0, end_block="lanczospp", act="relu", use_bias=False,
                      tail_kernel_size=1),
    # CASR's teacher; its code is that of LRSRN, and its weights are deployed, so that the block is inferred.
    "lrsrn_teacher": dict(num_feat=64, num_block=10, block="lrsrn_v2", end_block="lrsrn_v2", act="gelu", skip=True),
    "pixelartai": dict(head_strides=2, num_feat=32, num_block=2, block="ecb", act="relu", anchor="nearest"),
    "rden": dict(num_feat=14, num_block=3, block="ecb", act="gelu", x2=True),
    "reptcn": dict(num_feat=16, num_block=1, block="reprfn", act="relu", use_bias=False),
    "resr": dict(unshuffle=2, num_feat=32, num_block=3, block="resr", act="gelu", anchor="bilinear", up_feat=8),
    "urpnet": dict(unshuffle=2, num_feat=20, num_block=1, block="lrsrn_v2", end_block="lrsrn_v2", act="relu",
                   tail_kernel_size=1, anchor="bilinear"),  # LRSRN's block, inferred
    "ustc_noah": dict(head_strides=2, head_kernel_size=4, num_feat=32, num_block=2, block="decouple",
                      end_block="decouple", act="gelu", use_bias=False, up_feat=16),
    "vpeg_r": dict(unshuffle=2, num_feat=6, num_block=3, block="reprb", act="relu", acts=(1, 2, 3)),
}

SMALL = dict(num_feat=4, num_block=1)  # the same network, for tests that compile it


def Model(variant="ecbsr_m4c16", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return Plain(scale=scale, **row_at(VARIANTS[variant], scale) | fields)


CARD = Card(
    title="plain networks of a few re-parameterised convolutions",
    paper="Conde et al., NTIRE 2023 and AIS 2024 real-time super-resolution reports, CVPR Workshops; Zhang et al., "
          "Edge-oriented Convolution Block for Real-time Super Resolution on Mobile Devices, ACM Multimedia 2021",
    code="xindongzhang/ECBSR, ECNUSR/ETDS and ezrealzhang/REPNet_NTIRE23-RTSR (Apache-2.0), "
         "aselsan-research-imaging-team/bicubic-plusplus (CC BY-NC-SA 4.0), Ganzooo/LRSRN, rlghksdbs/CASR, "
         "zhoumenghan/AIS2024_ANUNet and yuqing-liu-dut/NTIRE2023-CRC (no licence stated)",
    scales=(4,),
    variant_scales={"ecbsr_m4c16": (2, 3, 4), "ecbsr_m4c32": (2, 3, 4), "ecbsr_m6c40": (2, 3, 4), "bicubicpp": (3,),
                    "runet": (2, 3), "runet_text": (3,), "repnet": (2, 3), "team_ov": (2, 3), "njust_rtsr": (2, 3),
                    "qqcoin": (2,), "oelsr": (2,), "lrsrn": (2, 3), "npu_sr": (2,)},
    other_scales=(1, 2, 3, 4, 8),
)

"""State dicts of RRDBNet."""

from jsr.convert.engine import Rules
from jsr.convert.identify import count
from jsr.errors import UserError


def basicsr(model):
    """XPixelGroup/BasicSR, basicsr/archs/rrdbnet_arch.py; Real-ESRGAN's weights."""
    return _rules(model, first="conv_first", block="body.{}.rdb{}.conv{}", trunk="conv_body", up="conv_up{}",
                  hr="conv_hr", last="conv_last")


def esrgan(model):
    """xinntao/ESRGAN, RRDBNet_arch.py."""
    return _rules(model, first="conv_first", block="RRDB_trunk.{}.RDB{}.conv{}", trunk="trunk_conv", up="upconv{}",
                  hr="HRconv", last="conv_last")


def old_esrgan(model):
    """The first ESRGAN code, numbered within torch.nn.Sequential; most weights that people have shared since.

    ESRGAN+ (ncarraz/ESRGANplus) and spandrel have its names, too.
    """
    ups = len(model.upsample_factors)  # each takes three places: upsampling, convolution, activation
    return _rules(model, first="model.0", block="model.1.sub.{}.RDB{}.conv{}.0", trunk=f"model.1.sub.{model.num_block}",
                  up="model.{}", hr=f"model.{3 * ups + 2}", last=f"model.{3 * ups + 4}",
                  up_places=range(3, 3 * ups + 3, 3))


def _rules(model, *, first, block, trunk, up, hr, last, up_places=range(1, 9)):
    if model.channel_attention or model.spatial_attention:
        raise UserError("rrdbnet: no public code has the attention, so there are no names to convert from or to")
    ups = range(len(model.upsample_factors))
    return Rules(rows=[
        (first, "conv_first", "conv"),
        *((block.format(i, k, j), f"body_{i}/rdb{k}/conv{j}", "conv")
          for i in range(model.num_block) for k in (1, 2, 3) for j in range(1, 6)),
        *((block.format(i, k, "1x1").removesuffix(".0"), f"body_{i}/rdb{k}/conv1x1", "conv")
          for i in range(model.num_block) for k in (1, 2, 3) if model.plus),
        (trunk, "conv_body", "conv"),
        *((up.format(up_places[i]), f"conv_up{i + 1}", "conv") for i in ups),
        (hr, "conv_hr", "conv"),
        (last, "conv_last", "conv")])


FORMATS = {"basicsr": basicsr, "esrgan": esrgan, "old_esrgan": old_esrgan}


def identify(state_dict):
    """(scale, fields, assumed) of a state dict in any of the formats; None of another network's."""
    if {"model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight"} <= state_dict.keys():
        first, grow, blocks = "model.0", "model.1.sub.0.RDB1.conv1.0", count(state_dict, "model.1.sub.") - 1
        ups = max(count(state_dict, "model.") - 5, 0) // 3
        last = f"model.{3 * ups + 4}"
    elif {"conv_first.weight", "RRDB_trunk.0.RDB1.conv1.weight"} <= state_dict.keys():
        first, last, grow = "conv_first", "conv_last", "RRDB_trunk.0.RDB1.conv1"
        blocks = count(state_dict, "RRDB_trunk.")
        ups = sum(f"upconv{k}.weight" in state_dict for k in range(1, 9))
    elif {"conv_first.weight", "body.0.rdb1.conv1.weight"} <= state_dict.keys():
        first, last, grow, blocks = "conv_first", "conv_last", "body.0.rdb1.conv1", count(state_dict, "body.")
        ups = sum(f"conv_up{k}.weight" in state_dict for k in range(1, 9))
    else:
        return None
    num_feat, channels = state_dict[f"{first}.weight"].shape[:2]
    out_channels = state_dict[f"{last}.weight"].shape[0]
    unshuffle = {4: 2, 16: 4}.get(channels / out_channels, 1)
    scale = 2**ups // unshuffle
    fields = dict(num_feat=num_feat, num_block=blocks, num_grow_ch=state_dict[f"{grow}.weight"].shape[0],
                  unshuffle=None if unshuffle == {1: 4, 2: 2}.get(scale, 1) else unshuffle,
                  plus=any(".conv1x1." in key for key in state_dict), channels=channels // unshuffle**2,
                  out_channels=out_channels)
    return scale, fields, ["scale 2 (scale 3 has the same keys and shapes)"] if scale == 2 and ups == 1 else []

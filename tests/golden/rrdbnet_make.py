"""Writes rrdbnet.npz: small RRDBNets of the original codes with random weights, an input and what they make of it.

    python tests/golden/rrdbnet_make.py BASICSR ESRGAN ESRGANPLUS

The arguments are git clones of XPixelGroup/BasicSR, xinntao/ESRGAN, whose first commits hold the older code, and
ncarraz/ESRGANplus; numpy and torch must be installed. Not run by the tests.

For each case: `<case>/lr` and `<case>/sr` (float32 NHWC in [0, 1], not clipped), `<case>/weights` (all of the state
dict, one after the other: single files would be mostly zip headers); `about` is JSON with the cases' fields, the keys
and shapes of their state dicts and the files that were run.
"""

import json
import math
from pathlib import Path
import subprocess
import sys
import types
from unittest import mock

import numpy as np
import torch

CASES = {  # <whose code>_x<scale>: fields as in jsr.models.rrdbnet
    "basicsr_x4": dict(scale=4, num_feat=5, num_block=2, num_grow_ch=2),
    "basicsr_x2": dict(scale=2, num_feat=4, num_block=1, num_grow_ch=3),
    "basicsr_x1": dict(scale=1, num_feat=4, num_block=1, num_grow_ch=2),
    "esrgan_x4": dict(scale=4, num_feat=4, num_block=1, num_grow_ch=2),
    "old_esrgan_x2": dict(scale=2, num_feat=4, num_block=1, num_grow_ch=2, unshuffle=1),
    "old_esrgan_x3": dict(scale=3, num_feat=4, num_block=1, num_grow_ch=2, unshuffle=1),
    "old_esrgan_x16": dict(scale=16, num_feat=4, num_block=1, num_grow_ch=2, channels=4, out_channels=4),
    "plus_x1": dict(scale=1, num_feat=4, num_block=1, num_grow_ch=2, unshuffle=1, plus=True, channels=1,
                    out_channels=1),
}
OLD = "140595ab58617aa6c7a2c764fca4cba1e6fb8f79"  # of xinntao/ESRGAN


def load(repository, file, name, commit="HEAD"):
    def git(*args):
        return subprocess.run(["git", "-C", repository, *args], capture_output=True, text=True, check=True).stdout

    commit = git("rev-parse", commit).strip()
    module = sys.modules[name] = types.ModuleType(name)
    module.__package__ = name.rpartition(".")[0]
    exec(compile(git("show", f"{commit}:{file}"), file, "exec"), module.__dict__)
    return module, f"{Path(repository).name}@{commit}:{file}"


def basicsr(repository):
    """Its RRDBNet alone: the package's own __init__ imports every network, and they need torchvision."""
    for name in ("basicsr", "basicsr.utils", "basicsr.archs", "basicsr.ops", "basicsr.ops.dcn", "torchvision",
                 "distutils", "distutils.version"):
        sys.modules[name] = mock.MagicMock()
    registry = types.SimpleNamespace(register=lambda: lambda cls: cls)
    sys.modules["basicsr.utils.registry"] = types.SimpleNamespace(ARCH_REGISTRY=registry)
    # its one use of torchvision is a class that RRDBNet does not need
    sys.modules["basicsr.ops.dcn"].ModulatedDeformConvPack = torch.nn.Module
    load(repository, "basicsr/archs/arch_util.py", "basicsr.archs.arch_util")
    module, file = load(repository, "basicsr/archs/rrdbnet_arch.py", "basicsr.archs.rrdbnet_arch")
    return lambda fields: module.RRDBNet(3, 3, **fields), file


def esrgan(repository):
    module, file = load(repository, "RRDBNet_arch.py", "RRDBNet_arch")
    return lambda fields: module.RRDBNet(3, 3, fields["num_feat"], fields["num_block"], fields["num_grow_ch"]), file


def old_esrgan(repository, folder="", commit=OLD):
    blocks, _ = load(repository, f"{folder}block.py", "block", commit)
    module, file = load(repository, f"{folder}architecture.py", "architecture", commit)

    def make(fields):
        def block(features, gc, **kwargs):  # the growth of 32 is written into the call
            return blocks.RRDB(features, gc=fields["num_grow_ch"], **kwargs)

        module.B = types.SimpleNamespace(**{**vars(blocks), "RRDB": block})
        channels = fields.get("channels", 3), fields.get("out_channels", 3)
        return module.RRDB_Net(*channels, fields["num_feat"], fields["num_block"], upscale=fields["scale"])

    return make, file


def main(basicsr_repository, esrgan_repository, plus_repository):
    makers = {"basicsr": basicsr(basicsr_repository), "esrgan": esrgan(esrgan_repository),
              "old_esrgan": old_esrgan(esrgan_repository), "plus": old_esrgan(plus_repository, "test_image/", "HEAD")}
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    arrays, about = {}, {"torch": torch.__version__, "weights": "normal, of float16's values", "cases": {}}
    for case, fields in CASES.items():
        style = case.rpartition("_")[0]
        make, file = makers[style]
        with mock.patch("torch.device", lambda name: torch.zeros(0).device):  # noise, of training, asks for a GPU
            net = make(fields).eval()
        size = (8, 4) if style == "basicsr" and fields["scale"] < 4 else (5, 4)  # pixel unshuffle by 2 or 4
        size = (1, 2) if fields["scale"] == 16 else size
        lr = rng.integers(0, 256, (1, *size, fields.get("channels", 3))).astype(np.float32) / 255
        with torch.no_grad():
            for parameter in net.parameters():
                deviation = 1.0 / math.sqrt(parameter[0].numel()) if parameter.ndim == 4 else 0.1
                parameter.copy_((torch.randn_like(parameter) * deviation).half())
            sr = net(torch.from_numpy(lr).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
        arrays |= {f"{case}/lr": lr, f"{case}/sr": sr}
        state_dict = {key: value.numpy() for key, value in net.state_dict().items()}
        arrays[f"{case}/weights"] = np.concatenate([value.ravel() for value in state_dict.values()]).astype(np.float16)
        about["cases"][case] = dict(format="old_esrgan" if style == "plus" else style, fields=fields, file=file,
                                    shapes={key: value.shape for key, value in state_dict.items()})
    np.savez_compressed(Path(__file__).with_name("rrdbnet.npz"), about=np.array(json.dumps(about)), **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])

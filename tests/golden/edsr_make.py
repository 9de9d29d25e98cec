"""Writes edsr.npz: small EDSRs of the original code with random weights, an input and what they make of it.

    python tests/golden/edsr_make.py RCAN BASICSR AIAIR

The arguments are git clones of yulunzhang/RCAN, which has a copy of the official EDSR, of XPixelGroup/BasicSR and of
HolmesShuan/AIM2020-Real-Super-Resolution; numpy and torch must be installed. Not run by the tests.

For each case: `<case>/lr` and `<case>/sr` (float32 NHWC in [0, 1], not clipped), `<case>/state_dict/<key>`; `about` is
JSON with the cases' fields and the files that were run.
"""

import collections
import importlib.util
import json
from pathlib import Path
import subprocess
import sys
import types
from unittest import mock

import numpy as np
import torch

CASES = {  # <whose code>_x<scale>: fields as in jsr.models.edsr
    "official_x2": dict(scale=2, num_feat=6, num_block=2, res_scale=0.3),
    "official_x3": dict(scale=3, num_feat=4, num_block=3, res_scale=1.0),
    "official_x4": dict(scale=4, num_feat=5, num_block=1, res_scale=0.1),
    "basicsr_x4": dict(scale=4, num_feat=4, num_block=2, res_scale=0.5),
    "aiair_x2": dict(scale=2, num_feat=4, num_block=1, res_scale=0.5, padding_mode="replicate"),
}


def load(repository, file, name):
    spec = importlib.util.spec_from_file_location(name, Path(repository) / file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    commit = subprocess.run(["git", "-C", repository, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return module, f"{Path(repository).name}@{commit.stdout.strip()}:{file}"


def official(repository, code="RCAN_TrainCode/code/model"):
    sys.modules["model"] = types.ModuleType("model")
    sys.modules["model"].common, _ = load(repository, f"{code}/common.py", "model.common")
    module, file = load(repository, f"{code}/edsr.py", "model.edsr")
    module.url = collections.defaultdict(str)  # AiAiR's looks its sizes up there

    def make(fields):
        net = module.EDSR(types.SimpleNamespace(
            n_resblocks=fields["num_block"], n_feats=fields["num_feat"], res_scale=fields["res_scale"],
            scale=[fields["scale"]], rgb_range=255, n_colors=3))
        return net, lambda lr: net(lr * 255) / 255

    return make, file


def basicsr(repository):
    """Its EDSR alone: the package's own __init__ imports every network, and they need torchvision."""
    for name in ("basicsr", "basicsr.utils", "basicsr.archs", "basicsr.ops", "basicsr.ops.dcn", "torchvision",
                 "distutils", "distutils.version"):
        sys.modules[name] = mock.MagicMock()
    registry = types.SimpleNamespace(register=lambda: lambda cls: cls)
    sys.modules["basicsr.utils.registry"] = types.SimpleNamespace(ARCH_REGISTRY=registry)
    # its one use of torchvision is a class that EDSR does not need
    sys.modules["basicsr.ops.dcn"].ModulatedDeformConvPack = torch.nn.Module
    load(repository, "basicsr/archs/arch_util.py", "basicsr.archs.arch_util")
    module, file = load(repository, "basicsr/archs/edsr_arch.py", "basicsr.archs.edsr_arch")

    def make(fields):
        net = module.EDSR(3, 3, num_feat=fields["num_feat"], num_block=fields["num_block"], upscale=fields["scale"],
                          res_scale=fields["res_scale"])
        return net, net

    return make, file


def main(rcan_repository, basicsr_repository, aiair_repository):
    makers = {"official": official(rcan_repository), "basicsr": basicsr(basicsr_repository),
              "aiair": official(aiair_repository, "src/model")}
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    arrays, about = {}, {"torch": torch.__version__, "weights": "PyTorch's initialisation times 1.5", "cases": {}}
    for case, fields in CASES.items():
        style = case.partition("_")[0]
        make, file = makers[style]
        net, run = make(fields)
        lr = rng.integers(0, 256, (1, 7, 5, 3)).astype(np.float32) / 255
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                if "mean" not in name:
                    parameter.mul_(1.5)  # so that the deep layers show in the output
            sr = run(torch.from_numpy(lr).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
        arrays |= {f"{case}/lr": lr, f"{case}/sr": sr}
        arrays |= {f"{case}/state_dict/{key}": value.numpy() for key, value in net.state_dict().items()}
        about["cases"][case] = dict(format="basicsr" if style == "basicsr" else "official", fields=fields, file=file)
    np.savez_compressed(Path(__file__).with_name("edsr.npz"), about=np.array(json.dumps(about)), **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Writes plain.npz: small plain networks of the original codes with random weights, an input and what they make of it.

    python tests/golden/plain_make.py ETDS LRSRN CASR AIS2024_ANUNet bicubic-plusplus REPNet_NTIRE23-RTSR NTIRE2023-CRC

The arguments are git clones of ECNUSR/ETDS (for ECBSR in colour), Ganzooo/LRSRN, rlghksdbs/CASR,
zhoumenghan/AIS2024_ANUNet, aselsan-research-imaging-team/bicubic-plusplus, ezrealzhang/REPNet_NTIRE23-RTSR and
yuqing-liu-dut/NTIRE2023-CRC, in folders of these names; numpy and torch must be installed. Not run by the tests.

For each case: `<case>/lr` and `<case>/sr` (float32 NHWC in [0, 1], not clipped). The official blocks are too wide to
store their weights; the test draws them again. `about`, JSON, has for each tensor of a state dict its key, its shape
and its origin: "drawn", by `draw` below in this order; the key of the tensor that it repeats; or the values of the
fixed filter that all its features have.
"""

import json
from pathlib import Path
import subprocess
import sys
import types

import numpy as np
import torch

SEED = 0
CASES = {  # (model id, format, file, class, its arguments, fields of jsr.models.plain, (H, W) of the input)
    "ecbsr": ("plain/ecbsr_m4c16", "official", "ETDS:core/archs/ir/ECBSR/arch.py", "ECBSR",
              dict(num_in_ch=3, num_out_ch=3, upscale=3, num_block=2, num_feat=5, act_type="prelu"),
              dict(scale=3, num_feat=5, num_block=2), (7, 5)),
    "ecbsr_deployed": ("plain/ecbsr_m4c16", "etds", "ETDS:core/archs/ir/ECBSR/arch.py", "ECBSRT",
                       dict(num_in_ch=3, num_out_ch=3, upscale=2, num_block=1, num_feat=5, act_type="prelu"),
                       dict(scale=2, num_feat=5, num_block=1, deploy=True), (7, 5)),
    "lrsrn_x2": ("plain/lrsrn", "official", "LRSRN:source/models/plainRepConv.py", "PlainRepConv",
                 dict(module_nums=2, channel_nums=5, act_type="relu", scale=2, colors=3),
                 dict(scale=2, num_feat=5, num_block=2), (7, 5)),
    "lrsrn_x3": ("plain/lrsrn", "official", "LRSRN:source/models/plainRepConv.py", "PlainRepConv_BlockV2",
                 dict(module_nums=1, channel_nums=4, act_type="gelu", scale=3, colors=3),
                 dict(scale=3, num_feat=4, num_block=1), (7, 5)),
    "lrsrn_deployed": ("plain/lrsrn_teacher", "official", "LRSRN:source/models/plainRepConv.py",
                       "PlainRepConv_BlockV2_deploy",
                       dict(module_nums=3, channel_nums=4, act_type="gelu", scale=4, colors=3),
                       dict(scale=4, num_feat=4, num_block=3, deploy=True), (7, 5)),
    "casr": ("plain/casr", "official", "CASR:source/models/RepNetworkPlain.py", "RepNetwork_V011_BestStruct",
             dict(module_nums=1, channel_nums=6, act_type="gelu", scale=4, colors=3, bias=False),
             dict(scale=4, num_feat=6), (9, 6)),
    "casr_biased": ("plain/casr", "official", "CASR:source/models/RepNetworkPlain.py", "RepNetwork_V011_BestStruct",
                    dict(module_nums=2, channel_nums=4, act_type="gelu", scale=4, colors=3),
                    dict(scale=4, num_feat=4, num_block=2, use_bias=True), (6, 9)),
    "casr_deployed": ("plain/casr", "official", "CASR:source/models/RepNetworkPlain.py",
                      "RepNetwork_V010_BestStruct_deploy",
                      dict(module_nums=1, channel_nums=6, act_type="gelu", scale=4, colors=3, bias=False),
                      dict(scale=4, num_feat=6, deploy=True), (9, 6)),
    "anunet": ("plain/anunet", "official", "AIS2024_ANUNet:models/LeRTSR.py", "ANUNet",
               dict(num_block=2, num_feat=6, deploy=True),
               dict(scale=4, num_feat=6, num_block=2, deploy=True), (8, 6)),
    "bicubicpp": ("plain/bicubicpp", "official", "bicubic-plusplus:models/SR_models.py", "Bicubic_plus_plus",
                  dict(sr_rate=3), dict(scale=3), (8, 6)),
    "repnet_x2": ("plain/repnet", "official", "REPNet_NTIRE23-RTSR:demo/models/repnet.py", "repnet",
                  dict(upscale=2), dict(scale=2, deploy=True), (8, 6)),
    "repnet_x3": ("plain/repnet", "official", "REPNet_NTIRE23-RTSR:demo/models/repnet.py", "repnet",
                  dict(upscale=3), dict(scale=3, deploy=True), (4, 6)),
    "qqcoin": ("plain/qqcoin", "official", "NTIRE2023-CRC:xswl.py", "XSWL",
               dict(args=types.SimpleNamespace(scale=[2])), dict(scale=2, bgr=True), (7, 5)),
}


def run(net, x):
    """An image of [0, 1] through a network; that of NTIRE2023-CRC takes BGR of [0, 255], as OpenCV reads it."""
    return net(x.flip(1) * 255).flip(1) / 255 if type(net).__name__ == "XSWL" else net(x)


def draw(rng, shape):
    """One tensor, float32: kernels so that a signal keeps its size, biases and scales of a third of it."""
    fan_in = np.prod(shape[1:])
    deviation = fan_in**-0.5 if fan_in > 1 else 0.3
    return (rng.randn(*shape) * deviation).astype(np.float32)


def load(repository, file):
    """A module of a git clone, and where it is from; its blocks are imported from the file beside it."""
    for name in ("imp", "cv2"):  # which they import and do not use here; Python has no imp any more
        sys.modules[name] = types.ModuleType(name)
    folder = (Path(repository) / file).parent
    sys.path.insert(0, str(folder))
    sys.modules.pop("RepConv_block", None)
    module = types.ModuleType(Path(file).stem)
    exec(compile((Path(repository) / file).read_text(), file, "exec"), vars(module))
    sys.path.remove(str(folder))
    commit = subprocess.run(["git", "-C", repository, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return module, f"{Path(repository).name}@{commit.stdout.strip()}:{file}"


def fill(net, rng):
    """Draws a network's tensors but the fixed filters; returns [[key, shape, origin]] of its state dict."""
    tensors, seen = [], {}
    for key, value in net.state_dict(keep_vars=True).items():
        if key.endswith("mask"):
            origin = value[0].tolist()
        elif origin := seen.get(value.data_ptr()):
            pass
        else:
            with torch.no_grad():
                value.copy_(torch.from_numpy(draw(rng, value.shape)))
            origin, seen[value.data_ptr()] = "drawn", key
        tensors.append([key, list(value.shape), origin])
    return tensors


def main(*repositories):
    rng, arrays = np.random.RandomState(SEED), {}
    about = {"torch": torch.__version__, "seed": SEED, "cases": {}}
    paths = {Path(repository).name: repository for repository in repositories}
    for case, (model, style, place, name, arguments, fields, size) in CASES.items():
        repository, _, file = place.partition(":")
        module, source = load(paths[repository], file)
        net = getattr(module, name)(**arguments)
        rng.seed(SEED)
        tensors = fill(net, rng)
        lr = rng.randint(0, 256, (1, *size, 3)).astype(np.float32) / 255
        with torch.no_grad():
            sr = run(net, torch.from_numpy(lr).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
        arrays |= {f"{case}/lr": lr, f"{case}/sr": sr}
        about["cases"][case] = dict(model=model, format=style, fields=fields, file=source, tensors=tensors)
    np.savez_compressed(Path(__file__).with_name("plain.npz"), about=np.array(json.dumps(about)), **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""For the scripts that write goldens: official code without its packages, random weights, and the file."""

import json
from pathlib import Path
import subprocess
import sys
import types

import numpy as np
import torch


def load(repository, file, num_feat=64, replace=None):
    """A module of a git clone, and where it is from.

    Its local constant num_feat = 64 becomes another, and what else `replace`, {text of the source: another}, says.
    """
    timm = types.SimpleNamespace(DropPath=torch.nn.Dropout, to_2tuple=lambda x: x if isinstance(x, tuple) else (x, x),
                                 trunc_normal_=torch.nn.init.trunc_normal_)
    registry = types.SimpleNamespace(ARCH_REGISTRY=types.SimpleNamespace(register=lambda suffix=None: lambda cls: cls))
    for name, stand_in in {"timm": timm, "timm.models": timm, "timm.models.layers": timm, "basicsr": registry,
                           "basicsr.utils": registry, "basicsr.utils.registry": registry, "basicsr.archs": timm,
                           "basicsr.archs.arch_util": timm}.items():
        sys.modules[name] = stand_in
    source = (Path(repository) / file).read_text().replace("num_feat = 64", f"num_feat = {num_feat}")
    for old, new in (replace or {}).items():
        source = source.replace(old, new)
    module = types.ModuleType(Path(file).stem)
    exec(compile(source, file, "exec"), vars(module))
    commit = subprocess.run(["git", "-C", repository, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return module, f"{Path(repository).name}@{commit.stdout.strip()}:{file}"


def randomise(net):
    """Draws all parameters so that each layer, its biases and its position table show in the output.

    They are multiples of 1/64, which compress well.
    """
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith(("bias", "table")):
                parameter.normal_(0, 0.3)
            elif "norm" in name:
                parameter.normal_(1, 0.2)
            elif "logit_scale" in name:
                parameter.uniform_(1, 6)  # some above the clamp at ln 100
            else:
                parameter.normal_(0, parameter[0].numel()**-0.5)
            parameter.mul_(64).round_().div_(64)


def extend(image, multiple, *, always):
    """As their test scripts do: the image's own flip at the bottom and right, up to a multiple; NCHW."""
    for dim in (2, 3):
        side = image.shape[dim]
        target = (side // multiple + 1) * multiple if always else -(-side // multiple) * multiple
        image = torch.cat([image, torch.flip(image, [dim])], dim).narrow(dim, 0, target)
    return image


def write(stem, cases, make, run, draw=None, **about):
    """Runs each case and writes <stem>.npz, which the fixture `golden` of tests/models reads.

    A case's tensors are one float32 array, `<case>/state_dict`; `about` has their keys, shapes and dtypes.

    Args:
      stem: of the file.
      cases: {case: (model id, size (H, W), of clips (T, H, W), fields as of the network here)}, and as a fourth the
        name of its rules of conversion where that is not "official".
      make: function of (model id, fields), and of that name where there is one, to (torch network, file that it comes
        from).
      run: function of (net, fields, lr as NCHW, clips NTCHW) to {name: array in this order}; `sr` is among them.
      draw: function of a generator and a size to the input, uint8 (1, H, W, 3); None draws all values alike.
      **about: facts to record.
    """
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    arrays, recorded = {}, {}
    for case, (model, size, fields, *style) in cases.items():
        net, file = make(model, fields, *style)
        randomise(net)
        net.eval()
        lr = draw(rng, size) if draw else rng.integers(0, 256, (1, *size, 3), np.uint8)
        with torch.no_grad():
            outputs = run(net, fields, torch.from_numpy(lr.astype(np.float32) / 255).movedim(-1, -3))
        state_dict = {key: value.numpy() for key, value in net.state_dict().items()}
        arrays |= {f"{case}/{name}": y.movedim(-3, -1).numpy() for name, y in outputs.items()} | {f"{case}/lr": lr}
        arrays[f"{case}/state_dict"] = np.concatenate([np.ravel(v).astype(np.float32) for v in state_dict.values()])
        tensors = [(key, value.shape, str(value.dtype)) for key, value in state_dict.items()]
        recorded[case] = dict(model=model, fields=fields, file=file, outputs=list(outputs), tensors=tensors)
        recorded[case] |= {"format": style[0]} if style else {}
    about = {"torch": torch.__version__, "cases": recorded, **about}
    np.savez_compressed(Path(__file__).with_name(f"{stem}.npz"), about=np.array(json.dumps(about)), **arrays)

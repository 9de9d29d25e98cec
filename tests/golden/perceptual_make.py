"""Writes perceptual.npz: what the published code of LPIPS, DISTS and NIQE gives for drawn images, by drawn weights.

    python tests/golden/perceptual_make.py PERCEPTUALSIMILARITY DISTS BASICSR

The arguments are git clones of richzhang/PerceptualSimilarity, dingkeyan93/DISTS and XPixelGroup/BasicSR; torch must be
installed, torchvision and OpenCV need not be: the features of torchvision's networks are written out here. Not run by
the tests, but they draw the same images and weights by `images` and `weights`: the networks are whole, the file has
results alone.
"""

import json
from pathlib import Path
import subprocess
import sys
import types

import numpy as np

# Convolutions: {index in torchvision's `features`: (features, inputs, kernel size, stride, padding)}
ALEXNET = {0: (64, 3, 11, 4, 2), 3: (192, 64, 5, 1, 2), 6: (384, 192, 3, 1, 1), 8: (256, 384, 3, 1, 1),
           10: (256, 256, 3, 1, 1)}
_SIZES = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
VGG16 = {index: (size, before, 3, 1, 1) for index, size, before in zip(
    (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28), _SIZES, (3, *_SIZES[:-1]), strict=True)}
NETWORKS = {"alex": ALEXNET, "vgg": VGG16}
LEVELS = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}
CROP_BORDER = 3


def images(seed, size):
    """(sr, hr), uint8 (H, W, 3): waves with some noise, and the same with more."""
    rng = np.random.RandomState(seed)  # draws the same for ever
    y, x = np.mgrid[:size[0], :size[1]]
    hr = np.stack([127 + 90 * np.sin(x / (5 + c)) * np.cos(y / (9 - 2 * c)) for c in range(3)], -1)
    hr = hr + 6 * rng.standard_normal(hr.shape)
    return tuple(np.clip(image, 0, 255).round().astype(np.uint8) for image in (
        hr + 12 * rng.standard_normal(hr.shape), hr))


def weights(net):
    """Drawn weights of "alex" or "vgg".

    Returns:
      ({"features.<i>.weight": OIHW, "features.<i>.bias": ...}, {"lin<i>.model.1.weight": (1, C, 1, 1)}, {"alpha",
      "beta": (1, 1475, 1, 1)} of DISTS), float32.
    """
    rng, features = np.random.RandomState(7), {}
    for index, (size, before, kernel, *_) in NETWORKS[net].items():
        shape = size, before, kernel, kernel
        features[f"features.{index}.weight"] = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        features[f"features.{index}.bias"] = 0.1 * rng.standard_normal(size)
    linear = {f"lin{level}.model.1.weight": np.abs(rng.standard_normal((1, size, 1, 1)))
              for level, size in enumerate(LEVELS[net])}
    ours = {name: 0.1 + 0.01 * rng.standard_normal((1, 3 + sum(LEVELS["vgg"]), 1, 1)) for name in ("alpha", "beta")}
    return tuple({key: value.astype(np.float32) for key, value in part.items()} for part in (features, linear, ours))


def natural_model():
    """Drawn (mean (1, 36), covariance (36, 36)) of NIQE, float64, of the order of the real one."""
    rng = np.random.RandomState(11)
    factor = rng.standard_normal((36, 36))
    return 0.5 + 0.3 * rng.standard_normal((1, 36)), factor @ factor.T / 360 + 0.05 * np.eye(36)


def _sequential(net):
    import torch
    from torch import nn

    layers, index = [], 0
    for its, (size, before, kernel, stride, padding) in NETWORKS[net].items():
        if its > index:
            layers.append(nn.MaxPool2d(3, 2) if net == "alex" else nn.MaxPool2d(2, 2))
        layers += [nn.Conv2d(before, size, kernel, stride, padding), nn.ReLU(inplace=True)]
        index = its + 2
    features = nn.Sequential(*layers)
    drawn = {key.removeprefix("features."): torch.from_numpy(value) for key, value in weights(net)[0].items()}
    features.load_state_dict(drawn)
    return types.SimpleNamespace(features=features)


def _commit(repository):
    found = subprocess.run(["git", "-C", repository, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return f"{Path(repository).resolve().name}@{found.stdout.strip()}"


def _torchvision():
    models = types.ModuleType("torchvision.models")
    models.alexnet, models.vgg16 = (lambda net: lambda pretrained: _sequential(net))("alex"), (
        lambda pretrained: _sequential("vgg"))
    package = types.ModuleType("torchvision")
    package.models, package.transforms = models, types.ModuleType("torchvision.transforms")
    sys.modules |= {"torchvision": package, "torchvision.models": models,
                    "torchvision.transforms": package.transforms}


def _basicsr(repository):
    """calculate_niqe by the drawn model; without OpenCV, which other colours alone need."""
    for name in ("basicsr", "basicsr.utils", "basicsr.metrics", "cv2"):
        sys.modules[name] = types.ModuleType(name)

    def load(file):
        name = file.removesuffix(".py").replace("/", ".")
        module = sys.modules[name] = types.ModuleType(name)
        module.__file__ = str(Path(repository, file))
        exec(compile(Path(repository, file).read_text(), file, "exec"), vars(module))
        return module

    sys.modules["basicsr.utils"].bgr2ycbcr = load("basicsr/utils/color_util.py").bgr2ycbcr
    registry = types.SimpleNamespace(register=lambda: lambda function: function)
    sys.modules["basicsr.utils.registry"] = types.SimpleNamespace(METRIC_REGISTRY=registry)
    load("basicsr/utils/matlab_functions.py")
    load("basicsr/metrics/metric_util.py")
    return load("basicsr/metrics/niqe.py")


def main(similarity, dists, basicsr):
    import torch

    _torchvision()
    rows = []

    def add(key, seed, size, border, value, source):
        rows.append({"key": key, "seed": seed, "size": size, "crop_border": border, "value": value, "source": source})

    def tensors(pair, border):
        return [torch.from_numpy(image[border:image.shape[0] - border, border:image.shape[1] - border].astype(
            np.float32) / 255).permute(2, 0, 1)[None] for image in pair]

    sys.path[:0] = [similarity, dists]
    from DISTS_pytorch import DISTS_pt
    import lpips

    cases = [(0, (70, 93), 0), (1, (64, 64), CROP_BORDER)]
    with torch.no_grad():
        for net in NETWORKS:
            _, linear, ours = weights(net)
            official = lpips.LPIPS(net=net, pretrained=False, verbose=False)
            missing, unexpected = official.load_state_dict({k: torch.from_numpy(v) for k, v in linear.items()}, False)
            assert not unexpected and not any(key.startswith("lin") and "lins" not in key for key in missing)
            for seed, size, border in cases:
                sr, hr = tensors(images(seed, size), border)
                add(f"lpips[{net}]", seed, size, border, official(sr, hr, normalize=True).item(),
                    f"{_commit(similarity)}:lpips/lpips.py")
        official = DISTS_pt.DISTS(load_weights=False)
        official.load_state_dict({name: torch.from_numpy(value) for name, value in ours.items()}, strict=False)
        for seed, size, border in cases:
            sr, hr = tensors(images(seed, size), border)
            add("dists[vgg16]", seed, size, border, official(sr, hr).item(),
                f"{_commit(dists)}:DISTS_pytorch/DISTS_pt.py")

    module, (mean, covariance) = _basicsr(basicsr), natural_model()
    window = np.outer(*[np.exp(-np.arange(-3, 4) ** 2 / (2 * (7 / 6) ** 2))] * 2)
    module.np = types.SimpleNamespace(**vars(np) | {"load": lambda path: {
        "mu_pris_param": mean, "cov_pris_param": covariance, "gaussian_window": window / window.sum()}})
    for seed, size, border in [(2, (200, 300), 0), (3, (198, 201), CROP_BORDER)]:
        add("niqe[y_601_rounded]", seed, size, border, module.calculate_niqe(images(seed, size)[0][..., ::-1], border),
            f"{_commit(basicsr)}:basicsr/metrics/niqe.py")
    np.savez_compressed(Path(__file__).with_name("perceptual.npz"), rows=np.array(json.dumps(rows)))


if __name__ == "__main__":
    main(*sys.argv[1:])

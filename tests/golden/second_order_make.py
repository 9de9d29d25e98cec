"""Writes second_order.npz: kernels, resizes and drawn parameters of Real-ESRGAN's own code.

    python tests/golden/second_order_make.py BASICSR REALESRGAN

The arguments are git clones of XPixelGroup/BasicSR and xinntao/Real-ESRGAN; torch, scipy and PyYAML must be installed.
Not run by the tests. The dataset's and the model's code runs as it is written on black images, with functions in the
place of BasicSR's that note what they are called with.
"""

import json
from pathlib import Path
import random
import subprocess
import sys
import types

import numpy as np
import torch
import yaml

DRAWS = 2000
KERNELS = [  # kind, size, numbers
    ("iso", 7, dict(sigma_x=0.2)), ("iso", 21, dict(sigma_x=2.9)),
    ("aniso", 13, dict(sigma_x=0.7, sigma_y=2.3, theta=0.9)), ("aniso", 9, dict(sigma_x=3.0, sigma_y=0.3, theta=-2.5)),
    ("generalized_iso", 15, dict(sigma_x=1.7, beta=0.6)),
    ("generalized_aniso", 11, dict(sigma_x=1.1, sigma_y=2.8, theta=3.0, beta=3.7)),
    ("plateau_iso", 17, dict(sigma_x=1.3, beta=1.0)),
    ("plateau_aniso", 19, dict(sigma_x=0.8, sigma_y=1.9, theta=-0.4, beta=1.8)),
    ("sinc", 7, dict(cutoff=1.2)), ("sinc", 21, dict(cutoff=2.9)),
]
RESIZES = [("area", (9, 31), None), ("bilinear", (30, 11), None), ("bicubic", (17, 8), None),
           ("area", None, 0.43), ("bilinear", None, 1.37), ("bicubic", None, 0.71), ("bicubic", None, 1.2)]


def load(repository, file, **names):
    """The module of a file, in whose place other modules are by `names`."""
    module = types.ModuleType(Path(file).stem)
    sys.modules |= names
    exec(compile(Path(repository, file).read_text(), file, "exec"), vars(module))
    return module


def stand_in(**contents):
    module = types.ModuleType("stand_in")
    vars(module).update(contents)
    return module


def commit(repository):
    found = subprocess.run(["git", "-C", repository, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return f"{Path(repository).resolve().name}@{found.stdout.strip()}"


class Named(str):
    """A kernel, by its name."""

    def to(self, device):
        """On any device."""
        return self


class Anything(types.ModuleType):
    """A module of which every name is a function that gives its first argument."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: args[0] if args else None


def main(basicsr, realesrgan):
    anything = Anything("anything")
    for name in ("cv2", "torchvision", "torchvision.transforms", "torchvision.transforms.functional"):
        sys.modules[name] = anything
    official = load(basicsr, "basicsr/data/degradations.py")
    filter2d = load(basicsr, "basicsr/utils/img_process_util.py").filter2D
    arrays = {}
    for number, (kind, size, its) in enumerate(KERNELS):
        iso = "aniso" not in kind
        if kind == "sinc":
            kernel = official.circular_lowpass_kernel(its["cutoff"], size)
        else:
            place = size, its["sigma_x"], its.get("sigma_y", its["sigma_x"]), its.get("theta", 0)
            make = {"generalized": official.bivariate_generalized_Gaussian, "plateau": official.bivariate_plateau}.get(
                kind.partition("_")[0])
            kernel = (make(*place, its["beta"], isotropic=iso) if make
                      else official.bivariate_Gaussian(*place, isotropic=iso))
            kernel = kernel / np.sum(kernel)  # as the random_... functions do once more
        arrays[f"kernel{number}"] = kernel
    rng = np.random.RandomState(5)
    image = rng.randint(0, 256, (23, 19, 3)).astype(np.uint8)
    x = torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)[None]
    for number, (mode, size, factor) in enumerate(RESIZES):
        out = torch.nn.functional.interpolate(x, size=size, scale_factor=factor, mode=mode)
        arrays[f"resize{number}"] = out[0].permute(1, 2, 0).numpy()
    kernel = torch.from_numpy(arrays["kernel3"]).float()[None]
    arrays |= {"image": image, "blurred": filter2d(x, kernel)[0].permute(1, 2, 0).numpy()}

    found = drawn(realesrgan, official, anything)
    numbers = {key: values for key, values in found.items() if not isinstance(values[0], str)}
    words = {key: {word: values.count(word) / len(values) for word in sorted(set(values))}
             for key, values in found.items() if isinstance(values[0], str)}
    for key, values in numbers.items():
        arrays[f"quantiles/{key}"] = np.quantile(values, np.linspace(0.01, 0.99, 99)).astype(np.float32)
    about = {"kernels": KERNELS, "resizes": RESIZES, "words": words, "draws": DRAWS,
             "counts": {key: len(values) for key, values in found.items()},
             "sources": [commit(basicsr), commit(realesrgan)], "torch": torch.__version__}
    np.savez_compressed(Path(__file__).with_name("second_order.npz"), about=np.array(json.dumps(about)), **arrays)


def drawn(repository, official, anything):
    """{quantity: what the official code drew, a list}; of the chain's first half with a 1 behind, of its second a 2."""
    options = yaml.safe_load(Path(repository, "options/train_realesrgan_x4plus.yml").read_text().replace("!!float", ""))
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    found, state = {}, {"half": 0}

    def note(key, value):
        found.setdefault(f"{key}{state['half']}" if state["half"] else key, []).append(value)

    def gaussian(size, x, y, theta, *beta, isotropic):
        note("sigma_x", x)
        if not isotropic:
            note("sigma_y", y)
            note("theta", theta)
        if beta:
            note(f"beta_{state['kind'].partition('_')[0]}", beta[0])
        return np.ones((size, size))

    def choices(words, weights):
        picked = random.choices(words, weights)
        state["kind"] = picked[0]
        state["half"] += 1
        note("kind", picked[0])
        note("size", f"{state['size']}")
        return picked

    def choice(values):
        state["size"] = random.choice(values)
        return state["size"]

    def sinc(cutoff, size, pad_to=0):
        if pad_to:
            state["half"] = 0
            note("final_cutoff", cutoff)
            note("final", "sinc")
        else:
            state["half"] += 1
            note("kind", "sinc")
            note(f"cutoff_{'small' if size < 13 else 'large'}", cutoff)
        return np.ones((21, 21))

    official.random = types.SimpleNamespace(choices=choices)
    for name in ("bivariate_Gaussian", "bivariate_generalized_Gaussian", "bivariate_plateau"):
        setattr(official, name, gaussian)
    degradations = stand_in(circular_lowpass_kernel=sinc, random_mixed_kernels=official.random_mixed_kernels)
    register = stand_in(register=lambda: lambda cls: cls)
    registry = stand_in(DATASET_REGISTRY=register, MODEL_REGISTRY=register)
    names = {f"basicsr.{name}": anything for name in (
        "data", "data.data_util", "data.transforms", "utils", "utils.img_process_util", "losses", "losses.loss_util",
        "models", "models.srgan_model")}
    names |= {"basicsr": anything, "basicsr.data.degradations": degradations, "basicsr.utils.registry": registry}
    dataset = load(repository, "realesrgan/data/realesrgan_dataset.py", **names)
    dataset.random = types.SimpleNamespace(choice=choice)
    picture = np.zeros((400, 400, 3), np.float32)
    dataset.imfrombytes = lambda data, float32: picture
    dataset.img2tensor = lambda images, **_: [0]
    opt = options["datasets"]["train"]
    its = types.SimpleNamespace(opt=opt, file_client=types.SimpleNamespace(get=lambda *_: b""), paths=[""], **{
        key: opt[key] for key in ("kernel_list", "kernel_prob", "blur_sigma", "betag_range", "betap_range",
                                  "kernel_list2", "kernel_prob2", "blur_sigma2", "betag_range2", "betap_range2")},
        kernel_range=[2 * v + 1 for v in range(3, 11)], pulse_tensor=None)
    for _ in range(DRAWS):
        state["half"], before = 0, len(found.get("final", []))
        dataset.RealESRGANDataset.__getitem__(its, 0)
        if len(found.get("final", [])) == before:
            found.setdefault("final", []).append("none")

    srgan = stand_in(SRGANModel=object)
    jpeger = stand_in(DiffJPEG=None, USMSharp=None)
    model = load(repository, "realesrgan/models/realesrgan_model.py", **names | {
        "basicsr.models.srgan_model": srgan, "basicsr.utils": jpeger,
        "basicsr.data.degradations": stand_in(random_add_gaussian_noise_pt=None, random_add_poisson_noise_pt=None)})
    calls = []

    def interpolate(x, size=None, scale_factor=None, mode=None):
        calls.append(("resize", size, scale_factor, mode))
        return x

    def of_noise(kind):
        def add(x, *, gray_prob, clip, rounds, **ranges):
            calls.append(("noise", kind, gray_prob, ranges))
            return x
        return add

    model.F = types.SimpleNamespace(interpolate=interpolate)
    model.random_add_gaussian_noise_pt, model.random_add_poisson_noise_pt = of_noise("gaussian"), of_noise("poisson")
    model.filter2D = lambda x, kernel: calls.append(("blur", kernel)) or x
    model.paired_random_crop = lambda images, lq, *_: (images, lq)
    self = types.SimpleNamespace(
        is_train=True, opt=options | {"high_order_degradation": True}, device="cpu", usm_sharpener=lambda x: x,
        jpeger=lambda x, quality: calls.append(("jpeg", quality.item())) or x, _dequeue_and_enqueue=lambda: None)
    large = torch.zeros(1, 1, 4000, 1)  # in whose sizes a factor is seen
    kernels = {name: Named(name) for name in ("kernel1", "kernel2", "sinc_kernel")}
    for _ in range(DRAWS):
        calls.clear()
        model.RealESRGANModel.feed_data(self, {"gt": large, **kernels})
        resizes, noises, jpegs = ([call for call in calls if call[0] == what] for what in ("resize", "noise", "jpeg"))
        found.setdefault("factor1", []).append(resizes[0][2])
        found.setdefault("factor2", []).append(resizes[1][1][0] / 1000)
        found.setdefault("blurred2", []).append("yes" if ("blur", "kernel2") in calls else "no")
        for half, (_, _, _, mode) in enumerate(resizes, 1):
            found.setdefault(f"mode{half}", []).append(mode)
        for half, (_, kind, grey, ranges) in enumerate(noises, 1):
            found.setdefault(f"noise{half}", []).append(kind)
            (_, (least, most)), = ranges.items()
            found.setdefault(f"range_{kind}{half}", []).append(f"{least} {most} {grey}")
        for half, (_, quality) in enumerate(jpegs, 1):
            found.setdefault(f"quality{half}", []).append(quality)
        last = [call[0] for call in calls if call[0] in ("jpeg", "blur")][-2:]
        found.setdefault("jpeg_first", []).append("yes" if last == ["jpeg", "blur"] else "no")
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Check this machine: versions, devices, codecs, one tiny convolution; says how to get missing parts."""

from importlib import metadata
import os
from pathlib import Path
import platform
import re
import shutil
import tomllib

from rich.console import Console
from rich.markup import escape
from rich.table import Table

import jsr
from jsr.datasets.build import default_data_dir
from jsr.errors import DISTRIBUTION, UserError, install

OPTIONAL = {  # distribution: what it is for, how to get it
    "scikit-image": ("the photographs of the dataset `photos`", install("demo")),
    "av": ("AVIF and HEVC", install("video")),
    "jpeglib": ("aim22_t1's and ntire24's JPEG by the libjpeg of their organisers", install("codecs")),
    "torch": ("writing .pth files and PyTorch code", install("torch")),
    "onnx": ("`jsr export` to .onnx", install("export")),
    "onnxruntime": ("the check of `jsr export`, and `jsr upscale --runtime`", install("export")),
    "openvino": ("`jsr upscale --runtime`, and a peer in `jsr benchmark`", install("bench")),
    "starlette": ("`jsr serve`, the page in the browser", install("web")),
    "usearch": ("the databases of `jsr index`", install("retrieval")),
    "apache-beam": ("`jsr build --beam`", install("beam")),
    "tensorflow": ("the `tfds build` command line; `jsr build` does without", install("tf")),
    "huggingface_hub": ("models on the Hugging Face hub", install("hub")),
    "scikit-learn": ("`jsr search --strategy gp`", install("search")),
    "jax-cuda13-plugin": ("NVIDIA GPUs, and `jsr plan` for GPUs of other machines", install("cuda")),
    "libtpu": ("TPUs, and `jsr plan` for TPUs of other machines", install("tpu")),
    "tensorboard": ("looking at a run's event files", "pip install tensorboard"),
}
CODECS = {"JPEG": "jpg", "PNG (zlib)": "zlib", "WebP": "webp", "AVIF": "avif", "TIFF": "libtiff"}


def add_arguments(parser):
    """This command takes no arguments."""
    del parser


def run(args):
    """Prints the findings; returns the exit status, 1 if something that every command needs is broken."""
    del args
    console, broken = Console(), []
    found = Table("", "", box=None, show_header=False, title="jsr doctor", title_justify="left")

    def say(what, text, mend=""):
        found.add_row(what, text + (f"  [yellow]{escape(mend)}[/yellow]" if mend else ""))

    say("jsr", f"{jsr.__version__}, Python {platform.python_version()}, {platform.platform(terse=True)}")
    required = _required()
    if not required:
        say("dependencies", "[red]unknown[/red]", "neither installed nor a checkout; " + install())
        broken.append("dependencies")
    for name in [*required, "jaxlib"]:  # which jax brings, in a version of its own
        version = _version(name)
        say(name, version or "[red]missing[/red]", "" if version else f"pip install {name}")
        broken += [] if version else [name]
    for name, (purpose, command) in OPTIONAL.items():
        version = _version(name)
        say(name, version or f"not installed: for {purpose}", "" if version else command)
    for name, text in _codecs().items():
        say(name, text)
    try:
        for what, text in _devices():
            say(what, text)
    except Exception as e:  # whatever a broken driver makes JAX raise
        say("devices", f"[red]JAX cannot compute[/red]: {_first_line(e)}", _mend_devices(e))
        broken.append("devices")
    try:
        data_dir = default_data_dir()
        say("data folder", f"{data_dir}: {_free(data_dir)}")
    except UserError as e:
        say("data folder", "none", str(e))
    say("this folder", f"{Path.cwd()}: {_free(Path.cwd())}")
    console.print(found)
    console.print(f"[red]broken: {', '.join(broken)}[/red]" if broken else
                  "[green]everything needed is there[/green]")
    return 1 if broken else 0


def _required():
    """The distributions that every command needs, by pyproject.toml; [] of a package without it and metadata."""
    file = Path(jsr.__file__).parent.parent / "pyproject.toml"
    if file.is_file():  # a checkout: what was written down when it was installed may be older
        requirements = tomllib.loads(file.read_text(encoding="utf-8"))["project"]["dependencies"]
    else:
        requirements = _requires(DISTRIBUTION)
    return [name for text in requirements for name in _distributions(text)]


def _distributions(requirement):
    """The names in a requirement: "pyvips[binary]>=3" is of pyvips and of what its extra `binary` brings."""
    name, extras = re.match(r"([\w.-]+)(?:\[([\w,-]+)\])?", requirement).groups()
    return [name, *(re.match(r"[\w.-]+", text)[0] for extra in (extras or "").split(",") if extra
                    for text in _requires(name, extra))]


def _requires(name, extra=""):
    """The requirements of an installed distribution, or of one of its extras; [] where it is not installed."""
    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []
    wanted = [re.search(r"""extra == ['"]([\w-]+)['"]""", line) for line in lines]
    return [line for line, found in zip(lines, wanted, strict=True) if (found[1] if found else "") == extra]


def _version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _codecs():
    from PIL import features

    texts = {}
    for title, name in CODECS.items():
        there = features.check(name)
        texts[title] = f"{features.version(name) or 'there'}" if there else "not in this Pillow"
    turbo = features.version("libjpeg_turbo")
    texts["JPEG"] += f" (libjpeg-turbo {turbo})" if turbo else " (not libjpeg-turbo: decoded pixels differ slightly)"
    return texts


def _devices():
    """(what, text) rows; computes one small convolution and checks its value."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    for device in jax.devices():
        memory = (device.memory_stats() or {}).get("bytes_limit")
        size = f", {memory / 2**30:.1f} GiB" if memory else ""
        yield f"device {device.id}", f"{device.platform} {device.device_kind}{size}"
    image, kernel = jnp.ones((1, 8, 8, 3)), jnp.ones((3, 3, 3, 4))
    convolve = jax.jit(lambda x, k: jax.lax.conv_general_dilated(x, k, (1, 1), "SAME",
                                                                 dimension_numbers=("NHWC", "HWIO", "NHWC")))
    out = convolve(image, kernel)
    if not np.allclose(out[0, 4, 4], 27.0):
        raise RuntimeError(f"a 3x3 convolution of ones gave {out[0, 4, 4]}, not 27")
    yield "convolution", f"computes, on {jax.default_backend()}"
    if jax.default_backend() == "cpu" and shutil.which("nvidia-smi"):
        yield "note", escape(f"there is an NVIDIA GPU that JAX does not use; {install('cuda')}")


def _mend_devices(error):
    text = str(error).lower()
    if "cudnn" in text or "out of memory" in text or "resource_exhausted" in text:
        return "usually plain lack of GPU memory: free some, or set XLA_PYTHON_CLIENT_PREALLOCATE=false"
    return ("reinstall JAX for this machine: pip install -U jax (CPU), "
            f"{install('cuda')} (NVIDIA), {install('tpu')} (TPU)")


def _free(folder):
    while not os.path.exists(folder):  # which Path.exists() does not say of a folder within one that is closed
        folder = folder.parent
    return f"{shutil.disk_usage(folder).free / 2**30:.1f} GiB free"


def _first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

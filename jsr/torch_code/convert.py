"""A chain of networks as a folder of PyTorch: `network.py` and `weights.pth`, compared with jsr before writing."""

import io

from flax import traverse_util
import jax
import numpy as np

from jsr import models
from jsr.chain import chain_scale, run_chain
from jsr.errors import MissingLibrary, UserError, install
from jsr.export.check import sizes
from jsr.files import atomic_write, refuse_existing
from jsr.layers.padding import crop_to, pad_to_multiple
from jsr.torch_code import source
from jsr.torch_code.trace import trace

FILES = "network.py", "weights.pth"
BOUND = 1e-5  # of the output's largest value


def convert(networks, variables, *, title, about="", size=None):
    """The PyTorch module of a chain of networks, checked.

    Args:
      networks: {name: module} in order.
      variables: {name: Flax collections}.
      title: its name in a few words, for the docstring and errors.
      about: more of it for the docstring.
      size: (height, width) of the only images that it takes, px; None leaves sizes open where the networks do.

    Returns:
      (text of network.py, bytes of weights.pth, [((height, width), error)] for each size it was run at, relative to the
      largest value of jsr's output; whether sizes are open).

    Raises:
      UserError: PyTorch is missing, the networks cannot be written, or the module does not give what they give.
    """
    try:
        import torch
    except ImportError:
        raise MissingLibrary(f"{title}: jsr runs PyTorch code before it writes it, but PyTorch is not installed: "
                             f"{install('torch')}") from None
    program = _traced(networks, variables, title, size)
    flat = traverse_util.flatten_dict({name: own["params"] for name, own in variables.items()}, sep="/")
    try:
        made = source.write(program, title, about, flat)
    except ValueError as e:
        raise UserError(f"{title}: cannot be written as PyTorch code: {e}; jsr export makes an ONNX or StableHLO file "
                        "of it") from e
    buffer = io.BytesIO()
    torch.save({key: torch.from_numpy(np.array(array, order="C")) for key, array in made.weights.items()}, buffer)
    network = _loaded(made.text, buffer.getvalue())
    padding = program.padding
    shapes = [program.size] if program.size else [
        shape for shape in sizes(padding.multiple) if min(map(padding.target, shape)) >= program.least]
    errors = []
    for index, (height, width) in enumerate(shapes):
        clip = () if program.frames is None else (program.frames or 3,)
        shape = (1, *clip, height, width, program.channels[0])
        lr = np.random.default_rng(index).random(shape, np.float32)
        expected = _of_jsr(networks, variables, lr, padding)
        with torch.inference_mode():
            found = network(torch.from_numpy(np.moveaxis(lr, -1, -3).copy())).movedim(-3, -1).numpy()
        error = np.abs(found - expected).max() / np.abs(expected).max() if found.shape == expected.shape else np.inf
        errors.append(((height, width), float(error)))
        if not error <= BOUND:
            raise UserError(f"{title}: as PyTorch code it is off by {error:.1e} of its largest value at {height}x"
                            f"{width}, where {BOUND:.0e} is allowed; nothing was written; jsr export makes an ONNX or "
                            "StableHLO file of it")
    return made.text, buffer.getvalue(), errors, program.size is None


def save(folder, text, weights, *, replace=True):
    """Writes network.py and weights.pth, both or neither.

    Args:
      folder: path; it is made.
      text, weights: see `convert`.
      replace: whether files of these names with other content may go.

    Raises:
      UserError: one is in the way, or the place cannot be written.
    """
    contents = {folder / name: content for name, content in zip(FILES, (text.encode(), weights), strict=True)}
    if not replace:
        for path, content in contents.items():
            if not path.is_file() or path.read_bytes() != content:
                refuse_existing(path)
    code, state_dict = contents
    with atomic_write(code) as file, atomic_write(state_dict) as other:
        file.write(contents[code])
        other.write(contents[state_dict])


def _traced(networks, variables, title, size):
    for network in networks.values():
        card = models.card(network)
        if card.auxiliary:
            raise UserError(f"{title}: only networks from image to image are written as PyTorch code, and "
                            f"{type(network).__name__} is none; name a .pth for a state dict of official names")
    try:
        return trace(networks, variables, size)
    except UserError:
        raise
    except Exception as e:  # of many classes: a network may do anything
        reason = str(e).strip().partition("\n")[0]
        raise UserError(f"{title}: cannot be traced for PyTorch code ({reason:.120}); jsr export --size HxW makes a "
                        "StableHLO file of it") from e


def _loaded(text, weights):
    """The module, in a namespace of its own, with all its weights."""
    import torch

    names = {"__name__": "network"}
    exec(compile(text, FILES[0], "exec"), names)
    network = names["Network"]()
    network.load_state_dict(torch.load(io.BytesIO(weights), weights_only=True), strict=True)
    return network.eval()


def _of_jsr(networks, variables, lr, padding):
    with jax.default_matmul_precision("highest"):
        run = jax.jit(lambda variables, image: run_chain(networks, list(networks), variables, image)[0]["sr"])
        sr = np.asarray(run(variables, pad_to_multiple(lr, padding)))
    scale = chain_scale(networks)
    return crop_to(sr, lr.shape[-3] * scale, lr.shape[-2] * scale)

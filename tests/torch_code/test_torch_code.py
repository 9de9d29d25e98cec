"""Networks as PyTorch code: every one of the zoo gives what jsr gives, where there is nothing but PyTorch."""

import functools
import importlib
import io

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is an optional extra")

from jsr import model_file, models, reparam  # noqa: E402
from jsr.cli import main  # noqa: E402
from jsr.errors import UserError  # noqa: E402
from jsr.layers.conv import convolve  # noqa: E402
from jsr.layers.deform import deform_convolve  # noqa: E402
from jsr.layers.padding import Padding  # noqa: E402
from jsr.models._card import Card  # noqa: E402
from jsr.torch_code import convert, operators  # noqa: E402

QUICK = {"edsr/baseline", "ynot/base", "plain/ecbsr_m4c16", "swinir/light"}  # one of a kind
FIXED = {"art", "dual_domain", "rgt", "ynot", "safmn", "safmn_bcie", "swinfir"}  # programs of one size
CARD = Card(title="Loop", paper="", code="", scales=(1,), padding=Padding(), frames="all")
IDS = [model_id for model_id in models.list_models() if not models.card(model_id).auxiliary]


def small(model_id, scale=None, **fields):
    """The reduced network of a file or variant."""
    reduced = importlib.import_module(f"jsr.models.{model_id.partition('/')[0]}").SMALL
    return models.create(model_id, scale=scale or models.card(model_id).scales[-1], **reduced | fields)


def drawn(model):
    """Variables of a network, of the size that trained ones have."""
    card, draw = models.card(model), np.random.default_rng(1)
    lr = jax.ShapeDtypeStruct(card.lr_shape(*(card.padding.target(64),) * 2), jnp.float32)

    def leaf(path, shape):
        return draw.uniform(*((0.5, 2) if path[-1].key == "var" else (-0.2, 0.2)), shape.shape).astype(np.float32)

    return {"params": {}} | jax.tree_util.tree_map_with_path(leaf, jax.eval_shape(model.init, jax.random.key(0), lr))


@functools.cache  # many variants are one network once they are small
def written(*networks, size=None):
    """What `convert` makes of a chain, with the names a, b..."""
    named = dict(zip("ab", networks, strict=False))
    return convert.convert(named, {name: drawn(network) for name, network in named.items()}, title="net", size=size)


def state_dict(made):
    return torch.load(io.BytesIO(made[1]), weights_only=True)


def kinds(text):
    """The classes of a module's layers."""
    made = (line.partition(" = ")[2] for line in text.splitlines() if line.startswith("        self."))
    return {expression.partition("(")[0].removeprefix("nn.") for expression in made} - {"", "Module"}


@pytest.mark.parametrize("model_id, form", [
    pytest.param(model_id, form, marks=[] if model_id in QUICK else [pytest.mark.slow])
    for model_id in IDS for form in ("trained", "deployed") if form == "trained" or hasattr(small(model_id), "deploy")])
def test_every_network_gives_what_jsr_gives(model_id, form):
    model = small(model_id)
    made = written(model if form == "trained" else reparam.deployed(model))
    text, _, errors, is_open = made
    assert is_open == (not {model_id, model_id.partition("/")[0]} & FIXED)
    assert len(errors) == (3 if is_open else 1) and max(error for _, error in errors) <= convert.BOUND
    imported = [line for line in text.splitlines() if line.startswith(("import ", "from "))]
    assert all("torch" in line.split()[1] for line in imported)
    assert all(its.dtype == torch.float32 or not its.is_floating_point() for its in state_dict(made).values())


def test_layers_are_named_modules():
    text, *_ = made = written(small("edsr/baseline", 4))
    assert kinds(text) == {"Conv2d"}
    assert state_dict(made)["body_0.conv1.weight"].shape == (8, 8, 3, 3)
    assert "        x2 = self.body_0.conv1(x1)\n        x2 = F.relu(x2)\n" in text and "        # body_0\n" in text
    text, *_ = made = written(small("swinir/light"))
    assert kinds(text) == {"Conv2d", "LayerNorm", "Linear", "Parameter"}
    assert {"layers_0.blocks_0.attn.qkv.bias", "layers_0.blocks_0.attn.relative_position_bias_table",
            "norm.weight"} <= state_dict(made).keys()


def test_batch_norm_transposed_convolutions_and_a_dict_of_outputs():
    text, _, errors, _ = written(small("fbcnn/batch_norm"), size=(16, 16))
    assert {"BatchNorm2d", "ConvTranspose2d", "Conv2d", "Linear"} <= kinds(text)
    assert [size for size, _ in errors] == [(16, 16)]


def test_a_chain_is_one_module():
    made = written(small("edsr/baseline", 1), small("plain/ecbsr_m4c16", 2))
    assert {key.partition(".")[0] for key in state_dict(made)} == {"a", "b", "constant_1"}
    assert made[3] and len(made[2]) == 3


def test_it_takes_images_of_any_size_and_number_and_refuses_others():
    made = written(small("swinir/light"))
    network = convert._loaded(*made[:2])
    lr = torch.rand(2, 3, 5, 1)
    sr = network(lr)
    assert sr.shape == (2, 3, 20, 4) and torch.allclose(network(lr[1:]), sr[1:], atol=1e-6)
    text, weights, *_ = written(small("edsr/baseline", 4), size=(9, 7))
    assert convert._loaded(text, weights)(torch.rand(3, 3, 9, 7)).shape == (3, 3, 36, 28)
    with pytest.raises(ValueError, match=r"images are \(3, 8, 8\), this module takes \(3, 9, 7\)"):
        convert._loaded(text, weights)(torch.rand(1, 3, 8, 8))


@pytest.mark.parametrize("groups, masked, window", [(1, True, {}), (2, False, dict(strides=(2, 1), padding=(2, 0)))])
def test_deformable_convolution_is_spelled_out(groups, masked, window):
    rng, names = np.random.default_rng(0), {"torch": torch, "F": torch.nn.functional}
    exec(operators.FUNCTIONS["deform_conv2d"], names)
    size = (4, 5) if window else (6, 7)
    x, offset, kernel, mask = (rng.normal(size=shape).astype(np.float32) for shape in (
        (2, 6, 7, 8), (2, *size, 36), (3, 3, 8 // groups, 6), (2, *size, 18)))
    expected = deform_convolve(x, offset, kernel, mask if masked else None, **window)
    nchw = [torch.from_numpy(np.moveaxis(array, -1, 1).copy()) for array in (x, offset, mask)]
    found = names["deform_conv2d"](*nchw[:2], torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()),
                                   nchw[2] if masked else None, stride=window.get("strides", 1),
                                   padding=window.get("padding", 1))
    np.testing.assert_allclose(found.movedim(1, -1), expected, atol=2e-5)


class Loop(nn.Module):
    """A network for clips of what recurrent ones are made of, one of the zoo by CARD."""

    scale: int = 1

    @nn.compact
    def __call__(self, clip, *, train=False):
        frames, sides = jnp.swapaxes(clip, 0, 1), clip.shape[3:1:-1]
        share = jnp.stack([*(jnp.float32(side) / -(-side // 32) for side in sides), jnp.float32(sides[0]) / 64])
        number = jnp.cumsum(frames.max((2, 3, 4)) > 0, 0) - 2
        kernel = self.param("kernel", nn.initializers.ones, (3, 3, 6, 3))

        def step(carry, frame):
            (passed, before, rounds), (frame, other, number) = carry, frame
            x = convolve(jnp.concatenate([passed, frame], -1), kernel, padding=(1, 1)) * share
            x = jnp.where((number // 2 * 2 == number)[:, None, None, None], x, before - other)
            return (x, passed, rounds + number), (x, rounds // 2)

        none = jnp.zeros((clip.shape[0], *clip.shape[2:]))
        last, (every, counts) = jax.lax.scan(step, (none, none, jnp.zeros(1, int)), (frames, 1 - frames, number),
                                             reverse=True)
        return jnp.swapaxes(every + counts[..., None, None, None], 0, 1) + last[1][:, None] + last[2].sum()


def test_a_loop_over_time():
    text, _, errors, is_open = written(Loop())
    assert "for i in reversed(range(" in text and is_open and len(errors) == 3


@pytest.mark.slow
def test_clips_go_through_loops():
    made = written(small("basicvsrpp/taomc2", peak_period=2), small("swinir/denoise"))
    network = convert._loaded(*made[:2])
    assert "for i in reversed(range(" in made[0] and made[3]
    clip = torch.rand(1, 4, 3, 9, 8)
    clip[:, 2] = clip[:, 1]
    sr = network(clip)
    assert sr.shape == (1, 4, 3, 36, 32) and torch.equal(sr[:, 2], sr[:, 1])


def test_a_window_of_frames_gives_the_one_in_the_middle():
    text, weights, *_, any_size = written(small("stopn", 4))
    network = convert._loaded(text, weights)
    assert any_size and 'mode="bicubic", align_corners=True' in text
    assert network(torch.rand(1, 5, 3, 9, 14)).shape == (1, 3, 36, 56)


def test_it_learns():
    network = convert._loaded(*written(small("swinir/light"))[:2])
    network(torch.rand(1, 3, 8, 8)).square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


def test_a_network_that_is_none_of_images_is_refused():
    with pytest.raises(UserError, match="^vgg: only networks from image to image are .*, and VGG is none"):
        convert.convert({"sr": models.create("vgg", scale=1)}, {"sr": {"params": {}}}, title="vgg")


def test_without_pytorch_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(UserError, match=r"^net: jsr runs PyTorch code before it writes it, .*pip install"):
        convert.convert({}, {}, title="net")


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """model.safetensors of a small network without official names, in the working folder."""
    monkeypatch.chdir(tmp_path)
    model = small("plain/oelsr")
    reduced = importlib.import_module("jsr.models.plain").SMALL
    model_file.save("model.safetensors", {"sr": drawn(model)}, {
        "networks": [{"name": "sr", "model": "plain/oelsr", "scale": model.scale, "fields": reduced,
                      "deployed": False}], "recipe": "aim22_t1:x", "licence": "MIT"})
    return tmp_path


def test_a_model_file_need_not_say_its_recipe(saved):
    meta, _, variables = model_file.load("model.safetensors")
    row = {key: value for key, value in meta["networks"][0].items() if key != "deployed"}
    model_file.save("bare.safetensors", variables, {"networks": [row]})
    assert main(["convert", "bare.safetensors", "pt"]) == 0
    assert "Recipe" not in (saved / "pt" / "network.py").read_text()


def test_the_command(saved, capsys):
    def run(*arguments):
        status = main(["convert", "model.safetensors", *arguments])
        return status, *capsys.readouterr()

    assert run("back.pth") == (1, "", (
        "jsr convert: model.safetensors: plain/oelsr has no official names in this form for a state dict; name "
        "a folder instead of a file: the network is written there as PyTorch code\n"))
    assert run("code", "--dry_run")[1] == "would write: code/network.py\nwould write: code/weights.pth\n"
    status, out, _ = run("code")
    assert status == 0 and out.startswith("model.safetensors: plain/oelsr x2 as PyTorch code, for images of any size\n"
                                          "beside jsr, at 48x64, 49x33, 35x57: ")
    assert out.endswith("\nwrote code; all done\n")
    made = {path.name: path.read_bytes() for path in (saved / "code").iterdir()}
    assert made.keys() == set(convert.FILES)
    assert b"Recipe: aim22_t1:x.\nLicence of the weights: MIT.\n" in made["network.py"]
    assert run("code")[0] == 0 and made == {path.name: path.read_bytes() for path in (saved / "code").iterdir()}
    (saved / "code" / "network.py").write_text("mine")
    (saved / "code" / "weights.pth").unlink()
    assert "code/network.py: exists and stays as it is" in run("code")[2]
    assert [path.name for path in (saved / "code").iterdir()] == ["network.py"]
    assert run("code", "--overwrite", "--size", "9x7")[0] == 0
    assert "(3, 9, 7)" in (saved / "code" / "network.py").read_text()
    assert "--size is only for PyTorch code" in run("back.pth", "--size", "9x7")[2]

"""Images of several libraries: what goes in comes out, and what is no image is called by its name."""

import multiprocessing

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest

from jsr import models
from jsr.errors import UserError
from jsr.inference.chain import Chain
from jsr.inference.upscaler import Upscaler


@pytest.fixture(scope="module")
def upscaler():
    model = models.create("plain/ecbsr_m4c16", scale=2, num_feat=4, num_block=1)
    return Upscaler([Chain({"sr": model}, {"sr": models.init(model, jax.random.key(0))})])


def test_arrays_of_jax_and_batches(upscaler, photograph):
    lr = photograph(8, 12)
    expected = upscaler.upscale(lr)
    on_device = upscaler.upscale(jnp.asarray(lr))
    assert isinstance(on_device, jax.Array) and on_device.dtype == jnp.uint8
    np.testing.assert_array_equal(on_device, expected)
    batch = upscaler.upscale(np.stack([lr, lr[::-1]]))
    assert batch.shape == (2, 16, 24, 3)
    np.testing.assert_array_equal(batch[0], expected)
    np.testing.assert_array_equal(batch[1], upscaler.upscale(lr[::-1]))


def test_tensors_of_torch(upscaler, photograph):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    lr = photograph(8, 12)
    for tensor in (torch.from_numpy(lr), torch.from_numpy(lr / np.float32(255)).requires_grad_()):
        sr = upscaler.upscale(tensor)
        assert isinstance(sr, torch.Tensor) and sr.dtype == tensor.dtype
        np.testing.assert_array_equal(sr.numpy(), upscaler.upscale(tensor.detach().numpy()))
    with pytest.raises(ValueError, match=r"image is channels-first, 3 x 8 x 12.*of a tensor image.permute\(1, 2, 0\)"):
        upscaler.upscale(torch.from_numpy(lr).permute(2, 0, 1))
    with pytest.raises(ValueError, match="image is a tensor of torch.bfloat16, expected uint8, uint16 or float32"):
        upscaler.upscale(torch.zeros(8, 12, 3, dtype=torch.bfloat16))


@pytest.mark.parametrize("mode, becomes", [("RGB", "RGB"), ("L", "L"), ("1", "L"), ("LA", "LA"), ("RGBA", "RGBA"),
                                           ("P", "RGB"), ("I;16", "I;16")])
def test_images_of_pillow(upscaler, photograph, mode, becomes):
    image = Image.fromarray(photograph(8, 12))
    if mode == "I;16":
        image = Image.fromarray(photograph(8, 12)[..., 0].astype(np.uint16) * 257)
    else:
        image = image.convert(mode)
    sr = upscaler.upscale(image)
    assert (sr.mode, sr.size) == (becomes, (24, 16))
    np.testing.assert_array_equal(np.asarray(sr), upscaler.upscale(
        np.asarray(image if mode == becomes else image.convert(becomes))))


def test_paths(upscaler, photograph, tmp_path):
    lr = photograph(8, 12)
    path = tmp_path / "photo.png"
    Image.fromarray(lr).save(path, dpi=(72, 72))
    sr = upscaler.upscale(path)
    assert sr == tmp_path / "photo_x2.png"
    with Image.open(sr) as image:
        np.testing.assert_array_equal(image, upscaler.upscale(lr))
        assert round(image.info["dpi"][0]) == 72
    written = sr.stat().st_mtime_ns
    assert upscaler.upscale(str(path)) == str(sr) and sr.stat().st_mtime_ns == written
    with pytest.raises(UserError, match="photo_x2.png: was made of photo.png in another way.*; rename or remove it$"):
        Upscaler(upscaler.chains, strength=0.5).upscale(path)
    for word in ("no/photo", f"{tmp_path}/photo.*"):
        with pytest.raises(UserError, match="no such file or folder"):
            upscaler.upscale(word)
    with pytest.raises(UserError, match="is a folder; name a picture"):
        upscaler.upscale(tmp_path)
    assert {each.name for each in tmp_path.iterdir()} == {"photo.png", "photo_x2.png"}


def test_indexed_colours_with_a_transparent_one(upscaler):
    image = Image.new("P", (12, 8), 1)
    image.info["transparency"] = 1
    sr = upscaler.upscale(image)
    assert sr.mode == "RGBA" and not np.asarray(sr)[..., 3].any()


@pytest.mark.parametrize("image, said", [
    (np.zeros((3, 8, 12), np.uint8), r"image is channels-first, 3 x 8 x 12: .*give image.transpose\(1, 2, 0\)"),
    (np.zeros((2, 3, 8, 12), np.float32), r"image is channels-first, 2 x 3 x 8 x 12: .*transpose\(0, 2, 3, 1\)"),
    (np.zeros((8, 12, 3)), r"image is float64, expected float32 in \[0, 1\].*give image.astype\(numpy.float32\)"),
    (np.zeros((8, 12), np.float16), "image is float16, expected float32"),
    (np.zeros((8, 12), bool), "image is boolean, expected uint8, uint16 or float32"),
    (np.zeros((8, 12), np.int64), "image is int64, expected uint8"),
    (np.zeros((8, 12, 5), np.uint8), "image is uint8 of 8 x 12 x 5, expected"),
    (np.zeros((0, 12, 3), np.uint8), "image is uint8 of 0 x 12 x 3, expected"),
    (np.zeros((2, 2, 8, 12, 3), np.uint8), "image is uint8 of 2 x 2 x 8 x 12 x 3, expected"),
    (np.float32(1), "image is float32 of no size, expected"),
    (Image.new("CMYK", (8, 8)), "image is of Pillow's mode CMYK, expected one of"),
    (Image.new("F", (8, 8)), "image is of Pillow's mode F"),
], ids=lambda value: "" if isinstance(value, str) else str(getattr(value, "shape", value))[:20])
def test_what_is_no_image_is_called_by_its_name(upscaler, image, said):
    with pytest.raises(ValueError, match=said):
        upscaler.upscale(image)


def test_a_traced_array_is_told_what_to_do(upscaler):
    with pytest.raises(ValueError, match="image is traced by JAX.*module.apply"):
        jax.jit(upscaler.upscale)(np.zeros((8, 8, 3), np.float32))


def _in_a_child(upscaler, pipe):
    try:
        upscaler.upscale(np.zeros((8, 12, 3), np.uint8))
    except UserError as e:
        pipe.send(str(e))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system forks no processes")
@pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning", "ignore:.*fork:DeprecationWarning")
def test_a_forked_child_says_so_and_does_not_hang(upscaler):
    context = multiprocessing.get_context("fork")
    ours, its = context.Pipe()
    child = context.Process(target=_in_a_child, args=(upscaler, its))
    child.start()
    assert ours.poll(60), "the child hangs"
    assert "this process was forked from process" in (said := ours.recv()) and 'get_context("spawn")' in said
    child.join(60)
    assert child.exitcode == 0

"""The upscaler: tiles against whole images, channels and depths, ensembles, threads, and lack of memory."""

from concurrent.futures import ThreadPoolExecutor
import logging
import math
import pickle

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest

import jsr
from jsr import model_file, models
from jsr.errors import UserError
from jsr.inference import upscaler as upscaling
from jsr.inference.chain import Chain
from jsr.inference.upscaler import Upscaler

FIELDS = {"edsr": {"num_feat": 6, "num_block": 2}, "rrdbnet": {"num_feat": 4, "num_grow_ch": 2, "num_block": 1},
          "swinir": None, "hat": None, "rcan": None}


def make_chain(stem="edsr", scale=2, seed=0, **fields):
    """A small network whose output is about the image, changed visibly."""
    fields = fields or FIELDS[stem] or models._import(stem).SMALL
    model = models.create(stem, scale=scale, **fields)
    return Chain({"sr": model}, {"sr": models.init(model, jax.random.key(seed))})


def assert_equal(one, other, lr):
    """As floats to 1e-5; as uint8 but for values that lie on the edge between two levels."""
    as_float = lr.astype(np.float32) / 255
    assert np.abs(one.upscale(as_float) - other.upscale(as_float)).max() < 1e-5
    difference = np.abs(one.upscale(lr).astype(int) - other.upscale(lr))
    assert difference.max() <= 1 and (difference > 0).sum() <= max(1, difference.size // 10_000)


def whole_float(chain, lr):
    return np.asarray(chain(lr.astype(np.float32) / 255))


@pytest.mark.parametrize("stem, scale, tile, overlap", [
    ("edsr", 2, 64, None), ("edsr", 3, 64, 12), ("edsr", 4, 64, None),
    *(pytest.param("rrdbnet", *numbers, marks=pytest.mark.slow) for numbers in ((1, 224, 90), (2, 144, 45))),
    ("rrdbnet", 4, 96, 24)])
@pytest.mark.parametrize("height, width", [(230, 301), pytest.param(64, 330, marks=pytest.mark.slow)])
def test_tiled_equals_untiled_for_convolutional_networks(stem, scale, tile, overlap, height, width, photograph):
    chain, lr = make_chain(stem, scale), photograph(height, width)
    tiled = Upscaler([chain], tile=tile, overlap=overlap)
    tiling = tiled.tiling(height, width)
    assert tiling.exact and tiling.count > 1
    assert_equal(tiled, Upscaler([chain]), lr)


def test_images_of_many_sizes_share_a_program(photograph):
    sizes = [(96, 96), (100, 140), (128, 90), (111, 113), (150, 120)]
    chain, other = make_chain(), Upscaler([make_chain()], tile="auto")
    upscaler = Upscaler([chain], tile="auto").expecting(sizes, all_known=True)
    results = [upscaler.upscale(photograph(*size)) for size in sizes]
    assert chain.programs == 1 and {upscaler.tiling(*size).exact for size in sizes} == {True}
    for size, sr in zip(sizes, results, strict=True):
        difference = np.abs(sr.astype(int) - other.upscale(photograph(*size)))
        assert difference.max() <= 1 and (difference > 0).sum() <= difference.size // 10_000
    assert other.chains[0].programs == 5  # what it would take


@pytest.mark.parametrize("change, shared", [
    ({}, {(96, 96), (100, 140)}),
    ({"sizes": [(96, 96), (100, 140)] * 2}, set()),                       # each comes again
    ({"sizes": [(96, 96), (96, 96), (100, 140), (120, 130)]}, {(100, 140)}),
    ({"sizes": [(96, 96)]}, set()),
    ({"sizes": [(80, 81)] * 3 + [(96, 96), (100, 140)], "all_known": False}, set()),  # most others repeat, too
    ({"all_known": False}, {(96, 96), (100, 140)}),
    ({"stem": "rcan"}, set()),                                            # sees the whole image
    ({"tile": None}, set()), ({"overlap": 9}, set()), ({"self_ensemble": True}, {(96, 96), (100, 140)})])
def test_which_images_share_a_program(change, shared):
    options = {"tile": "auto"} | {key: change[key] for key in ("tile", "overlap", "self_ensemble") if key in change}
    upscaler = Upscaler([make_chain(change.get("stem", "edsr"))], **options)
    told = upscaler.expecting(change.get("sizes", [(96, 96), (100, 140)]), all_known=change.get("all_known", True))
    assert {size for size in ((96, 96), (100, 140)) if not told.tiling(*size).whole} == shared
    assert upscaler.tiling(96, 96).whole  # who was not told is as before


def test_a_large_network_computes_each_size_whole():
    """Its programs take less time than the overlaps of tiles."""
    chain = make_chain(num_feat=96, num_block=8)
    assert Upscaler([chain], tile="auto").expecting([(250, 250), (270, 240)], all_known=True).tiling(250, 250).whole


def test_the_overlap_is_as_far_as_the_network_sees_and_no_less_will_do(photograph):
    chain, lr = make_chain("edsr", 2), photograph(60, 188) / np.float32(255)
    tiling = Upscaler([chain], tile=96).tiling(60, 188)
    assert tiling.exact and tiling.overlap == chain.reach(100) == 8  # six convolutions, one after the x2, one at x2
    short = Upscaler([chain], tile=96, overlap=2)
    assert short.tiling(60, 188).count == 2 and not short.tiling(60, 188).exact
    assert np.abs(short.upscale(lr) - Upscaler([chain]).upscale(lr)).max() > 1e-5


def test_windows_stay_where_they_are(photograph):
    """So that even attention in windows, of which two see 11 px, is exact in tiles."""
    chain, lr = make_chain("swinir"), photograph(100, 121)
    tiled = Upscaler([chain], tile=62)
    tiling = tiled.tiling(100, 121)
    assert tiling.exact and tiling.size == (64, 64) and tiling.overlap == chain.reach(64) == 11
    assert {span.start % chain.padding.multiple for span in tiling.rows + tiling.columns} == {0}
    assert_equal(tiled, Upscaler([chain]), lr)
    approximate = Upscaler([chain], tile=64, overlap=4)
    assert not approximate.tiling(100, 121).exact
    assert np.abs(approximate.upscale(lr).astype(int) - tiled.upscale(lr)).mean() < 2


def test_turned_tiles_have_their_windows_elsewhere_and_are_not_called_exact():
    for chain in (make_chain("swinir"), make_chain("rrdbnet", 2)):
        assert not Upscaler([chain], tile=256, overlap=64, self_ensemble=True).tiling(100, 301).exact
    assert Upscaler([make_chain()], tile=64, self_ensemble=True).tiling(100, 121).exact


def test_a_network_that_sees_everything_is_never_exact():
    chain = make_chain("hat")
    assert chain.reach(2000) is None
    assert not Upscaler([chain], tile=64, overlap=24).tiling(100, 64).exact


@pytest.mark.parametrize("shape", [(1, 1), (1, 100), (100, 1), (5, 64)])
def test_thin_images_in_tiles(shape, photograph):
    chain, lr = make_chain(), photograph(*shape)
    assert_equal(Upscaler([chain], tile=48), Upscaler([chain]), lr)


def test_grey_alpha_and_depth(photograph):
    chain = make_chain()
    upscaler, rgb = Upscaler([chain]), photograph(20, 30)
    grey = rgb[..., 0]
    expected = np.clip(whole_float(chain, grey[..., None].repeat(3, 2)), 0, 1) @ np.float32([0.299, 0.587, 0.114]) * 255
    assert np.abs(upscaler.upscale(grey) - expected).max() <= 0.51
    np.testing.assert_array_equal(upscaler.upscale(grey[..., None])[..., 0], upscaler.upscale(grey))
    deep = upscaler.upscale(rgb.astype(np.uint16) * 257)
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257 - np.clip(whole_float(chain, rgb), 0, 1) * 255).max() <= 0.5 / 257 + 1e-3
    assert np.unique(deep % 257).size > 200  # more than eight bits come out


@pytest.mark.parametrize("channels", [1, 4])
def test_networks_for_grey_and_for_rgba_take_every_picture(channels):
    chain = make_chain("rrdbnet/direct", 2, num_feat=4, num_block=1, num_grow_ch=2, channels=channels,
                       out_channels=channels)
    upscaler, rng = Upscaler([chain], tile=None), np.random.default_rng(0)
    rgba = rng.random((12, 10, 4)).astype(np.float32)
    rgba[:6, ..., 3] = 1
    found = {count: upscaler.upscale(rgba[..., -count:]) for count in (1, 2, 3, 4)}
    assert all(sr.shape == (24, 20, count) for count, sr in found.items())
    assert (found[4][:10, ..., 3] == 1).all() and (found[2][:10, ..., 1] == 1).all()
    if channels == 1:  # each colour by itself
        own = np.clip(np.concatenate([chain(rgba[..., [k]]) for k in (1, 2, 3)], axis=-1), 0, 1)
        np.testing.assert_allclose(found[3], own, atol=1e-6)
    else:  # alpha is straight, and one that is not there is opaque
        np.testing.assert_allclose(found[4][..., :3], np.clip(chain(rgba), 0, 1)[..., :3], atol=1e-6)
        opaque = np.concatenate([rgba[..., 1:], np.ones_like(rgba[..., :1])], axis=-1)
        np.testing.assert_allclose(found[3], np.clip(chain(opaque), 0, 1)[..., :3], atol=1e-6)
    with pytest.raises(UserError, match=f"models of different channels, .*{channels} to {channels}"):
        Upscaler([chain, make_chain("edsr", 2)])


def test_opaque_alpha_changes_nothing_and_stays_opaque(photograph):
    upscaler, rgb = Upscaler([make_chain()]), photograph(20, 30)
    rgba = np.dstack([rgb, np.full((20, 30), 255, np.uint8)])
    sr = upscaler.upscale(rgba)
    np.testing.assert_array_equal(sr[..., :3], upscaler.upscale(rgb))
    assert (sr[..., 3] == 255).all()


@pytest.mark.parametrize("tile", [None, 48])
def test_no_dark_fringes_around_what_is_cut_out(tile):
    """A red disc on transparent black, transparent green, or transparent red is the same picture."""
    y, x = np.mgrid[:80, :80]
    alpha = np.clip((30 - np.hypot(y - 40, x - 40)) * 128, 0, 255).astype(np.uint8)
    upscaler, results = Upscaler([make_chain()], tile=tile), []
    for hidden in ((0, 0, 0), (0, 255, 0), (200, 0, 0)):
        colour = np.where(alpha[..., None] > 0, np.uint8([200, 0, 0]), np.uint8(hidden))
        results.append(upscaler.upscale(np.dstack([colour, alpha])))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    sr = results[0]
    assert (sr[:20, :20, 3] == 0).all() and (sr[70:90, 70:90, 3] == 255).all()


def test_premultiplied_colour_is_divided_again():
    class Nearest(nn.Module):
        scale: int = 2
        dtype = None

        def __call__(self, lr, *, train=False):
            return jnp.repeat(jnp.repeat(lr, 2, 1), 2, 2)

    image = np.random.default_rng(0).random((12, 9, 4), np.float32)
    chain = make_chain()
    chain._jit = jax.jit(lambda variables, lr, conditions: Nearest()(lr))  # the network is not what is tested here
    np.testing.assert_allclose(Upscaler([chain]).upscale(image), image.repeat(2, 0).repeat(2, 1), atol=1e-6)


@pytest.mark.parametrize("values, message", [
    ((0, 255), r"from 0 to 255, expected \[0, 1\]; give 8-bit values as uint8"), ((-1, 1), "from -1 to 1, expected"),
    ((0, np.nan), "holds NaN or infinite values, expected"), ((0, np.inf), "holds NaN or infinite values, expected")])
def test_floats_far_outside_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Upscaler([make_chain()]).upscale(np.resize(np.float32(values), (4, 4, 3)))


def test_models_are_averaged_by_weight(photograph):
    chains, lr = [make_chain(seed=0), make_chain(seed=1)], photograph(16, 24) / np.float32(255)
    one, two = (Upscaler([chain]).upscale(lr) for chain in chains)
    raw = [np.asarray(chain(lr)) for chain in chains]
    np.testing.assert_allclose(Upscaler(chains).upscale(lr), np.clip((raw[0] + raw[1]) / 2, 0, 1), atol=1e-6)
    np.testing.assert_allclose(Upscaler(chains, weights=[3, 1]).upscale(lr),
                               np.clip(0.75 * raw[0] + 0.25 * raw[1], 0, 1), atol=1e-6)
    np.testing.assert_array_equal(Upscaler(chains, weights=[1, 0]).upscale(lr), one)
    assert np.abs(one - two).max() > 0.01


def test_tiles_of_a_self_ensemble_are_exact_too(photograph):
    chains, lr = [make_chain(seed=0), make_chain(seed=1)], photograph(66, 90)
    tiled = Upscaler(chains, tile=64, overlap=8, self_ensemble=True)
    assert tiled.tiling(66, 90).exact
    assert_equal(tiled, Upscaler(chains, self_ensemble=True), lr)


@pytest.mark.parametrize("arguments, message", [
    (dict(weights=[1]), "weights 1: expected one for each of 2 models"),
    (dict(weights=[1, -1]), "none negative"),
    (dict(weights=[0, 0]), "not all zero"),
    (dict(weights=[1, float("nan")]), "not all zero"),
    (dict(tile=0), "tile = 0"),
    (dict(strength=-0.1), "strength -0.1: must be from 0 to 1"),
    (dict(tile=64, overlap=-1), "overlap = -1"),
    (dict(tile=64, overlap=32), "a tile of 64 px has no room for overlaps of 32 px; choose a tile of at least 65"),
])
def test_settings_that_do_not_fit(arguments, message):
    with pytest.raises(UserError, match=message):
        Upscaler([make_chain(seed=0), make_chain(seed=1)], **arguments)


def test_tiles_too_small_for_what_they_must_overlap_by(monkeypatch):
    with pytest.raises(UserError, match="a tile of 8 px has no room for overlaps of 5 px"):
        Upscaler([make_chain()], tile=8, overlap=5)
    monkeypatch.setattr(upscaling, "free_memory", lambda: 1)  # so that the smallest tile is chosen
    with pytest.raises(UserError, match="a tile of 64 px has no room for overlaps of 32 px; "
                                        "choose a tile of at least 65"):
        Upscaler([make_chain()], tile="auto", overlap=32).tiling(300, 300)


@pytest.mark.parametrize("scale", [1, 2])
def test_strength_blends_with_the_plain_enlargement_in_tiles_too(scale, photograph):
    chain, lr = make_chain("rrdbnet" if scale == 1 else "edsr", scale), photograph(60, 150)
    plain = lr if scale == 1 else np.asarray(Image.fromarray(lr).resize((300, 120), Image.Resampling.BICUBIC))
    full = 255 * whole_float(chain, lr)
    for strength in (0, 0.25, 1):
        found = Upscaler([chain], strength=strength).upscale(lr)
        # Pillow's is of rounded, and so clipped, pixels between its passes
        assert np.abs(found - np.clip(strength * full + (1 - strength) * plain, 0, 255)).mean() < 0.5
        tiled = Upscaler([chain], strength=strength, tile=96, overlap=16)
        if tiled.tiling(60, 150).exact:
            assert_equal(tiled, Upscaler([chain], strength=strength), lr)
    rgba = np.dstack([lr, np.full((60, 150), 255, np.uint8)])
    np.testing.assert_array_equal(Upscaler([chain], strength=0.25).upscale(rgba)[..., :3],
                                  Upscaler([chain], strength=0.25).upscale(lr))


def test_a_network_of_features_is_no_upscaler(tmp_path):
    chain = make_chain("vgg", scale=1, num_feat=2)
    model_file.save(tmp_path / "vgg.safetensors", chain.variables, {"networks": [
        {"name": "sr", "model": "vgg/vgg16", "scale": 1, "fields": {"num_feat": 2}}]})
    with pytest.raises(UserError, match="sr gives features for losses and scores, not a picture"):
        jsr.load(tmp_path / "vgg.safetensors")


def test_models_of_different_scales_are_refused():
    with pytest.raises(UserError, match="models of different scales, x2 and x4"):
        Upscaler([make_chain(scale=2), make_chain(scale=4)])


def test_threads_share_an_upscaler_and_get_the_bits_of_one(photograph):
    images = [photograph(40 + n % 3, 100, seed=n) for n in range(12)]
    upscaler = Upscaler([make_chain()], tile=48)
    expected = [upscaler.upscale(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        for found, one in zip(pool.map(Upscaler([make_chain()], tile=48).upscale, images), expected, strict=True):
            np.testing.assert_array_equal(found, one)


def test_another_process_gets_the_same_upscaler(photograph):
    lr = photograph(30, 41)
    upscaler = Upscaler([make_chain(), make_chain()], weights=[1, 2], tile=24, strength=0.5)
    again = pickle.loads(pickle.dumps(upscaler))
    np.testing.assert_array_equal(again.upscale(lr), upscaler.upscale(lr))
    assert again.digest() == upscaler.digest() != Upscaler(upscaler.chains, tile=24, strength=0.5).digest()


class Small(Chain):
    """A chain on a device that has no room for tiles above a size."""

    def __call__(self, lr, size=None, **how):
        if len(lr) > self.room:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes.")
        return super().__call__(lr, size, **how)


@pytest.fixture
def small_device():
    chain = make_chain()
    small = Small(chain.networks, chain.variables)
    small.room = 200
    return small


def test_out_of_memory_means_smaller_tiles(small_device, photograph, caplog):
    lr = photograph(300, 270)
    upscaler = Upscaler([small_device], tile="auto")
    with caplog.at_level(logging.WARNING):
        sr = upscaler.upscale(lr)
    assert np.abs(sr.astype(int) - Upscaler([make_chain()]).upscale(lr)).max() <= 1
    assert upscaler.tiling(300, 270).size == (192, 192)
    assert caplog.messages == ["out of memory with tiles of 300 px; going on with 256",
                               "out of memory with tiles of 256 px; going on with 192"]


def test_out_of_memory_without_a_way_out_is_one_line(small_device, photograph):
    with pytest.raises(UserError, match="out of memory; choose smaller tiles than 256 px"):
        Upscaler([small_device], tile=256).upscale(photograph(300, 270))
    small_device.room = 10
    with pytest.raises(UserError, match="out of memory; tiles cannot be smaller"):
        Upscaler([small_device], tile="auto").upscale(photograph(300, 270))


def test_automatic_tiles_fit_the_memory(monkeypatch):
    chain = make_chain()
    bytes_per_pixel = chain.memory(256, 256) / 256**2
    free = bytes_per_pixel * 500 * 500 / upscaling._FREE_SHARE
    monkeypatch.setattr(upscaling, "free_memory", lambda: free)
    upscaler = Upscaler([chain], tile="auto")
    assert upscaler.tiling(450, 500).count == 1
    assert upscaler.tiling(600, 500).size == (384, 384)
    assert upscaler.tiling(100, 5000).size == (100, 1024)


def test_a_large_photograph_is_cut_however_much_memory_there_is(monkeypatch):
    monkeypatch.setattr(upscaling, "free_memory", lambda: math.inf)
    upscaler = Upscaler([make_chain("rcan")], tile="auto")  # which takes means over the whole image
    assert upscaler.tiling(700, 1000).whole and upscaler.chains[0].programs == 1  # the image's own alone
    assert upscaler.tiling(4000, 6000).count > 1


@pytest.mark.parametrize("channels, straight", [(3, False), (4, False), (4, True)])
def test_large_images_are_rounded_strip_by_strip(monkeypatch, channels, straight):
    sr = np.random.default_rng(0).uniform(-0.2, 1.2, (50, 9, channels)).astype(np.float32)
    for dtype in (np.uint8, np.uint16, np.float32):
        whole = upscaling.from_unit(sr, dtype, straight=straight)
        with monkeypatch.context() as patch:
            patch.setattr(upscaling, "_STRIP", 20 * 9 * channels)
            np.testing.assert_array_equal(upscaling.from_unit(sr, dtype, straight=straight), whole)
        assert whole.dtype == dtype


def test_half_precision_that_overflows_is_computed_again(photograph, caplog):
    chain, lr = make_chain(), photograph(20, 20)
    big = jax.tree.map(lambda x: x * 30, chain.variables)  # beyond 65504 inside, the range of float16
    half = chain.with_variables(big).with_dtype(jnp.float16)
    expected = Upscaler([chain.with_variables(big)]).upscale(lr)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(Upscaler([half]).upscale(lr), expected)
    assert "computed again in float32" in caplog.text
    broken = chain.with_variables(jax.tree.map(lambda x: x * np.nan, chain.variables))
    with pytest.raises(UserError, match="the network's output is not finite"):
        Upscaler([broken]).upscale(lr)


def test_a_chain_is_padded_for_all_of_its_networks():
    first = models.create("edsr", scale=2, **FIELDS["edsr"])
    second = models.create("swinir", scale=2, **models._import("swinir").SMALL)
    multiple = models.card(second).padding.multiple
    variables = {name: models.init(model, jax.random.key(0)) for name, model in (("a", first), ("b", second))}
    chain = Chain({"a": first, "b": second}, variables)
    assert chain.scale == 4 and chain.padding.multiple == multiple // 2
    assert Upscaler([chain]).upscale(np.zeros((multiple // 2 + 1, 3, 3), np.uint8)).shape == (2 * multiple + 4, 12, 3)


def test_load_averages_files_and_takes_its_settings(tmp_path, photograph):
    lr, chains = photograph(16, 16), [make_chain(seed=0), make_chain(seed=1)]
    net = {"name": "sr", "model": "edsr/baseline", "scale": 2, "fields": FIELDS["edsr"], "deployed": False}
    paths = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for path, chain in zip(paths, chains, strict=True):
        model_file.save(path, chain.variables, {"networks": [net], "ensemble": {"self": True}})
    np.testing.assert_array_equal(jsr.load(*paths, weights=[2, 1], self_ensemble=False).upscale(lr),
                                  Upscaler(chains, weights=[2, 1]).upscale(lr))
    np.testing.assert_array_equal(jsr.load(paths[0]).upscale(lr), Upscaler(chains[:1], self_ensemble=True).upscale(lr))
    model_file.save(paths[0], chains[0].variables, {"networks": [net], "ensemble": {"tiles": [40], "overlap": 3}})
    assert [its.tiling(64, 64).overlap for its in (jsr.load(paths[0]), jsr.load(paths[0], overlap=2))] == [3, 2]
    assert jsr.load(paths[0]).tiling(64, 64).size == (40, 40) and jsr.load(paths[0], tile=None).tiling(64, 64).whole
    assert jsr.load(paths[0], dtype="bfloat16").chains[0].networks["sr"].dtype == jnp.bfloat16
    for dtype, said in (("bf16", "did you mean 'bfloat16'"), ("fp16", "did you mean"), ("int8", "known|did you mean")):
        with pytest.raises(UserError, match=f"dtype {dtype}: networks do not compute in it; .*{said}"):
            jsr.load(paths[0], dtype=dtype)


@pytest.mark.parametrize("forbids", [
    lambda: jax.numpy_dtype_promotion("strict"), lambda: jax.numpy_rank_promotion("raise"),
    lambda: jax.transfer_guard("disallow"), lambda: jax.disable_jit(), lambda: jax.debug_nans(True),
    lambda: jax.enable_x64(True)], ids=["promotion", "ranks", "transfers", "no jit", "NaN", "x64"])
def test_what_a_program_forbids_itself_does_not_matter(tmp_path, photograph, forbids):
    network = models.create("edsr/baseline", scale=2, **FIELDS["edsr"])
    net = {"name": "sr", "model": "edsr/baseline", "scale": 2, "fields": FIELDS["edsr"], "deployed": False}
    model_file.save(tmp_path / "m.safetensors", {"sr": models.init(network, jax.random.key(0))}, {"networks": [net]})
    lr = photograph(20, 24)
    want = jsr.load(tmp_path / "m.safetensors").upscale(lr)
    with forbids():
        np.testing.assert_array_equal(jsr.load(tmp_path / "m.safetensors").upscale(lr), want)


# Clips

def test_networks_for_clips_see_a_window_around_every_frame(photograph):
    """Beyond the ends the first or last frame comes again; flips and turns are averaged; sizes are padded."""
    chain = make_chain("stopn", 4, num_feat=4, num_level=2, num_conv=1)
    clip = np.stack([photograph(24, 40, 4)[:14, 2 * t:2 * t + 18] for t in range(3)])
    assert chain.frames == 5
    padded = np.pad(clip, [(0, 0), (0, 2), (0, 2), (0, 0)], "reflect").astype(np.float32) / 255
    module, variables = chain.networks["sr"], jax.device_get(chain.variables["sr"])
    windows = np.stack([padded[np.clip([t - 2, t - 1, t, t + 1, t + 2], 0, 2)] for t in range(3)])
    expected = np.asarray(module.apply(variables, windows))[:, :56, :72]
    assert np.abs(Upscaler([chain]).upscale(clip.astype(np.float32) / 255) - expected.clip(0, 1)).max() < 1e-5
    sr = Upscaler([chain]).upscale(clip)
    assert sr.dtype == np.uint8 and np.abs(sr - 255 * expected.clip(0, 1)).max() < 0.51
    turned = Upscaler([chain]).upscale(clip[:, :, ::-1])[:, :, ::-1].astype(float)
    averaged = Upscaler([chain], self_ensemble=["identity", "hflip"]).upscale(clip)
    inside = (expected > 0.02) & (expected < 0.98)  # where nothing was clipped
    assert np.abs(averaged - (sr + turned) / 2)[inside].max() < 1.51
    with pytest.raises(ValueError, match=r"takes clips, expected \(T, H, W, 3\), got \(14, 18, 3\)"):
        Upscaler([chain]).upscale(clip[0])

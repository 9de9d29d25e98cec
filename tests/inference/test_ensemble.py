"""Ensembles against the same done by hand, and in the upscaler."""

import dataclasses

import jax
import numpy as np
import pytest

import jsr
from jsr import model_file, models
from jsr.errors import UserError
from jsr.inference.chain import Chain
from jsr.inference.ensemble import mean_of_bands, self_ensemble, shared_rows
from jsr.inference.upscaler import Upscaler


def enlarge(image):
    """Something that treats no direction like another, x2."""
    height, width, _ = image.shape
    ramp = np.arange(4 * height * width).reshape(2 * height, 2 * width, 1) / 100
    return image.repeat(2, 0).repeat(2, 1) * np.float32([1, 2, 3]) + ramp


def by_hand(image, upscale):
    """Through transposes, not rotations."""
    total = 0
    for transpose in (False, True):
        for rows in (1, -1):
            for columns in (1, -1):
                turned = image[::rows, ::columns]
                sr = upscale(turned.transpose(1, 0, 2) if transpose else turned)
                sr = sr.transpose(1, 0, 2) if transpose else sr
                total = total + sr[::rows, ::columns].astype(np.float64)
    return total / 8


def test_it_is_the_mean_of_all_eight():
    image = np.random.default_rng(0).random((3, 5, 3), np.float32)
    found = self_ensemble(enlarge, image)
    assert found.dtype == np.float32 and found.shape == (6, 10, 3)
    np.testing.assert_allclose(found, by_hand(image, enlarge), rtol=1e-5)


def test_what_turns_with_the_image_is_left_as_it_is():
    image = np.random.default_rng(0).random((4, 6, 3), np.float32)
    np.testing.assert_allclose(self_ensemble(lambda x: x.repeat(2, 0).repeat(2, 1), image),
                               image.repeat(2, 0).repeat(2, 1), rtol=1e-6)


EDSR_X2 = {"name": "sr", "model": "edsr/baseline", "scale": 2, "deployed": False,
           "fields": {"num_feat": 4, "num_block": 1, "img_range": 1.0}}


def edsr_x2(rng):
    """(module, random variables) of EDSR_X2."""
    abstract = models.abstract("edsr", scale=2, **EDSR_X2["fields"])
    variables = jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype(np.float32), abstract)
    return models.create("edsr", scale=2, **EDSR_X2["fields"]), variables


@pytest.mark.parametrize("ensemble", [{"self": True}, {"self": False}, None])
def test_a_model_file_is_used_with_its_ensemble(tmp_path, photograph, ensemble):
    model, variables = edsr_x2(np.random.default_rng(2))
    said = {"ensemble": ensemble} if ensemble else {}
    model_file.save(tmp_path / "a.safetensors", {"sr": variables}, {"networks": [EDSR_X2], **said})
    lr = photograph(4, 6)
    apply = jax.jit(model.apply)

    def run(image):
        return np.asarray(apply(variables, image[None])[0])

    expected, alone = by_hand(lr / np.float32(255), run), run(lr / np.float32(255))
    chosen, other = (expected, alone) if ensemble and ensemble["self"] else (alone, expected)
    sr = jsr.load(tmp_path / "a.safetensors").upscale(lr)
    assert np.abs(sr - np.clip(chosen, 0, 1) * 255).max() <= 0.51
    assert np.abs(sr - np.clip(other, 0, 1) * 255).max() > 1


@pytest.mark.parametrize("names", [["identity", "transpose"], ["identity", "hflip", "vflip", "rot180"]])
def test_some_of_the_eight_are_averaged_alone(tmp_path, photograph, names):
    model, variables = edsr_x2(np.random.default_rng(2))
    meta = {"networks": [EDSR_X2], "ensemble": {"self": True, "transforms": names}}
    model_file.save(tmp_path / "a.safetensors", {"sr": variables}, meta)
    lr = photograph(4, 6)
    views = {"identity": lambda x: x, "hflip": lambda x: x[:, ::-1], "vflip": lambda x: x[::-1],
             "rot180": lambda x: x[::-1, ::-1], "transpose": lambda x: x.transpose(1, 0, 2)}  # each its own inverse
    expected = np.mean([views[name](model.apply(variables, views[name](lr / np.float32(255))[None])[0])
                        for name in names], axis=0)
    upscaler = jsr.load(tmp_path / "a.safetensors")
    assert upscaler.passes(4, 6) == (1, len(names), 1)
    assert np.abs(upscaler.upscale(lr) - np.clip(expected, 0, 1) * 255).max() <= 0.51
    assert jsr.load(tmp_path / "a.safetensors", self_ensemble=True).passes(4, 6) == (1, 8, 1)
    assert jsr.load(tmp_path / "a.safetensors", self_ensemble=["vflip"]).passes(4, 6) == (1, 1, 1)
    with pytest.raises(UserError, match="self_ensemble: no flip or turn 'vflop'; did you mean 'vflip'"):
        jsr.load(tmp_path / "a.safetensors", self_ensemble=["vflop"])


def test_a_file_of_an_ensemble_is_the_average_of_its_members(tmp_path, photograph):
    """Chains of it are weighed within the file, and files among each other."""
    rng, lr, paths, found = np.random.default_rng(2), photograph(4, 6).astype(np.float32) / 255, [], []
    for number in range(3):
        model, variables = edsr_x2(rng)
        found.append(np.asarray(model.apply(variables, lr[None])[0]))
        paths.append(tmp_path / f"{number}.safetensors")
        model_file.save(paths[-1], {"sr": variables}, {"networks": [EDSR_X2], "steps": number, "recipe": "a:b"})
    (first,), (second,), _ = map(model_file.load_members, paths)
    file = tmp_path / "ab.safetensors"
    model_file.save_ensemble(file, [dataclasses.replace(first, share=1.0), dataclasses.replace(second, share=3.0)],
                             {"recipe": "a:b", "ensemble": {"self": False}})
    one, other = model_file.load_members(file)
    assert (one.share, other.share, other.name) == (0.25, 0.75, f"{file} (member2)")
    assert model_file.alike(second, other) and not model_file.alike(one, other)
    assert (other.meta["networks"], other.meta["steps"], other.meta["recipe"]) == ([EDSR_X2], 1, "a:b")
    meta, params = model_file.describe(file)
    assert params == 2 * model_file.describe(paths[0])[1] and [len(rows) for rows in model_file.chains(meta)] == [1, 1]
    for upscaler, weights in ((jsr.load(file), (1, 3, 0)), (jsr.load(file, members=1), (1, 0, 0)),
                              (jsr.load(file, paths[2], weights=[2, 1]), (0.5, 1.5, 1))):
        expected = np.average(found, axis=0, weights=weights)
        np.testing.assert_allclose(upscaler.upscale(lr), np.clip(expected, 0, 1), atol=1e-5)
    for files, options, words in (((file,), {"members": 3}, "members = 3: expected 1 to 2, the number of networks"),
                                  ((file,), {"members": 0}, "members = 0: expected 1 to 2"),
                                  ((file, paths[1]), {}, "1.safetensors: is .*ab.safetensors .member2. once more"),
                                  ((file,), {"weights": [1, 2]}, "weights 1, 2: expected one for each of 1 models"),
                                  ((file,), {"weights": [0]}, "weights 0: expected one for each of 1 models")):
        with pytest.raises(UserError, match=words):
            jsr.load(*files, **options)
    with pytest.raises(UserError, match="ab.safetensors: holds an ensemble of 2 networks, but this takes one;"):
        model_file.load(file)


def test_a_folder_whose_ensemble_is_not_finished_names_a_member(tmp_path):
    model, variables = edsr_x2(np.random.default_rng(2))
    (tmp_path / "member2").mkdir()
    model_file.save(tmp_path / "member2" / "last.safetensors", {"sr": variables}, {"networks": [EDSR_X2]})
    with pytest.raises(UserError, match="holds an unfinished ensemble; train the .* for example .*member2$"):
        model_file.find(tmp_path)


def test_bands_of_any_height_are_averaged():
    images = np.random.default_rng(0).random((3, 20, 4, 3), np.float32)
    cuts = [(20,), (3, 11, 20), (1, 2, 15, 20)]
    bands = list(mean_of_bands(np.split(image, cut[:-1]) for image, cut in zip(images, cuts, strict=True)))
    assert len(bands) > 4
    np.testing.assert_allclose(np.concatenate(bands), images.mean(0), rtol=1e-6)


def test_rows_are_shared_from_top_to_bottom():
    """Readers in turns, of which the source only sees starts that never decrease."""
    lr, starts = np.arange(40).reshape(20, 2, 1), []

    def rows(start, stop):
        starts.append(start)
        return lr[start:stop]

    one, other = shared_rows(rows, 2)
    for read, start, stop in ((one, 0, 9), (other, 0, 4), (other, 2, 12), (one, 6, 15), (other, 8, 20), (one, 11, 20)):
        np.testing.assert_array_equal(read(start, stop), lr[start:stop])
    assert starts == sorted(starts) and starts[-1] == 8


FIELDS = {"num_feat": 6, "num_block": 1}


def make_chain(spread=0.15, **more):
    """A small network with global means."""
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.normal(0, spread, leaf.shape).astype(np.float32),
                             models.abstract("rfdn/fadn", scale=2, **FIELDS))
    return Chain({"sr": models.create("rfdn/fadn", scale=2, **FIELDS)}, {"sr": variables}, **more)


@pytest.fixture(scope="module")
def chain():
    return make_chain()


def test_the_outputs_for_several_tiles_are_averaged(chain, photograph):
    lr = np.dstack([photograph(40, 56), photograph(40, 56, 1)[..., 0]]).astype(np.float32) / 255  # with alpha
    lr[..., 3] = 1
    alone = [Upscaler([chain], tile=side, overlap=4) for side in (24, 48, 64)]
    together = Upscaler([chain], tile=[24, 48, 64, 72], overlap=4)
    tiling = together.tiling(40, 56)
    assert [cut.size for cut in (tiling, *tiling.others)] == [(24, 24), (40, 48), (40, 56)]  # the last two are one
    assert not tiling.exact and not tiling.whole and Upscaler([chain], tile=[64, 72]).tiling(40, 56).whole
    parts, found = np.stack([upscaler.upscale(lr) for upscaler in alone]), together.upscale(lr)
    inside = ((parts > 0) & (parts < 1)).all(0)  # not clipped
    assert inside.mean() > 0.1 and (found[..., 3] == 1).all()
    np.testing.assert_allclose(found[inside], parts.mean(0)[inside], atol=1e-5)
    assert (np.ptp(parts, axis=0)[inside] > 1e-3).mean() > 0.2


def test_a_chain_may_see_windows_of_the_image(photograph):
    """As large as the image they change nothing; smaller they do."""
    image = photograph(24, 40).astype(np.float32) / 255
    whole, large, small = (np.asarray(make_chain(0.25, tlc=tlc)(image)) for tlc in (0, 400, 8))
    np.testing.assert_allclose(large, whole, atol=1e-5 * np.abs(whole).max())
    assert np.abs(small - whole).max() > 1e-3
    pytest.importorskip("onnxruntime", reason="other runtimes: the extra [export]")
    with pytest.raises(UserError, match=r"only the runtime jax computes means of windows \(tlc\)"):
        make_chain(tlc=8, runtime="onnxruntime")


@pytest.mark.parametrize("arguments, tiles, tlc", [
    ({}, [24, 32], 16), ({"tile": 48}, [48], 16), ({"tile": None, "tlc": 0}, [None], 0),
    ({"tile": (32, 48)}, [32, 48], 16)])
def test_a_model_file_says_tiles_and_windows(tmp_path, chain, arguments, tiles, tlc):
    net = {"name": "sr", "model": "rfdn/fadn", "scale": 2, "fields": FIELDS}
    model_file.save(tmp_path / "a.safetensors", chain.variables,
                    {"networks": [net], "ensemble": {"self": False, "tiles": [24, 32], "tlc": 16}})
    upscaler = jsr.load(tmp_path / "a.safetensors", overlap=4, **arguments)
    assert upscaler._tiles == tiles and upscaler.chains[0]._tlc == tlc
    with pytest.raises(UserError, match="tlc = -1: expected the side of windows, LR px, or 0"):
        jsr.load(tmp_path / "a.safetensors", tlc=-1)

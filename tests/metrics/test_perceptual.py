"""LPIPS, DISTS and NIQE against the published code, with drawn weights, and what is said where weights are amiss."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from jsr import metrics, model_file, weights
from jsr.errors import UserError
from jsr.metrics import score_weights
from jsr.weights import scores

GOLDEN = Path(__file__).parents[1] / "golden"
ROWS = json.loads(str(np.load(GOLDEN / "perceptual.npz")["rows"]))
_SPEC = importlib.util.spec_from_file_location("perceptual_make", GOLDEN / "perceptual_make.py")
drawn = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(drawn)
NETWORKS = {"alex": ("alexnet-imagenet", "alexnet/base"), "vgg": ("vgg16-imagenet", "vgg/vgg16")}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache folder that holds the drawn weights as `jsr models get` leaves the published ones there."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        weights.downloads().mkdir(parents=True)
        for net, (name, network) in NETWORKS.items():
            features, linear, ours = drawn.weights(net)
            params = {}
            for key, value in features.items():
                _, index, leaf = key.split(".")
                kernel = {"weight": ("kernel", value.transpose(2, 3, 1, 0)) if value.ndim == 4 else None,
                          "bias": ("bias", value)}[leaf]
                params.setdefault(f"features_{index}", {})[kernel[0]] = kernel[1]
            model_file.save(weights.downloads() / f"{name}.safetensors", {"sr": {"params": params}}, {
                "networks": [{"name": "sr", "model": network, "scale": 1, "fields": {}, "deployed": False}],
                "fingerprint": {"source": name, "sha256": net}})
            save(f"lpips-{net}", linear)
        save("dists", ours)
        save("niqe", dict(zip(("mu_pris_param", "cov_pris_param"), drawn.natural_model(), strict=True)))
    return folder


def save(name, arrays):
    row = scores.table()[name]
    score_weights.save(name, arrays, source=row.address, source_sha256=row.sha256, licence=row.licence)


@pytest.fixture
def there(cache, monkeypatch):
    """The weights are there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['key']}-{row['seed']}")
def test_published_code_gives_the_same_numbers(there, row):
    sr, hr = drawn.images(row["seed"], row["size"])
    value = metrics.score(sr, hr, [row["key"]], row["crop_border"])[row["key"]]
    # BasicSR halves the image in float32
    assert value == pytest.approx(row["value"], abs=1e-6, rel=1e-6 if row["key"].startswith("niqe") else 0), row


def test_golden_covers_every_profile():
    keys = {f"{metric}[{profile}]" for metric, its in metrics.PERCEPTUAL.items() for profile in its}
    assert {row["key"] for row in ROWS} == keys == {row.score for row in scores.table().values()}
    assert all("@" in row["source"] for row in ROWS) and all(map(metrics.less_is_better, keys))


@pytest.mark.parametrize("metric", [metrics.lpips, metrics.dists])
def test_equal_images_have_no_distance_and_grey_is_its_own_colour(there, metric):
    sr, hr = (image[3:-3, 3:-3] for image in drawn.images(1, (64, 64)))  # a size that is compiled already
    assert metric(hr, hr) == pytest.approx(0, abs=1e-6)
    grey = metric(sr[..., 0], hr[..., 0])
    assert metric(sr[..., :1], hr[..., :1]) == grey > 0
    assert metric(*(np.repeat(image[..., :1], 3, -1) for image in (sr, hr))) == grey


def test_niqe_leaves_flat_blocks_out(there):
    image = drawn.images(2, (200, 300))[0]
    flat = np.concatenate([image, np.full((96, 300, 3), 50, np.uint8)])
    assert np.isfinite(metrics.niqe(flat[4:]))  # rows 96 to 192 are of the picture and of the flat part
    with pytest.raises(ValueError, match="fewer than two blocks of 96x96 px are not flat"):
        metrics.niqe(np.full((200, 200, 3), 50, np.uint8))


def test_the_perceptual_index_is_pirm_2018s():
    assert metrics.perceptual_index(niqe=3.2, ma=8.4) == pytest.approx(2.4)


@pytest.mark.parametrize("call, said", [
    (lambda: metrics.lpips(*np.zeros((2, 30, 64, 3), np.uint8)), r"lpips\[alex\]: 30x64 px .* at least 31 px a side"),
    (lambda: metrics.lpips(*np.zeros((2, 15, 64, 3), np.uint8), profile="vgg"), "at least 16 px a side"),
    (lambda: metrics.lpips(*np.zeros((2, 64, 64, 3), np.uint8), profile="squeeze"), "no profile 'squeeze'"),
    (lambda: metrics.dists(np.zeros((9, 9, 3), np.uint8), np.zeros((9, 8, 3), np.uint8)), "expected equal shapes"),
    (lambda: metrics.dists(*np.zeros((2, 9, 9, 3), np.float32)), "sr is float32 and hr float32, expected uint8"),
    (lambda: metrics.niqe(np.zeros((191, 96, 3), np.uint8)), "191x96 px .* needs two blocks of 96x96 px"),
    (lambda: metrics.niqe(np.zeros((96, 96, 4), np.uint8)), r"images are \(96, 96, 4\)"),
    (lambda: metrics.parse_key("lpips[rgb]"), r"lpips has no profile 'rgb'; known: alex, vgg"),
])
def test_bad_arguments_are_named(there, call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_weights_that_are_not_there_are_named_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"lpips\[alex\]: needs weights .*: lpips-alex and alexnet-imagenet; "
                                        "`jsr models get lpips-alex`"):
        metrics.lpips(*np.zeros((2, 64, 64, 3), np.uint8))
    save("niqe", dict(zip(("mu_pris_param", "cov_pris_param"), drawn.natural_model(), strict=True)))
    file = score_weights.place("niqe")
    used, = metrics.weights_used(["psnr[rgb]", "niqe[y_601_rounded]"])
    assert (used["weights"], used["sha256"]) == ("niqe", scores.table()["niqe"].sha256)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match="niqe.safetensors: changed since it was made; remove it"):
        metrics.niqe(np.zeros((96, 192), np.uint8))
    file.write_bytes(content[:99])
    with pytest.raises(UserError, match="niqe.safetensors: damaged"):
        metrics.niqe(np.zeros((96, 192), np.uint8))

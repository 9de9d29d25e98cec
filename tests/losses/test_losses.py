"""Losses by hand and against the published code's values, and rows that are wrong."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest

from jsr import losses
from jsr.degradations.resize import swscale_lanczos
from jsr.errors import UserError
from jsr.losses import detail, features, filters, frequency, pixel, quality

PRED = np.array([0.0, 1.0, 3.0], np.float32)
TARGET = np.array([0.0, 2.0, 1.0], np.float32)


@pytest.mark.parametrize("name, expected", [
    ("l1", 1.0), ("mse", 5 / 3),
    ("charbonnier", (1e-3 + np.sqrt(1 + 1e-6) + np.sqrt(4 + 1e-6)) / 3),
])
def test_known_values(name, expected):
    np.testing.assert_allclose(losses.LOSSES[name](PRED, TARGET), expected, rtol=1e-6)


# Values of the published PyTorch code in float64: EndlessSora/focal-frequency-loss, FFTLoss of sunny2109/SAFMN, the
# formulas of SPSR's Get_gradient, HINet's PSNRLoss and szagoruyko/attention-transfer; the likelihood by minimising
# over log s with LBFGS; ClipL1 of HolmesShuan/AIM2020-Real-Super-Resolution, with its default limits on images times
# 255; GW_loss of xiezw5/Component-Divide-and-Conquer-for-Real-World-Image-Super-Resolution; the three total variations,
# and GANLoss in the lines of the training script, of RaoUmer/SRResCGAN.
PUBLISHED = [
    ("focal_frequency", {}, 0.10852711518722649),
    ("focal_frequency", {"alpha": 0.5}, 0.13500445953815407),
    ("focal_frequency", {"patch_factor": 2}, 0.1258396782888952),
    ("focal_frequency", {"ave_spectrum": True}, 0.06433576053522869),
    ("focal_frequency", {"log_matrix": True}, 0.11863816420946884),
    ("focal_frequency", {"batch_matrix": True}, 0.08783835110389066),
    ("fft_l1", {}, 2.281468076645677),
    ("gradient_l1", {}, 0.3023796521867274),
    ("psnr", {}, -7.575176267767003),
    ("uncertainty_mse", {}, -0.3719505574813178),
    ("attention_transfer", {}, 0.004630422352448772),
    ("clip_l1", {}, 0.037708132046318975),
    ("clip_l1", {"low": 0.1, "high": 0.5}, 0.30265381984095757),
    ("gradient_weighted_l1", {}, 9.633749105026615),
    ("total_variation", {}, 0.8608564575212464),
    ("total_variation", {"form": "absolute"}, 0.7545933135093726),
    ("total_variation", {"form": "squared"}, 0.4198489310684782),
    ("gan_generator", {}, 0.497836748119625),
    ("gan_critic", {}, 1.454954441491371),
    ("relativistic_generator", {}, 0.7134522794015024),
    ("relativistic_critic", {}, 0.6957858480765321),
]


@pytest.fixture(scope="module")
def computed(quick, pair):
    """Values at the pair by row of PUBLISHED, compiled together."""
    return quick(lambda *pair: [losses.LOSSES[name](*pair, **options) for name, options, _ in PUBLISHED])(*pair)


@pytest.mark.parametrize("index", range(len(PUBLISHED)), ids=lambda i: " ".join(map(str, PUBLISHED[i][:2])))
def test_values_of_the_published_code(computed, index):
    np.testing.assert_allclose(computed[index], PUBLISHED[index][2], rtol=2e-6)


def test_which_losses_are_means_over_samples(quick, computed, pair):
    """Each device computes those on its own samples."""
    halves = quick(lambda *pair: [[losses.LOSSES[name](*(x[n:n + 1] for x in pair), **options) for n in (0, 1)]
                                  for name, options, _ in PUBLISHED])(*pair)
    for (name, options, _), whole, parts in zip(PUBLISHED, computed, halves, strict=True):
        if losses.is_mean({"fn": name, **options}):
            np.testing.assert_allclose(whole, np.mean(parts), rtol=1e-5, err_msg=f"{name} {options}")
    others = ("contrastive", "uncertainty_mse", "relativistic_critic", "relativistic_generator", "mypkg.losses:mine")
    assert not any(losses.is_mean({"fn": name}) for name in others)
    assert not losses.is_mean({"fn": "focal_frequency", "ave_spectrum": True})


CASES = {  # name: (pred, target)
    "noise": lambda noise, picture: (noise, picture),
    "equal": lambda noise, picture: (picture, picture),
    "black on black": lambda noise, picture: (0 * picture, 0 * picture),
    "white on black": lambda noise, picture: (0 * picture + 1, 0 * picture),
    "flat on a picture": lambda noise, picture: (0 * picture + 0.5, picture),
    "out of range": lambda noise, picture: (100 * noise - 50, picture),
}
OPTIONS = {"ms_ssim": {"scales": 2}, "laplacian_pyramid": {"levels": 2}}  # crops are small here
GIVEN = {  # what functions of other shapes are given of two images
    "contrastive": lambda *images: [image.reshape(2, 32, -1) for image in images],
    "cycle_l1": lambda pred, target: (pred, target[:, ::2, ::2]),
    "quality_factor": lambda pred, target: (pred[:, 0, 0, :1], 100 * target[:, 0, 0, 0]),
}


@pytest.fixture(scope="module")
def gradients(quick, pictures):
    """{loss: values and gradients, of pred and of its params if any, stacked over CASES}, compiled together."""
    picture = pictures(2, 32, 32)[0]
    noise = np.random.default_rng(0).random(picture.shape, np.float32)
    pairs = tuple(map(np.stack, zip(*(case(noise, picture) for case in CASES.values()), strict=True)))

    def of(name):
        fn, options = losses.LOSSES[name], OPTIONS.get(name, {})

        def value(pred, params, target):
            return fn(*GIVEN.get(name, lambda *images: images)(pred, target), **options, **params)

        params = {"params": losses.PARAMS[name](3, **options)} if name in losses.PARAMS else {}
        return lambda images: jax.value_and_grad(value, (0, 1))(images[0], params, images[1])

    @quick
    def compute(pairs):
        return {name: jax.lax.map(of(name), pairs) for name in losses.LOSSES}

    return jax.device_get(compute(pairs))


@pytest.mark.parametrize("name", losses.LOSSES)
def test_gradients_are_finite_everywhere(gradients, name):
    value, (gradient, of_params) = gradients[name]
    for index, case in enumerate(CASES):
        assert np.isfinite(value[index]) and np.isfinite(gradient[index]).all(), case
        assert all(np.isfinite(leaf[index]).all() for leaf in jax.tree.leaves(of_params)), case
    assert np.abs(gradient[list(CASES).index("noise")]).max() > 0


def test_focal_frequency_passes_no_gradient_through_its_weights(pair):
    gradient = jax.jit(jax.grad(frequency.focal_frequency))(*pair)
    np.testing.assert_allclose(np.abs(gradient).sum(), 0.4522106127480283, rtol=1e-5)


def test_attention_of_a_larger_map_is_averaged_first(pair):
    pred, target = pair
    smaller = target[:, ::2, ::2, :2]
    np.testing.assert_allclose(features.attention_transfer(pred, smaller), 0.021210005963789146, rtol=1e-5)
    for other in (target[:, :7], target[:1], target[0]):  # sizes, batches, ranks
        with pytest.raises(ValueError, match=r"maps are \(2, 12, 8, 3\) and .*, expected"):
            features.attention_transfer(pred, other)


def test_contrastive_is_the_cross_entropy_of_telling_the_other_frame():
    x = np.random.default_rng(0).normal(size=(3, 4, 5))
    views = np.concatenate([x[:, 0], x[:, -1]])
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    found = []
    for index, view in enumerate(views):
        logits = np.delete(views @ view / 0.2, index)
        other = np.delete(np.arange(6), index).tolist().index((index + 3) % 6)
        found.append(np.log(np.exp(logits).sum()) - logits[other])
    value = features.contrastive(x.astype(np.float32), None, temperature=0.2)
    np.testing.assert_allclose(value, np.mean(found), rtol=1e-5)
    for wrong in (x[:1], x[:, :1], x[0]):
        with pytest.raises(ValueError, match=r"contrastive: features are .*, expected \(N, T, D\)"):
            features.contrastive(wrong, None)


def test_psnr_is_that_of_each_image():
    pred, target = np.zeros((2, 4, 4, 3), np.float32), np.zeros((2, 4, 4, 3), np.float32)
    pred[0], pred[1] = 0.1, 0.01
    np.testing.assert_allclose(pixel.psnr(pred, target), -(20 + 40) / 2, rtol=1e-4)
    np.testing.assert_allclose(pixel.psnr(target, target), -80, rtol=1e-5)


def test_uncertainty_scales_the_gradient_of_the_mse(pair):
    mse, gradient = jax.value_and_grad(pixel.mse)(*pair)
    np.testing.assert_allclose(jax.grad(pixel.uncertainty_mse)(*pair), gradient / (2 * mse), rtol=1e-5)


def test_patches_must_fit(pair):
    for factor in (0, 5):
        with pytest.raises(ValueError, match=f"12x8 px .* cannot be cut into patch_factor {factor}"):
            frequency.focal_frequency(*pair, patch_factor=factor)


def test_shrinking_is_pillows(pair):
    pred, target = pair

    def resized(image, resample):
        return np.stack([np.asarray(Image.fromarray(image[..., c]).resize((2, 3), resample)) for c in range(3)], -1)

    small = [resized(image, Image.LANCZOS) for image in pred - target]
    np.testing.assert_allclose(detail.lanczos_l1(pred, target, lobes=3), np.abs(small).mean(), rtol=1e-5)
    lr = np.stack([resized(image, Image.BICUBIC) for image in pred])
    np.testing.assert_allclose(detail.cycle_l1(pred, lr), 0, atol=2e-7)
    np.testing.assert_allclose(detail.cycle_l1(pred, lr + 0.25), 0.25, rtol=1e-5)
    assert np.isfinite(detail.lanczos_l1(pred[:, :11, :7], target[:, :11, :7], scale=3))


def test_a_cycle_makes_images_smaller(pair):
    for target in (pair[1][:1], pair[1][..., :1], np.zeros((2, 13, 8, 3)), np.zeros((2, 12, 9, 3))):
        with pytest.raises(ValueError, match=r"cycle_l1: \(2, 12, 8, 3\) cannot be shrunk to"):
            detail.cycle_l1(pair[0], target)


def test_quality_is_of_each_image():
    qualities, estimates = np.float32([10, 71]), np.float32([[0.7], [0.3]])
    np.testing.assert_allclose(quality.quality_factor(estimates, qualities), (0.2 + 0.01) / 2, rtol=1e-5)
    np.testing.assert_allclose(quality.quality_factor(estimates, qualities, squared=True), (0.04 + 1e-4) / 2, rtol=1e-5)
    with pytest.raises(ValueError, match=r"quality_factor: \(2, 1\) and \(1,\) are not one value an image each"):
        quality.quality_factor(estimates, qualities[:1])


def test_total_variation_has_three_forms(pair):
    with pytest.raises(ValueError, match="form 'l1' is none of difference, absolute, squared"):
        detail.total_variation(*pair, form="l1")


def test_lanczos_is_the_filter_of_ais_2024_away_from_the_borders(photograph):
    grey = photograph(128, 160)[..., 1]
    options = defaults_of(detail.lanczos_l1)
    rows, columns = (filters.resize_matrix(side, side // options["scale"], filters.lanczos(options["lobes"]))
                     for side in grey.shape)
    shrunk = np.clip(rows @ grey.astype(np.float64) @ columns.T, 0, 255)
    inner = slice(6, -6), slice(6, -6)
    assert np.abs(shrunk - swscale_lanczos(grey, (32, 40)))[inner].max() < 0.6  # rounded to 8 bits; 3 lobes: 4.1


def defaults_of(fn):
    return {name: p.default for name, p in inspect.signature(fn).parameters.items() if p.default is not p.empty}


def test_lanczos_has_as_many_lobes_as_asked():
    middle = [filters.resize_matrix(41, 41 * 2, filters.lanczos(lobes))[40] for lobes in (5, 3)]
    assert [(row != 0).sum() for row in middle] == [10, 6]  # a quarter pixel from the centre
    np.testing.assert_allclose(filters.resize_matrix(23, 7, filters.lanczos(5)).sum(1), 1, rtol=1e-6)


def test_high_frequency_l1_sees_detail_and_not_brightness():
    pred = np.zeros((2, 9, 8, 3), np.float32)
    pred[1, 4, 4, 0] = 1
    center = 1 / np.exp(-np.arange(-2, 3)**2 / (2 * 1.1**2)).sum()
    # an impulse far from the borders: it loses its own weight at its place, and all the other weights lie around it
    expected = 2 * (1 - center**2) / pred.size
    np.testing.assert_allclose(losses.LOSSES["high_frequency_l1"](pred, np.zeros_like(pred)), expected, rtol=1e-6)
    np.testing.assert_allclose(losses.LOSSES["high_frequency_l1"](pred + 0.25, pred), 0, atol=1e-7)
    across = np.broadcast_to(np.arange(8, dtype=np.float32)[None, None, :, None], pred.shape)
    # a ramp has no detail but where the border turns it back
    blurred_away = np.abs(filters.blur(across, detail._GAUSSIAN / detail._GAUSSIAN.sum(), "reflect") - across)
    np.testing.assert_allclose(blurred_away[:, :, 2:-2], 0, atol=1e-5)
    assert (blurred_away[:, :, 0] > 0.1).all()


def row(**more):
    return {**dict(fn="l1", pred="sr", target="hr", weight=1.0), **more}


def test_rows_are_weighted_and_named():
    rows = [row(), row(fn="mse", pred="aux", weight=0.5)]
    loss, values = losses.total(rows, {"sr": PRED, "aux": PRED}, {"hr": TARGET})
    np.testing.assert_allclose(loss, 1 + 0.5 * 5 / 3, rtol=1e-6)
    np.testing.assert_allclose([values["loss/l1_sr"], values["loss/mse_aux"]], [1, 5 / 3], rtol=1e-6)


def test_options_reach_the_function():
    rows = [row(fn="charbonnier", eps=2), row(fn="mse")]
    losses.check_rows(rows)
    loss, _ = losses.total(rows[:1], {"sr": PRED}, {"hr": TARGET})
    np.testing.assert_allclose(loss, (2 + np.sqrt(5) + np.sqrt(8)) / 3, rtol=1e-6)


def test_rows_alike_have_names_of_their_own():
    rows = [row(), row(target="teacher.sr"), row(fn="charbonnier"), row(fn="charbonnier", eps=0.1), row(fn="mse")]
    loss, values = losses.total(rows, {"sr": PRED}, {"hr": TARGET, "teacher.sr": PRED})
    assert list(values) == ["loss/l1_sr_hr", "loss/l1_sr_teacher.sr", "loss/charbonnier_sr_hr_1",
                            "loss/charbonnier_sr_hr_2", "loss/mse_sr"]
    np.testing.assert_allclose(loss, sum(values.values()), rtol=1e-6)
    assert values["loss/l1_sr_teacher.sr"] == 0


def test_features_may_differ_in_shape(pair):
    outputs, batch = {"features": pair[0]}, {"teacher.features": pair[1][..., :2]}
    rows = [row(fn="attention_transfer", pred="features", target="teacher.features")]
    assert losses.total(rows, outputs, batch)[0] > 0


def test_bfloat16_predictions_are_compared_in_float32():
    pred = jnp.full((1000,), 1.0, jnp.bfloat16)
    loss, _ = losses.total([row()], {"sr": pred}, {"hr": jnp.full((1000,), 1.001)})
    assert loss.dtype == jnp.float32
    np.testing.assert_allclose(loss, 1e-3, rtol=1e-3)


@pytest.mark.parametrize("wrong, message", [
    (row(fn="l3"), "loss 'l3' is unknown; did you mean 'l1'"),
    (dict(fn="l1", pred="sr", weight=1.0), "lacks target; needs fn, pred, target, weight"),
    (dict(pred="sr"), "lacks fn, target, weight"),
    (row(fn="charbonnier", epsilon=1e-6), r"loss charbonnier: no option 'epsilon'; did you mean 'eps'\?"),
    (row(wieght=2), r"loss l1: no option 'wieght'; did you mean 'weight'\?"),
    (row(weight="1"), "loss l1: weight='1' must be of type float"),
    (row(fn="focal_frequency", alfa=1), "loss focal_frequency: no option 'alfa'; did you mean 'alpha'"),
    (row(fn="charbonnier", eps="1e-6"), "loss charbonnier: eps='1e-6' must be of type float, like 0.001"),
    (row(fn="focal_frequency", patch_factor=2.0), "patch_factor=2.0 must be of type int, like 1"),
    (row(fn="focal_frequency", log_matrix=1), "log_matrix=1 must be of type bool, like False"),
    (row(fn="robust", params={}), "loss robust: no option 'params'; known: alpha_hi, alpha_lo, per_channel, "),
])
def test_wrong_rows(wrong, message):
    with pytest.raises(UserError, match=message) as caught:
        losses.check_rows([wrong])
    assert "\n" not in str(caught.value)


def test_missing_key_and_shape():
    with pytest.raises(UserError, match="compares with 'hr', which no network gives and no batch has"):
        losses.total([row()], {"sr": PRED}, {"lr": PRED})
    with pytest.raises(UserError, match=r"sr is \(3,\), hr is \(2,\)"):
        losses.total([row()], {"sr": PRED}, {"hr": PRED[:2]})

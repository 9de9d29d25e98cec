"""The protocols against the organisers' own few lines."""

import io
import json
import zlib

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import PIL
from PIL import Image, features
import pytest

from jsr import degradations, images, metrics, pictures
from jsr.degradations import jpeg, resize
from jsr.errors import UserError


def photo(rng, height, width):
    """Noise over a gradient: every frequency and some structure."""
    y, x = np.mgrid[:height, :width]
    base = np.stack([x * 255 / width, y * 255 / height, (x + y) % 256], axis=-1)
    return np.clip(base + rng.normal(0, 30, base.shape), 0, 255).astype(np.uint8)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 20), width=st.integers(1, 20))
def test_aim22_t1_is_byte_for_byte_the_organisers(seed, height, width):
    """By this Pillow, and by the libjpeg of theirs, where jpeglib brings that."""
    hr = photo(np.random.default_rng(seed), 4 * height, 4 * width)
    image, expected = Image.fromarray(hr), io.BytesIO()
    image = image.resize((image.width // 4, image.height), Image.BICUBIC)  # first, as every Pillow before 13 by itself
    image = image.resize((image.width, image.height // 4), Image.BICUBIC)
    image.save(expected, "JPEG", quality=10)
    degraded = degradations.degrade("aim22_t1", hr, encoder="pillow")
    assert degraded.lr_bytes == expected.getvalue()
    np.testing.assert_array_equal(degraded.decode(), Image.open(expected).convert("RGB"))
    if jpeg.is_here("9d"):
        degraded = degradations.degrade("aim22_t1", hr)
        assert degraded.lr_bytes == jpeg.encode(np.asarray(image), 10, encoder="9d")
        np.testing.assert_array_equal(degraded.decode(), images.read_rgb(degraded.lr_bytes))


def turbo():
    version = features.version_feature("libjpeg_turbo")
    return f"libjpeg-turbo {version}" if version else f"libjpeg {features.version_codec('jpg')}"


def test_aim22_t1_records_what_made_it():
    degraded = degradations.degrade("aim22_t1", np.zeros((8, 12, 3), np.uint8), encoder="pillow")
    assert degraded.suffix == ".jpg"
    assert degraded.record == {"protocol": "aim22_t1", "seed": 0, "steps": [
        {"fn": "pillow_bicubic", "scale": 4, "library": f"Pillow {PIL.__version__}"},
        {"fn": "jpeg", "quality": 10, "subsampling": "4:2:0", "encoder": "pillow", "decoder": "pillow",
         "library": turbo(), "decoded_by": turbo()}]}


@pytest.mark.parametrize("name, encoder", [("aim22_t1", "9d"), ("ntire24", "9e"), ("ntire23_x2", "pillow")])
def test_a_protocol_has_one_encoder_and_one_decoder(name, encoder):
    pytest.importorskip("jpeglib", reason="an optional package (extra `codecs`)")
    step = degradations.draw(name)["steps"][-1]
    assert (step["encoder"], step["decoder"]) == (encoder, "pillow")
    made_by = turbo() if encoder == "pillow" else f"libjpeg {encoder}"
    assert degradations.codecs(degradations.draw(name)) == f"{made_by} > {turbo()}"
    assert degradations.other_codecs(degradations.draw(name), name) == ""
    other = degradations.draw(name, encoder="6b", decoder="9")
    assert degradations.codecs(other) == "libjpeg 6b > libjpeg 9"
    assert degradations.other_codecs(other, name) == (f"LR images by libjpeg 6b > libjpeg 9, where {name} has "
                                                      f"{encoder} > pillow")


@pytest.mark.parametrize("name", ["aim22_t1", "ntire24"])
def test_without_jpeglib_pillows_library_stands_in_under_its_own_name(name, without_jpeglib):
    hr = photo(np.random.default_rng(0), 32, 32)
    degraded = degradations.degrade(name, hr)
    assert degraded == degradations.degrade(name, hr, encoder="pillow")
    assert degradations.codecs(degraded.record) == f"{turbo()} > {turbo()}"
    assert degradations.other_codecs(degraded.record, name).startswith(f"LR images by {turbo()} > {turbo()}, where")
    with pytest.raises(UserError, match="'9d' comes with the package jpeglib, which is not installed"):
        degradations.degrade(name, hr, encoder="9d")


def test_codecs_of_other_protocols():
    """Of lossless ones there is nothing to say; of two in turn both are named; of clips x265 is."""
    assert degradations.codecs(degradations.draw("bicubic_x4")) == degradations.codecs({}) == ""
    assert degradations.other_codecs({}, "ntire24") == ""
    assert degradations.other_codecs(degradations.draw("bicubic_x4"), "bicubic_x4") == ""
    assert degradations.other_codecs(degradations.draw("photo_x1"), "ntire24").startswith(f"LR images by {turbo()} > ")
    assert degradations.codec_kinds("SVT-AV1 4.1.0 > libavif 1.3.0, then libjpeg 9d > libjpeg-turbo 3.1.4") == (
        "SVT-AV1 4.1.0 > libavif, then libjpeg 9d > libjpeg-turbo")
    webp = f"libwebp {features.version('webp')}"
    assert degradations.codecs(degradations.draw("jpeg_webp")) == f"{turbo()} > {turbo()}, then {webp} > {webp}"
    assert degradations.codecs(degradations.draw("ais24")).startswith("SVT-AV1 ")
    assert degradations.codecs(degradations.draw("ais24")).endswith(f" > libavif {features.version('avif')}")
    assert " > FFmpeg " in degradations.codecs(degradations.draw("ais24", decoder="ffmpeg"))
    found = degradations.codecs(degradations.draw("aim22_t2"))
    assert found.startswith("x265 ") and " > FFmpeg " in found


@pytest.mark.parametrize("name", ["aim22_t1", "ntire24", "ntire23_x3", "ais24"])
def test_what_reads_peoples_files_is_the_protocols_decoder(name, tmp_path):
    """`jsr upscale` reads by libvips, `--lr` and folders of pairs by Pillow."""
    scale = degradations.protocol(name).scale
    degraded = degradations.degrade(name, photo(np.random.default_rng(3), 67 * scale, 45 * scale))
    path = tmp_path / f"a{degraded.suffix}"
    path.write_bytes(degraded.lr_bytes)
    np.testing.assert_array_equal(degraded.decode(), images.read_rgb(path))
    with pictures.open_picture(path) as picture:
        np.testing.assert_array_equal(degraded.decode(), picture.rows(0, picture.height))


def test_lr_is_4_2_0_with_the_tables_of_quality_10():
    lr = Image.open(io.BytesIO(degradations.degrade("aim22_t1", np.zeros((64, 64, 3), np.uint8)).lr_bytes))
    assert [(c[1], c[2]) for c in lr.layer] == [(2, 2), (1, 1), (1, 1)]
    assert lr.quantization[0][0] == 80  # Annex K's 16 at quality 10: (16 * 500 + 50) // 100
    assert "progressive" not in lr.info


def test_decoded_shape_and_type():
    lr = degradations.decode(degradations.degrade("aim22_t1", np.full((8, 12, 3), 200, np.uint8)).lr_bytes)
    assert lr.shape == (2, 3, 3) and lr.dtype == np.uint8
    np.testing.assert_allclose(lr, 200, atol=3)


@pytest.mark.parametrize("shape", [(9, 8, 3), (8, 9, 3), (0, 8, 3), (1, 1, 3)])
def test_sizes_that_are_no_multiples_are_refused(shape):
    with pytest.raises(ValueError, match=f"height {shape[0]} and width {shape[1]} must be multiples of 4"):
        degradations.degrade("aim22_t1", np.zeros(shape, np.uint8))


@pytest.mark.parametrize("hr", [np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), np.uint8),
                                np.zeros((8, 8, 4), np.uint8)])
def test_other_arrays_are_refused(hr):
    with pytest.raises(ValueError, match="expected uint8"):
        degradations.degrade("aim22_t1", hr)


IMAGES = [name for name, row in degradations.PROTOCOLS.items() if not row.video]


@pytest.mark.parametrize("name", IMAGES)
def test_every_protocol_is_replayable_from_its_record(name):
    scale = degradations.PROTOCOLS[name].scale
    hr = photo(np.random.default_rng(1), 66 * scale, 80 * scale)
    degraded = degradations.degrade(name, hr, seed="0801")
    again = degradations.replay(json.loads(json.dumps(degraded.record)), hr)
    assert again == degraded
    lr = degraded.decode()
    assert lr.shape == (66, 80, 3) and lr.dtype == np.uint8
    assert metrics.score(lr, resize.RESIZES["pillow_bicubic"](hr, (66, 80)), ["psnr[rgb]"])["psnr[rgb]"] > 15
    np.testing.assert_array_equal(degradations.decode(degraded.lr_bytes, degraded.record), lr)


PAIRS = [("pillow", "pillow"), ("9d", "pillow"), ("9e", "9e"), ("pillow", "9d"), ("mozjpeg201", "8")]


@pytest.mark.parametrize("encoder, decoder", PAIRS)
def test_a_part_is_that_of_the_whole_image(encoder, decoder):
    """Bit for bit: from every place of the grid, in every corner, where blocks are cut off, and in large parts."""
    if (encoder, decoder) != PAIRS[0]:
        pytest.importorskip("jpeglib", reason="an optional package (extra `codecs`)")
    rng = np.random.default_rng(5)
    for quality, subsampling, (height, width) in zip((10, 43, 71, 95, 100, 5), [*jpeg.SUBSAMPLINGS] * 2, (
            (97, 83), (80, 96), (65, 113), (50, 49), (33, 17), (16, 31)), strict=True):
        hr, fixed = photo(rng, height, width), dict(quality=quality, subsampling=subsampling, encoder=encoder,
                                                    decoder=decoder)
        whole = degradations.degrade("ntire24", hr, **fixed).decode()
        size = min(16, height // 2, width // 2)
        places = [(at, (3 * at + 5) % (width - size + 1)) for at in range(min(17, height - size + 1))]
        corners = [(y, x) for y in (0, height - size) for x in (0, width - size)]
        parts = [((y, y + size), (x, x + size)) for y, x in places + corners]
        for rows, columns in [*parts, ((0, height), (1, width)), ((1, height - 1), (0, width - 1))]:
            lr, part, _ = degradations.degrade_part("ntire24", hr, rows, columns, **fixed)
            np.testing.assert_array_equal(lr, whole[slice(*rows), slice(*columns)])
            np.testing.assert_array_equal(part, hr[slice(*rows), slice(*columns)])


@pytest.mark.parametrize("encoder, start, read", [
    ("pillow", 34, (30, 114)),  # the blocks from 32 to 112, in which 32 to 100 lie, and 2 px that the resize looks at
    ("pillow", 33, (14, 114)), ("mozjpeg403", 34, (14, 130))])
def test_a_part_reads_little_more_of_the_image(encoder, start, read):
    if encoder != "pillow":
        pytest.importorskip("jpeglib", reason="an optional package (extra `codecs`)")
    asked = []

    class Asked(np.ndarray):
        def __getitem__(self, slices):
            asked.append([(part.start, part.stop) for part in slices])
            return np.asarray(self)[slices]

    hr = np.zeros((4 * 160, 4 * 160, 3), np.uint8).view(Asked)
    degradations.degrade_part("aim22_t1", hr, (start, start + 64), (start, start + 64), encoder=encoder,
                              decoder="pillow")
    assert asked == [[(4 * read[0], 4 * read[1])] * 2]


def test_any_file_name_is_a_seed():
    assert degradations.draw("ntire24", "\udce4.png") == degradations.draw("ntire24", zlib.crc32(b"\xe4.png")) | {
        "seed": "\udce4.png"}


def drawn(name, key, seeds=300):
    return {step[key] for seed in range(seeds) for step in degradations.draw(name, seed)["steps"] if key in step}


def test_draws_are_what_the_scripts_draw():
    assert drawn("ais24", "qp") == {31, 39, 47, 55, 63}
    assert drawn("ntire24", "quality", 2000) == set(range(10, 72))  # Python's randint(10, 71) has both ends
    once, again, other = (degradations.draw("ntire24", name) for name in ("0801", "0801", "0802"))
    assert once == again != other
    assert drawn("aim22_t1", "quality") == {10} and drawn("ntire23_x3", "quality") == {90}


def test_records_name_what_resized():
    for name, library in (("aim22_t1", "Pillow "), ("bicubic_x4", "NumPy "), ("aim22_t2", "FFmpeg ")):
        assert degradations.draw(name)["steps"][0]["library"].startswith(library)


def test_parameters_can_be_set():
    pytest.importorskip("jpeglib", reason="an optional package (extra `codecs`)")
    steps = degradations.draw("jpeg_webp", 0, quality=33, encoder="6b")["steps"]
    assert [step["quality"] for step in steps] == [33, 33] and steps[0]["encoder"] == "6b"
    assert steps[0]["library"].startswith("libjpeg 6b (jpeglib") and steps[0]["decoded_by"] == turbo()
    with pytest.raises(UserError, match="ais24 has no parameter 'quality'; "):
        degradations.draw("ais24", 0, quality=3)


@pytest.mark.parametrize("name, fixed, message", [
    ("ais24", {"qp": 64}, "ais24: avif cannot encode this: qp"),
    ("ntire24", {"quality": 0}, "ntire24: jpeg cannot encode this: quality"),
    ("jpeg_webp", {"quality": 101}, "jpeg_webp: jpeg cannot encode this: quality"),
    ("aim22_t1", {"encoder": "9z"}, "'9z' is unknown"),
    ("aim22_t2", {"encoder": "hm"}, "HEVC encoder 'hm' is not set up"),
])
def test_values_that_a_codec_does_not_take(name, fixed, message, monkeypatch):
    monkeypatch.delenv("JSR_HM_ENCODER", raising=False)
    with pytest.raises(UserError, match=message) as error:
        degradations.degrade(name, photo(np.random.default_rng(1), 256, 256), **fixed)
    assert "\n" not in str(error.value)


def test_ranges_are_drawn_with_both_ends():
    fixed = degradations.settings("aim22_t1", {"quality": "60-62", "encoder": "pillow"})
    assert {degradations.draw("aim22_t1", seed, **fixed)["steps"][1]["quality"] for seed in range(60)} == {60, 61, 62}
    assert degradations.settings("ais24", {"qp": [31, 63], "preset": 8}) == {"qp": (31, 63), "preset": 8}


@pytest.mark.parametrize("name, chosen, message", [
    ("aim22_t1", {"quality": "abc"},
     "--set quality: 'abc' is no range; give a whole number, a range such as 60-100, or a list"),
    ("aim22_t1", {"quality": "60-"}, "--set quality: '60-' is no range"),
    ("aim22_t1", {"quality": "70-60"}, "--set quality: the range 70-60 is empty; write its smaller end first"),
    ("aim22_t1", {"quality": []}, "--set quality: [] must be a list of whole numbers"),
    ("aim22_t1", {"quality": "90-101"}, "--set quality: aim22_t1: jpeg cannot encode this: quality must be"),
    ("aim22_t1", {"quality": [90, 101]}, "quality must be an integer from 1 to 100, got 101"),
    ("aim22_t1", {"quality": 0}, "got 0"),
    ("aim22_t1", {"encoder": "9z"}, "--set encoder: JPEG codec '9z' is unknown; did you mean '9'"),
    ("ais24", {"decoder": "pilow"}, "--set decoder: AVIF decoder 'pilow' is unknown; did you mean 'pillow'"),
])
def test_settings_that_are_refused_with_their_key(name, chosen, message):
    with pytest.raises(UserError) as error:
        degradations.settings(name, chosen, "--set ")
    assert message in str(error.value) and "\n" not in str(error.value)


def test_clips():
    rng = np.random.default_rng(0)
    hr = np.stack([np.roll(photo(rng, 192, 128)[..., 0], n, axis=1) for n in range(3)])
    degraded = degradations.degrade("aim22_t2", hr, fps=30)
    assert degraded.suffix == ".hevc" and degraded.record["steps"][1]["fps"] == 30
    assert "bframes=0" in degraded.record["steps"][1]["x265-params"]  # what the parameters do not say is recorded too
    assert degraded.decode().shape == (3, 48, 32)  # 32 rows of luma, 16 of chroma
    assert degradations.replay(degraded.record, hr) == degraded
    with pytest.raises(ValueError, match="expected uint8 \\(T, H"):
        degradations.degrade("aim22_t2", hr[0])


def test_the_trace_is_the_chain_step_by_step():
    hr = photo(np.random.default_rng(0), 40, 48)
    record = degradations.draw("jpeg_webp", 5)
    (first, image), (last, none) = degradations.trace(record, hr)
    assert none is None and last == degradations.replay(record, hr).lr_bytes
    np.testing.assert_array_equal(image, degradations.decode(first))
    resized, _ = degradations.trace(degradations.draw("aim22_t1"), hr)
    assert resized[0] is None and resized[1].shape == (10, 12, 3)


def test_unknown_protocol_names_the_nearest():
    with pytest.raises(UserError, match="'aim22_t3' is unknown; did you mean 'aim22_t2'"):
        degradations.degrade("aim22_t3", np.zeros((8, 8, 3), np.uint8))


def test_damaged_lr_is_told():
    lr = degradations.degrade("aim22_t1", photo(np.random.default_rng(0), 64, 64)).lr_bytes
    with pytest.raises(UserError, match="truncated"):
        degradations.decode(lr[:len(lr) // 2])


@pytest.mark.parametrize("height,width", [(4, 4), (5, 7), (7, 4), (300, 451)])
def test_crop_to_multiple_cuts_bottom_and_right(height, width):
    image = np.arange(height * width * 3).reshape(height, width, 3)
    cropped = degradations.crop_to_multiple(image, 4)
    assert cropped.shape == (height // 4 * 4, width // 4 * 4, 3)
    np.testing.assert_array_equal(cropped, image[:cropped.shape[0], :cropped.shape[1]])


def test_crop_to_multiple_of_too_small_an_image():
    with pytest.raises(ValueError, match="3x9 .* is smaller than 4"):
        degradations.crop_to_multiple(np.zeros((3, 9, 3)), 4)

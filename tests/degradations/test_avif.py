"""AVIF: the report's settings, silence, and RGB as the ffmpeg command decodes it."""

import io
import os
from pathlib import Path
import platform
import subprocess
import sys

import av
import numpy as np
import pytest

from jsr.degradations import _video, avif
from jsr.degradations.resize import SWSCALE_OPTIONS, swscale
from jsr.errors import UserError

GOLDEN = Path(__file__).parent.parent / "golden" / "avif.npz"
LEVELS = 0 if platform.machine().lower() in ("x86_64", "amd64") else 2  # swscale's vector code of x86 made the goldens


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


@pytest.mark.parametrize("name", ["report", "odd"])
def test_decode_is_the_ffmpeg_command(golden, name):
    np.testing.assert_allclose(avif.decode(golden[name].tobytes()), golden[f"{name}_rgb"], rtol=0, atol=LEVELS)


def test_the_decoders_agree_but_for_chroma(golden):
    ffmpeg, pillow = (avif.decode(golden["report"].tobytes(), decoder=name) for name in avif.DECODERS)
    assert (ffmpeg != pillow).any()
    np.testing.assert_allclose(ffmpeg.mean((0, 1)), pillow.mean((0, 1)), atol=2)  # the same matrix, the same range


def test_the_encoder_gets_what_the_report_says(photograph, monkeypatch):
    seen = {}
    real = _video.encode

    def spy(frames, size_hw, **arguments):
        seen.update(arguments, yuv=frames[0].to_ndarray())
        return real(frames, size_hw, **arguments)

    monkeypatch.setattr(_video, "encode", spy)
    hr = photograph(96, 120)
    avif.encode(hr, 47, scale=4)
    lanczos = swscale(av.VideoFrame.from_ndarray(hr, "rgb24"), (24, 30), "yuv420p", SWSCALE_OPTIONS["lanczos"])
    np.testing.assert_array_equal(seen.pop("yuv"), lanczos.to_ndarray())
    assert seen == {"container": "avif", "codec": "libsvtav1", "rate": 25,
                    "options": {"qp": "47", "preset": "5", "svtav1-params": "lp=1"}}


@pytest.mark.parametrize("size", [(64, 96), (63, 65), (4, 8)])
def test_round_trip_keeps_size_and_most_of_the_image(photograph, size):
    image = photograph(*size)
    decoded = avif.decode(avif.encode(image, 1))
    assert decoded.dtype == np.uint8 and decoded.shape == image.shape
    assert psnr(decoded, image) > 15  # of which most is lost by chroma


def test_a_larger_qp_is_a_smaller_and_worse_file(photograph):
    image = photograph(64, 64)
    files = [avif.encode(image, qp) for qp in (31, 39, 47, 55, 63)]
    assert [len(f) for f in files] == sorted((len(f) for f in files), reverse=True)
    scores = [psnr(avif.decode(f), image) for f in files]
    assert scores == sorted(scores, reverse=True)


def test_preset_reaches_the_encoder(photograph):
    image = photograph(64, 64)
    assert avif.encode(image, 47, preset=5) != avif.encode(image, 47, preset=12)


def test_scale_rounds_up(photograph):
    assert avif.decode(avif.encode(photograph(65, 66), 31, scale=4)).shape == (17, 17, 3)


def test_threads_change_nothing(photograph):
    frame = swscale(_video.from_rgb(photograph(256, 320)), (256, 320), "yuv420p", SWSCALE_OPTIONS["bicubic"])
    one, many = (_video.encode([frame], (256, 320), container="avif", codec="libsvtav1", rate=25,
                               options={"qp": "47", "preset": "5", "svtav1-params": f"lp={lp}"}) for lp in (1, 4))
    assert one == many


def test_encoding_is_silent_and_repeatable(photograph, tmp_path):
    """In a fresh process, where the encoder has not yet decided how much to say."""
    np.save(tmp_path / "image.npy", photograph(64, 64))
    code = ("import sys, numpy, pathlib; from jsr.degradations import avif; "
            "pathlib.Path(sys.argv[2]).write_bytes(avif.encode(numpy.load(sys.argv[1]), 31))")
    environment = {key: value for key, value in os.environ.items() if key != "SVT_LOG"}
    for name in ("first", "second"):
        done = subprocess.run([sys.executable, "-c", code, tmp_path / "image.npy", tmp_path / name],
                              capture_output=True, text=True, env=environment, check=True)
        assert (done.stdout, done.stderr) == ("", "")
    first, second = ((tmp_path / name).read_bytes() for name in ("first", "second"))
    assert first == second == avif.encode(photograph(64, 64), 31)


def test_record():
    record = avif.record(31, scale=4)
    assert record.pop("library") == avif.library()
    assert record == {"codec": "avif", "qp": 31, "preset": 5, "pix_fmt": "yuv420p", "scale": 4,
                      "resize": "swscale flags=lanczos+accurate_rnd+full_chroma_int:sws_dither=none:param0=5"}
    assert avif.record(31)["resize"] == "swscale flags=bicubic"


def test_library_names_all_versions():
    assert av.__version__ in avif.library() and av.ffmpeg_version_info in avif.library()
    assert avif.library().startswith("SVT-AV1 ")


def test_version_is_unknown_where_av_is_no_wheel(monkeypatch, request):
    _video._bundled_version.cache_clear()
    request.addfinalizer(_video._bundled_version.cache_clear)
    monkeypatch.setattr("importlib.metadata.files", lambda name: None)
    assert avif.library().startswith("SVT-AV1 (version unknown), FFmpeg ")


@pytest.mark.parametrize("data, message", [
    (b"", "<0 bytes>: damaged or truncated .*; replace or remove it"),
    (b"no picture at all", "<17 bytes>: damaged or truncated"),
])
def test_what_is_no_avif(data, message):
    with pytest.raises(UserError, match=message):
        avif.decode(data)


@pytest.mark.parametrize("decoder", avif.DECODERS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_cut_file_is_one_line(golden, decoder, share):
    data = golden["report"].tobytes()
    with pytest.raises(UserError, match="bytes>: .*; replace or remove"):
        avif.decode(data[:int(share * len(data))], decoder=decoder)


def test_of_a_sequence_the_first_picture(photograph):
    frames = [swscale(_video.from_rgb(photograph(64, 64, seed)), (64, 64), "yuv420p", SWSCALE_OPTIONS["bicubic"])
              for seed in (0, 1)]
    data = _video.encode(frames, (64, 64), container="avif", codec="libsvtav1", rate=25,
                         options={"qp": "1", "preset": "12", "svtav1-params": "lp=1"})
    assert psnr(avif.decode(data), photograph(64, 64)) > 20


def test_another_codec_is_refused():
    with np.load(GOLDEN.with_name("hevc.npz")) as arrays, pytest.raises(UserError, match="bytes>: is hevc, not av1"):
        avif.decode(arrays["stream"].tobytes())


def test_a_file_cut_after_its_header(golden):
    with pytest.raises(UserError, match="<285 bytes>: holds no picture; replace or remove it"):
        avif.decode(golden["report"].tobytes()[:285])


def test_a_file_without_pictures():
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="wav") as output:
        stream = output.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        sound.rate = 8000
        output.mux(stream.encode(sound))
    with pytest.raises(UserError, match="bytes>: holds no pictures"):
        avif.decode(buffer.getvalue())


def test_unknown_decoder():
    with pytest.raises(UserError, match="AVIF decoder 'pilow' is unknown; did you mean 'pillow'"):
        avif.decode(b"", decoder="pilow")


@pytest.mark.parametrize("arguments, message", [
    ({"qp": 0}, "qp must be an integer from 1 to 63, got 0"),
    ({"qp": 31.5}, "qp must be an integer from 1 to 63, got 31.5"),
    ({"qp": 31, "preset": 14}, "preset must be an integer from 0 to 13, got 14"),
    ({"qp": 31, "scale": 0}, "scale must be an integer from 1 to 8, got 0"),
    ({"qp": 31, "scale": 8}, "SVT-AV1 needs at least 4 px, got 2x2"),
])
def test_settings_are_checked(photograph, arguments, message):
    with pytest.raises(ValueError, match=message):
        avif.encode(photograph(16, 16), **arguments)


@pytest.mark.parametrize("image", [np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8)])
def test_images_are_checked(image):
    with pytest.raises(ValueError, match=r"expected uint8 \(H, W, 3\), got"):
        avif.encode(image, 31)


def test_without_pyav(monkeypatch, photograph):
    monkeypatch.setitem(sys.modules, "av", None)
    for call in (lambda: avif.encode(photograph(16, 16), 31), lambda: avif.decode(b"x"), avif.library):
        with pytest.raises(UserError, match=r"needs PyAV; run: pip install .*\[video\]"):
            call()


def test_pyav_without_the_encoder(monkeypatch, photograph):
    monkeypatch.setattr(av, "codecs_available", set())
    with pytest.raises(UserError, match=r"PyAV .* is built without libsvtav1; run: pip install --upgrade av"):
        avif.encode(photograph(16, 16), 31)

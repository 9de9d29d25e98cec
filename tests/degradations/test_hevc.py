"""HEVC: clips as the ffmpeg command has them, x265's settings, and how HM is called.

HM itself is not run here: a script in its place checks the command line and hands out a stored stream.
"""

import io
import json
from pathlib import Path
import platform
import shlex
import subprocess
import sys

import av
import numpy as np
import pytest

from jsr.degradations import _video, hevc
from jsr.errors import UserError

GOLDEN = Path(__file__).parent.parent / "golden" / "hevc.npz"
LEVELS = 0 if platform.machine().lower() in ("x86_64", "amd64") else 2  # swscale's vector code of x86 made the goldens


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


def picture_types(stream):
    return [frame.pict_type for frame in _video.decode(stream, "hevc", "test")]


# Clips and the ffmpeg command

def test_decode_is_the_ffmpeg_command(golden):
    np.testing.assert_array_equal(hevc.decode(golden["stream"].tobytes(), num_frames=3), golden["stream_yuv"])
    np.testing.assert_array_equal(hevc.decode(golden["lossless"].tobytes()), golden["yuv"])


def test_decode_rgb_is_the_ffmpeg_command(golden):
    rgb = hevc.decode_rgb(golden["stream"].tobytes(), num_frames=3)
    np.testing.assert_allclose(rgb, golden["stream_rgb"], rtol=0, atol=LEVELS)
    np.testing.assert_array_equal(rgb, _video.yuv_to_rgb(golden["stream_yuv"]))


def test_rgb_to_yuv_is_the_ffmpeg_command(golden):
    np.testing.assert_allclose(_video.rgb_to_yuv(golden["rgb"]), golden["yuv"], rtol=0, atol=LEVELS)


def test_scale_keeps_flat_colours_in_their_planes():
    yuv = np.array([50] * 256 + [90] * 64 + [160] * 64, np.uint8).reshape(1, 24, 16)
    scaled = _video.scale_yuv(yuv, (4, 8))
    assert scaled.shape == (1, 6, 8)
    np.testing.assert_array_equal(scaled.ravel(), [50] * 32 + [90] * 8 + [160] * 8)


@pytest.mark.parametrize("call, message", [
    (lambda: _video.rgb_to_yuv(np.zeros((1, 4, 4, 3))), r"expected uint8 \(T, H, W, 3\), got float64"),
    (lambda: _video.rgb_to_yuv(np.zeros((1, 5, 4, 3), np.uint8)), "even sizes, got height 5 and width 4; crop"),
    (lambda: _video.scale_yuv(np.zeros((1, 12, 8), np.uint8), (5, 4)), "even sizes, got height 5 and width 4; crop"),
    (lambda: _video.yuv_to_rgb(np.zeros((1, 7, 8), np.uint8)), r"expected uint8 \(T, H \* 3 // 2, W\) with even"),
    (lambda: _video.checked_yuv(np.zeros((1, 6, 5), np.uint8)), r"got uint8 \(1, 6, 5\)"),
    (lambda: _video.checked_yuv(np.zeros((0, 6, 4), np.uint8)), r"got uint8 \(0, 6, 4\)"),
])
def test_clips_are_checked(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# x265

def test_x265_is_low_delay_p_at_one_qp(golden):
    cut = 255 - golden["yuv"][:, ::-1]
    stream = hevc.encode(np.concatenate([golden["yuv"], cut] * 4), 37)
    i, p = av.video.frame.PictureType.I, av.video.frame.PictureType.P
    assert picture_types(stream) == [i] + [p] * 23  # whatever the cuts
    assert psnr(hevc.decode(stream)[:3], golden["yuv"]) > 25


def test_x265_qp_orders_size_and_quality(golden):
    streams = [hevc.encode(golden["yuv"], qp) for qp in (22, 32, 42)]
    assert [len(s) for s in streams] == sorted((len(s) for s in streams), reverse=True)
    scores = [psnr(hevc.decode(s), golden["yuv"]) for s in streams]
    assert scores == sorted(scores, reverse=True)


def test_x265_holds_no_text_and_repeats(golden):
    stream = hevc.encode(golden["yuv"], 37)
    assert b"x265" not in stream
    assert stream == hevc.encode(golden["yuv"], 37)


@pytest.mark.parametrize("width", hevc._UNITS)
def test_x265_repeats_clips_one_unit_wide(width):
    """Blocks that move to the left, beyond whose right border x265's own choice of unit reads what is not set."""
    picture = np.random.default_rng(1).integers(0, 256, (12, width // 4 + 20), np.uint8).repeat(8, 0).repeat(8, 1)
    clip = np.stack([picture[:3 * width // 2, 5 * t:5 * t + width] for t in range(6)])
    assert len({hevc.encode(clip, 37) for _ in range(5)}) == 1


@pytest.mark.parametrize("frames", [1, 2])
def test_x265_gives_short_clips_times(frames):
    for _ in range(20):  # most of which had others, out of memory that x265 had not set
        data = _video.encode(map(_video.from_yuv, np.full((frames, 48, 32), 9, np.uint8)), (32, 32), container="mp4",
                             codec="libx265", options={"x265-params": "log-level=none"}, rate=25)
        with av.open(io.BytesIO(data)) as container:
            assert [packet.dts for packet in container.demux() if packet.size] == [512 * n for n in range(frames)]


def test_x265_is_silent(golden, tmp_path):
    np.save(tmp_path / "yuv.npy", golden["yuv"])
    code = "import sys, numpy; from jsr.degradations import hevc; hevc.encode(numpy.load(sys.argv[1]), 37)"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "yuv.npy"], capture_output=True, text=True,
                          check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_fps_is_written_into_the_stream(golden):
    with av.open(io.BytesIO(hevc.encode(golden["yuv"], 37, fps=50))) as source:
        assert source.streams.video[0].codec_context.framerate == 50


@pytest.mark.parametrize("size", [(16, 16), (18, 22), (64, 80)])
def test_lossless_is_lossless(size):
    yuv = np.random.default_rng(0).integers(0, 256, (2, size[0] * 3 // 2, size[1]), np.uint8)
    np.testing.assert_array_equal(hevc.decode(hevc.encode_lossless(yuv), num_frames=2), yuv)


def test_damage_to_a_lossless_stream_is_noticed():
    """MD5 sums of the frames lie in the stream; a flipped bit would decode to other pixels without them."""
    stream = bytearray(hevc.encode_lossless(np.random.default_rng(0).integers(0, 256, (2, 96, 64), np.uint8)))
    stream[len(stream) // 3] ^= 16
    with pytest.raises(UserError, match="clip 7: damaged or truncated .*; replace or remove it"):
        hevc.decode(bytes(stream), name="clip 7")


def test_record_of_x265():
    record = hevc.record(37, fps=30)
    assert record.pop("library") == hevc.library() and hevc.library().startswith("x265 ")
    params = dict(item.split("=") for item in record.pop("x265-params").split(":"))
    assert params["qp"] == "37" and params["bframes"] == "0" and params["frame-threads"] == "1"
    assert record == {"codec": "hevc", "encoder": "x265", "qp": 37, "fps": 30, "pix_fmt": "yuv420p",
                      "preset": "veryslow"}


# Mistakes

@pytest.mark.parametrize("arguments, message", [
    ({"qp": 0}, "qp must be an integer from 1 to 51, got 0"),
    ({"qp": 37, "fps": 29.97}, "fps must be a positive integer, got 29.97"),
    ({"qp": 37, "fps": 0}, "fps must be a positive integer, got 0"),
])
def test_settings_are_checked(golden, arguments, message):
    with pytest.raises(ValueError, match=message):
        hevc.encode(golden["yuv"], **arguments)


@pytest.mark.parametrize("encoder, size, message", [
    ("x265", (14, 16), "x265 needs sides of at least 16 px, multiples of 2, got height 14 and width 16; crop"),
    ("hm", (16, 20), "hm needs sides of at least 8 px, multiples of 8, got .* an HR clip to multiples of 8 x scale"),
])
def test_sizes_are_checked(encoder, size, message):
    with pytest.raises(ValueError, match=message):
        hevc.encode(np.zeros((1, size[0] * 3 // 2, size[1]), np.uint8), 37, encoder=encoder)


def test_unknown_encoder(golden):
    for call in (lambda: hevc.encode(golden["yuv"], 37, encoder="x264"), lambda: hevc.library("x264")):
        with pytest.raises(UserError, match="HEVC encoder 'x264' is unknown; did you mean 'x265'"):
            call()


@pytest.mark.parametrize("decode", [hevc.decode, hevc.decode_rgb])
def test_a_cut_stream_has_too_few_frames(golden, decode):
    stream = hevc.encode(golden["yuv"], 37)
    starts = [at for at in range(len(stream)) if stream.startswith(b"\0\0\1", at)]
    with pytest.raises(UserError, match="clip 7: holds 2 frames, not 3; it is cut off"):
        decode(stream[:starts[-1]], num_frames=3, name="clip 7")


def test_a_stream_without_frames(golden):
    stream = golden["stream"].tobytes()
    with pytest.raises(UserError, match=f"<{len(stream) // 2} bytes>: "):
        hevc.decode(stream[:len(stream) // 2])
    with pytest.raises(UserError, match="<9 bytes>: damaged or truncated"):
        hevc.decode(b"not video")


@pytest.mark.parametrize("codec, pix_fmt, message", [
    ("libx264", "yuv420p", "is h264, not hevc; convert it first"),
    ("libx265", "yuv444p", r"is yuv444p, not 8-bit YUV 4:2:0 \(yuv420p\); convert it first"),
])
def test_other_streams_are_refused(codec, pix_fmt, message):
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as output:
        stream = output.add_stream(codec, rate=25, options={"x265-params": "log-level=none"})
        stream.height, stream.width, stream.pix_fmt = 32, 32, pix_fmt
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24").reformat(format=pix_fmt)
        output.mux(stream.encode(frame))
        output.mux(_video.drained(stream, 1))
    with pytest.raises(UserError, match=message):
        hevc.decode(buffer.getvalue())


def test_without_pyav(monkeypatch, golden):
    monkeypatch.setitem(sys.modules, "av", None)
    for call in (lambda: hevc.encode(golden["yuv"], 37), lambda: hevc.decode(b"x"), hevc.library):
        with pytest.raises(UserError, match=r"needs PyAV; run: pip install .*\[video\]"):
            call()


# HM

@pytest.fixture
def hm(tmp_path, golden, monkeypatch):
    """A script in HM's place: it notes its arguments, its input and where it runs, and gives a stored stream."""
    config = tmp_path / "HM 16.20" / "cfg"
    (config / "per-sequence").mkdir(parents=True)
    for file in hevc.HM_CONFIG_FILES:
        (config / file).write_text(f"# {file}\n")
    (tmp_path / "stream").write_bytes(hevc.encode(golden["yuv"], 37))
    script = tmp_path / "HM 16.20" / "TAppEncoderStatic"

    def install(end="shutil.copy(here / 'stream', sys.argv[sys.argv.index('-b') + 1])"):
        # Python by way of the shell, as pip does it: a first line "#!python" may be neither long nor hold a blank.
        script.write_text(f"""#!/bin/sh
'''exec' {shlex.quote(sys.executable)} "$0" "$@"
'''
import json, os, pathlib, shutil, sys
print("\\nHM software: Encoder Version [16.20] (including RExt)[Linux][GCC 9.4.0][64 bit]")
if sys.argv[1:] == ["--help"]:
    sys.exit(1)
here = pathlib.Path({str(tmp_path)!r})
source = sys.argv[sys.argv.index("-i") + 1]
(here / "call.json").write_text(json.dumps({{"arguments": sys.argv[1:], "folder": os.getcwd()}}))
shutil.copy(source, here / "input")
{end}
""")
        script.chmod(0o755)
        hevc._hm_version.cache_clear()

    install()
    monkeypatch.setenv(hevc.HM_ENCODER, str(script))
    monkeypatch.setenv(hevc.HM_CONFIG, str(config))
    return install


def test_hm_gets_the_command_of_the_organisers(hm, golden, tmp_path):
    stream = hevc.encode(golden["yuv"], 37, encoder="hm", fps=30)
    assert stream == (tmp_path / "stream").read_bytes()
    call = json.loads((tmp_path / "call.json").read_text())
    config = str(tmp_path / "HM 16.20" / "cfg")
    assert call["arguments"] == [
        "-c", f"{config}/encoder_lowdelay_P_main.cfg", "-c", f"{config}/per-sequence/BasketballDrill.cfg",
        "-i", "lr.yuv", "-q", "37", "-wdt", "80", "-hgt", "64", "-f", "3", "-fr", "30", "-b", "lr.mkv"]
    assert (tmp_path / "input").read_bytes() == golden["yuv"].tobytes()
    assert call["folder"] != str(Path.cwd()) and not Path(call["folder"]).exists()


def test_hm_by_arguments_instead_of_variables(hm, golden, tmp_path, monkeypatch):
    monkeypatch.delenv(hevc.HM_ENCODER)
    monkeypatch.delenv(hevc.HM_CONFIG)
    monkeypatch.chdir(tmp_path)
    places = {"hm_encoder": "HM 16.20/TAppEncoderStatic", "hm_config": "HM 16.20/cfg"}
    assert hevc.encode(golden["yuv"], 37, encoder="hm", **places) == (tmp_path / "stream").read_bytes()
    assert hevc.library("hm", **places) == "HM 16.20"


def test_record_of_hm(hm):
    record = hevc.record(37, encoder="hm", fps=30)
    sums = record.pop("sha256")
    assert len(sums) == 3 and len(set(sums)) == 3
    assert record == {"codec": "hevc", "encoder": "hm", "library": "HM 16.20", "qp": 37, "fps": 30,
                      "pix_fmt": "yuv420p",
                      "config": ["encoder_lowdelay_P_main.cfg", "per-sequence/BasketballDrill.cfg"]}


def test_hm_that_names_no_version(hm, tmp_path):
    (tmp_path / "HM 16.20" / "TAppEncoderStatic").write_text("#!/bin/sh\n")
    assert hevc.library("hm") == "HM (version unknown)"


@pytest.mark.parametrize("variable", [hevc.HM_ENCODER, hevc.HM_CONFIG])
def test_hm_that_is_not_set_up(hm, golden, monkeypatch, variable):
    monkeypatch.delenv(variable)
    for call in (lambda: hevc.encode(golden["yuv"], 37, encoder="hm"), lambda: hevc.record(37, encoder="hm")):
        with pytest.raises(UserError, match="'hm' is not set up: .*JSR_HM_ENCODER .*JSR_HM_CONFIG .*choose 'x265'"):
            call()


@pytest.mark.parametrize("file, variable", [
    ("TAppEncoderStatic", "JSR_HM_ENCODER"), ("cfg/per-sequence/BasketballDrill.cfg", "JSR_HM_CONFIG")])
def test_a_file_of_hm_that_is_missing(hm, golden, tmp_path, file, variable):
    (tmp_path / "HM 16.20" / file).unlink()
    with pytest.raises(UserError, match=f"{file}: no such file; correct {variable}"):
        hevc.encode(golden["yuv"], 37, encoder="hm")


def test_hm_that_cannot_be_run(hm, golden, tmp_path):
    (tmp_path / "HM 16.20" / "TAppEncoderStatic").write_bytes(b"\x7fELF of another machine")
    with pytest.raises(UserError, match="TAppEncoderStatic: cannot be run: Exec format error; correct JSR_HM_ENCODER"):
        hevc.encode(golden["yuv"], 37, encoder="hm")


@pytest.mark.parametrize("end, message", [
    ("print('Error: Picture width must be even'); print('-- -- --'); sys.exit(1)",
     "TAppEncoderStatic: failed with status 1: Error: Picture width must be even$"),
    ("print('a line'); print('the last line', file=sys.stderr); sys.exit(3)", "failed with status 3: the last line$"),
    ("pass", r"failed with status 0: HM software: Encoder Version \[16.20\]"),
    ("open('lr.mkv', 'wb').close()", "output of .*TAppEncoderStatic: damaged or truncated"),
])
def test_hm_that_fails(hm, golden, end, message):
    hm(end)
    with pytest.raises(UserError, match=message) as caught:
        hevc.encode(golden["yuv"], 37, encoder="hm")
    assert "\n" not in str(caught.value)


def test_hm_that_says_nothing(hm, golden, tmp_path):
    (tmp_path / "HM 16.20" / "TAppEncoderStatic").write_text("#!/bin/sh\nexit 2\n")
    with pytest.raises(UserError, match="failed with status 2: it says nothing$"):
        hevc.encode(golden["yuv"], 37, encoder="hm")


def test_hm_that_leaves_frames_out(hm, golden, tmp_path):
    (tmp_path / "stream").write_bytes(hevc.encode(golden["yuv"][:2], 37))
    with pytest.raises(UserError, match="output of .*TAppEncoderStatic: holds 2 frames, not 3"):
        hevc.encode(golden["yuv"], 37, encoder="hm")


def test_no_room_for_the_clip(hm, golden, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match="lr.yuv: cannot be written: the disk is full"):
        hevc.encode(golden["yuv"], 37, encoder="hm")

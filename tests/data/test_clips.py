"""Clips: exact windows, aligned samples, the same whatever runs them; and what is wrong with a video."""

import io
import itertools
import json
import pickle
import re

import av
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import degradations, images
from jsr.data import clips, mix, pipeline, validation
from jsr.data.sources import open_pairs, open_source
from jsr.datasets import videos
from jsr.degradations import _video, hevc
from jsr.errors import FileError, UserError
from jsr.models._card import Card
from jsr.recipes import read, recipe, stage
from jsr.training import state as states
from jsr.training.stages import StagePlan
from jsr.training.step import make_step

FRAMES, SIDE, SCALE = 8, 64, 4


def moving(frames=FRAMES, height=SIDE, width=SIDE, seed=0):
    """A clip in YUV (T, H * 3 // 2, W): a texture that moves over a gradient; no two places or times are the same."""
    rng = np.random.default_rng(seed)
    texture = rng.integers(0, 60, (height * 3 // 2, width))
    ramp = 60 + np.arange(width) + np.arange(height * 3 // 2)[:, None] // 2
    frames = [ramp + np.roll(texture, 3 * t, axis=1) + t for t in range(frames)]
    return np.clip(frames, 0, 255).astype(np.uint8)


def encoded(yuv, container="matroska", codec="libx265", times=None, rate=25, pix_fmt="yuv420p", **options):
    """A clip as a video file; `times` as frame numbers."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width, stream.pix_fmt = yuv.shape[1] // 3 * 2, yuv.shape[2], pix_fmt
        for time, frame in zip(times or range(len(yuv)), yuv, strict=True):
            frame = _video.from_yuv(frame)
            frame.pts = time
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return buffer.getvalue()


def x265(params):
    return {"x265-params": f"log-level=none:lossless=1:pools=none:{params}"}


OPEN_GOPS = x265("keyint=4:min-keyint=2:bframes=2:b-adapt=0:open-gop=1:scenecut=0")


def record_of(hr, name="a", protocol="aim22_t2", lr=None, multiple=8):
    stream = videos.Clip("lr", f"{name}_lr.mkv") if lr is not None else None
    source = videos.Clip(name, f"{name}.mkv", lr=stream)
    return videos.make(source, hr, lr, protocol, multiple)


@pytest.fixture(scope="module")
def clip_records():
    return [record_of(encoded(moving(height=96, width=80, seed=seed), **OPEN_GOPS), str(seed)) for seed in range(3)]


def take(source, n, *, start=0, num_workers=0, process=(0, 1), frames=3, crop=64, degrade="", fixed=None):
    windows = clips.ClipWindows(frames=frames, crop=crop, scale=SCALE, degrade=degrade, fixed=fixed)
    batches = pipeline.train_batches([pipeline.Row(source, windows)], seed=5, batch=6, start=start,
                                     num_workers=num_workers, process=process)
    try:
        return list(itertools.islice(batches, n))
    finally:
        batches.close()


def same(a, b):
    return all(np.array_equal(x[key], y[key]) for x, y in zip(a, b, strict=True) for key in ("lr", "hr"))


# Windows

@pytest.mark.parametrize("container, options, seeks", [
    ("matroska", OPEN_GOPS, True),
    ("matroska", x265("keyint=-1:bframes=3:b-adapt=0"), False),
    ("mp4", dict(codec="libx264", g="3", bf="2"), True),
    ("mp4", {"codec": "libx264", "x264-params": "keyint=4:open-gop=1:bframes=2:b-adapt=0:scenecut=0"}, True),
    ("mp4", {"codec": "libx264", "x264-params": "keyint=4:intra-refresh=1:scenecut=0"}, False),
    ("mpegts", dict(codec="mpeg2video", g="3"), True),
    ("hevc", x265("keyint=3:bframes=0"), False),
])
def test_windows_are_those_of_the_whole_decode(container, options, seeks):
    data = encoded(moving(12), container, **options)
    whole = [frame.to_ndarray() for frame in _video.decode(data, None, "whole")]
    assert len(whole) == 12
    firsts = set()
    for start in range(12):
        for stop in range(start + 1, 13):
            found = list(clips.decode(data, start, stop, frames=12, name="clip"))
            assert [number for number, _ in found] == list(range(found[0][0], stop)) and found[0][0] <= start
            for number, frame in found:
                np.testing.assert_array_equal(frame.to_ndarray(), whole[number])
            firsts.add(found[0][0])
    assert (len(firsts) > 2) == seeks


def test_a_whole_record_is_what_the_ffmpeg_command_decodes(clip_records):
    record = clip_records[0]
    assert (record["frames"], record["fps"], record["height"], record["width"]) == (FRAMES, 25.0, 96, 80)
    whole = clips.read(record)
    np.testing.assert_array_equal(whole["hr"], hevc.decode_rgb(record["hr"]))
    np.testing.assert_array_equal(whole["lr"], hevc.decode_rgb(record["lr"]))
    degraded = degradations.degrade("aim22_t2", hevc.decode(record["hr"]), seed="0")
    assert record["lr"] == degraded.lr_bytes and json.loads(record["degradation"]) == degraded.record
    assert set(clips.read(record_of(record["hr"], protocol=""))) == {"hr"}


def test_parts_of_frames_are_those_of_whole_frames(clip_records):
    yuv = hevc.decode(clip_records[0]["hr"])
    whole, rng = hevc.decode_rgb(clip_records[0]["hr"]), np.random.default_rng(0)
    for _ in range(60):
        height, width = rng.integers(1, 60, 2).tolist()
        y, x = int(rng.integers(96 - height)), int(rng.integers(80 - width))
        part = clips._rgb(yuv, (2, 0), y, x, height, width)
        np.testing.assert_array_equal(part, whole[:, y:y + height, x:x + width])


def test_long_clips_are_converted_in_pieces(clip_records, monkeypatch):
    whole = clips.read(clip_records[0])
    monkeypatch.setattr(clips, "_TALLEST", 300)  # three frames
    assert same([clips.read(clip_records[0])], [whole])


def test_lr_is_shown_in_the_colours_that_the_hr_names():
    record = record_of(encoded(moving(2), **x265("colormatrix=bt709:bframes=0")))
    plain = hevc.decode_rgb(record["lr"])
    frames = list(_video.decode(record["lr"], None, "lr"))
    for frame in frames:
        frame.colorspace, frame.color_range = 1, 1
    whole = clips.read(record)
    np.testing.assert_array_equal(whole["lr"], np.stack([_video.to_rgb(frame) for frame in frames]))
    np.testing.assert_array_equal(whole["hr"], hevc.decode_rgb(record["hr"]))
    assert np.abs(plain.astype(int) - whole["lr"]).max() > 10


def test_cache_stays_within_its_bytes_and_gives_the_same_frames(clip_records, monkeypatch):
    frame = 96 * 80 * 3 // 2
    monkeypatch.setattr(clips, "SEGMENT_BYTES", 4 * frame)
    cache, rng = clips._DecodeCache(9 * frame), np.random.default_rng(0)
    whole = {record["name"]: hevc.decode(record["hr"]) for record in clip_records}
    for _ in range(60):
        record, start = clip_records[rng.integers(3)], int(rng.integers(6))
        found, _ = cache(record, "hr", start, start + 3)
        np.testing.assert_array_equal(found, whole[record["name"]][start:start + 3])
        assert cache._held == sum(yuv.nbytes for yuv, _ in cache._segments.values()) <= 9 * frame
    assert len(cache._segments) > 1 and not pickle.loads(pickle.dumps(cache))._segments


def test_what_is_kept_is_not_decoded_again(clip_records, monkeypatch):
    cache = clips._DecodeCache(1 << 20)
    cache(clip_records[0], "lr", 2, 8)
    monkeypatch.setattr(clips, "decode", None)
    cache(clip_records[0], "lr", 0, 5)


# Samples

def _places(record, lr, hr):
    """Where (time, row, column of the LR) a sample comes from."""
    whole = clips.read(record)
    frames, size = len(lr), lr.shape[1]
    times, rows, columns = (range(n - m + 1) for n, m in zip(whole["lr"].shape[:3], lr.shape[:3], strict=True))
    return [(t, y, x) for t in times for y in rows for x in columns
            if np.array_equal(whole["lr"][t:t + frames, y:y + size, x:x + size], lr)
            and np.array_equal(whole["hr"][t:t + frames, 4 * y:4 * (y + size), 4 * x:4 * (x + size)], hr)]


def test_samples_are_aligned_windows_of_stored_clips(clip_records):
    found = set()
    for batch in take(clip_records, 3):
        assert batch["lr"].shape == (6, 3, 16, 16, 3) and batch["hr"].shape == (6, 3, 64, 64, 3)
        for lr, hr in zip(batch["lr"], batch["hr"], strict=True):
            places = [place for record in clip_records for place in _places(record, lr, hr)]
            assert len(places) == 1
            found.add(places[0])
    times, rows, columns = map(set, zip(*found, strict=True))
    assert len(times) > 3 and len(rows) > 3 and len(columns) > 2


def test_lr_made_on_the_fly_is_the_degraded_window(clip_records):
    yuv = {record["name"]: hevc.decode(record["hr"]) for record in clip_records}
    parts = {clips._rgb(part := clips._crop(yuv[name][t:t + 3], y, x, 64, 64), (2, 0), 0, 0, 64, 64).tobytes(): part
             for name in yuv for t in range(6) for y in range(0, 33, 4) for x in range(0, 17, 4)}
    for batch in take(clip_records, 2, degrade="aim22_t2"):
        for lr, hr in zip(batch["lr"], batch["hr"], strict=True):
            made = degradations.degrade("aim22_t2", parts[hr.tobytes()]).decode()
            np.testing.assert_array_equal(lr, _video.yuv_to_rgb(made))


def test_networks_of_one_frame_get_the_hr_in_the_middle(clip_records):
    whole, middle = (clips.ClipWindows(frames=3, crop=64, scale=SCALE, middle=middle) for middle in (False, True))
    samples = [windows(clip_records[0], np.random.default_rng(2)) for windows in (whole, middle)]
    np.testing.assert_array_equal(samples[0]["lr"], samples[1]["lr"])
    np.testing.assert_array_equal(samples[0]["hr"][1], samples[1]["hr"])


@pytest.mark.slow
def test_same_samples_whatever_the_workers_the_start_and_the_processes(clip_records):
    reference = take(clip_records, 5)
    assert same(take(clip_records, 5, num_workers=2), reference)
    assert same(take(clip_records, 2, start=3), reference[3:])
    for index, part in enumerate((slice(3), slice(3, 6))):
        assert same(take(clip_records, 5, process=(index, 2)),
                    [{key: value[part] for key, value in batch.items()} for batch in reference])


@pytest.mark.parametrize("arguments, message", [
    (dict(crop=60), "crop 60 is not a multiple of twice the scale 4"),
    (dict(frames=0), "a window has 0 frames"),
    (dict(degrade="aim22"), "'aim22' is unknown; did you mean 'aim22_t1' or 'aim22_t2'"),
    (dict(degrade="aim22_t1"), "aim22_t1: is a protocol of images at x4, not of videos at x4"),
    (dict(degrade="aim22_t2", fixed={"encoder": "hm"}), "HM takes minutes for a clip: use a dataset with stored"),
    (dict(crop=96), "0: 8 frames of 80x96 are fewer or smaller than the window of 3 frames of 96"),
    (dict(frames=9), "0: 8 frames of 80x96 are fewer or smaller than the window of 9 frames of 64"),
])
def test_mistakes_in_the_recipe(clip_records, arguments, message):
    with pytest.raises(UserError, match=message):
        take(clip_records[:1], 1, **arguments)


def test_records_that_are_no_clips_or_have_no_lr(clip_records):
    with pytest.raises(UserError, match="b: is an image, not a clip"):
        take([{"name": "b", "hr": b""}], 1)
    with pytest.raises(UserError, match="a: the dataset stores no LR clips; name the degradation"):
        take([record_of(clip_records[0]["hr"], protocol="")], 1)


def test_damage_in_a_record_names_the_clip_across_processes(clip_records):
    lr = clip_records[0]["lr"]
    record = clip_records[0] | {"lr": lr[:len(lr) // 2]}
    with pytest.raises(UserError, match=r"0 \(lr\): (damaged|holds)"):
        take([record], 3, num_workers=1)
    with pytest.raises(UserError, match=r"0 \(hr\): damaged or truncated"):
        take([clip_records[0] | {"hr": b"nothing"}], 1)


def test_lr_clips_of_another_scale_are_told(clip_records):
    with pytest.raises(UserError, match="0: LR is 20x24 and HR 80x96, not 2 times as large"):
        clips.ClipWindows(frames=3, crop=64, scale=2)(clip_records[0], np.random.default_rng(0))


# Folders of clips, and clips to validate on

@pytest.fixture
def clip_folders(clip_records, tmp_path):
    """tmp_path with hr/ and lr/, two clips each."""
    for record in clip_records[:2]:
        for key in ("hr", "lr"):
            path = tmp_path / key / f"{record['name']}.{'mkv' if key == 'hr' else 'hevc'}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(record[key])
    return tmp_path


def test_folders_of_clips_are_sources(clip_folders, clip_records):
    (clip_folders / "hr" / "notes.txt").write_text("")
    said = []
    hr, pairs = (opened(said.append) for opened in (
        lambda say: open_source(str(clip_folders / "hr"), "", clip_folders, announce=say),
        lambda say: open_pairs(clip_folders / "hr", clip_folders / "lr", SCALE, clip_folders, announce=say)))
    assert said[0] == f"{clip_folders / 'hr'}: 2 clips; passed over: 1 .txt" and len(hr) == len(pairs) == 2
    assert hr.identity == hr.identity and hr.identity != pairs.identity
    for source in (hr, pairs):
        kept = {key: value for key, value in source[1].items() if key not in ("lr", "degradation")}
        record = {key: clip_records[1][key] for key in kept} | {"name": str(clip_folders / "hr" / "1.mkv")}
        assert kept == record
    assert same(take([pairs[0]], 1), take(clip_records[:1], 1))


@pytest.mark.parametrize("name, data, message", [
    ("hr/2.mkv", lambda records: records[2]["hr"], "hr/2.mkv: no LR image has this name"),
    ("lr/1.hevc", lambda records: hevc.encode(moving(5, 24, 20), 37),
     r"hr/1.mkv: holds 8 frames, .*lr/1.hevc 5; one of them is cut off or another clip"),
    ("lr/1.hevc", lambda records: hevc.encode(moving(8, 24, 24), 37), "hr/1.mkv: 80x96 is not 4 times the 24x24 of"),
    ("hr/1.mkv", lambda records: encoded(moving(), codec="ffv1", pix_fmt="yuv444p"),
     "hr/1.mkv: is yuv444p, not 8-bit YUV 4:2:0; convert it with"),
    ("hr/1.mkv", lambda records: b"no video", "hr/1.mkv: damaged or truncated"),
])
def test_pairs_of_clips_that_do_not_fit(clip_folders, clip_records, name, data, message):
    (clip_folders / name).write_bytes(data(clip_records))
    with pytest.raises(UserError, match=message):
        open_pairs(clip_folders / "hr", clip_folders / "lr", SCALE, clip_folders)


@pytest.fixture
def frame_folders(clip_records, tmp_path):
    """tmp_path with hr/ and lr/, a folder of PNG frames for each of two clips."""
    for record in clip_records[:2]:
        for key, clip in clips.read(record).items():
            folder = tmp_path / key / record["name"]
            folder.mkdir(parents=True)
            for number, frame in enumerate(clip, start=8):  # 10 comes after 9, not after 1
                (folder / f"{number}.png").write_bytes(images.png_bytes(frame))
    return tmp_path


def test_folders_of_frames_are_clips_in_rgb(frame_folders, clip_records):
    pairs = open_pairs(frame_folders / "hr", frame_folders / "lr", SCALE, frame_folders, clips=True)
    assert [record["frames"] for record in pairs] == [FRAMES, FRAMES] and len(set(map(str, pairs.identity[0]))) == 2
    assert same(take(pairs, 2), take(clip_records[:2], 2))
    validated = [list(validation.eval_pairs(source, scale=SCALE)) for source in (pairs, clip_records[:2])]
    for (name, *found, _), (expected_name, *expected, _) in zip(*validated, strict=True):
        assert name == expected_name
        jax.tree.map(np.testing.assert_array_equal, found, expected)
    hr = open_source(str(frame_folders / "hr"), "", frame_folders, clips=True)
    (_, lr, whole, _), *_ = validation.eval_pairs(hr, scale=SCALE, degrade="aim22_t2")
    made = degradations.degrade("aim22_t2", _video.rgb_to_yuv(whole), seed="0", fps=25).decode()
    np.testing.assert_array_equal(lr, _video.yuv_to_rgb(made))
    assert take(hr, 1, degrade="aim22_t2")[0]["lr"].shape == (6, 3, 16, 16, 3)
    assert len(open_source(str(frame_folders / "hr"), "", frame_folders)) == 2 * FRAMES  # images, if these are wanted


def test_a_frame_of_another_size_is_named(frame_folders):
    (frame_folders / "hr" / "0" / "12.png").write_bytes(images.png_bytes(np.zeros((96, 84, 3), np.uint8)))
    source = open_source(str(frame_folders / "hr"), "", frame_folders, clips=True)
    with pytest.raises(FileError, match="0/12.png: is of another size than .*0/8.png"):
        clips.read(source[0])


def test_clips_are_validated_as_stored_or_degraded(clip_records):
    found = [list(validation.eval_pairs(clip_records[:2], scale=SCALE, degrade=name)) for name in ("", "aim22_t2")]
    for (name, lr, hr, made), again, record in zip(*found, clip_records, strict=False):
        whole = clips.read(record)
        assert name == again[0] == record["name"] and made == again[3] == json.loads(record["degradation"])
        for shown, taken in ((lr, "lr"), (hr, "hr"), (again[1], "lr"), (again[2], "hr")):
            np.testing.assert_array_equal(shown, whole[taken])
    (_, lr, hr, _), = validation.eval_pairs(clip_records[:1], scale=SCALE, frames=3)
    assert len(lr) == len(hr) == 3
    np.testing.assert_array_equal(hr, found[0][0][2][:3])


@pytest.mark.parametrize("change, message", [
    (dict(lr=b"none"), r"0 \(lr\): damaged or truncated"),
    (dict(frames=9), r"0 \(hr\): holds 8 frames, not 9"),
    (dict(height=4, width=4), "0: 4x4 .* is smaller than 8 px; remove it"),
])
def test_clips_that_cannot_be_validated_on_are_left_out(clip_records, change, message):
    lines = []
    pairs = list(validation.eval_pairs([clip_records[0] | change, clip_records[1]], scale=SCALE,
                                       leave_out=lines.append))
    assert [name for name, *_ in pairs] == ["1"] and len(lines) == 1 and re.search(message, lines[0])


def test_a_clip_that_changes_its_size_is_left_out(clip_records):
    yuv = hevc.decode(clip_records[0]["hr"])
    parts = [hevc.encode_lossless(part) for part in (yuv[:4], _video.crop_to_multiple(yuv[4:], 64))]
    with pytest.raises(FileError, match=r"0 \(hr\): has a frame of 64x64 among frames of another size"):
        clips.read(clip_records[0] | {"hr": b"".join(parts)})


# Stages of a recipe

CARD = Card(title="EachFrame", paper="", code="", scales=(SCALE,), frames="all")


class EachFrame(nn.Module):
    """A toy network of clips: 16 pixels from each."""

    scale: int = SCALE

    @nn.compact
    def __call__(self, lr, *, train=False):
        frames, (height, width) = lr.shape[:2], lr.shape[2:4]
        sr = nn.Dense(3 * SCALE**2)(lr).reshape(*frames, height, width, SCALE, SCALE, 3)
        return jnp.moveaxis(sr, 4, 3).reshape(*frames, height * SCALE, width * SCALE, 3)


def recipe_of(rows, **more):
    only = stage(**dict(steps=20, crop=64, batch=6, losses=[dict(fn="l1", pred="sr", target="hr", weight=1.0)],
                        learning_rate=0.01, frames=3) | more)
    return read(recipe(title="", protocol="aim22_t2", networks={"sr": dict(model="edsr/baseline", scale=SCALE)},
                       data=dict(train=rows, eval=dict(dataset="none")), stages=[only]))


def rows_of(config, records):
    """Rows whose datasets have these records, {dataset: records}."""
    opened = {mix.key(row): records[row.dataset] for row in config.data.train}
    return mix.stage_rows(config, config.stages[0], opened)


@pytest.mark.slow
def test_a_stage_of_clips_trains_a_network(clip_records):
    config = recipe_of([dict(dataset="stored", weight=2),
                        dict(dataset="made", degrade="aim22_t2", set=dict(qp=[20, 37]), weight=1)])
    rows = rows_of(config, {"stored": clip_records[:2], "made": clip_records[2:]})
    batches = list(itertools.islice(pipeline.train_batches(rows, seed=1, batch=6, start=0, num_workers=0), 2))
    assert {key: value.shape for key, value in batches[0].items()} == {"lr": (6, 3, 16, 16, 3), "hr": (6, 3, 64, 64, 3)}

    networks = {"sr": EachFrame()}
    variables = {"sr": networks["sr"].init(jax.random.key(0), jnp.zeros((1, 3, 16, 16, 3)))}
    plan = StagePlan(config, 0, networks)
    state = states.make_state(plan, variables)
    step = jax.jit(make_step(plan))
    losses = []
    for batch in batches * 10:
        state, values = step(state, batch, jax.random.key(1))
        losses.append(float(values["loss"]))
    assert losses[-1] < 0.7 * losses[0] and int(state.skipped) == 0


def test_settings_of_the_codec(clip_records):
    def lr(qp):
        config = recipe_of([dict(dataset="made", degrade="aim22_t2", set=qp)])
        batches = pipeline.train_batches(rows_of(config, {"made": clip_records}), seed=1, batch=2, start=0,
                                         num_workers=0)
        return next(batches)["lr"]

    found = {qp: lr(dict(qp=qp)) for qp in (20, 37)}
    np.testing.assert_array_equal(lr({}), found[37])
    assert (found[20] != found[37]).any()


def test_images_and_clips_are_told_apart(clip_records):
    config = recipe_of([dict(dataset="stored")], frames=0)
    with pytest.raises(UserError, match=r"is a clip, not an image; say how many frames a sample has "
                                        r"\(--config.stages\[0\].fr"):
        next(pipeline.train_batches(rows_of(config, {"stored": clip_records}), seed=1, batch=2, start=0,
                                    num_workers=0))
    config = recipe_of([dict(dataset="stored")], losses=[dict(fn="l1", pred="sr", target="lr_clean", weight=1.0)])
    with pytest.raises(UserError, match="a loss compares with 'lr_clean', which no batch of clips has"):
        rows_of(config, {"stored": clip_records})


# Videos to records

def test_sizes_are_cropped_when_frames_are_decoded():
    data = encoded(moving(height=70, width=66), **x265("keyint=4:bframes=0"))
    record = record_of(data)
    assert record["hr"] == data
    assert [record[key] for key in ("height", "width", "source_height", "source_width")] == [64, 64, 70, 66]
    whole = clips.read(record)
    np.testing.assert_array_equal(whole["hr"], hevc.decode_rgb(data)[:, :64, :64])
    cropped = _video.crop_to_multiple(hevc.decode(data), 8)
    assert record["lr"] == degradations.degrade("aim22_t2", cropped, seed="a").lr_bytes


@pytest.mark.parametrize("data, fps, colours", [
    (lambda: encoded(moving(10, 70, 66), **x265("keyint=-1:bframes=2:colormatrix=bt709:range=full"), rate=30),
     30, (1, 2)),
    (lambda: encoded(moving(10, 64, 64), codec="ffv1"), 25, (2, 0)),
])
def test_key_frames_without_loss(data, fps, colours):
    data = data()
    source, plain = videos.Clip("a", "a.mkv"), record_of(data)
    record, again = (videos.make(source, data, None, "aim22_t2", 8, keyint=3) for _ in range(2))
    assert record == again and record["hr"] != data
    assert {**record, "hr": data, "fps": fps} == {**plain, "fps": fps} and record["fps"] == plain["fps"]
    assert clips._segment(plain, "hr", 0, 1)[2] == colours
    np.testing.assert_array_equal(clips.read(record)["hr"], clips.read(plain)["hr"])
    for start in range(9):
        assert next(clips.decode(record["hr"], start, start + 1, frames=10, name="a"))[0] == start - start % 3


def test_key_frames_of_what_x265_does_not_take():
    with pytest.raises(UserError, match="a.mkv: is smaller than the 16 px that x265 takes; leave out --keyint"):
        videos.make(videos.Clip("a", "a.mkv"), encoded(moving(2, 8, 64), codec="ffv1"), None, "", 8, keyint=3)


def test_key_frames_with_a_loss(monkeypatch):
    monkeypatch.setitem(hevc.X265_LOSSLESS, "lossless", 0)
    with pytest.raises(UserError, match="a.mkv: x265 did not encode it without loss"):
        videos.make(videos.Clip("a", "a.mkv"), encoded(moving(2), codec="ffv1"), None, "", 8, keyint=3)


def test_odd_sizes():
    buffer = io.BytesIO()
    rng, planes = np.random.default_rng(0), []
    with av.open(buffer, "w", format="matroska") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 67, 65, "yuv420p"
        for _ in range(2):
            frame = av.VideoFrame(67, 65, "yuv420p")
            for plane in frame.planes:
                plane.update(rng.integers(0, 256, plane.buffer_size, np.uint8).tobytes())
            planes.append([plane.copy() for plane in videos.planes_of(frame)])
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    record = record_of(buffer.getvalue())
    assert [record[key] for key in ("height", "width", "source_height", "source_width")] == [64, 64, 65, 67]
    yuv = clips._segment(record, "hr", 0, 2)[1]
    np.testing.assert_array_equal(yuv[1][:64], planes[1][0][:64, :64])
    np.testing.assert_array_equal(yuv[1][64:80].reshape(32, 32), planes[1][1][:32, :32])


def _cut(data):
    return data[:len(data) * 2 // 3]


def _damaged(data):
    middle = len(data) // 2
    return data[:middle] + bytes(byte ^ 0x5a for byte in data[middle:middle + 50]) + data[middle + 50:]


LOSSLESS = x265("hash=1:keyint=3:bframes=0")


@pytest.mark.parametrize("data, message", [
    (lambda: b"not a video", "a.mkv: damaged or truncated"),
    (lambda: _cut(encoded(moving(), **LOSSLESS)), "a.mkv: (damaged or truncated|holds 0.2. of 0.32 seconds; it is)"),
    (lambda: _cut(encoded(moving(), "mp4", codec="libx264")), "a.mkv: damaged or truncated"),
    (lambda: _damaged(hevc.encode_lossless(moving())), "a.mkv: damaged or truncated"),
    (lambda: encoded(moving(), times=[0, 1, 2, 5, 6, 7, 9, 10], **LOSSLESS),
     "a.mkv: has a variable frame rate, 8.333 to 25 frames a second; make it constant with ffmpeg"),
    (lambda: hevc.encode_lossless(moving(2)) + hevc.encode_lossless(moving(2, 96, 80)),
     "a.mkv: changes its size from 64x64 to 80x96; split it"),
    (lambda: encoded(moving(2, 16, 6), codec="ffv1"), "a.mkv: 6x16 is smaller than 8 px"),
    (lambda: encoded(moving(2, 48, 64), codec="ffv1"), "a.mkv: aim22_t2: hevc cannot encode this: x265 needs sides of"),
])
def test_videos_that_are_no_clips(data, message):
    with pytest.raises(UserError, match=message) as raised:
        record_of(data())
    assert "\n" not in str(raised.value)


def test_other_pixel_formats():
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv444p"
        output.mux(stream.encode(av.VideoFrame(64, 64, "yuv444p")))
        output.mux(stream.encode())
    with pytest.raises(UserError, match="a.mkv: is yuv444p, not 8-bit YUV 4:2:0; convert it with ffmpeg"):
        record_of(buffer.getvalue())


def test_a_file_without_pictures():
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="wav") as output:
        stream = output.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        sound.rate = 8000
        output.mux(stream.encode(sound))
    with pytest.raises(UserError, match="a.mkv: holds no pictures"):
        record_of(buffer.getvalue())
    with pytest.raises(UserError, match="clip: holds no pictures"):
        list(clips.decode(buffer.getvalue(), 0, 1, frames=1, name="clip"))


@pytest.mark.parametrize("rate", [24, 30, 60])
def test_frame_rates_survive_milliseconds(rate):
    record = record_of(encoded(moving(), rate=rate, **LOSSLESS), protocol="")
    assert record["fps"] == pytest.approx(rate, rel=0.02)


def test_lr_streams_of_the_users_own():
    hr, lr = encoded(moving(), **LOSSLESS), hevc.encode(moving(height=16, width=16), 37)
    record = record_of(hr, lr=lr)
    assert record["lr"] == lr
    np.testing.assert_array_equal(clips.read(record)["lr"], hevc.decode_rgb(lr))
    with pytest.raises(UserError, match="a_lr.mkv: holds 7 frames, its HR clip a.mkv holds 8"):
        record_of(hr, lr=hevc.encode(moving(7, 16, 16), 37))
    with pytest.raises(UserError, match="a_lr.mkv: damaged or truncated"):
        record_of(hr, lr=b"")
    with pytest.raises(UserError, match="a_lr.mkv: is 24x16, its HR clip a.mkv 64x64; it must be 4 times smaller"):
        record_of(hr, lr=hevc.encode(moving(8, 16, 24), 37))
    with pytest.raises(UserError, match="clip: holds 8 frames, not 9; it is cut off"):
        list(clips.decode(lr, 0, 9, frames=9, name="clip"))
    with pytest.raises(UserError, match="clip: holds 8 frames, not 9; it is cut off"):
        list(clips.decode(hr, 8, 9, frames=9, name="clip"))

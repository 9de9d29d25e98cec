"""Databases of frames: what a build leaves, what is found in it, and the refinement by it."""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest
import safetensors.numpy

from jsr import cli, models
from jsr.errors import UserError
from jsr.retrieval import build, database, engine
from jsr.retrieval.database import Database, Video
from jsr.retrieval.match import align
from jsr.retrieval.refine import Refiner

av = pytest.importorskip("av", reason="PyAV is an optional extra")
pytest.importorskip("usearch", reason="USearch is an optional extra")

FIELDS = {engine.FEATURES: ("resnet/small", dict(num_block=(1, 1), num_feat=4, num_class=12)),
          engine.AUTOENCODER: ("autoencoder/small", dict(num_feat=4, num_latent=2, num_block=1))}


@pytest.fixture(scope="module")
def its():
    """An Engine of small networks that nothing trained."""
    networks = {name: models.create(model, scale=1, **fields) for name, (model, fields) in FIELDS.items()}
    rows = [{"name": name, "model": model, "scale": 1, "fields": fields, "deployed": False}
            for name, (model, fields) in FIELDS.items()]
    variables = {name: jax.device_get(models.init(module, jax.random.key(1))) for name, module in networks.items()}
    meta = {"networks": rows, "ema": False, "recipe": "", "protocol": "", "steps": None, "data": [], "fingerprint": {}}
    return engine.Engine(networks, variables, meta)


@pytest.fixture
def engine_file(its, tmp_path):
    its.save(tmp_path / "its.safetensors")
    return tmp_path / "its.safetensors"


def write_video(path, seed, frames=6, size=(64, 96)):
    """A clip that moves over a picture of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.random.default_rng(seed).integers(0, 255, (size[0] // 8 + 1, size[1] // 8 + 4, 3), np.uint8)
    picture = picture.repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10", "preset": "ultrafast", "threads": "1"})
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        for index in range(frames):
            image = np.ascontiguousarray(picture[index:index + size[0], 2 * index:2 * index + size[1]])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A folder of three videos, one of them in a folder below."""
    folder = tmp_path_factory.mktemp("videos")
    for seed, name in enumerate(("a.mkv", "b.mp4", "deep/c.mkv")):
        write_video(folder / name, seed)
    return folder


def state(made):
    """What a database holds: {video: [numbers]} and its features by video and number."""
    found = {}
    for key in made.keys():
        video, number = made._place(int(key))
        found[video, number] = made.features(int(key))
    return found


def test_videos_are_found_by_their_frames(its, engine_file, videos, tmp_path):
    made, added, errors = build.build(videos, tmp_path / "db", engine_path=engine_file, every=2)
    assert (added, errors, len(made)) == (3, [], 9)
    assert set(state(made)) == {(name, number) for name in ("a.mkv", "b.mp4", "deep/c.mkv") for number in (0, 2, 4)}
    for number, image in build.sampled(videos / "b.mp4", 2, its.multiple):
        features = its.features(engine.smaller(image[None]))[0]
        first, *others = made.search(features, 4)
        assert (first.video, first.number) == ("b.mp4", number) and first.alike > 0.9999
        exact = made.search(features, 4, exact=True)
        assert [hit.key for hit in exact] == [first.key, *(hit.key for hit in others)]
        assert "b.mp4" not in {hit.video for hit in made.search(features, 6, leave_out={"b.mp4"})}
        np.testing.assert_array_equal(made.latents(first.key), its.encode(image[None])[0])
    assert len(made.search(features, 100)) == 9


def test_a_build_that_was_cut_off_goes_on(engine_file, videos, tmp_path, monkeypatch):
    """What is found at the end is what one build makes; a video counts when it is whole."""
    monkeypatch.setattr(build, "SHARD_BYTES", 1)
    monkeypatch.setattr(build, "_BATCH", 2)
    whole, *_ = build.build(videos, tmp_path / "whole", engine_path=engine_file, every=1)
    original, written, calls = Database.write, [], 0

    def stopping(self, *args):
        nonlocal calls
        original(self, *args)
        calls += 1
        if calls % 4 == 0:  # a video takes three
            written.append(set(self.videos))
            raise KeyboardInterrupt

    monkeypatch.setattr(Database, "write", stopping)
    for _ in range(20):
        try:
            made, *_ = build.build(videos, tmp_path / "db", engine_path=engine_file, every=1)
            break
        except KeyboardInterrupt:
            made = Database(tmp_path / "db")
            assert {video for video, _ in state(made)} == set(made.videos)
    assert len(written) > 1 and any(len(names) < 3 for names in written)
    expected, found = state(whole), state(made)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[key], expected[key]) for key in expected)
    assert len(made._index) == len(whole._index) == 18


def test_nothing_is_done_twice_and_a_changed_video_is_exchanged(engine_file, videos, tmp_path):
    import shutil

    mine = tmp_path / "mine"
    shutil.copytree(videos, mine)
    build.build(mine, tmp_path / "db", engine_path=engine_file, every=3)
    before = sorted(path.name for path in (tmp_path / "db" / "shards").iterdir())
    made, added, _ = build.build(mine, tmp_path / "db", every=3)
    assert added == 0 and sorted(path.name for path in (tmp_path / "db" / "shards").iterdir()) == before
    write_video(mine / "a.mkv", 7, frames=9)
    (mine / "b.mp4").unlink()
    made, added, _ = build.build(mine, tmp_path / "db", every=3)
    assert added == 1 and len(made) == len(made._index) == 3 + 2 + 2
    (tmp_path / "db" / "index.usearch").write_bytes(b"torn")
    made, *_ = build.build(mine, tmp_path / "db", every=3)
    assert len(made._index) == 7


def test_bad_videos_are_a_line_each_and_the_others_go_on(its, engine_file, videos, tmp_path, capsys):
    import shutil

    mine = tmp_path / "mine"
    shutil.copytree(videos, mine)
    data = (mine / "a.mkv").read_bytes()
    (mine / "cut.mkv").write_bytes(data[:40])
    (mine / "empty.mp4").write_bytes(b"")
    write_video(mine / "tiny.mkv", 3, size=(32, 48))
    with av.open(str(mine / "sound.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.rate, frame.pts = 8000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    status = cli.main(["index", str(mine), "--out", str(tmp_path / "db"), "--engine", str(engine_file), "--every", "2"])
    said = capsys.readouterr()
    assert status == 1 and "9 frames of 3 videos" in said.out
    for name, words in (("cut.mkv", "damaged or no video"), ("empty.mp4", "damaged or no video"),
                        ("tiny.mkv", "is 48x32, less than 64 px a side"), ("sound.mkv", "holds no video")):
        line, = [line for line in said.err.splitlines() if name in line]
        assert words in line


def test_mistakes_are_one_line(its, engine_file, videos, tmp_path):
    with pytest.raises(UserError, match="has no engine yet; train one"):
        build.build(videos, tmp_path / "db")
    assert not (tmp_path / "db").exists()
    with pytest.raises(UserError, match="no such folder"):
        build.build(tmp_path / "none", tmp_path / "db", engine_path=engine_file)
    with pytest.raises(UserError, match="is no database; make one by jsr index"):
        Database(tmp_path)
    with pytest.raises(UserError, match="holds other files and no database"):
        build.build(videos, videos, engine_path=engine_file)
    build.build(videos, tmp_path / "db", engine_path=engine_file, every=9)
    other = engine.Engine(its.networks, jax.tree.map(lambda leaf: leaf + 1, its.variables), its.meta)
    with pytest.raises(UserError, match="was made by another engine"):
        Database.create(tmp_path / "db", other)


def test_a_killed_build_leaves_whole_shards_alone(engine_file, videos, tmp_path):
    """kill -9 of the command at its second shard: the next one ends the work."""
    code = ("import os, sys\nfrom jsr.retrieval import build, database\n"
            "build.SHARD_BYTES = 1\nwrite, calls = database.Database.write, []\n"
            "def killing(self, *args):\n"
            "    write(self, *args)\n    calls.append(1)\n"
            "    if len(calls) == 2:\n        os.kill(os.getpid(), 9)\n"
            "database.Database.write = killing\nfrom jsr import cli\nsys.exit(cli.main(sys.argv[1:]))")
    words = ["index", str(videos), "--out", str(tmp_path / "db"), "--every", "2", "--engine", str(engine_file)]
    assert subprocess.run([sys.executable, "-c", code, *words]).returncode == -9
    assert len(Database(tmp_path / "db").videos) == 2
    assert cli.main(words) == 0
    assert len(Database(tmp_path / "db")._index) == 9
    assert not list((tmp_path / "db").rglob("*.part"))


def test_a_damaged_shard_is_named(engine_file, videos, tmp_path):
    build.build(videos, tmp_path / "db", engine_path=engine_file, every=9)
    shard = tmp_path / "db" / "shards" / "000000.safetensors"
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(UserError, match="000000.safetensors: damaged .*remove it and run jsr index again"):
        Database(tmp_path / "db")
    shard.unlink()
    made, added, _ = build.build(videos, tmp_path / "db", every=9)
    assert added == len(made._index) == 3


def test_a_shard_is_what_its_docstring_says(engine_file, videos, tmp_path):
    made, *_ = build.build(videos, tmp_path / "db", engine_path=engine_file, every=2)
    with safetensors.safe_open(tmp_path / "db" / "shards" / "000000.safetensors", "numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    assert {name: (str(tensor.dtype), tensor.shape) for name, tensor in tensors.items()} == {
        "features": ("float32", (9, 12)), "latents": ("uint8", (9 * 8 * 12 * 2,)), "shapes": ("int32", (9, 3)),
        "videos": ("int32", (9,)), "numbers": ("int32", (9,))}
    np.testing.assert_allclose(np.linalg.norm(tensors["features"], axis=1), 1, rtol=1e-5)
    assert made.videos["a.mkv"] == Video("a.mkv", build.digest(videos / "a.mkv"), 0)
    assert database.FORMAT == 1


@pytest.fixture(scope="module")
def reference():
    return np.random.default_rng(0).random((40, 56, 3), np.float32)


def test_a_patch_is_found_where_it_was_cut(reference):
    places = [(0, 0), (24, 40), (7, 31)]
    patches = np.stack([reference[y:y + 16, x:x + 16] for y, x in places])
    found, alike = align(0.3 * patches + 0.2, reference)  # another contrast and brightness
    np.testing.assert_array_equal(found, patches)
    np.testing.assert_allclose(alike, 1, atol=1e-3)


def test_correlations_are_numpys(reference):
    patch = np.random.default_rng(1).random((1, 12, 20, 3), np.float32)
    grey, template = reference.mean(-1), patch[0].mean(-1)
    alike = np.array([[np.corrcoef(grey[y:y + 12, x:x + 20].ravel(), template.ravel())[0, 1]
                       for x in range(37)] for y in range(29)])
    found, best = align(patch, reference)
    y, x = np.unravel_index(alike.argmax(), alike.shape)
    np.testing.assert_allclose(best, alike.max(), atol=1e-4)
    np.testing.assert_array_equal(found[0], reference[y:y + 12, x:x + 20])
    with pytest.raises(ValueError, match="a reference of 40x56 px is smaller than the patches, 48x16"):
        align(np.zeros((1, 48, 16, 3), np.float32), reference)


def test_what_is_flat_is_no_number(reference):
    flat = np.full((1, 8, 8, 3), 0.5, np.float32)
    for patches, image in ((flat, reference), (reference[None, :8, :8], np.full((16, 16, 3), 0.5, np.float32))):
        found, alike = align(patches, image)
        assert np.isfinite(found).all() and np.isfinite(alike).all()


def test_a_frame_is_refined_by_what_the_database_has_like_it(its, engine_file, videos, tmp_path):
    made, *_ = build.build(videos, tmp_path / "db", engine_path=engine_file, every=2)
    network = models.create("noahburst/small", scale=1, num_feat=4, num_group=2, num_trunk=1, zero_start=True)
    variables = models.init(network, jax.random.key(0))
    refiner = Refiner(made, its, network, variables, count=3, patch=32, margin=4)
    (_, image), *_ = build.sampled(videos / "a.mkv", 9, its.multiple)
    lr, sr = engine.smaller(image[None])[0], image[:60, :90].astype(np.float32) / 255
    references = refiner.references(lr)
    assert len(references) == 3 and all(found.shape == (64, 96, 3) for found in references)
    for _, _, patch, refs in refiner.bursts(sr, references):
        assert patch.shape == (32, 32, 3) and refs.shape == (3, 32, 32, 3)
    np.testing.assert_allclose(refiner.refine(lr, sr), sr, atol=1e-6)  # the network begins as its image
    assert all(refs.shape[0] == 1 for *_, refs in refiner.bursts(sr, []))


@pytest.mark.parametrize("table, videos, tensors, said", [
    ("[]", [], {}, "database.json: a damaged file"),
    ('{"format": 1}', [], {}, "database.json: a damaged file"),
    ("[" * 10_000, [], {}, "database.json: a damaged file"),
    ("", [{"name": "a"}], {}, "000000.safetensors: is no shard"),
    ("", None, {}, "000000.safetensors: is no shard"),
    ("", [], {}, "000000.safetensors: is no shard"),
    ("", None, {"numbers": np.zeros(2, np.int32)}, "000000.safetensors: is no shard"),
    ("", [], {"videos": np.full(1, 7, np.int32)}, "000000.safetensors: is no shard")])
def test_a_damaged_database_is_one_line(tmp_path, table, videos, tensors, said):
    (tmp_path / "shards").mkdir()
    (tmp_path / "database.json").write_text(table or '{"format": 1, "engine": "abc", "multiple": 8}')
    whole = {"features": np.ones((1, 4), np.float32), "latents": np.zeros(3, np.uint8),
             "shapes": np.ones((1, 3), np.int32), "videos": np.zeros(1, np.int32), "numbers": np.zeros(1, np.int32)}
    safetensors.numpy.save_file(whole | tensors, tmp_path / "shards" / "000000.safetensors", {"jsr": json.dumps(
        {"format": 1, "videos": videos})})
    with pytest.raises(UserError, match=said):
        Database(tmp_path)

"""Folders of pictures: what becomes of which file, what is left alone, what is refused, and what a kill leaves."""

import json
from pathlib import Path

import jax
import numpy as np
from PIL import Image
import pytest

from jsr import models
from jsr.degradations import jpeg
from jsr.errors import UserError
from jsr.inference import upscale_folder
from jsr.inference.chain import Chain
from jsr.inference.choice import Networks
from jsr.inference.upscaler import Upscaler

SETTINGS = {"tile": "auto"}


@pytest.fixture(scope="module")
def upscaler():
    model = models.create("edsr", scale=2, num_feat=4, num_block=1)
    return Upscaler([Chain({"sr": model}, {"sr": models.init(model, jax.random.key(0))})], tile="auto")


@pytest.fixture(scope="module")
def networks(upscaler):
    """The one network in the place of the shipped one."""
    return Networks({"x2": []}, lambda: upscaler)


@pytest.fixture
def tree(tmp_path, photograph):
    """in/: a.png, b.JPG, sub/c.webp, sub/.hidden.png, notes.txt"""
    for seed, name in enumerate(("a.png", "b.JPG", "sub/c.webp", "sub/.hidden.png")):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photograph(20, 30, seed)).save(path)
    (tmp_path / "in/notes.txt").write_text("no picture")
    return tmp_path / "in"


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def places(jobs, out):
    return {str(job.target.relative_to(out)): job.source.name for job in jobs}


def files_below(path):
    return sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())


def test_folders_are_mirrored(tree, tmp_path):
    jobs, errors, _ = upscale_folder.find_jobs([tree], tmp_path / "out")
    assert not errors
    assert places(jobs, tmp_path / "out") == {"a.png": "a.png", "b.JPG": "b.JPG", "sub/c.webp": "c.webp"}


def test_several_folders_keep_their_names_and_single_files_none(tree, tmp_path):
    jobs, *_ = upscale_folder.find_jobs([tree, tree / "sub", tree / "a.png"], tmp_path / "out")
    assert places(jobs, tmp_path / "out") == {"in/a.png": "a.png", "in/b.JPG": "b.JPG", "in/sub/c.webp": "c.webp",
                                              "sub/c.webp": "c.webp", "a.png": "a.png"}


def test_patterns(tree, tmp_path):
    jobs, errors, _ = upscale_folder.find_jobs([f"{tree}/**/*.webp", f"{tree}/*"], tmp_path / "out")
    assert not errors
    assert places(jobs, tmp_path / "out") == {"a.png": "a.png", "b.JPG": "b.JPG", "c.webp": "c.webp"}


def test_results_inside_the_input_folder_are_no_inputs(tree):
    out = tree / "better"
    out.mkdir()
    Image.new("RGB", (3, 3)).save(out / "old.png")
    jobs, *_ = upscale_folder.find_jobs([tree], out)
    assert "old.png" not in places(jobs, out)


@pytest.mark.parametrize("names, suffix, expected", [
    (["a.jpg", "a.png"], ".png", {"a.jpg.png": "a.jpg", "a.png": "a.png"}),
    (["a.jpg", "a.webp"], ".png", {"a.jpg.png": "a.jpg", "a.webp.png": "a.webp"}),
    (["a.jpg", "b.JPEG"], ".jpg", {"a.jpg": "a.jpg", "b.jpg": "b.JPEG"}),
    (["a.psd", "b.png"], None, {"a.png": "a.psd", "b.png": "b.png"}),
])
def test_names_with_another_suffix(names, suffix, expected, tmp_path):
    (tmp_path / "in").mkdir()
    for name in names:
        (tmp_path / "in" / name).touch()
    jobs, errors, _ = upscale_folder.find_jobs([tmp_path / "in"], tmp_path / "out", suffix=suffix)
    assert not errors and places(jobs, tmp_path / "out") == expected


def test_two_files_for_one_place_are_named(tree, tmp_path):
    jobs, (error,), _ = upscale_folder.find_jobs([tree / "sub/c.webp", tree / "a.png", tmp_path / "in/sub/../a.png"],
                                         tmp_path / "out")
    assert len(jobs) == 2 and "would become" in str(error) and "rename one" in str(error)


def test_a_file_name_is_for_one_picture(tree, tmp_path):
    jobs, *_ = upscale_folder.find_jobs([tree / "a.png"], tmp_path / "better.jpg")
    assert [(job.source, job.target) for job in jobs] == [(tree / "a.png", tmp_path / "better.jpg")]
    with pytest.raises(UserError, match="better.jpg: is a file name, but there are 3 pictures; name a folder"):
        upscale_folder.find_jobs([tree], tmp_path / "better.jpg")


def test_inputs_that_are_not_there(tree, tmp_path):
    (tmp_path / "empty").mkdir()
    inputs = [tree / "a.png", tmp_path / "none.png", f"{tree}/*.bmp", tmp_path / "empty"]
    jobs, errors, _ = upscale_folder.find_jobs(inputs, tmp_path / "out")
    assert len(jobs) == 1
    assert [str(e).split(": ")[1] for e in errors] == [
        "no such file or folder", "no picture or clip has a name like this", "no pictures or clips in this folder"]
    with pytest.raises(UserError, match="no pictures or clips in this folder"):
        upscale_folder.find_jobs([tmp_path / "empty"], tmp_path / "out")


def upscale(tree, out, networks, settings=SETTINGS, **options):
    jobs, *_ = upscale_folder.find_jobs([tree], out)
    entries, errors = upscale_folder.upscale_files(jobs, networks, settings, out=out, **options)
    return {Path(target).name: entry for target, entry in entries.items()}, errors


def test_everything_is_done_once_and_bad_files_do_not_stop_it(tree, tmp_path, upscaler, networks):
    out = tmp_path / "out"
    (tree / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    entries, (error,) = upscale(tree, out, networks)
    assert str(error).startswith(f"{tree}/bad.png: ") and "\n" not in str(error)
    assert files_below(out) == ["a.png", "b.JPG", "sub/c.webp", upscale_folder.MANIFEST]
    for name in ("a.png", "b.JPG", "sub/c.webp"):
        assert pixels(out / name).shape[1::-1] == (60, 40)
    np.testing.assert_array_equal(pixels(out / "a.png"), upscaler.upscale(pixels(tree / "a.png")))
    manifest = json.loads((out / upscale_folder.MANIFEST).read_text())
    (key,) = manifest["settings"]
    assert manifest["settings"][key] == SETTINGS | {"models": []}
    assert manifest["files"]["sub/c.webp"] == entries["c.webp"]
    assert {k: entries["a.png"][k] for k in ("format", "height", "width", "frames", "bit_depth", "channels", "tiling",
                                             "tile", "overlap", "notes", "settings")} == {
        "format": "png", "height": 20, "width": 30, "frames": 1, "bit_depth": 8, "channels": 3, "tiling": "whole",
        "tile": [20, 30], "overlap": 0, "notes": [], "settings": key}
    assert manifest["files"]["bad.png"]["error"] == str(error)


@pytest.mark.parametrize("codecs, said", [
    ("libjpeg 9e > libjpeg 9e", "its network was scored on JPEG read by libjpeg 9e"),
    ("libjpeg 9e > libjpeg-turbo 2.1", ""), ("SVT-AV1 4.1.0 > libavif 1.3.0", "")])
def test_jpeg_files_of_a_network_that_was_scored_with_another_decoder(tree, tmp_path, upscaler, codecs, said):
    chain, = upscaler.chains
    meta = {"fingerprint": {"codecs": {"data.eval": codecs}}}
    other = Upscaler([Chain(chain.networks, chain.variables, meta=meta)], tile="auto")
    entries, errors = upscale(tree, tmp_path / "out", Networks({"x2": []}, lambda: other))
    assert not errors and entries["a.png"]["notes"] == []
    assert [note for note in entries["b.JPG"]["notes"] if "was scored" in note] == (
        [f"read by {jpeg.library()}; {said}"] if said else [])


def times(out):
    return {name: (out / name).stat().st_mtime_ns for name in files_below(out) if name != upscale_folder.MANIFEST}


def test_finished_files_are_left_alone_unless_something_changed(tree, tmp_path, networks, photograph):
    out = tmp_path / "out"
    upscale(tree, out, networks)
    before = times(out)
    entries, errors = upscale(tree, out, networks)
    assert not errors and times(out) == before and all(entry["skipped"] for entry in entries.values())

    Image.fromarray(photograph(20, 30, 9)).save(tree / "a.png")      # another source
    with Image.open(out / "b.JPG") as image:                          # a result that a person has edited
        image.convert("L").save(out / "b.JPG")
    before = times(out)
    entries, (other, edited) = upscale(tree, out, networks)
    assert [name for name, entry in entries.items() if "skipped" in entry] == ["c.webp"] and times(out) == before
    assert "a.png: was made from another file, or from an earlier a.png" in str(other)
    assert "b.JPG: was changed since it was made; choose another --out, or --overwrite" in str(edited)
    jobs, *_ = upscale_folder.find_jobs([tree], out)
    may, errors = upscale_folder.foresee(jobs, networks, SETTINGS, out=out, overwrite=True)
    assert set(may.values()) == {"replace"} and not errors and times(out) == before
    assert not upscale(tree, out, networks, overwrite=True)[1] and not set(before.items()) & set(times(out).items())

    entries, errors = upscale(tree, out, networks, {"tile": 64})      # other settings
    assert not errors and not any("skipped" in entry for entry in entries.values())
    entries, _ = upscale(tree, out, networks, {"tile": 64}, overwrite=True)
    assert not any("skipped" in entry for entry in entries.values())


def test_files_that_were_there_are_never_replaced(tree, tmp_path, networks):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.png").write_bytes(b"mine")
    entries, (error,) = upscale(tree, out, networks)
    assert str(error) == f"{out}/a.png: exists and was not made by this command; choose another --out, or --overwrite"
    assert (out / "a.png").read_bytes() == b"mine" and sorted(entries) == ["b.JPG", "c.webp"]
    upscale(tree, out, networks)  # nor does the second run take it for its own
    assert (out / "a.png").read_bytes() == b"mine"
    _, errors = upscale(tree, out, networks, overwrite=True)
    assert not errors and pixels(out / "a.png").shape[1::-1] == (60, 40)


def test_a_source_is_never_its_own_result(tree, networks):
    before = (tree / "a.png").read_bytes()
    jobs, *_ = upscale_folder.find_jobs([tree / "a.png"], tree)
    _, (error,) = upscale_folder.upscale_files(jobs, networks, SETTINGS, out=tree, overwrite=True)
    assert "would be replaced by its own result" in str(error) and (tree / "a.png").read_bytes() == before


def test_a_foreign_manifest_stays(tree, tmp_path, networks):
    out = tmp_path / "out"
    out.mkdir()
    (out / upscale_folder.MANIFEST).write_text('{"name": "my app"}')
    with pytest.raises(UserError, match="upscaled.json: exists and is no manifest of `jsr upscale`"):
        upscale(tree, out, networks)
    assert files_below(out) == [upscale_folder.MANIFEST]
    assert (out / upscale_folder.MANIFEST).read_text() == '{"name": "my app"}'
    assert not upscale(tree, out, networks, overwrite=True)[1]


def test_progress_counts_all_pixels(tree, tmp_path, networks):
    calls = []
    upscale(tree, tmp_path / "out", networks, progress=lambda *numbers: calls.append(numbers))
    assert calls[0] == (0, 0, 3 * 600) and calls[-1] == (3, 3 * 600, 3 * 600)
    assert [done for _, done, _ in calls] == sorted(done for _, done, _ in calls)


def test_progress_counts_no_refused_file(tree, tmp_path, networks):
    (tree / "b.png").write_bytes(b"damaged")
    jobs, _, _ = upscale_folder.find_jobs([tree], tmp_path / "out")
    calls = []
    _, errors = upscale_folder.upscale_files(jobs, networks, SETTINGS, out=tmp_path / "out",
                                             progress=lambda *numbers: calls.append(numbers))
    done = len(jobs) - len(errors)
    assert errors and calls[-1] == (done, done * 600, done * 600)


def test_pictures_of_many_sizes_share_a_program_and_those_of_one_size_have_theirs(tmp_path, photograph):
    model = models.create("edsr", scale=2, num_feat=4, num_block=1)
    chain = Chain({"sr": model}, {"sr": models.init(model, jax.random.key(0))})
    networks = Networks({"x2": []}, lambda: Upscaler([chain], tile="auto"))
    sizes = [(70, 90), (80, 66), (81, 83), (90, 72), (90, 72)]
    (tmp_path / "in").mkdir()
    for number, size in enumerate(sizes):
        Image.fromarray(photograph(*size)).save(tmp_path / f"in/{number}.png")
    jobs, _, _ = upscale_folder.find_jobs([tmp_path / "in"], tmp_path / "out")
    entries, errors = upscale_folder.upscale_files(jobs, networks, SETTINGS, out=tmp_path / "out")
    assert not errors and [entry["tiling"] for entry in entries.values()] == ["exact"] * 3 + ["whole"] * 2
    assert len({tuple(entry["tile"]) for entry in entries.values()}) == 2 == chain.programs
    plain = Upscaler([chain], tile="auto")
    for number, size in enumerate(sizes):
        difference = np.abs(pixels(tmp_path / f"out/{number}.png").astype(int) - plain.upscale(photograph(*size)))
        assert difference.max() <= 1 and (difference > 0).sum() <= 1 + difference.size // 10_000


def test_of_many_pictures_a_few_tell_which_sizes_there_are(monkeypatch):
    jobs = [upscale_folder.Job(Path(f"{number}.png"), Path("out.png"), lambda path: opened.append(path))
            for number in range(100)]
    opened = []
    assert upscale_folder._expected(jobs) == {} and len(opened) == 15  # every seventh
    opened.clear()
    assert upscale_folder._expected(jobs[:1]) == {} and not opened

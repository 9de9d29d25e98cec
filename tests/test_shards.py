"""Shares of many files: which is whose, and commands that do one each into one folder."""

import argparse
import importlib
import json
import signal
import subprocess
import sys
import time

import numpy as np
from PIL import Image
import pytest

from jsr import results, shards
from jsr.errors import UserError
from jsr.shards import Shard


def run(command, *args):
    module, parser = importlib.import_module(f"jsr.cli.{command}"), argparse.ArgumentParser()
    module.add_arguments(parser)
    return module.run(parser.parse_args([str(arg) for arg in args]))


SLURM = {"SLURM_ARRAY_TASK_ID": "14", "SLURM_ARRAY_TASK_MIN": "10", "SLURM_ARRAY_TASK_MAX": "16",
         "SLURM_ARRAY_TASK_STEP": "2"}


@pytest.mark.parametrize("text, environ, expected", [
    ("3/8", {}, (3, 8)), ("1/1", {}, (1, 1)), ("auto", SLURM, (3, 4)), ("auto/9", SLURM, (3, 9)),
    ("auto/8", {"JOB_COMPLETION_INDEX": "7"}, (8, 8))])
def test_which_shard_it_is(text, environ, expected):
    assert shards.of(text, environ) == expected


@pytest.mark.parametrize("text, environ, what", [
    ("5/4", {}, "--shard 5/4: there is no shard 5 of 4"), ("0/4", {}, "--shard 0/4: there is no shard 0 of 4"),
    ("1/0", {}, "no shard 1 of 0"), ("4", {}, "must be I/N"), ("-1/4", {}, "must be I/N"),
    ("", {}, "must be I/N"), ("auto", {}, "no task of an array"),
    ("auto", {"JOB_COMPLETION_INDEX": "0"}, "does not tell the number"),
    ("auto/2", {"JOB_COMPLETION_INDEX": "5"}, "no shard 6 of 2"),
    ("auto", {"SLURM_ARRAY_TASK_ID": "x"}, "SLURM_ARRAY_TASK_ID is 'x'")])
def test_which_shards_there_are_not(text, environ, what):
    with pytest.raises(UserError, match=what) as e:
        shards.of(text, environ)
    assert "\n" not in str(e.value)


def test_every_file_is_of_one_shard_and_shares_are_alike():
    names = [f"folder {n % 7}/ä{n}.png" for n in range(4000)]
    counts = [sum(Shard(number, 8).has(name) for name in names) for number in range(1, 9)]
    assert sum(counts) == 4000 and min(counts) > 400 and max(counts) < 600


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    for n in range(12):
        path = tmp_path / f"in/{n % 3}/{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(path)
    return tmp_path / "in"


@pytest.mark.parametrize("command, options, name", [
    ("upscale", ["--width", 8], "upscaled.json"), ("degrade", ["--protocol", "bicubic_x4"], "manifest.json")])
def test_shards_together_are_the_whole(pictures, tmp_path, capsys, command, options, name):
    """Whatever is done by shards, by other shards or without, the next one knows it."""
    whole, out = tmp_path / "whole", tmp_path / "out"

    def go(folder, *shard):
        assert run(command, pictures, "--out", folder, *options, *shard) == 0

    def files(folder):
        return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.png")}

    go(whole)
    with pytest.raises(UserError, match="no shard 4 of 3"):
        run(command, pictures, "--out", out, *options, "--shard", "4/3")
    for number in (2, 3, 1):
        go(out, "--shard", f"{number}/3")
    assert files(out) == files(whole) and len(files(out)) == 12
    assert not (out / name).exists() or not json.loads((out / name).read_text())["files"]
    assert len(results.in_folder(out, name)) >= 3
    assert results.made_in(out) == {out / path for path in files(whole)}
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    for shard in (["--shard", "2/3"], ["--shard", "1/2"], [], ["--shard", "3/5"], []):
        go(out, *shard)  # all is done
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.png")} == before
    assert results.in_folder(out, name) == [out / name]  # the last one has worked all others in
    kept = json.loads((out / name).read_text())["files"]
    assert kept.keys() == json.loads((whole / name).read_text())["files"].keys()
    assert not [path for path in out.rglob(".*")]


def test_two_processes_as_one_shard(pictures, tmp_path):
    with results.only_shard(tmp_path / "out/upscaled.json", Shard(1, 2)):
        with pytest.raises(UserError, match="--shard 1/2: another process is at work as this shard in .*out; give"):
            run("upscale", pictures, "--out", tmp_path / "out", "--width", 8, "--shard", "1/2")
        assert run("upscale", pictures, "--out", tmp_path / "out", "--width", 8, "--shard", "2/2") == 0
    assert run("upscale", pictures, "--out", tmp_path / "out", "--width", 8, "--shard", "1/2") == 0
    with results.only_shard(tmp_path / "out/upscaled.json", Shard(1, 2)), pytest.raises(
            UserError, match="upscaled.1-of-2.json: is being written by a process with --shard; wait"):
        run("upscale", pictures, "--out", tmp_path / "out", "--width", 8)
    assert len(list((tmp_path / "out").rglob("*.png"))) == 12


@pytest.mark.slow
def test_two_shards_at_once_of_which_one_is_lost_and_repeated(tmp_path):
    pictures, whole, out, options = tmp_path / "in", tmp_path / "whole", tmp_path / "out", ["--width", "400"]
    pictures.mkdir()
    for n in range(30):
        Image.fromarray(np.random.default_rng(n).integers(0, 256, (500, 500, 3), np.uint8)).save(pictures / f"{n}.png")
    started = [subprocess.Popen([sys.executable, "-m", "jsr", "upscale", pictures, "--out", out, *options, "--shard",
                                 f"{number}/2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) for number in (1, 2)]
    try:
        deadline = time.monotonic() + 300
        while not any(Shard(2, 2).has(path.relative_to(out).as_posix()) for path in out.rglob("[!.]*.png")):
            assert started[1].poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        started[1].kill()
        ended = [process.communicate(timeout=300) for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, -signal.SIGKILL], ended
    assert len(list(out.rglob("[!.]*.png"))) < 30
    for folder, shard in ((out, ["--shard", "2/2"]), (out, []), (whole, [])):
        assert run("upscale", pictures, "--out", folder, *options, *shard) == 0

    def content(folder):
        found = json.loads((folder / "upscaled.json").read_text())
        files = {name: {key: value for key, value in entry.items() if key not in ("seconds", "replaces")}
                 for name, entry in found.pop("files").items()}
        return found, files, {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.png")}

    assert content(out) == content(whole) and len(content(out)[1]) == 30
    assert results.in_folder(out, "upscaled.json") == [out / "upscaled.json"]
    assert not [path for path in out.rglob(".*")]


def test_a_dataset_by_shards(pictures, tmp_path, capsys):
    def go(*more):
        assert run("build", "image_folder/hr", "--manual_dir", pictures, "--data_dir", tmp_path / "data", *more) == 0

    go("--shard", "2/2")
    assert not list(tmp_path.rglob("dataset_info.json"))
    go("--shard", "1/2")
    parts = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob(".hr-*.parts/*")}
    assert len(parts) >= 12
    go()
    assert "12 " in capsys.readouterr().out.splitlines()[-1]
    with pytest.raises(UserError, match="--shard 1/2: cannot be combined with --overwrite"):
        go("--shard", "1/2", "--overwrite")

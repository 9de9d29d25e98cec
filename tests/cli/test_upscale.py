"""The command `jsr upscale`: what it writes, prints and refuses, and what an interruption leaves."""

import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import jax
import numpy as np
from PIL import Image
import pytest

import jsr
from jsr import cli, degradations, images, metrics, model_file, models, pictures
from jsr.degradations.resize import matlab_bicubic


def write_model(path, scale=2, seed=0, **fields):
    fields = {"num_feat": 4, "num_block": 1} | fields
    variables = {"sr": models.init(models.create("edsr", scale=scale, **fields), jax.random.key(seed))}
    net = {"name": "sr", "model": "edsr/baseline", "scale": scale, "fields": fields, "deployed": False}
    model_file.save(path, variables, {"networks": [net]})
    return path


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "m.safetensors")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def caches(cache, monkeypatch):
    """The compile cache of this file's tests; the setting is put back, since it is of the whole process."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    before = {key: getattr(jax.config, key)
              for key in ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")}
    yield
    for key, value in before.items():
        jax.config.update(key, value)


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def format_and_size(path):
    with Image.open(path) as image:
        return image.format, image.size


def run(*args):
    return cli.main(["upscale", *map(str, args)])


def test_clean_benchmarks_take_three_commands(tmp_path, photograph):
    """Degrade, upscale, evaluate: from originals of any size, one of them grey."""
    hr, lr, sr, scores = (tmp_path / name for name in ("hr", "lr", "sr", "scores.json"))
    hr.mkdir()
    Image.fromarray(photograph(64, 82)).save(hr / "colour.png")
    Image.fromarray(photograph(60, 51)[..., 1]).save(hr / "grey.png")
    net = {"name": "sr", "model": "enlarge/bicubic", "scale": 3, "fields": {}, "deployed": False}
    model_file.save(tmp_path / "m.safetensors", {"sr": {}}, {"networks": [net]})
    for command in (f"degrade {hr} --out {lr} --protocol bicubic_x3",
                    f"upscale {lr} --out {sr} --model {tmp_path / 'm.safetensors'}",
                    f"evaluate --sr {sr} --hr {hr} --protocol bicubic_x3 --json {scores}"):
        assert cli.main(command.split()) == 0
    report = json.loads(scores.read_text())
    assert [(row["name"], row["cropped"]) for row in report["images"]] == [("colour", "64x82"), ("grey", "")]
    assert report["crop_border"] == 3 and report["profiles"] == ["psnr[y_601]", "ssim[y_601]", "psnr[rgb]"]
    for row in report["images"]:
        whole = degradations.crop_to_multiple(images.read_rgb(hr / f"{row['name']}.png"), 3)
        small = matlab_bicubic(whole, (whole.shape[0] // 3, whole.shape[1] // 3))
        np.testing.assert_array_equal(pixels(lr / f"{row['name']}.png"), small)
        assert row["bicubic"] == metrics.score(matlab_bicubic(small, whole.shape[:2]), whole, report["profiles"], 3)
        assert row["ours"] == metrics.score(pixels(sr / f"{row['name']}.png"), whole, report["profiles"], 3)
    assert abs(report["standing"]["gain"]) < 0.02  # the network is the same kernel: only roundings and edges differ


def test_a_folder(photo_folder, tmp_path, model, capsys):
    out = tmp_path / "out"
    assert run(photo_folder, "--out", out, "--model", model) == 0
    said = capsys.readouterr()
    assert "4 pictures, 0.02 Mpx in" in said.out and "4 whole" in said.out and f"results: {out}" in said.out
    assert "0003.png" not in said.out and "and 1 more, 4 in all: x2 by the network m.safetensors" in said.out
    assert "4 of 4 files done" in said.err and "Mpx/s" in said.err
    lr = pixels(photo_folder / "0001.png")
    np.testing.assert_array_equal(pixels(out / "0001.png"), jsr.load(model).upscale(lr))
    assert run(photo_folder, "--out", out, "--model", model) == 0
    assert "4 were finished before" in capsys.readouterr().out
    (settings,) = json.loads((out / "upscaled.json").read_text())["settings"].values()
    assert settings["models"][0]["file"] == "m.safetensors" and len(settings["models"][0]["sha256"]) == 64


def test_the_run_of_a_recipe(photo_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(photo_folder, "--out", "out", "--recipe", "aim22_t1:quick") == 1
    assert capsys.readouterr().err == (
        "jsr upscale: aim22_t1:quick: no run in runs/aim22_t1/quick; train it (python -m jsr.main "
        "--config=aim22_t1:quick), or name a model file with --model\n")
    assert run(photo_folder, "--out", "out", "--recipe", "aim22_t1:quik") == 1
    assert "did you mean 'quick'?" in capsys.readouterr().err
    folder = tmp_path / "runs" / "aim22_t1" / "quick"
    folder.mkdir(parents=True)
    for seed, kept in enumerate(("last.safetensors", "best.safetensors")):  # the best, once there is one
        model = write_model(folder / kept, seed=seed)
        assert run(photo_folder / "0001.png", "--out", f"{seed}.png", "--recipe", "aim22_t1") == 0
        np.testing.assert_array_equal(pixels(f"{seed}.png"), jsr.load(model).upscale(pixels(photo_folder / "0001.png")))


def test_one_file_in_tiles_to_another_format(photo_folder, tmp_path, model, capsys):
    out = tmp_path / "new" / "better.webp"
    assert run(photo_folder / "0000.png", "--out", out, "--model", model, "--tile", 40, "--quality", 50) == 0
    assert "1 in tiles of 40x40 that overlap by 6 px, exact: equal to the whole picture" in capsys.readouterr().out
    assert format_and_size(out) == ("WEBP", (160, 128))
    assert [p.name for p in out.parent.iterdir()] == ["better.webp"]
    assert run(photo_folder / "0000.png", "--out", out, "--model", model) == 1
    assert "exists and was not made by this command" in capsys.readouterr().err
    assert run(photo_folder / "0000.png", "--out", out, "--model", model, "--overwrite", "--overlap", 1,
               "--tile", 40) == 0
    assert "overlap by 1 px, approximate" in capsys.readouterr().out


def test_models_weights_ensemble_and_format(photo_folder, tmp_path, model, capsys):
    other = write_model(tmp_path / "n.safetensors", seed=1)
    assert run(photo_folder / "*1.png", "--out", tmp_path / "out", "--model", model, other, "--weights", 3, 1,
               "--self_ensemble", "--format", "TIFF") == 0
    expected = jsr.load(model, other, weights=[3, 1], self_ensemble=True).upscale(pixels(photo_folder / "0001.png"))
    np.testing.assert_array_equal(pixels(tmp_path / "out/0001.tif"), expected)


def test_nothing_to_do_leaves_nothing(photo_folder, tmp_path, model, capsys):
    assert run(photo_folder / "0000.png", "--out", photo_folder, "--model", model) == 1
    said = capsys.readouterr()
    assert "would be replaced by its own result; choose another --out" in said.err and said.out == ""
    assert not (photo_folder / "upscaled.json").exists()
    with pytest.raises(SystemExit):
        run(photo_folder, "--out", tmp_path / "out", "--model", model, "--tile", "big")
    assert "'big' is neither auto nor a number of px" in capsys.readouterr().err


def test_a_bad_file_does_not_stop_the_others(photo_folder, tmp_path, model, capsys):
    (photo_folder / "0002.png").write_bytes((photo_folder / "0002.png").read_bytes()[:500])
    assert run(photo_folder, "none.png", "--out", tmp_path / "out", "--model", model) == 1
    said = capsys.readouterr()
    assert "3 pictures" in said.out
    lines = [line for line in said.err.splitlines() if line.startswith("jsr upscale: ")]
    assert lines.pop() == "jsr upscale: 2 failed, the rest is done"
    assert len(lines) == 2 and "none.png: no such file or folder" in lines[0] and "0002.png: " in lines[1]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["0000.png", "0001.png", "0003.png", "upscaled.json"]


@pytest.mark.parametrize("arguments, message", [
    (["--format", "bmpp"], "--format bmpp: cannot be written; choose one of png"),
    (["--quality", "0"], "--quality 0: must be from 1 to 100"),
    (["--tile", "0"], "tile = 0"),
    (["--tile", "32", "--overlap", "16"], "a tile of 32 px has no room"),
    (["--weights", "1", "2"], "weights 1.0, 2.0: expected one for each of 1 models"),
    (["--model", "none.safetensors"], "none.safetensors: no such model file"),
])
def test_mistakes_are_one_line(photo_folder, tmp_path, model, capsys, arguments, message):
    assert run(photo_folder, "--out", tmp_path / "out", "--model", model, *arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("jsr upscale: ") and message in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("number", [pytest.param(signal.SIGKILL, marks=pytest.mark.slow), signal.SIGINT])
def test_an_interrupted_run_leaves_whole_files_and_goes_on(tmp_path, photograph, set_sigint, number):
    set_sigint(signal.default_int_handler)
    (tmp_path / "in").mkdir()
    for index in range(12):
        Image.fromarray(photograph(200, 300, index)).save(tmp_path / f"in/{index:02}.png")
    model = write_model(tmp_path / "m.safetensors", num_feat=32, num_block=4)  # seconds after the third picture
    command = [sys.executable, "-m", "jsr", "upscale", "in", "--out", "out", "--model", model.name, "--tile", "64",
               "--runtime", "jax"]
    out = tmp_path / "out"
    env = os.environ | {"PYTHONPATH": str(Path(jsr.__file__).parents[1])}
    process = subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while len(list(out.glob("*.png"))) < 3:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == (-9 if number == signal.SIGKILL else 130)
    for path in out.glob("*.png"):
        assert pixels(path).shape == (400, 600, 3)
    done = {path.name: path.stat().st_mtime_ns for path in out.glob("*.png")}
    assert len(done) < 12
    left = [path.name for path in out.iterdir() if path.suffix != ".png" and path.name != "upscaled.json"]
    if number == signal.SIGINT:
        assert not left
        listed = json.loads((out / "upscaled.json").read_text())["files"]
        assert all(listed[name]["sha256"] for name in done)

    for path in sorted((tmp_path / "in").iterdir())[len(done) + 2:]:  # two are enough to go on with
        path.unlink()
    kept = sorted(path.name for path in (tmp_path / "in").iterdir())
    again = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    assert sorted(path.name for path in out.iterdir()) == [*kept, "upscaled.json"]
    if number == signal.SIGINT:
        assert f"{len(done)} were finished before" in again.stdout
        assert {name: (out / name).stat().st_mtime_ns for name in done} == done


def write_repeating_model(path):
    """EDSR x2 whose weights make it repeat every pixel."""
    fields = {"num_feat": 3, "num_block": 1}
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), models.abstract("edsr", scale=2, **fields))
    params = variables["params"]
    for conv in (params["conv_first"], params["conv_last"]):
        conv["kernel"][1, 1] = np.eye(3)
    params["upsample"]["conv_0"]["kernel"][1, 1] = np.eye(3).repeat(4, axis=1)  # channels (c, 2, 2)
    net = {"name": "sr", "model": "edsr/baseline", "scale": 2, "fields": fields, "deployed": False}
    model_file.save(path, {"sr": variables}, {"networks": [net]})
    return path


def frames_of(path):
    """(frames, H, W, C) and the bits of a channel."""
    with pictures.open_picture(path) as picture:
        return np.stack([picture.rows(0, picture.height, frame) for frame in range(picture.frames)]), picture.bit_depth


@pytest.mark.parametrize("tile", ["auto", "16"])
def test_odd_pictures_keep_what_they_are(odd_pictures, tmp_path, capsys, tile):
    """About a hundred files of every format, depth, profile, orientation and damage, doubled by repeating pixels."""
    source, rows = odd_pictures
    out = tmp_path / "out"
    assert run(source, "--out", out, "--model", write_repeating_model(tmp_path / "m.safetensors"), "--tile", tile) == 1
    problems = capsys.readouterr().err
    manifest = json.loads((out / "upscaled.json").read_text())["files"]
    results = {Path(entry["source"]).name: (out / name, entry) for name, entry in manifest.items()}
    checked = 0
    for row in rows:
        if Path(row.name).suffix.lower() not in pictures.READABLE or not (source / row.name).is_file():
            assert row.name not in results
            continue
        path, entry = results[row.name]
        if isinstance(row.expected, str):
            assert row.expected in entry["error"] and entry["error"] in problems and not path.exists(), row
            continue
        assert "error" not in entry, (row.name, entry)
        found, bits = frames_of(path)
        format_name, channels, depth, frames = row.expected
        lossy = pictures.WRITABLE[entry["format"]].quality is not None or entry["format"] == "gif"
        # GIF comes back with its one transparent colour, and grey AVIF as RGB: libheif writes no grey.
        assert len(found) == frames and (found.shape[-1] == channels or entry["format"] in ("gif", "avif")), row
        assert bits == depth or entry["format"] != format_name, (row, bits)
        before, _ = frames_of(source / row.name)
        expected = before.repeat(2, axis=1).repeat(2, axis=2)
        assert found.shape[:3] == expected.shape[:3], row
        if not lossy:
            shown = expected[..., -1:] / np.iinfo(expected.dtype).max if channels in (2, 4) else 1  # of the colours
            difference = np.abs(found.astype(int) - expected) * shown
            assert difference.max() <= (1 if found.dtype == np.uint8 else 4), (row, difference.max())
            checked += 1
    assert checked > 40



@pytest.fixture(scope="module")
def shipped(tmp_path_factory, photograph):
    """What `jsr upscale FOLDER` without more makes of pictures of many kinds: (folder, the sources' bytes)."""
    folder = tmp_path_factory.mktemp("mine")
    image, small = Image.fromarray(photograph(24, 32)), Image.fromarray(photograph(1, 1))
    exif = Image.Exif()
    exif[0x112] = 6
    (folder / "sub").mkdir()
    image.save(folder / "phone.jpg", quality=80, exif=exif)
    image.save(folder / "sub/lies.jpg", format="WEBP")
    image.convert("L").save(folder / "grey.bmp")
    image.quantize(16).save(folder / "moving.gif", save_all=True, append_images=[image.rotate(180).quantize(16)])
    image.save(folder / "clash.png")
    image.save(folder / "clash.tga")
    image.save(folder / "photo.avif")
    small.convert("RGBA").save(folder / "tiny.tif")
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    return folder, before


MADE = {"phone_x2.jpg": "JPEG", "sub/lies_x2.webp": "WEBP", "grey_x2.bmp": "BMP", "moving_x2.gif": "GIF",
        "clash_x2.png": "PNG", "clash.tga_x2.png": "PNG", "photo_x2.avif": "AVIF", "tiny_x2.tif": "TIFF"}


def test_a_folder_of_every_kind_needs_no_model_and_is_done_once(shipped, capsys):
    folder, before = shipped
    assert run(folder) == 0
    said = capsys.readouterr().out
    assert "8 in all: x2 by the network x2" in said and "otherwise: --scale 4" in said
    assert "results: beside the pictures; all done" in said
    made = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.*") if path not in before}
    assert {name: format_and_size(path) for name, path in made.items()} == {
        name: (kind, (48, 64) if name == "phone_x2.jpg" else (2, 2) if name == "tiny_x2.tif" else (64, 48))
        for name, kind in MADE.items()}
    x2 = jsr.load(model_file.weights.SHIPPED / "x2.safetensors")
    np.testing.assert_array_equal(pixels(made["clash_x2.png"]), x2.upscale(pixels(folder / "clash.png")))

    times = {path: path.stat().st_mtime_ns for path in made.values()}
    for inputs in ([folder], [*sorted(folder.glob("*.*")), folder / "sub"], [f"{folder}/**/*.*"]):
        assert run(*inputs) == 0
        said = capsys.readouterr().out
        assert "8 were finished before" in said and "passed over: 8 earlier results" in said, inputs
        assert "otherwise" not in said
    assert run(folder, "--dry_run") == 0 and capsys.readouterr().out.count("would pass over, finished") == 8
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.*") if path not in before} == times
    assert all(path.read_bytes() == data for path, data in before.items())


@pytest.mark.parametrize("arguments, name, size, said", [
    (["--scale", 1.5], "a_x1.5.jpg", (48, 36), "a.jpg: x2 by the network x2, then to x1.5 by bicubic"),
    (["--width", 48], "a_48x36.jpg", (48, 36), "then to a width of 48 px by bicubic"),
    (["--longest", 16, "--format", "png"], "a_16x12.png", (16, 12), "to 16 px at the longer side by bicubic: networks"),
    (["--scale", 1], "a_restored.jpg", (32, 24), "a.jpg: restored by the network restore"),
    (["--scale", 1, "--input_quality", 95], "a_restored.jpg", (32, 24), "needs no restoring: copied unchanged"),
    (["--width", 32, "--format", "png"], "a_32x24.png", (32, 24), "a.jpg: has that size: only its format changed"),
])
def test_sizes_beside(tmp_path, photograph, capsys, arguments, name, size, said):
    Image.fromarray(photograph(24, 32)).save(tmp_path / "a.jpg", quality=50)
    for again in ("1 picture, 0.00 Mpx in" if "copied" not in said else said, "1 were finished before"):
        assert run(tmp_path / "a.jpg", *arguments) == 0
        out = capsys.readouterr().out
        assert again in out and f"results: {tmp_path / name}; all done" in out and "otherwise" not in out
        assert said in out or again.startswith("1 were")
    assert format_and_size(tmp_path / name)[1] == size and len(list(tmp_path.iterdir())) == 2
    if "copied" in said:
        assert (tmp_path / name).read_bytes() == (tmp_path / "a.jpg").read_bytes()


def test_nothing_beside_is_ever_replaced(tmp_path, photograph, model, capsys):
    Image.fromarray(photograph(8, 8)).save(tmp_path / "a.png")
    Image.fromarray(photograph(8, 8)).save(tmp_path / "a_x2.png")  # a person's
    assert run(tmp_path / "a.png", "-m", model) == 1
    assert "a_x2.png: exists and was not made by this command; choose another --out" in capsys.readouterr().err
    (tmp_path / "a_x2.png").unlink()
    assert run(tmp_path / "a.png", "-m", model) == 0
    first = (tmp_path / "a_x2.png").read_bytes()
    for arguments, said in ((["--strength", 0.5], "in another way (x2 by the network m.safetensors, or with other"),
                            ([], "a_x2.png: was made from another file, or from an earlier a.png")):
        capsys.readouterr()
        if not arguments:
            Image.fromarray(photograph(8, 8, 1)).save(tmp_path / "a.png")
        assert run(tmp_path / "a.png", "-m", model, *arguments) == 1
        assert said in capsys.readouterr().err and (tmp_path / "a_x2.png").read_bytes() == first
    assert run(tmp_path / "a.png", "-m", model, "--overwrite") == 0 and (tmp_path / "a_x2.png").read_bytes() != first
    assert run(tmp_path / "a_x2.png", "-m", model) == 0  # a result that is named alone is a picture
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a_x2.png", "a_x2_x2.png", "m.safetensors"]


def test_a_picture_needs_no_libraries_of_other_work(tmp_path, photograph):
    """Each would cost every start some of its time."""
    Image.fromarray(photograph(24, 20)).save(tmp_path / "a.png")
    code = "import sys; from jsr import cli; cli.main(['upscale', 'a.png']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (tmp_path / "a_x2.png").exists()
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "jax" in loaded and not loaded & {
        "av", "grain", "ml_collections", "onnx", "onnxruntime", "openvino", "optax", "orbax", "tensorflow", "torch",
        "PIL.PdfImagePlugin", "jsr.challenges", "jsr.degradations", "jsr.recipes", "multiprocessing"}

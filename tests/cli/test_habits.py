"""The command line as a person types it: any order, slips, pipes, closed streams, Ctrl+C; and what is in the way."""

import io
import json
import os
from pathlib import Path
import shlex
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import jax
import numpy as np
from PIL import Image
import pytest

import jsr
from jsr import cli, convert, model_file, models, pictures
from jsr.convert import files as convert_files
from jsr.data.sources import open_source

ENV = os.environ | {"PYTHONPATH": str(Path(jsr.__file__).parents[1])}


@pytest.fixture
def place(tmp_path, monkeypatch, photograph):
    """A folder to work in: a.png, pics/ (b.png, c.jpg), m.safetensors and run/, x2 by bicubic; a.pth, a.onnx, w..."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    monkeypatch.setattr("jsr.device.use_compile_cache", lambda: None)  # is of the whole process
    Path("pics").mkdir()
    for seed, name in enumerate(("a.png", "pics/b.png", "pics/c.jpg")):
        Image.fromarray(photograph(16, 20, seed)).save(name)
    net = {"name": "sr", "model": "enlarge/bicubic", "scale": 2, "fields": {}, "deployed": False}
    Path("run").mkdir()
    for name in ("m.safetensors", "run/last.safetensors"):
        model_file.save(name, {"sr": {}}, {"networks": [net]})
    model_file.save("m3.safetensors", {"sr": {}}, {"networks": [net | {"model": "enlarge/nearest"}]})
    Path("a.pth").write_bytes(b"PK\3\4 and more")
    convert_files.write_state_dict("a b.safetensors", {"w": np.ones(1, np.float32)})
    Path("a.onnx").write_bytes(b"\x08\x0a a graph")
    Path("empty").mkdir()
    return tmp_path


def run(line):
    """The exit status of a command line; words are split at spaces."""
    try:
        return cli.main(line if isinstance(line, list) else line.split())
    except SystemExit as stop:
        return stop.code


def size(path):
    with Image.open(path) as image:
        return image.format, image.size


@pytest.mark.parametrize("line, made", [
    ("upscale --model m.safetensors a.png --out x.png", {"x.png": "PNG"}),
    ("upscale -m m.safetensors m3.safetensors --weights 1 3 a.png -o x.png", {"x.png": "PNG"}),
    ("upscale a.png -ox.png -m run", {"x.png": "PNG"}),
    ("upscale -m run --out x.webp -- a.png", {"x.webp": "WEBP"}),
    ("upscale a.png --model run --out=~/x.jpg --quality 90", {"x.jpg": "JPEG"}),
    ("upscale ~/pics -o ~/out --model ~/run --format jpg", {"out/b.jpg": "JPEG", "out/c.jpg": "JPEG"}),
    ("upscale a.png pics --model m.safetensors --self-ensemble --out out --keep-dates",
     {"out/a.png": "PNG", "out/b.png": "PNG", "out/c.jpg": "JPEG"}),
])
def test_words_in_any_order(place, line, made):
    os.utime("a.png", (1_000_000_000, 1_000_000_000))
    assert run(line) == 0
    assert {name: size(name) for name in made} == {name: (kind, (40, 32)) for name, kind in made.items()}
    if "keep-dates" in line:
        assert os.stat("out/a.png").st_mtime == 1_000_000_000


@pytest.mark.parametrize("line, status, said", [
    ("upscale -m run", 2, "name a picture or a folder to upscale"),
    ("upscale --modle m.safetensors a.png", 2, "no option --modle; did you mean '--model'?"),
    ("upscale --qualty 3", 2, "no option --qualty; did you mean '--quality'?"),
    ("upscale a.png --self-ensembel", 2, "did you mean '--self_ensemble'?"),
    ("upscale a.png --scael 2", 2, "no option --scael; did you mean '--scale'?"),
    ("upscale a.png --scale 2 --width 30", 2, "--scale and --width: give one size; only --width and --height go"),
    ("upscale -", 2, "-: is a pipe, so that nothing lies beside it; name the output: --out -"),
    ("upscale a.png --input_quality 0 -o x.png", 1, "--input_quality 0: must be from 1 to 100"),
    ("upscale a.png --scale 400", 1, "--scale 400: must be at most 16; 2 is twice as wide and as high"),
    ("upscale a.png --longest 0", 1, "--longest 0: must be above 0"),
    ("upscale a.png --strength 1.5", 1, "strength 1.5: must be from 0 to 1"),
    ("upscale a.png --out x.png --overwrite=yes", 2, "--overwrite takes no value"),
    ("upscale a.png -m run --out", 2, "argument -o/--out: expected one argument"),
    ("train --confg x", 2, "no option --confg; did you mean '--config'?"),
    ("help upscal", 2, "jsr: no command 'upscal'; did you mean 'upscale'?"),
    ("evaluate --sr pics --prfile rgb", 2, "no option --prfile; did you mean '--profile'?"),
    ("upscale a.png -m run --out big.jgp", 2, "big.jgp: no picture can be written as .jgp; did you mean big.jpg?"),
    ("upscale a.png -m run --out big.heic", 2, "big.heic: no picture can be written as .heic; use one of .png, .jpg"),
    ("upscale pics -m run --out big.pgn", 2, "did you mean big.png?"),
    ("upscale a.png -m run --out res.png --format webp", 2, "res.png: its ending is of png, --format webp is another"),
    ("upscale a.png -m a.pth -o x.png", 1,
     "a.pth: damaged, or no PyTorch checkpoint; get it again"),
    (["upscale", "a.png", "-m", "a b.safetensors", "-o", "x.png"], 1, "a b.safetensors: neither a model file of jsr's "
     "nor weights of a network that jsr recognises (keys: w, ...); name the network: jsr convert 'a b.safetensors' "),
    ("fuse a.pth x.safetensors", 1, "a.pth: damaged, or no PyTorch checkpoint; get it again"),
    ("upscale a.png -m a.onnx -o x.png", 1,
     "a.onnx: an ONNX network, no model file of jsr's; convert the PyTorch weights that it was made of: jsr convert"),
    ("upscale a.png -m empty -o x.png", 1, "empty: is a folder without the model file of a run, best.safetensors or"),
    ("upscale a.png -m edsr/baseline -o x.png", 1, "edsr/baseline: no such model file; weights of the network of"),
    ("upscale a.png pics -m run -o -", 2, "--out -: takes one picture, not several"),
    ("foo", 2, "no command 'foo'"),
])
def test_slips_are_one_line_and_nothing_is_made(place, capsys, line, status, said):
    before = sorted(place.rglob("*"))
    assert run(line) == status
    out, err = capsys.readouterr()
    assert said in err and err.count("\n") == 1 and out == ""
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("line, said", [
    ("-v", f"jsr {jsr.__version__}\n"), ("version", f"jsr {jsr.__version__}\n"), ("help", "usage: jsr COMMAND"),
    ("help upscale", "usage: jsr upscale"), ("upscale -h", "usage: jsr upscale")])
def test_help_and_version(capsys, line, said):
    assert run(line) == 0
    assert capsys.readouterr().out.startswith(said)


def test_opaque_alpha_becomes_jpeg_and_colours_under_alpha_0_are_kept_on_request(place, capsys, photograph):
    rgba = np.dstack([photograph(16, 20), np.full((16, 20), 255, np.uint8)])
    Image.fromarray(rgba).save("shot.png")
    rgba[:, :10, 3] = 0
    Image.fromarray(rgba).save("texture.png")
    assert run("upscale shot.png texture.png --out out -m run --format jpg") == 1
    out, err = capsys.readouterr()
    assert size("out/shot.jpg") == ("JPEG", (40, 32)) and "shot.png: alpha, opaque everywhere, dropped" in out
    assert "texture.jpg: jpeg holds no transparency" in err
    assert run("upscale texture.png --out black.png -m run") == run("upscale texture.png -o kept.png -m run "
                                                                    "--alpha separate") == 0
    assert "texture.png: colours under alpha 0 became black; --alpha separate keeps them" in capsys.readouterr().out
    black, kept = (np.asarray(Image.open(name)) for name in ("black.png", "kept.png"))
    opaque = jsr.load("run").upscale(rgba[..., :3])
    assert not black[:, :18, :3].any()
    np.testing.assert_array_equal(kept[..., :3], opaque)
    np.testing.assert_array_equal(kept[..., 3], black[..., 3])


def test_repeated_notes_are_counted(place, capsys):
    Path("gifs").mkdir()
    for index in range(6):
        Image.new("P", (9, 9)).save(f"gifs/{index}.gif")
    assert run("upscale gifs --out out -m run") == 0
    out = capsys.readouterr().out
    assert out.count("palette became RGB") == 1 and "gifs/2.gif and 3 more, 6 in all: palette became RGB" in out


def test_results_within_a_folder_are_no_pictures_of_it(place):
    for _ in range(2):
        assert run("upscale pics --out pics/big -m run") == run("upscale pics --out pics/big2 -m run") == 0
        assert sorted(str(p) for p in Path("pics").rglob("*.*g")) == [
            *(f"pics/{name}" for name in ("b.png", "big/b.png", "big/c.jpg", "big2/b.png", "big2/c.jpg", "c.jpg"))]
    for _ in range(2):
        assert run("upscale pics --out pics -m run --format webp") == 0
    assert len(list(Path("pics").glob("*.webp"))) == 2
    assert run("upscale pics/big --out bigger -m run") == 0 and size("bigger/b.png") == ("PNG", (80, 64))


# ---- what is in the way: (line, file that a person has there)
ONE_FILE = [
    ("fuse m.safetensors out.safetensors", "out.safetensors"),
    ("average m.safetensors run/last.safetensors out.safetensors", "out.safetensors"),
    ("average m.safetensors m.safetensors run/last.safetensors", "run/last.safetensors"),  # the last of a pattern is TO
    ("upscale a.png -m run --out out.png", "out.png"),
    ("evaluate --sr pics --hr pics --profile rgb --json out.json", "out.json"),
    ("evaluate --sr pics --hr pics --profile rgb --csv out.csv", "out.csv"),
    ("evaluate --sr pics --lr pics --submission out.zip --runtime 1", "out.zip"),
    ("degrade pics --explain run --protocol aim22_t1", "run/b.png"),
    ("export m.safetensors out.stablehlo", "out.stablehlo"),
]


@pytest.mark.parametrize("line, file", ONE_FILE)
def test_one_file_in_the_way_stays(place, capsys, line, file):
    if not Path(file).exists():
        Path(file).write_bytes(b"a person's")
    before = Path(file).read_bytes()
    assert run(line) == 1
    err = capsys.readouterr().err
    assert file in err and "--overwrite" in err and "exists" in err
    assert Path(file).read_bytes() == before and not list(place.rglob(".*.part"))
    assert run(f"{line} --dry-run --overwrite") == 0 and Path(file).read_bytes() == before
    assert f"would replace: {file}" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["fuse m.safetensors", "average m.safetensors run/last.safetensors"])
def test_the_same_result_again_is_no_obstacle(place, capsys, command):
    assert run(f"{command} out.safetensors --dry-run") == 0 and not Path("out.safetensors").exists()
    assert "would write: out.safetensors" in capsys.readouterr().out
    assert run(f"{command} out.safetensors") == run(f"{command} out.safetensors") == 0


@pytest.mark.parametrize("command", ["upscale {} --out out -m run", "degrade {} --out out --protocol bicubic_x2"])
def test_other_folders_and_edited_results_in_one_place(place, capsys, photograph, command):
    """Two folders with other pictures of one name; a result that was retouched; a file that was there before."""
    Path("card").mkdir()
    Image.fromarray(photograph(16, 20, 9)).save("card/b.png")
    Path("out").mkdir()
    Path("out/c.png" if "degrade" in command else "out/c.jpg").write_bytes(b"a person's")
    assert run(command.format("pics")) == 1
    assert "exists and was not made by this command" in capsys.readouterr().err
    first = Path("out/b.png").read_bytes()
    assert run(command.format("card")) == 1
    assert "out/b.png: was made from another file" in capsys.readouterr().err
    assert Path("out/b.png").read_bytes() == first
    Path("out/b.png").write_bytes(first + b"retouched")
    assert run(command.format("pics") + " --dry-run") == 1
    assert run(command.format("pics")) == 1
    said = capsys.readouterr()
    assert said.err.count("out/b.png: was changed since it was made") == 2
    assert Path("out/b.png").read_bytes() == first + b"retouched"
    assert run(command.format("pics") + " --overwrite") == 0 and Path("out/b.png").read_bytes() == first
    assert run(command.format("pics") + " --dry-run") == 0
    assert "would pass over, finished: out/b.png" in capsys.readouterr().out


def test_a_build_leaves_what_it_did_not_make(place, capsys):
    folder = place / "data/image_folder/hr"
    version, = {path.name for path in [Path(build_path("image_folder/hr", place / "data"))]}
    (folder / version).mkdir(parents=True)
    (folder / version / "precious.txt").write_text("mine")
    line = f"build image_folder/hr --manual_dir pics --data_dir {place / 'data'} --num_workers 0"
    assert run(line) == 1
    assert "is no whole dataset, and holds precious.txt" in capsys.readouterr().err
    assert (folder / version / "precious.txt").read_text() == "mine"
    assert run(f"{line} --overwrite --dry-run") == 0 and "would replace" in capsys.readouterr().out


def build_path(name, data_dir):
    from jsr.datasets.build import find
    return find(name, data_dir)[2]


# ---- processes
def start(words, **options):
    return subprocess.run([sys.executable, "-m", "jsr", *words], env=ENV, capture_output=True, timeout=120, **options)


def test_pipes(place):
    """One process: reads a pipe, writes a pipe, says nothing else there; VIPS's warnings stay away."""
    done = start("upscale - --out - --model run --runtime jax".split(), input=Path("pics/c.jpg").read_bytes())
    assert done.returncode == 0, done.stderr
    assert size(io.BytesIO(done.stdout)) == ("JPEG", (40, 32)) and b"-: x2 by the network run" in done.stderr


def test_a_device_is_written_through(place, tmp_path, capsys):
    assert run("evaluate --sr pics --hr pics --profile rgb --json -") == 0
    assert json.loads(capsys.readouterr().out)["mean"]
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = subprocess.Popen(["cat", str(fifo)], stdout=subprocess.PIPE)
    assert run(f"evaluate --sr pics --hr pics --profile rgb --json {fifo}") == 0
    assert json.loads(reader.communicate(timeout=60)[0])["mean"] and fifo.is_fifo()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device")
def test_a_full_device_is_never_done(place, capsys):
    assert run("upscale a.png --model m.safetensors --runtime jax --out /dev/full") == 1
    said = capsys.readouterr()
    complaints = [line for line in said.err.splitlines() if line.startswith("jsr upscale: ")]
    assert len(complaints) == 1 and complaints[0].startswith("jsr upscale: /dev/full: cannot be written: ")
    assert "all done" not in said.out


@pytest.mark.parametrize("command, closing", [
    ("zoo edsr", ">&-"), ("help", "2>&-"), ("degrade --help", "<&- >&- 2>&-"), ("help", "> /dev/full")])
def test_closed_streams_are_no_traceback(command, closing):
    line = f"{shlex.quote(sys.executable)} -m jsr {command} {closing}"
    done = subprocess.run(line, shell=True, env=ENV, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr
    assert done.returncode == ("/dev/full" in closing)


@pytest.mark.parametrize("delay", [0.15, pytest.param(0.5, marks=pytest.mark.slow),
                                   pytest.param(1.0, marks=pytest.mark.slow)])
def test_ctrl_c_is_quiet_from_the_first_moment(place, set_sigint, delay):
    set_sigint(signal.default_int_handler)
    script = "import sys; from jsr.__main__ import main; print('begun', flush=True); sys.exit(main())"
    words = "upscale pics --out out --model run".split()
    process = subprocess.Popen([sys.executable, "-c", script, *words], env=ENV, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    # Python ends by the signal itself where it came within an exec, as dataclasses' is: the shell shows 130 for both.
    assert process.returncode in (130, -signal.SIGINT), err
    assert err.splitlines()[-1] in ("jsr: stopped", "jsr upscale: stopped"), err
    assert "Traceback" not in err and "Exception" not in err


def test_turned_pictures_are_scored_upright(place, capsys, photograph):
    """Originals and inputs that a camera has turned, by EXIF and by XMP alone: the numbers of the upright ones."""
    for folder in ("hr", "lr", "hr0", "lr0"):
        Path(folder).mkdir()
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="3"/></x:xmpmeta>'
    exif = Image.Exif()
    exif[0x112] = 6
    for name, turn, tags in (("a.webp", Image.Transpose.ROTATE_90, {"exif": exif}),
                             ("b.webp", Image.Transpose.ROTATE_180, {"xmp": packet})):
        upright = Image.fromarray(photograph(64, 64, len(name)))
        small = upright.resize((32, 32), Image.Resampling.BICUBIC)
        for folder, image in (("hr", upright), ("lr", small)):
            image.save(f"{folder}0/{name}", lossless=True)
            image.transpose(turn).save(f"{folder}/{name}", lossless=True, **tags)
    means = []
    for zero in ("", "0"):
        assert run(f"upscale lr{zero} --out sr{zero} -m run") == 0
        assert run(f"evaluate --sr sr{zero} --hr hr{zero} --lr lr{zero} --profile rgb --scale 2 "
                   f"--json s{zero}.json") == 0
        means.append(json.loads(Path(f"s{zero}.json").read_text())["mean"])
        assert run(f"degrade hr{zero} --out made{zero} --protocol bicubic_x2") == 0
    assert means[0] == means[1] and means[0]["ours"]["psnr[rgb]"] > 20
    for name in ("a", "b"):
        assert Path(f"made/{name}.png").read_bytes() == Path(f"made0/{name}.png").read_bytes()
        with pictures.open_picture(f"sr/{name}.webp") as picture:
            assert not any("turned" in note for note in picture.notes)


# ---- nothing is silently partial
@pytest.fixture
def mixed(place, photograph):
    """mixed/: a.png, b.jfif, sub/c.gif, sub/sub/d.tga; what is none, a pipe, a link round, what systems leave."""
    for seed, name in enumerate(("a.png", "b.jfif", "sub/c.gif", "sub/sub/d.tga")):
        path = place / "mixed" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photograph(16, 20, seed)).save(path)
    for name in ("1.cr3", "2.CR3", "sub/3.cr3", "4.cr2", "sub/notes", ".DS_Store", "._a.png", "sub/Thumbs.db",
                 ".git/e.png"):
        path = place / "mixed" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\0\0\0\x18ftypheic")
    Path("mixed/run/pictures").mkdir(parents=True)
    shutil.copy("mixed/a.png", "mixed/run/pictures/a_0000001.png")
    Path("mixed/run/fingerprint.json").write_text("{}")
    os.symlink("..", "mixed/sub/round")
    os.mkfifo("mixed/pipe.png")
    return place / "mixed"


PASSED_OVER = ("passed over: 3 .cr3, 1 .cr2, 1 without an ending, 1 link to a folder that is taken anyway, "
               "1 pipe or device, 1 folder of a run\n")


@pytest.mark.parametrize("line, made, last", [
    ("upscale mixed --out out -m run", ["a.png", "b.jfif", "sub/c.gif", "sub/sub/d.png"], "results: out; all done"),
    ("degrade mixed --out out --protocol bicubic_x2", ["a.png", "b.png", "sub/c.png", "sub/sub/d.png"],
     "4 LR images in out, their parameters in manifest.json; all done"),
    ("degrade mixed --explain out --protocol aim22_t1", ["a.png", "b.png", "sub/c.png", "sub/sub/d.png"],
     "steps: out; all done"),
    ("evaluate --sr mixed --hr mixed --profile rgb", [], "4 images scored; all done"),
])
def test_folders_are_gone_down_and_what_is_passed_over_is_counted(mixed, capsys, line, made, last):
    assert run(line) == 0
    out = capsys.readouterr().out
    assert PASSED_OVER in out
    assert out.splitlines()[-1] == last
    assert sorted(str(p.relative_to("out")) for p in Path("out").rglob("*") if p.is_file()
                  and p.suffix != ".json") == made


def test_what_a_run_trains_on_is_the_whole_folder(mixed):
    lines = []
    source = open_source(mixed, "train", announce=lines.append)
    assert [str(Path(name).relative_to(mixed)) for name in source.names] == ["a.png", "b.jfif", "sub/c.gif",
                                                                             "sub/sub/d.tga"]
    assert lines == [f"{mixed}: 4 images; {PASSED_OVER.strip()}"]
    assert [name for name, _ in source.identity] == ["a.png", "b.jfif", "sub/c.gif", "sub/sub/d.tga"]


@pytest.mark.parametrize("line, said", [
    ("upscale raw --out out -m run", "raw: no pictures or clips in this folder (passed over: 2 .cr2)"),
    ("degrade raw --out out --protocol bicubic_x2", "raw: no images in it (passed over: 2 .cr2)"),
    ("evaluate --sr raw --hr pics --profile rgb", "raw: no images in it (passed over: 2 .cr2)"),
])
def test_a_folder_without_pictures_says_what_it_holds(place, capsys, line, said):
    Path("raw").mkdir()
    for name in ("raw/1.cr2", "raw/2.CR2"):
        Path(name).touch()
    assert run(line) == 1
    assert capsys.readouterr().err.splitlines()[-1].endswith(said)


@pytest.mark.parametrize("line, out, err", [
    ("upscale pics none.png --out out -m run", "results: out", "jsr upscale: 1 failed, the rest is done"),
    ("upscale bad.png --out out -m run", "", "jsr upscale: 1 failed, nothing was done"),
    ("degrade . --out out --protocol bicubic_x2", "3 LR images in out, their parameters in manifest.json",
     "jsr degrade: 1 failed, the rest is done"),
    ("evaluate --sr . --hr . --profile rgb", "3 images scored", "jsr evaluate: 1 failed, the rest is done"),
])
def test_the_last_line_says_what_failed(place, capsys, line, out, err):
    Path("bad.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    assert run(line) == 1
    said = capsys.readouterr()
    assert (said.out.splitlines() or [""])[-1] == out and said.err.splitlines()[-1] == err


@pytest.mark.parametrize("line", ["fuse m.safetensors x.safetensors", "convert a.safetensors x.safetensors",
                                  "average m.safetensors run/last.safetensors x.safetensors"])
def test_the_last_line_says_that_all_is_done(place, capsys, photograph, enlarging, line):
    network = models.create("edsr/baseline", scale=2, num_feat=4, num_block=1)
    tensors = convert.to_torch(models.init(network, jax.random.key(0)), convert.formats(network)["basicsr"])
    convert_files.write_state_dict("a.safetensors", enlarging(tensors))
    assert run(line) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("wrote x.safetensors") and last.endswith("; all done")


def test_a_place_that_cannot_be_written_hides_no_complaint(place, capsys):
    Path("pics/bad.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    Path("file").touch()
    assert run("evaluate --sr pics --hr pics --profile rgb --json file/s.json") == 1
    err = capsys.readouterr().err
    assert "file/s.json: cannot be written" in err and "pics/bad.png: " in err
    assert err.splitlines()[-1] == "jsr evaluate: 2 failed, the rest is done"


def test_an_archive_goes_into_a_pipe(place):
    done = start("evaluate --sr pics --lr pics --submission - --runtime 1".split())
    assert done.returncode == 0, done.stderr
    assert zipfile.ZipFile(io.BytesIO(done.stdout)).namelist() == ["b.png", "c.png", "readme.txt"]


def test_errors_of_one_kind_are_grouped(place, capsys):
    Path("many/sub").mkdir(parents=True)
    for index in range(9):
        Path(f"many/{index}.png").write_bytes(b"")
    Path("many/sub/a.png").write_bytes(b"")
    assert run("upscale many --out out -m run") == 1
    assert capsys.readouterr().err.splitlines()[-6:] == [
        "jsr upscale: many/0.png: is empty", "jsr upscale: many/1.png: is empty", "jsr upscale: many/2.png: is empty",
        "jsr upscale: many: the same holds for 6 more files", "jsr upscale: many/sub/a.png: is empty",
        "jsr upscale: 10 failed, nothing was done"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
@pytest.mark.parametrize("line", ["upscale top --out out -m run", "degrade top --out out --protocol bicubic_x2",
                                  "evaluate --sr top --hr top --profile rgb"])
def test_folders_that_cannot_be_read_are_named_and_counted(place, capsys, line):
    shutil.copytree("pics", "top")
    Path("top/locked").mkdir(mode=0)
    assert run(line) == 1
    said = capsys.readouterr()
    assert "passed over: " in said.out and "that could not be read" in said.out
    assert "top/locked: cannot be read: permission denied; its files were passed over" in said.err
    assert run(line.replace("top", "top/locked", 1)) == 1 and "locked: cannot be read" in capsys.readouterr().err


def test_images_of_one_name_in_several_folders(place, capsys, photograph):
    """HR a/1 and b/1 are scored each with its own SR, under names of their own; SR files in another layout by name."""
    for seed, name in enumerate(("a/1", "b/1", "2")):
        for side in ("hr", "sr"):
            path = Path(side, f"{name}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(photograph(16, 20, seed)).save(path)
    assert run("evaluate --sr sr --hr hr --profile rgb --json s.json") == 0
    rows = json.loads(Path("s.json").read_text())["images"]
    assert [(row["name"], row["sr"], row["ours"]["psnr[rgb]"]) for row in rows] == [
        ("2", "sr/2.png", "inf"), ("a/1", "sr/a/1.png", "inf"), ("b/1", "sr/b/1.png", "inf")]
    assert run("degrade hr --out lr --protocol bicubic_x2") == 0
    assert run("evaluate --sr sr --hr hr --lr lr --scale 2 --profile rgb") == 0
    shutil.rmtree("hr/b")
    shutil.move("sr/a/1.png", "sr/1.png")
    for folder in ("sr/a", "sr/b"):
        shutil.rmtree(folder)
    capsys.readouterr()
    assert run("evaluate --sr hr/a --hr sr --profile rgb") == 1  # 2.png has no SR
    assert "1 images scored" in capsys.readouterr().out

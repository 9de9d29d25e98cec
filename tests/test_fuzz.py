"""Thousands of damaged files of every kind that jsr reads: each is read, or refused in one line, within seconds.

    python tests/test_fuzz.py pictures 7 2000      # kind, seed, cases; a failure prints both and keeps the file

JSR_FUZZ_SEED=N makes the test take other files than seed 0's.
"""

import collections
import faulthandler
import io
import json
import logging
import os
from pathlib import Path
import random
import resource
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
import zipfile

import numpy as np
from PIL import Image
import pytest

SEED = int(os.environ.get("JSR_FUZZ_SEED", "0"))
KINDS = {"pictures": 1500, "weights": 800, "models": 40, "json": 240}  # cases
A_CASE_S, MEGABYTES = 60, 3000
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def mutated(data, chance):
    """Bytes with a few changes, as a transfer, a disk or a person make them; chance is a random.Random."""
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        if not data:
            break
        at = chance.randrange(len(data))
        match chance.randrange(7):
            case 0 | 1:
                data[at] ^= 1 << chance.randrange(8)
            case 2:
                data[at] = chance.randrange(256)
            case 3:
                width, order = chance.choice((1, 2, 4)), chance.choice(("big", "little"))
                number = chance.choice(_NUMBERS) & (1 << 8 * width) - 1
                data[at:at + width] = number.to_bytes(width, order)
            case 4:
                del data[at:]
            case 5:
                end = at + chance.randrange(1, 64)
                data[at:end] = bytes(len(data[at:end]))
            case 6:
                data[at:at] = data[chance.randrange(len(data)):][:chance.randrange(1, 64)]
    return bytes(data)


# -- pictures

def _photograph(height, width, seed=0):
    noise = np.random.default_rng(seed).random((height // 4 + 2, width // 4 + 2, 3)) * 255
    image = Image.fromarray(noise.astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _pictures():
    """[(ending, bytes)] of small pictures of every kind."""
    image, found = Image.fromarray(_photograph(40, 56)), []
    exif = Image.Exif()
    exif[0x10F], exif[0x112] = "maker", 6
    clear = Image.fromarray(np.dstack([_photograph(40, 56), _photograph(40, 56, 1)[..., 0]]))
    frames = [Image.fromarray(_photograph(24, 28, seed)) for seed in range(3)]
    for ending, kind, picture, options in (
            (".png", "PNG", clear, {"exif": exif}), (".jpg", "JPEG", image, {"exif": exif}),
            (".jpg", "JPEG", image, {"progressive": True}), (".webp", "WEBP", image, {"exif": exif}),
            (".webp", "WEBP", clear, {"lossless": True}), (".tif", "TIFF", image, {"exif": exif}),
            (".tif", "TIFF", clear, {"compression": "tiff_adobe_deflate"}), (".avif", "AVIF", image, {"exif": exif}),
            (".gif", "GIF", frames[0], {"save_all": True, "append_images": frames[1:], "duration": 50}),
            (".webp", "WEBP", frames[0], {"save_all": True, "append_images": frames[1:], "duration": 50}),
            (".jp2", "JPEG2000", image, {}), (".bmp", "BMP", image, {}), (".qoi", "QOI", image, {}),
            (".tga", "TGA", image, {"compression": "tga_rle"}), (".pcx", "PCX", image, {}), (".ppm", "PPM", image, {})):
        buffer = io.BytesIO()
        picture.save(buffer, kind, **options)
        found.append((ending, buffer.getvalue()))
    try:
        import pillow_heif

        for options in ({}, {"tile_size": 32}):
            buffer = io.BytesIO()
            pillow_heif.from_pillow(image).save(buffer, quality=60, exif=exif.tobytes(), **options)
            found.append((".heic", buffer.getvalue()))
    except ImportError:
        pass
    try:
        import OpenImageIO as oiio

        with tempfile.TemporaryDirectory() as folder:
            out = oiio.ImageOutput.create(path := f"{folder}/a.jxl")
            out.open(path, oiio.ImageSpec(56, 40, 3, "uint8"))
            out.write_image(_photograph(40, 56))
            out.close()
            found.append((".jxl", Path(path).read_bytes()))
    except ImportError:
        pass
    return found


def fuzz_pictures(folder):
    """Yields functions of a random.Random that damage a picture and read it in both ways."""
    from jsr import images, pictures

    def one(ending, data, chance):
        path = folder / f"a{ending}"
        path.write_bytes(mutated(data, chance))

        def read():
            with pictures.open_picture(path) as picture:
                target = folder / f"b{pictures.WRITABLE[pictures.output_format(picture.format)[0]].extensions[0]}"
                with pictures.create(target, picture, picture.height, picture.width) as sink:
                    for frame in range(picture.frames):
                        for top in range(0, picture.height, 64):
                            sink.write(picture.rows(top, min(top + 64, picture.height), frame))
        yield read
        yield lambda: images.image_size(path)
        yield lambda: images.read_rgb(path)

    return [(f"{ending} {number}", one, ending, data) for number, (ending, data) in enumerate(_pictures())]


# -- weights

def _pth():
    """What torch.save writes of three tensors, without PyTorch."""
    tensors = {"conv.weight": (4, 3, 3, 3), "conv.bias": (4,), "up.weight": (12, 4, 3, 3)}
    pickled, entries = b"\x80\x02}q\x00(", {}

    def text(word):
        return b"X" + struct.pack("<I", len(word)) + word.encode()

    for number, (name, shape) in enumerate(tensors.items()):
        size, strides = int(np.prod(shape)), [int(np.prod(shape[n + 1:])) for n in range(len(shape))]
        sides, steps = (b"(" + b"".join(b"M" + struct.pack("<H", n) for n in row) + b"t" for row in (shape, strides))
        pickled += (text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + b"ctorch\nFloatStorage\n"
                    + text(str(number)) + text("cpu") + b"M" + struct.pack("<H", size) + b"tQK\x00" + sides + steps
                    + b"\x89ccollections\nOrderedDict\n)RtR")
        entries[f"a/data/{number}"] = np.linspace(-1, 1, size, dtype=np.float32).tobytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in {"a/data.pkl": pickled + b"u.", "a/byteorder": b"little", **entries,
                              "a/version": b"3\n"}.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def fuzz_weights(folder):
    import safetensors.numpy

    from jsr.convert import files

    plain = safetensors.numpy.save({"conv.weight": np.ones((4, 3, 3, 3), np.float32),
                                    "conv.bias": np.ones(4, np.float32)})
    (folder / "whole.pth").write_bytes(_pth())
    assert len(files.read_state_dict(folder / "whole.pth").tensors) == 3

    def one(ending, data, chance):
        path = folder / f"a{ending}"
        path.write_bytes(mutated(data, chance))
        yield lambda: files.read_state_dict(path)

    return [(ending, one, ending, data) for ending, data in ((".pth", _pth()), (".safetensors", plain))]


def fuzz_models(folder):
    import jax

    from jsr import model_file, models

    fields = {"num_feat": 4, "num_block": 1}
    meta = {"networks": [{"name": "sr", "model": "edsr/baseline", "scale": 2, "fields": fields, "deployed": False}],
            "ema": True, "recipe": "a:b", "steps": 3, "scores": {}, "data": [], "fingerprint": {}}
    variables = {"sr": models.init(models.create("edsr/baseline", scale=2, **fields), jax.random.key(3))}
    model_file.save(folder / "whole.safetensors", variables, meta)
    data = (folder / "whole.safetensors").read_bytes()
    length, = struct.unpack_from("<Q", data)

    def one(place, data, chance):
        path = folder / "a.safetensors"
        if place == "header":
            path.write_bytes(data[:8] + mutated(data[8:8 + length], chance)[:length].ljust(length) + data[8 + length:])
        else:
            path.write_bytes(mutated(data, chance))
        yield lambda: model_file.load(path)

    return [(place, one, place, data) for place in ("header", "anywhere")]


# -- JSON of jsr's own

def fuzz_json(folder):
    from jsr import recipes, results
    from jsr.datasets import build
    from jsr.degradations import degrade_folder
    from jsr.training import insight, logbook, members, run_folder
    from jsr.trees import plain

    recipe = recipes.load("aim22_t1:quick")
    mark = run_folder.fingerprint(recipe, "abc", {"data.eval": "libjpeg 9d > libjpeg-turbo 3.1"})
    run = folder / "run"
    (run / "checkpoints" / "5").mkdir(parents=True)
    wholes = {name: json.dumps(content, indent=1, sort_keys=True) for name, content in {
        "config.json": plain(recipe), "fingerprint.json": mark,
        "report.json": {"mean": {"ours": {"psnr[rgb]": 23.1}}, "codecs": "", "model_sha256": "0"}}.items()}
    wholes["metrics.jsonl"] = "".join(json.dumps({"step": n, "kind": "train", "loss": n / 7, "seconds": 1.5,
                                                  **{f"time/{part}": 0.1 for part in insight.PARTS}}) + "\n"
                                      for n in range(40))
    manifest = {"command": "jsr upscale", "settings": {"abc": {"models": []}}, "files": {"a.png": {
        "source": "in/a.png", "settings": "abc", "source_sha256": "1" * 64, "sha256": "2" * 64, "notes": []}}}
    made = {"command": "jsr degrade", "protocol": "aim22_t1", "files": {"a.png": {
        "file": "a.jpg", "sha256": "0" * 64, "degradation": {"steps": [
            {"fn": "jpeg", "library": "libjpeg 9d", "decoded_by": "libjpeg-turbo 3.1", "quality": 10}]}}}}
    dataset = {"dataset_info.json": {"fileFormat": "array_record", "splits": [
        {"name": "train", "numBytes": "0", "shardLengths": []}]},
        "metadata.json": {"names": {"train": []}, "cropped": {}}}
    (folder / "set").mkdir()

    def look_at_run():
        run_folder.check_same_run(recipe, mark, run)
        members.is_done(run)
        logbook.Logbook(run, resume_step=30).close()
        insight.times(insight.log_rows(run))

    def of_run(name, data, chance):
        for other, text in wholes.items():
            (run / other).write_text(text)
        (run / name).write_bytes(mutated(data, chance))
        yield look_at_run

    def of_manifest(name, data, chance):
        path = folder / name
        path.write_bytes(mutated(data, chance))
        command = {value: key for key, value in results.MANIFESTS.items()}[name]

        def use():
            mine = results.Manifest(path, command, {})
            mine.find("files", "a.png")
            mine.add("files", "b.png", {"source": "b"})
            mine.save(lambda tables: tables | {"x": {"used": len({
                entry.get("settings") for entry in tables.get("files", {}).values()})}})
        yield lambda: degrade_folder.record_of(folder / "a.jpg", b"")
        yield use

    def of_dataset(name, data, chance):
        for other, content in dataset.items():
            (folder / "set" / other).write_text(json.dumps(content))
        (folder / "set" / name).write_bytes(mutated(data, chance))
        yield lambda: build.damage(folder / "set")

    return ([(name, of_run, name, text.encode()) for name, text in wholes.items()]
            + [(name, of_manifest, name, json.dumps(content).encode())
               for name, content in (("upscaled.json", manifest), ("manifest.json", made))]
            + [(name, of_dataset, name, json.dumps(content).encode()) for name, content in dataset.items()])


# -- the runner, a process of its own

def run(kind, seed, count):
    """Damages files of a kind and prints what came of them; returns the exit status."""
    from jsr.errors import UserError

    warnings.simplefilter("ignore")  # Pillow's, of odd files
    logging.disable()
    with tempfile.TemporaryDirectory() as folder:
        rows, slowest, outcomes = globals()[f"fuzz_{kind}"](Path(folder)), 0.0, collections.Counter()
        for case in range(count):
            name, one, what, data = rows[case % len(rows)]
            for read in one(what, data, random.Random(f"{kind} {seed} {case}")):
                began = time.monotonic()
                faulthandler.dump_traceback_later(A_CASE_S, exit=True)
                try:
                    read()
                    outcomes["read"] += 1
                except UserError as e:
                    outcomes["refused"] += 1
                    if not str(e) or len(str(e)) > 100_000:
                        raise
                except Exception:
                    print(f"seed {seed}, case {case} of {kind}, {name}:\n{traceback.format_exc()}")
                    outcomes["traceback"] += 1
                faulthandler.cancel_dump_traceback_later()
                slowest = max(slowest, time.monotonic() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{kind}, seed {seed}: {count} files, {dict(outcomes)}, the slowest {slowest:.2f} s, peak {peak} MB")
    return int(outcomes["traceback"] > 0 or peak > MEGABYTES)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_read_or_refused(kind):
    done = subprocess.run([sys.executable, __file__, kind, str(SEED), str(KINDS[kind])], capture_output=True, text=True,
                          timeout=1200)
    print(done.stdout)
    assert done.returncode == 0, f"seed {SEED}\n{done.stdout[-5000:]}\n{done.stderr[-3000:]}"


if __name__ == "__main__":
    faulthandler.enable()
    sys.exit(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))

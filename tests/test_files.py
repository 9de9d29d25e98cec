"""Atomic writes and reading of images, good and bad."""

import errno
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo
import pytest

from jsr import images, pictures, stills
from jsr.errors import UserError
from jsr.files import atomic_write, from_json, json_rows
from jsr.pictures._load import PILLOW


def test_atomic_write_replaces_whole_files_only(tmp_path):
    path = tmp_path / "sub" / "a.txt"
    with atomic_write(path, "w") as file:
        file.write("one")
    with pytest.raises(RuntimeError), atomic_write(path, "w") as file:
        file.write("half")
        raise RuntimeError
    assert path.read_text() == "one"
    assert os.listdir(path.parent) == ["a.txt"]
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


KILLED = """
import os, signal, sys
from jsr.files import atomic_write
with atomic_write(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("at work", flush=True)
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_used_up_by_the_next(tmp_path):
    path = tmp_path / "a.bin"
    first = subprocess.Popen([sys.executable, "-c", KILLED, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert first.stdout.readline() == b"at work\n"
    for content in (b"one", b"two"):  # beside one that is at work
        with atomic_write(path) as file:
            file.write(content)
        assert path.read_bytes() == content and len(os.listdir(tmp_path)) == 2
    first.communicate()
    assert first.returncode == -9 and len(os.listdir(tmp_path)) == 2
    with atomic_write(path, replace=False) as file:
        file.write(b"two")
    assert path.read_bytes() == b"two" and os.listdir(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("content, said", [
    (b'{"a": {"b": 1}', "a damaged file"), (b'{"a": 1}', "a damaged file"), (b"{}", "a damaged file (has no 'a')"),
    (b"[]", "a damaged file"), (b"[" * 100_000, "a damaged file"), (b'{"a": ' + b"9" * 10_000 + b"}", "a damaged file"),
    (b"\xff\xfe\x00", "a damaged file"), (b"", "a damaged file"), (None, "no such file")])
def test_damaged_json_is_one_line_with_the_way_on(tmp_path, content, said):
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError) as error, from_json(tmp_path / "a.json", "put it back") as found:
        assert found["a"]["b"] == 2
    text = str(error.value)
    assert text.startswith(f"{tmp_path}/a.json: {said}") and text.endswith("; put it back") and "\n" not in text


def test_rows_of_json_without_the_damaged_ones(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}\n{"a": \n[2]\n\xff\n' + b"[" * 100_000 + b'\n{"a": 2}\n{"a": 3')
    assert json_rows(tmp_path / "a.jsonl") == ([{"a": 1}, {"a": 2}], 4)
    assert json_rows(tmp_path / "b.jsonl") == ([], 0)


def test_unwritable_place_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/a.txt: cannot be written"), atomic_write(tmp_path / "file" / "a.txt"):
        pass


def test_full_disk_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match="a.bin: cannot be written: the disk is full"), atomic_write(tmp_path / "a.bin"):
        raise OSError(errno.ENOSPC, "")
    assert os.listdir(tmp_path) == []


def test_write_that_the_system_cuts_off_leaves_nothing(tmp_path):
    code = ("import resource, signal, jsr.files\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
            "with jsr.files.atomic_write('big.bin') as f: f.write(b'x' * 1_000_000)")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert "UserError: big.bin: cannot be written: File too large" in done.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA"])
def test_read_rgb_modes(tmp_path, mode, photograph):
    rgb = Image.fromarray(photograph(9, 7))
    image = rgb.convert(mode)
    image.save(tmp_path / "a.png")
    found = images.read_rgb(tmp_path / "a.png")
    assert found.dtype == np.uint8 and found.shape == (9, 7, 3)
    np.testing.assert_array_equal(found, np.asarray(image.convert("RGB")))


def test_bytes_and_path_are_the_same(tmp_path, photograph):
    images.write_png(tmp_path / "a.png", photograph(1, 1))
    np.testing.assert_array_equal(images.read_rgb((tmp_path / "a.png").read_bytes()), photograph(1, 1))


def _png16(size):
    """A 16-bit RGB PNG, which Pillow reads but cannot write."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes(6 * size)) * size
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 16, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def _bad_files(folder, photograph):
    (folder / "deep_rgb.png").write_bytes(_png16(4))
    good = images.png_bytes(photograph(40, 40))
    Image.fromarray(np.full((4, 4), 300, np.uint16)).save(folder / "deep.png")
    Image.fromarray(photograph(4, 4)).convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(np.zeros((4, 4, 4), np.uint8)).save(folder / "clear.png")
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("hello")
    (folder / "truncated.png").write_bytes(good[:len(good) // 2])
    return {"missing.png": "no such file", "deep.png": "16 bits a channel", "deep_rgb.png": "16 bits a channel",
            "cmyk.jpg": "is CMYK", "clear.png": "transparent", "empty.png": "not an image",
            "text.png": "not an image", "truncated.png": "damaged or truncated"}


def test_bad_images_are_one_line_each(tmp_path, photograph):
    for name, message in _bad_files(tmp_path, photograph).items():
        with pytest.raises(UserError) as error:
            images.read_rgb(tmp_path / name)
        assert name in str(error.value) and message in str(error.value) and "\n" not in str(error.value)


def test_decompression_bomb(tmp_path):
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    with pytest.raises(UserError, match="bomb.png: more pixels than the safety limit"):
        images.read_rgb(tmp_path / "bomb.png")


def test_very_wide_image(tmp_path):
    images.write_png(tmp_path / "wide.png", np.zeros((200, 12_000, 3), np.uint8))
    assert images.read_rgb(tmp_path / "wide.png").shape == (200, 12_000, 3)
    assert images.image_size(tmp_path / "wide.png") == (200, 12_000)


def test_list_images(tmp_path, photo_folder):
    (photo_folder / "notes.txt").write_text("")
    assert [p.name for p in images.list_images(photo_folder)] == [f"{i:04d}.png" for i in range(4)]
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="none: no images in it"):
        images.list_images(tmp_path / "none")
    with pytest.raises(UserError, match="nowhere: no such folder"):
        images.list_images(tmp_path / "nowhere")
    with pytest.raises(UserError, match="0000.png: is a file, and a folder is wanted here"):
        images.list_images(photo_folder / "0000.png")
    with pytest.raises(UserError, match="not an image"):
        images.image_size(photo_folder / "notes.txt")


@pytest.mark.parametrize("head", [b"\0\0\0\x20ftypisom", b"\0\0\0\x14ftypqt  ", b"\x1aE\xdf\xa3\1\0\0\0",
                                  b"RIFF\0\1\0\0AVI LIST", b"OggS\0\2\0\0"])
def test_a_clip_that_is_given_for_a_picture_is_called_one(tmp_path, head):
    (tmp_path / "a.png").write_bytes(head + bytes(100))
    for read in (images.read_rgb, lambda path: images.read_rgb(path.read_bytes()), pictures.open_picture):
        with pytest.raises(UserError, match="is a clip, not a picture; where clips are taken"):
            read(tmp_path / "a.png")


@pytest.mark.parametrize("head", [b"\0\0\0\x20ftypavif", b"\0\0\0\x20ftypheic", b"RIFF\0\1\0\0WEBPVP8 ", b"text"])
def test_a_damaged_picture_is_called_no_clip(tmp_path, head):
    (tmp_path / "a.png").write_bytes(head + bytes(100))
    for read in (images.read_rgb, pictures.open_picture):
        with pytest.raises(UserError) as error:
            read(tmp_path / "a.png")
        assert "clip" not in str(error.value)


def test_to_uint8_rounds():
    values = np.array([-1.0, 0.0, 0.4999 / 255, 0.5001 / 255, 254.6 / 255, 2.0])
    assert images.to_uint8(values).tolist() == [0, 0, 0, 1, 255, 255]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_upright_at_the_size_that_their_header_says(tmp_path, photograph, suffix, orientation):
    exif, path = Image.Exif(), tmp_path / f"a{suffix}"
    exif[0x112] = orientation
    stored = Image.fromarray(photograph(40, 64))
    stored.save(path, exif=exif)
    found, upright = images.read_rgb(path), ImageOps.exif_transpose(Image.open(path))
    np.testing.assert_array_equal(found, upright)
    assert found.shape[:2] == images.image_size(path) == ((64, 40) if orientation > 4 else (40, 64))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("stated, in_exif, turned", [(6, None, 6), (3, None, 3), (6, 1, 1), (6, 8, 8)])
def test_xmp_turns_where_exif_is_silent(tmp_path, photograph, suffix, stated, in_exif, turned):
    exif, path, stored = Image.Exif(), tmp_path / f"a{suffix}", Image.fromarray(photograph(40, 64))
    if in_exif:
        exif[0x112] = in_exif
    packet = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><a tiff:Orientation = '{stated}'/></x:xmpmeta>".encode()
    if suffix == ".png":
        about = PngInfo()
        about.add_itxt("XML:com.adobe.xmp", packet.decode())
        stored.save(path, exif=exif, pnginfo=about)
    else:
        stored.save(path, exif=exif, **({"tiffinfo": {700: packet} | ({274: in_exif} if in_exif else {})}
                                         if suffix == ".tif" else {"xmp": packet}))
    turns = {1: lambda x: x, 3: lambda x: x[::-1, ::-1], 6: lambda x: np.rot90(x, 3), 8: np.rot90}
    with Image.open(path) as image:
        image.info.pop("exif", None), image.info.pop("xmp", None)
        pixels = photograph(40, 64) if suffix in (".png", ".tif") else np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(images.read_rgb(path), turns[turned](pixels))
    assert images.image_size(path) == turns[turned](pixels).shape[:2]
    with pictures.open_picture(path) as picture:
        np.testing.assert_array_equal(picture.rows(0, picture.height), turns[turned](pixels))


def test_a_damaged_exif_block_turns_nothing(tmp_path, photograph):
    Image.fromarray(photograph(40, 64)).save(tmp_path / "a.jpg", exif=b"Exif\0\0rubbish")
    upright = images.read_rgb(tmp_path / "a.jpg")
    assert upright.shape[:2] == images.image_size(tmp_path / "a.jpg") == (40, 64)


def test_every_format_that_upscale_reads_is_read_for_data_sets(tmp_path, odd_pictures):
    """What both readers take has the same pixels; the strict one refuses the rest in one line, several frames too."""
    assert set(images.EXTENSIONS) == {ending for form in pictures.WRITABLE.values()
                                      for ending in form.extensions}.union(*PILLOW.values(), stills.EXTENSIONS)
    folder, rows = odd_pictures
    taken, frames = set(), set()
    for row in rows:
        if isinstance(row.expected, str) or (folder / row.name).suffix not in images.EXTENSIONS:
            continue
        kind, channels, bits, count = row.expected
        try:
            found = images.read_rgb(folder / row.name)
        except UserError as e:
            assert "\n" not in str(e)
            frames |= {kind} if "frames or pages" in str(e) else set()
            continue
        assert count == 1 and (bits == 8 or kind == "avif"), row.name
        assert images.image_size(folder / row.name) == found.shape[:2], row.name
        if channels in (1, 3) and bits == 8:
            assert np.abs(found.astype(int) - row.pixels).max() <= row.tolerance, row.name
            taken.add(kind)
    assert taken >= {"png", "jpeg", "webp", "tiff", "gif", "bmp", "ppm", "pcx", "avif"}, taken
    assert frames >= {"gif", "webp", "tiff"}, frames

"""Files that are made to hang a run or to exhaust a machine: each is read or refused in time and memory of its size."""

import io
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
from PIL import Image
import pytest

from jsr import images, pictures
from jsr.errors import UserError

SECONDS, MEGABYTES = 60, 700  # generous: the bounds are those of what is read and held


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(*chunks, height=16, width=20):
    rows = zlib.compress((b"\0" + bytes(60)) * 16)
    return (b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + b"".join(chunks) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b""))


def _forks(depth, start=8, tags=(0x8769, 0x8825)):
    """Directories of which each has two pointers to the next: 2^depth ways through them."""
    each = 2 + 12 * len(tags) + 4
    found = [struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, start + (n + 1) * each)
                                                     for tag in tags) + bytes(4) for n in range(depth)]
    return b"".join(found) + struct.pack("<HHHIII", 1, 0x10F, 2, 4, 0x41414141, 0)


def _tiff(more, tail=b"", pixels=bytes(320)):
    tags = {256: (4, 1, 20), 257: (4, 1, 16), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1), 273: (4, 1, 8),
            277: (3, 1, 1), 278: (4, 1, 16), 279: (4, 1, 320), **more}
    table = b"".join(struct.pack("<HHII", tag, *value) for tag, value in sorted(tags.items()))
    return (b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + struct.pack("<H", len(tags)) + table + bytes(4)
            + tail)


def _jpeg(exif):
    buffer = io.BytesIO()
    Image.new("RGB", (20, 16)).save(buffer, "JPEG")
    block = b"Exif\0\0" + exif
    return buffer.getvalue()[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + buffer.getvalue()[2:]


def _encoded(kind, side, **options):
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (200, 30, 90)).save(buffer, kind, **options)
    return buffer.getvalue()


def _resized_ispe(data, side):
    """An AVIF file whose header claims another size."""
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", side, side) + data[at + 8:]


def _blank_webp(side):
    """A real WebP file of some 30 bytes, whatever its size."""
    data = bytearray(_encoded("WEBP", 64, lossless=True))
    at = data.index(b"VP8L") + 9
    bits = int.from_bytes(data[at:at + 4], "little") >> 28 << 28 | side - 1 << 14 | side - 1
    data[at:at + 4] = bits.to_bytes(4, "little")
    return bytes(data)


def _gif_canvas(side):
    data = bytearray(_encoded("GIF", 8))
    data[6:10] = struct.pack("<HH", side, side)
    return bytes(data)


def _qoi(side):
    return b"qoif" + struct.pack(">IIBB", side, side, 3, 0) + b"\xfd" * (side * side // 62 + 1) + bytes(7) + b"\1"


EXIF = b"II*\0\x08\0\0\0"
TAIL = 8 + 320 + 2 + 12 * 10 + 4  # where what follows a directory of ten tags lies
READ, REFUSED = True, False
FILES = {
    "forks.png": (lambda: _png(_chunk(b"eXIf", EXIF + _forks(40))), READ),
    "forks.jpg": (lambda: _jpeg(EXIF + _forks(40)), READ),
    "forks.tif": (lambda: _tiff({0x8769: (4, 1, TAIL)}, _forks(40, TAIL)), READ),
    "forks_of_interop.tif": (lambda: _tiff({0x8769: (4, 1, TAIL)}, _forks(40, TAIL, (0x8769, 0xA005))), READ),
    "itself.tif": (lambda: _tiff({0x8769: (4, 1, 8 + 320)}), READ),
    "texts.png": (lambda: _png(*[_chunk(b"tEXt", b"k\0v")] * 200_000), READ),
    "unknown_chunks.png": (lambda: _png(*(_chunk(b"a%c%c%c" % tuple(65 + n // 26**k % 26 for k in range(3)), b"")
                                          for n in range(17_576))), READ),
    "one_block.tif": (lambda: _tiff({tag: (1, 1 << 24, 8) for tag in range(40000, 40800)}, b"", bytes(1 << 24)),
                      REFUSED),
    "overlapping_blocks.tif": (lambda: _tiff({tag: (1, 1 << 22, 8 + tag - 40000) for tag in range(40000, 40800)}, b"",
                                             bytes((1 << 22) + 900)), REFUSED),
    "claims.avif": (lambda: _resized_ispe(_encoded("AVIF", 16), 16384), REFUSED),
    "blank.webp": (lambda: _blank_webp(16383), REFUSED),
    "canvas.gif": (lambda: _gif_canvas(65535), READ),  # as large as its frame
    "claims.png": (lambda: _png(height=60_000, width=60_000), REFUSED),
    "run.qoi": (lambda: _qoi(4000), READ),
    "blank.jp2": (lambda: _encoded("JPEG2000", 4096), READ),
    "garbage_profile.jpg": (lambda: _cmyk(b"\0\0\0\x80" + bytes(32) + b"CMYK" + bytes(200)), REFUSED)}


def _cmyk(icc):
    buffer = io.BytesIO()
    Image.new("CMYK", (20, 16), (200, 30, 30, 0)).save(buffer, "JPEG", icc_profile=icc)
    return buffer.getvalue()


READER = """
import sys
from jsr import pictures
from jsr.errors import UserError
for path in sys.argv[1:]:
    try:
        with pictures.open_picture(path) as picture:
            for start in range(0, picture.height, 64):
                picture.rows(start, min(start + 64, picture.height))
        print("read", picture.notes)
    except UserError as e:
        print("refused", str(e))
# Not ru_maxrss, which a process begins with from the one that started it
with open("/proc/self/status") as file:
    status = dict(line.split(":", 1) for line in file)
print(int(status["VmHWM"].split()[0]) // 1024)
"""


def test_hostile_pictures_take_time_and_memory_of_their_size(tmp_path):
    for name, (make, _) in FILES.items():
        (tmp_path / name).write_bytes(make())
    done = subprocess.run([sys.executable, "-c", READER, *(tmp_path / name for name in FILES)], timeout=SECONDS,
                          capture_output=True, text=True, check=True, env=os.environ)
    *lines, peak = done.stdout.splitlines()
    notes = dict(zip(FILES, lines, strict=True))
    wrong = [name for name, (_, read) in FILES.items() if (notes[name].split()[0] == "read") != read]
    assert not wrong, {name: notes[name] for name in wrong}
    assert int(peak) < MEGABYTES
    assert "AAA, aBAA, aCAA and 17,573 more dropped" in notes["unknown_chunks.png"]
    assert all("made to exhaust a machine" in notes[name] for name in ("claims.avif", "blank.webp"))
    assert "a damaged colour profile" in notes["garbage_profile.jpg"]


@pytest.mark.parametrize("name", ["forks.png", "forks.jpg", "forks.tif", "texts.png"])
def test_data_sets_read_them_too(tmp_path, name):
    (tmp_path / name).write_bytes(FILES[name][0]())
    assert images.read_rgb(tmp_path / name).shape == (16, 20, 3)
    assert images.image_size(tmp_path / name) == (16, 20)


@pytest.mark.parametrize("read", [pictures.open_picture, images.read_rgb, images.image_size])
def test_pipes_and_devices_are_no_pictures(tmp_path, read):
    os.mkfifo(tmp_path / "pipe.png")
    os.symlink("/dev/zero", tmp_path / "zero.png")
    os.symlink("loop.png", tmp_path / "loop.png")
    for name, message in (("pipe.png", "is a pipe or device"), ("zero.png", "is a pipe or device"), ("loop.png", ""),
                          ("nothing.png", "no such file")):
        with pytest.raises(UserError, match=f"{name}: .*{message}"):
            read(tmp_path / name)


def test_a_channel_that_a_tiff_does_not_call_alpha_is_not_dropped_in_data_sets(tmp_path):
    pixels = np.full((16, 20, 4), 90, np.uint8)
    Image.fromarray(pixels, "RGBA").save(tmp_path / "a.tif")
    data = (tmp_path / "a.tif").read_bytes()
    entry = struct.pack("<HHIHH", 338, 3, 1, 2, 0)
    assert entry in data
    (tmp_path / "a.tif").write_bytes(data.replace(entry, struct.pack("<HHIHH", 338, 3, 1, 0, 0)))
    with pytest.raises(UserError, match=r"a.tif: has a channel besides its colours, .* not marked as alpha"):
        images.read_rgb(tmp_path / "a.tif")

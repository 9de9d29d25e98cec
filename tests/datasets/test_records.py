"""Source images and the parts made of them."""

import io
import tarfile
import zipfile

import numpy as np
from PIL import Image
import pytest

from jsr.datasets import collect, records, tiled
from jsr.errors import UserError


def png(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)))
    return records.Original("a", str(path))


def test_a_part_gives_the_record_that_was_made(source, tmp_path):
    for protocol in ("", "aim22_t1"):
        part = records.prepare(source, protocol=protocol, folder=tmp_path / "parts")
        assert [records.load(part)] == records.make(source, source.read(), protocol)


def test_a_part_belongs_to_its_source_and_protocol(source, tmp_path):
    first = records.prepare(source, protocol="", folder=tmp_path)
    assert records.prepare(source, protocol="", folder=tmp_path) == first
    assert records.prepare(source, protocol="aim22_t1", folder=tmp_path) != first
    with open(source.path, "wb") as file:
        file.write(png(np.zeros((8, 8, 3), np.uint8)))
    assert records.prepare(source, protocol="", folder=tmp_path) != first


@pytest.mark.parametrize("suffix,options", [(".png", {}), (".jpg", {"quality": 90}), (".bmp", {})])
def test_hr_is_a_tiled_tiff_with_the_pixels_of_the_source(tmp_path, suffix, options):
    path = tmp_path / f"a{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)).save(path, **options)
    record, = records.make(records.Original("a", str(path)), path.read_bytes(), "")
    hr = Image.open(io.BytesIO(record["hr"]))
    assert tiled.is_tiled(record["hr"]) and hr.format == "TIFF" and hr.mode == "RGB"
    np.testing.assert_array_equal(hr, Image.open(path))


def test_sources_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match="none.png: is missing"):
        records.Original("none", str(tmp_path / "none.png")).read()
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        records.Original("folder", str(tmp_path)).read()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("b.png", b"")
    with pytest.raises(UserError, match="a.zip:c.png: is missing"):
        records.Original("c", str(tmp_path / "a.zip"), "c.png").read()
    (tmp_path / "a.zip").write_bytes(b"no archive")
    with pytest.raises(UserError, match="a.zip:b.png: damaged archive .*; fetch it again"):
        records.Original("b", str(tmp_path / "a.zip"), "b.png").read()


def test_a_name_that_is_not_in_utf8(source):
    with pytest.raises(UserError, match="its name is not in UTF-8; rename it"):
        records.make(records.Original("\udce4", source.path), source.read(), "")


def test_too_small_for_the_scale(source):
    with pytest.raises(UserError, match=r"a.png: 3x3 \(height x width\) is smaller than 4 px, the scale of aim22_t1"):
        records.make(source, png(np.zeros((3, 3, 3), np.uint8)), "aim22_t1")


def test_archives_whose_contents_cannot_be_listed(tmp_path):
    for name in ("a", "b"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            archive.writestr("\xe4.png", b"")
    data = (tmp_path / "a.zip").read_bytes()  # a name that is called UTF-8 and is none
    (tmp_path / "a.zip").write_bytes(data.replace("\xe4".encode(), b"\xff\xff"))
    at = data.index(b"PK\1\2")  # of a version of ZIP to come
    (tmp_path / "b.zip").write_bytes(data[:at + 6] + b"\xff" + data[at + 7:])
    (tmp_path / "c.tar").write_bytes(b"\xff" * 512)
    found = collect.images_below(tmp_path)
    assert not found.files and sorted(text[:16] for text in found.unusable) == [f"{name} is damaged" [:16] for name in (
        "a.zip", "b.zip", "c.tar")]
    assert records.Original("b", str(tmp_path / "b.zip"), "b.png").record_bytes() == 0


def test_a_tar_archive_that_leads_back_into_itself(tmp_path):
    """Python's tarfile lists such a one without end."""
    def header(name, size):
        block = bytearray(tarfile.TarInfo(name).tobuf(tarfile.GNU_FORMAT))
        block[124:136] = size.to_bytes(12, "big", signed=True) if size < 0 else b"%011o\0" % size
        block[124] |= 0x80 * (size < 0)
        block[148:156] = b"%06o\0 " % (sum(block[:148]) + 8 * ord(" ") + sum(block[156:]))
        return bytes(block)

    (tmp_path / "a.tar").write_bytes(header("a.png", -512) + bytes(1024))
    assert collect.images_below(tmp_path).unusable == [
        "a.tar is damaged (its members lie in one another), fetch it again"]
    (tmp_path / "a.tar").write_bytes(header("a.png", 3 << 30))
    with open(tmp_path / "a.tar", "r+b") as file:
        file.truncate(2048 + (3 << 30))  # of which the disk has but the header
    (_, source), = collect.images_below(tmp_path).files
    with pytest.raises(UserError, match=r"a.tar:a.png: has 3,221,225,472 bytes, too many"):
        source.read()

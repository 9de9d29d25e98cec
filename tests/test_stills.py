"""HEIC and JPEG XL as phones write them: the library's own decode, turned once, with all that belongs to it."""

import io
import struct

import numpy as np
from PIL import Image, ImageCms
import pytest

from jsr import images, pictures, stills
from jsr.errors import MissingLibrary, UserError
from jsr.stills import jpegxl

pillow_heif = pytest.importorskip("pillow_heif")
oiio = pytest.importorskip("OpenImageIO")

MODEL, ORIENTATION = 0x110, 0x112


def _exif(orientation):
    block = Image.Exif()
    block[MODEL], block[ORIENTATION] = "phone", orientation
    return block.tobytes()


def _upright(pixels, orientation):
    image = Image.fromarray(pixels)
    return np.asarray(image if orientation == 1 else image.transpose(images._TURNS[orientation]))


def _read(path):
    with pictures.open_picture(path) as picture:
        return picture, picture.rows(0, picture.height)


def _heic(path, pixels, **options):
    """Writes an HEIC picture, lossless but for 4:2:0, so that its pixels may be told apart."""
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[pixels.shape[2] if pixels.ndim == 3 else 1]
    height, width = pixels.shape[:2]
    made = pillow_heif.from_bytes(f"{mode};16" if pixels.dtype == np.uint16 else mode, (width, height),
                                  np.ascontiguousarray(pixels).tobytes())
    made.save(path, **{"quality": 95} | options)


def _decoded(path):
    """The library's own decode."""
    with open(path, "rb") as file:
        found = pillow_heif.HeifFile(file, convert_hdr_to_8bit=False, hdr_to_16bit=True)
        return np.asarray(found[found.primary_index])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_grid_with_an_odd_crop_is_turned_once(tmp_path, photograph, orientation):
    stored = photograph(75, 101)
    path = tmp_path / "a.heic"
    _heic(path, stored, tile_size=64, exif=_exif(orientation))
    assert path.read_bytes().count(b"hvc1") > 1  # tiles
    assert (b"irot" in path.read_bytes() or b"imir" in path.read_bytes()) == (orientation > 1)
    assert Image.open(io.BytesIO(_jpeg_with(_exif(orientation)))).getexif()[ORIENTATION] == orientation
    picture, rows = _read(path)
    np.testing.assert_array_equal(rows, _decoded(path))
    assert np.abs(rows.astype(int) - _upright(stored, orientation)).mean() < 8  # of 4:2:0; turned wrongly 50
    assert (picture.format, picture.bit_depth, picture.turned) == ("heif", 8, orientation)
    assert (f"turned upright (EXIF orientation {orientation})" in picture.notes) == (orientation > 1)
    np.testing.assert_array_equal(images.read_rgb(path), rows)
    assert images.image_size(path) == rows.shape[:2]
    with pictures.create(tmp_path / "b.jpg", picture, *rows.shape[:2]) as sink:
        sink.write(rows)
    with Image.open(tmp_path / "b.jpg") as again:
        assert dict(again.getexif())[MODEL] == "phone" and again.getexif()[ORIENTATION] == 1


def _jpeg_with(exif):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def test_an_orientation_of_exif_alone_turns_no_heic(tmp_path, photograph):
    _heic(tmp_path / "a.heic", photograph(48, 64), exif=_exif(1))
    data = (tmp_path / "a.heic").read_bytes()
    entry = struct.pack(">HHIH", ORIENTATION, 3, 1, 1)
    assert data.count(entry) == 1
    (tmp_path / "a.heic").write_bytes(data.replace(entry, struct.pack(">HHIH", ORIENTATION, 3, 1, 6)))
    picture, rows = _read(tmp_path / "a.heic")
    assert rows.shape == (48, 64, 3) and picture.turned == 1  # as the standard, and so phones, have it


@pytest.mark.parametrize("how", ["nclx", "icc"])
def test_display_p3_is_kept_by_a_profile(tmp_path, photograph, how):
    from jsr.libvips import vips

    p3 = vips().Operation.call("profile_load", "p3")
    options = {"color_primaries": 12, "transfer_characteristics": 13} if how == "nclx" else {}
    pixels = photograph(48, 64)
    _heic(tmp_path / "a.heic", pixels, **options)
    if how == "icc":
        image = Image.fromarray(pixels)
        made = pillow_heif.from_pillow(image)
        made.info["icc_profile"] = p3
        made.save(tmp_path / "a.heic", quality=95)
    picture, rows = _read(tmp_path / "a.heic")
    with pictures.create(tmp_path / "b.png", picture, *rows.shape[:2]) as sink:
        sink.write(rows)
    with Image.open(tmp_path / "b.png") as again:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(again.info["icc_profile"])).profile
    assert profile.red_colorant[1][0] == pytest.approx(0.68, abs=0.02)  # x of P3's red, adapted; sRGB's is 0.64


def test_hdr_without_a_profile_is_refused(tmp_path, photograph):
    _heic(tmp_path / "a.heic", photograph(48, 64), color_primaries=9, transfer_characteristics=16)
    with pytest.raises(UserError, match=r"a.heic: has wide or HDR colours \(primaries 9, transfer 16\)"):
        pictures.open_picture(tmp_path / "a.heic")


@pytest.mark.parametrize("target", ["a.png", "a.avif"])
def test_ten_bits_stay_and_white_stays_white(tmp_path, photograph, target):
    pixels = photograph(48, 64).astype(np.uint16) * 257
    pixels[:16] = 65535
    _heic(tmp_path / "a.heic", pixels)
    picture, rows = _read(tmp_path / "a.heic")
    assert (picture.bit_depth, rows.dtype, rows[:8].min()) == (10, np.uint16, 65535)
    np.testing.assert_array_equal(rows >> 6 << 6, _decoded(tmp_path / "a.heic"))
    with pictures.create(tmp_path / target, picture, *rows.shape[:2]) as sink:
        sink.write(rows)
    again, made = _read(tmp_path / target)
    assert again.bit_depth == (16 if target == "a.png" else 10) and made[:8].min() > 65500
    if target == "a.png":
        np.testing.assert_array_equal(made, rows)
    with pytest.raises(UserError, match="a.heic: has 10 bits a channel, not 8"):
        images.read_rgb(tmp_path / "a.heic")


def test_alpha_and_several_pictures(tmp_path, photograph):
    pixels = np.dstack([photograph(48, 64), np.linspace(0, 255, 64).astype(np.uint8)[None].repeat(48, 0)])
    _heic(tmp_path / "a.heic", pixels, quality=-1, chroma=444, matrix_coefficients=0)
    picture, rows = _read(tmp_path / "a.heic")
    assert picture.channels == 4 and np.abs(rows.astype(int) - pixels).max() <= 1
    several = pillow_heif.from_pillow(Image.fromarray(photograph(32, 32)))
    several.add_from_pillow(Image.fromarray(photograph(48, 64)))
    several.add_from_pillow(Image.fromarray(photograph(16, 16)))
    several.save(tmp_path / "b.heic", quality=95, primary_index=1)
    picture, rows = _read(tmp_path / "b.heic")
    assert rows.shape == (48, 64, 3) and "2 further pictures dropped" in picture.notes


def _with_auxiliary(data, urn):
    """An HEIC file of two pictures whose second is called an auxiliary one of the first, as depth and gain maps are."""
    def full(kind, content, flags=0):
        return struct.pack(">I4sI", len(content) + 12, kind, flags) + content

    def inner(data, kind, start, end):
        while start < end:
            size, found = struct.unpack_from(">I4s", data, start)
            if found == kind:
                return start, size
            start += size
        raise ValueError(kind)

    meta, size = inner(data, b"meta", 0, len(data))
    parts, at = {}, meta + 12
    while at < meta + size:
        length, kind = struct.unpack_from(">I4s", data, at)
        parts[kind] = data[at:at + length]
        at += length
    iprp = parts[b"iprp"]
    ipco_at, ipco_size = inner(iprp, b"ipco", 8, len(iprp))
    ipco, rest = iprp[ipco_at:ipco_at + ipco_size], iprp[ipco_at + ipco_size:]
    count, place = 0, 8
    while place < len(ipco):
        place += struct.unpack_from(">I", ipco, place)[0]
        count += 1
    ipco = ipco[8:] + full(b"auxC", urn + b"\0")
    ipma_at, ipma_size = inner(rest, b"ipma", 0, len(rest))
    ipma = bytearray(rest[ipma_at:ipma_at + ipma_size])
    place = 16
    for item in (1, 2):
        assert struct.unpack_from(">H", ipma, place)[0] == item
        if item == 2:
            ipma[place + 2] += 1
            ipma[place + 3:place + 3] = bytes([0x80 | count + 1])
        else:
            place += 3 + ipma[place + 2]
    ipma[:4] = struct.pack(">I", len(ipma))
    content = struct.pack(">I4s", len(ipco) + 8, b"ipco") + ipco + rest[:ipma_at] + bytes(ipma) + rest[
        ipma_at + ipma_size:]
    parts[b"iprp"] = struct.pack(">I4s", len(content) + 8, b"iprp") + content
    link = struct.pack(">I4sHHH", 14, b"auxl", 2, 1, 1)
    old = parts.pop(b"iref", None)
    assert old is None
    parts[b"iref"] = full(b"iref", link)
    grown = sum(map(len, parts.values())) + 12 - size
    iloc = bytearray(parts[b"iloc"])
    whole = b"".join(parts.values())
    head, tail = data[:meta], data[meta + size:]
    for place in (20, 38):  # where the data of the two lie, behind
        struct.pack_into(">I", iloc, place, struct.unpack_from(">I", iloc, place)[0] + grown)
    whole = whole.replace(parts[b"iloc"], bytes(iloc))
    return head + full(b"meta", whole) + tail


@pytest.mark.parametrize("urn, note", [
    (b"urn:com:apple:photo:2020:aux:hdrgainmap", "HDR gain map dropped"),
    (b"urn:mpeg:hevc:2015:auxid:2", "depth map dropped")])
def test_what_lies_beside_is_said(tmp_path, photograph, urn, note):
    several = pillow_heif.from_pillow(Image.fromarray(photograph(64, 64)))
    several.add_from_pillow(Image.fromarray(photograph(32, 32)).convert("L"))
    several.save(tmp_path / "a.heic", quality=95)
    plain = _read(tmp_path / "a.heic")[1]
    data = _with_auxiliary((tmp_path / "a.heic").read_bytes(), urn)
    (tmp_path / "a.heic").write_bytes(data + struct.pack(">I4s", 12, b"mpvd") + bytes(4))
    picture, rows = _read(tmp_path / "a.heic")
    np.testing.assert_array_equal(rows, plain)
    assert picture.notes == (note, "motion video dropped")


# -- JPEG XL

def _jxl(path, pixels, **attributes):
    height, width, *channels = pixels.shape
    spec = oiio.ImageSpec(width, height, *channels or [1], pixels.dtype.name)
    spec.attribute("compression", "jpegxl:100")
    spec.attribute("oiio:UnassociatedAlpha", 1)
    for name, value in attributes.items():
        spec.attribute(name, *value) if isinstance(value, tuple) else spec.attribute(name, value)
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), spec) and out.write_image(np.atleast_3d(pixels)) and out.close(), oiio.geterror()


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_jpeg_xl_is_read_at_its_depth_with_exif_and_profile(tmp_path, photograph, channels, dtype):
    pixels = np.dstack([photograph(33, 50), photograph(33, 50)[..., :1]])[..., :channels].astype(dtype)
    pixels = np.ascontiguousarray(np.squeeze(pixels * (257 if dtype == np.uint16 else 1)))
    _jxl(tmp_path / "a.jxl", pixels, Model="phone", Orientation=6)
    picture, rows = _read(tmp_path / "a.jxl")
    np.testing.assert_array_equal(np.squeeze(rows), pixels)
    assert (picture.format, picture.channels, picture.bit_depth) == ("jpegxl", channels, 8 * pixels.itemsize)
    assert b"phone" in picture.metadata.exif and picture.metadata.icc
    if dtype == np.uint8 and channels == 3:
        np.testing.assert_array_equal(images.read_rgb(tmp_path / "a.jxl"), pixels)
    assert dtype == np.uint16 or images.image_size(tmp_path / "a.jxl") == (33, 50)
    with pictures.create(tmp_path / "b.png", picture, 33, 50) as sink:
        sink.write(rows)
    with Image.open(tmp_path / "b.png") as again:
        assert again.getexif()[ORIENTATION] == 1


def _turned_jxl(data, orientation):
    """A JPEG XL file of 8 bits, without profile, whose header states an orientation."""
    data = jpegxl._codestream(data, "") if not data.startswith(b"\xff\x0a") else data
    number, size = int.from_bytes(data[2:34], "little"), 32
    bits = jpegxl._Bits(data[2:34])
    start = 8 * size

    def at():
        return start - bits._left

    jpegxl._size(bits)
    assert bits.take(1) == 0  # not all as by default
    first = at()
    assert bits.take(1) == 0 and bits.take(1) == 0
    bits.choice((8, 0), (10, 0), (12, 0), (1, 6))
    bits.take(1)
    assert bits.choice((0, 0), (1, 0), (2, 4), (1, 12)) == 0
    bits.take(1)
    if not bits.take(1):  # colours
        assert bits.take(1) == 0
        assert jpegxl._enumerated(bits) == 0
        white, primaries = jpegxl._enumerated(bits), jpegxl._enumerated(bits)
        assert (white, primaries) == (1, 1)
        assert bits.take(1) == 0
        jpegxl._enumerated(bits)
        jpegxl._enumerated(bits)
    second = at()
    assert bits.take(2) == 0 and bits.take(1) == 1  # no extensions, no transform of its own
    end = at()
    found = [number >> n & 1 for n in range(end)]
    stated = [orientation - 1 >> n & 1 for n in range(3)]
    found = [*found[:first], 1, *stated, 0, 0, 0, *found[first + 1:second], 1, *found[second:]]
    head = sum(bit << n for n, bit in enumerate(found)).to_bytes(-(-len(found) // 8), "little")
    return b"\xff\x0a" + head + data[2 + -(-end // 8):]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg_xl_is_turned_once(tmp_path, photograph, orientation):
    stored = photograph(33, 50)
    _jxl(tmp_path / "a.jxl", stored)
    data = (tmp_path / "a.jxl").read_bytes()
    bare = b"".join(data[start:end] for kind, start, end in stills.still.boxes(data) if kind == b"jxlc") or b"".join(
        data[start + 4:end] for kind, start, end in stills.still.boxes(data) if kind == b"jxlp")
    exif = _exif(orientation).removeprefix(b"Exif\0\0")
    turned = _turned_jxl(bare, orientation)
    kind = struct.pack(">I4s4sI4s", 20, b"ftyp", b"jxl ", 0, b"jxl ")
    boxes = [(b"Exif", bytes(4) + exif), (b"jxlc", turned)]
    (tmp_path / "a.jxl").write_bytes(b"\0\0\0\x0cJXL \r\n\x87\n" + kind + b"".join(
        struct.pack(">I4s", len(content) + 8, name) + content for name, content in boxes))
    picture, rows = _read(tmp_path / "a.jxl")
    np.testing.assert_array_equal(rows, _upright(stored, orientation))
    assert picture.turned == orientation and b"phone" in picture.metadata.exif
    assert images.image_size(tmp_path / "a.jxl") == rows.shape[:2]


@pytest.mark.parametrize("name", ["a.heic", "a.jxl"])
def test_damaged_ones_are_one_line(tmp_path, photograph, name):
    (_heic if name == "a.heic" else _jxl)(tmp_path / name, photograph(33, 50))
    data = (tmp_path / name).read_bytes()
    random = np.random.default_rng(7)
    for cut in (30, 100, len(data) // 2, len(data) - 9):
        (tmp_path / name).write_bytes(data[:cut])
        with pytest.raises(UserError) as error:
            _read(tmp_path / name)
        assert str(error.value).startswith(f"{tmp_path / name}: ") and "\n" not in str(error.value)
    for _ in range(40):
        changed = bytearray(data)
        changed[random.integers(len(data))] ^= 1 << random.integers(8)
        (tmp_path / name).write_bytes(changed)
        try:
            _read(tmp_path / name)
        except UserError as e:
            assert str(e).startswith(f"{tmp_path / name}: ") and "\n" not in str(e)


def test_what_is_claimed_is_refused_before_it_is_decoded(tmp_path, photograph):
    _jxl(tmp_path / "a.jxl", photograph(33, 50))
    data = (tmp_path / "a.jxl").read_bytes()
    bits = 0 | 3 << 1 | 29_999 << 3 | 1 << 33  # not small; 1 + 30 bits of height; as wide as high
    bare = b"\xff\x0a" + (bits | 1 << 36).to_bytes(8, "little") + data[-200:]
    (tmp_path / "a.jxl").write_bytes(bare)
    with pytest.raises(UserError, match=r"a.jxl: claims 30000 x 30000 pixels in \d+ bytes"):
        pictures.open_picture(tmp_path / "a.jxl")


@pytest.mark.parametrize("name, library, extra", [("a.heic", "pillow_heif", "heif"), ("a.jxl", "OpenImageIO", "jxl")])
def test_without_the_library_it_is_said_how_to_get_it(tmp_path, photograph, monkeypatch, name, library, extra):
    (_heic if name == "a.heic" else _jxl)(tmp_path / name, photograph(33, 50))
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(MissingLibrary, match=rf"{name}: is a .* picture; to read it: pip install .*\[{extra}\]"):
        pictures.open_picture(tmp_path / name)

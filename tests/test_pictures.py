"""A person's pictures: a zoo of odd files read, doubled, written and read back by Pillow and FFmpeg; damage; memory."""

from concurrent.futures import ThreadPoolExecutor
import io
import os
from pathlib import Path
import struct
import subprocess
import sys

import av
import numpy as np
from PIL import Image, ImageCms, IptcImagePlugin, PngImagePlugin
import pytest

from jsr import images, libvips, pictures
from jsr.errors import UserError
from jsr.libvips import first_line
from jsr.pictures import _exif, write
from jsr.pictures._load import reading

XMP = (b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
       b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="1"/></rdf:RDF></x:xmpmeta>')


def _whole(path):
    """The picture's header facts and all its frames at once, (frames, H, W, C)."""
    with pictures.open_picture(path) as picture:
        return picture, np.stack([picture.rows(0, picture.height, frame) for frame in range(picture.frames)])


def _double(source, target, **options):
    """Writes `source` with every pixel doubled, in bands that overlap; returns (picture, sink)."""
    with pictures.open_picture(source) as picture:
        with pictures.create(target, picture, 2 * picture.height, 2 * picture.width, **options) as sink:
            for frame in range(picture.frames):
                for start in range(0, picture.height, 8):
                    above = max(0, start - 3)
                    rows = picture.rows(above, min(start + 8, picture.height), frame)[start - above:]
                    sink.write(rows.repeat(2, 0).repeat(2, 1))
    return picture, sink


def _independent(path, picture):
    """Frames of a written file by Pillow, or by FFmpeg for colour of 16 bits, which Pillow cannot read."""
    if picture.dtype == np.uint16:
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
            kind = "gray16le" if picture.channels == 1 else "rgb48le" if picture.channels == 3 else "rgba64le"
            pixels = np.atleast_3d(frame.reformat(format=kind).to_ndarray())
        return (pixels[..., ::3] if picture.channels == 2 else pixels)[None]
    with Image.open(path) as image:
        frames = []
        for index in range(picture.frames):
            image.seek(index)
            frames.append(np.atleast_3d(np.asarray(image.convert(["L", "LA", "RGB", "RGBA"][picture.channels - 1]))))
    return np.stack(frames)


def _good(rows):
    return [row for row in rows if not isinstance(row.expected, str)]


def test_zoo_is_read(odd_pictures):
    folder, rows = odd_pictures
    assert len(_good(rows)) > 50
    for row in _good(rows):
        picture, pixels = _whole(folder / row.name)
        assert (picture.format, picture.channels, picture.bit_depth, picture.frames) == row.expected, row.name
        expected = row.pixels if row.pixels.ndim == 4 else row.pixels[None]
        shape = picture.frames, picture.height, picture.width, picture.channels
        dtype = np.uint16 if picture.bit_depth > 8 else np.uint8
        assert pixels.shape == shape == expected.shape, row.name
        assert pixels.dtype == picture.dtype == expected.dtype == dtype, row.name
        assert np.abs(pixels.astype(int) - expected).max() <= row.tolerance, row.name


def test_zoo_refusals_are_one_line(odd_pictures):
    folder, rows = odd_pictures
    bad = [row for row in rows if isinstance(row.expected, str)]
    assert len(bad) > 25
    for row in bad:
        with pytest.raises(UserError) as error:
            _whole(folder / row.name)
        message = str(error.value)
        assert message.startswith(str(folder / row.name)) and row.expected in message and "\n" not in message, message


def test_bands_are_the_whole(odd_pictures):
    folder, rows = odd_pictures
    for row in _good(rows):
        picture, whole = _whole(folder / row.name)
        with pictures.open_picture(folder / row.name) as again:
            for frame in range(again.frames):
                start = 0
                while start < again.height:
                    stop = min(start + 9, again.height)
                    np.testing.assert_array_equal(again.rows(start, stop, frame), whole[frame, start:stop], row.name)
                    start += 5


def test_zoo_round_trip(odd_pictures, tmp_path):
    folder, rows = odd_pictures
    for index, row in enumerate(_good(rows)):
        name, reason = pictures.output_format(row.expected[0])
        assert (reason is None) == (row.expected[0] in pictures.WRITABLE)
        target = tmp_path / f"{index}{pictures.WRITABLE[name].extensions[0]}"
        picture, sink = _double(folder / row.name, target)
        found = _independent(target, picture)
        expected = (row.pixels if row.pixels.ndim == 4 else row.pixels[None]).repeat(2, 1).repeat(2, 2)
        assert found.shape == expected.shape, row.name
        difference = np.abs(found.astype(int) - expected) / (257 if picture.dtype == np.uint16 else 1)
        if picture.channels == 4 and name in ("avif", "gif"):
            difference[..., :3] *= expected[..., 3:] > 0  # only here colours under full transparency may change
        if sink.quality is None:
            assert difference.max() <= row.tolerance, row.name
        else:
            assert difference.mean() < 6, (row.name, difference.mean())
        with Image.open(target) as image:
            assert image.getexif().get(0x112, 1) == 1, row.name
            if name in ("jpeg", "tiff"):
                assert len(image.getbands()) == picture.channels, row.name
        if name == "png":  # depth and colour type; Pillow shows 16-bit grey with alpha as RGBA
            assert list(target.read_bytes()[24:26]) == [picture.bit_depth, [0, 4, 2, 6][picture.channels - 1]], row.name
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in tmp_path.glob("[0-9]*"))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_jpeg_pixels_are_pillows(tmp_path, photograph, sampling, progressive, mode):
    for height, width in [(64, 64), (37, 53), (1, 17), (17, 2), (2, 3), (100, 131)]:
        for quality in (10, 90):
            Image.fromarray(photograph(height, width)).convert(mode).save(
                tmp_path / "a.jpg", quality=quality, subsampling=sampling, progressive=progressive and height > 2)
            with Image.open(tmp_path / "a.jpg") as image:
                np.testing.assert_array_equal(_whole(tmp_path / "a.jpg")[1][0], np.atleast_3d(np.asarray(image)))


# What each output format keeps of sources that carry everything.
_KEPT = {"jpg": {"icc", "exif", "xmp", "dpi", "iptc"}, "png": {"icc", "exif", "xmp", "dpi", "text"},
         "webp": {"icc", "exif", "xmp"}, "avif": {"icc", "exif", "xmp"}, "gif": set(),
         "tif": {"icc", "exif", "xmp", "dpi"}}


@pytest.mark.parametrize("target", _KEPT)
@pytest.mark.parametrize("source", ["jpg", "png", "webp", "avif"])
def test_metadata_is_kept(odd_pictures, tmp_path, source, target):
    folder, _ = odd_pictures
    picture, sink = _double(folder / f"everything.{source}", tmp_path / f"a.{target}")
    kept = _KEPT[target] - ({"iptc"} if source != "jpg" else set()) - ({"text"} if source != "png" else set())
    with Image.open(tmp_path / f"a.{target}") as image, Image.open(folder / f"everything.{source}") as original:
        assert image.size == (46, 62)
        assert image.info.get("icc_profile") == (original.info["icc_profile"] if "icc" in kept else None)
        block = image.getexif()
        assert block.get(0x112, 1) == 1
        if "exif" in kept:
            inner, place = block.get_ifd(0x8769), block.get_ifd(0x8825)
            assert (block[0x10F], block[0x8298]) == ("Maker", "(c) someone")
            assert (inner[0xA002], inner[0xA003]) == image.size
            assert inner[0x927C] == b"MakerNote\0\1\2" * 9 and inner[0x9286] == b"UNICODE\0h\0i\0"
            assert inner[0x9003] == "2020:01:02 03:04:05" and place[2] == (10.0, 20.0, 30.5)
        if "xmp" in kept:
            xmp = image.info.get("xmp") or image.info["XML:com.adobe.xmp"].encode()
            assert b'tiff:Orientation="1"' in xmp
        if "dpi" in kept:
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
        if "iptc" in kept:
            assert IptcImagePlugin.getiptcinfo(image)[2, 5] == b"a title"
        if "text" in kept:
            assert image.info["Title"] == "a title" and image.info["Ü"] == "wörld"
    notes = " ".join(sink.notes)
    assert ("gif does not hold: colour profile, EXIF, XMP" in notes) == (target == "gif")
    assert ("PNG text" in notes) == (source == "png" and target != "png")
    assert ("IPTC" in notes) == (source == "jpg" and target != "jpg")


def test_jpeg_and_png_keep_exif_byte_for_byte(odd_pictures, tmp_path):
    folder, _ = odd_pictures
    for source, target in (("jpg", "a.jpg"), ("jpg", "a.png"), ("png", "b.png")):
        picture, _ = _double(folder / f"everything.{source}", tmp_path / target)
        with Image.open(tmp_path / target) as image:
            block = image.info["exif"].removeprefix(b"Exif\0\0")
        assert len(block) == len(picture.metadata.exif)
        assert sum(a != b for a, b in zip(block, picture.metadata.exif, strict=True)) < 12  # orientation and two sizes


def test_tiff_tags_reach_tiff_and_png(tmp_path, photograph):
    tags = {270: "a description", 315: "an artist", 0x010F: "Maker"}
    Image.fromarray(photograph(8, 9)).save(tmp_path / "a.tif", tiffinfo=tags, dpi=(200, 100))
    for target in ("b.tif", "b.png"):
        _double(tmp_path / "a.tif", tmp_path / target)
        with Image.open(tmp_path / target) as image:
            assert {tag: image.getexif()[tag] for tag in tags} == tags
            assert image.info["dpi"] == pytest.approx((200, 100), abs=0.02)
    with Image.open(tmp_path / "b.tif") as image:
        image.load()
        assert image.size == (18, 16)


def test_exif_goes_into_a_tiff_of_more_than_4_gb(tmp_path):
    with open(tmp_path / "a.tif", "w+b") as file:
        _exif.begin_tiff(file)
        file.write(bytes(6))
        _exif.end_tiff(file, 1, 2, 3, 8)
        file.truncate(5 << 30)  # sparse: the disk holds a few bytes of it
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9003] = "2026:11:21 08:00:00"
        _exif.into_tiff(file, exif.tobytes().removeprefix(b"Exif\0\0"))
        layout, (page,) = _exif.directories(file)
        assert file.seek(0, 2) > 5 << 30 and layout.big
        assert page[0x8769][2][0x9003][2] == b"2026:11:21 08:00:00\0"
        assert _exif.number(layout, page, 256) == 2


def test_exif_of_either_byte_order_goes_into_tiff(tmp_path, photograph):
    block = Image.Exif()
    block.update({0x10F: "Maker", 0x112: 1})
    block.get_ifd(0x8769).update({0x829A: (1, 125), 0xA002: 9})
    for endian in "<>":
        block.endian = endian
        Image.fromarray(photograph(8, 9)).save(tmp_path / "a.jpg", exif=block.tobytes())
        _double(tmp_path / "a.jpg", tmp_path / "a.tif")
        with Image.open(tmp_path / "a.tif") as image:
            assert image.getexif()[0x10F] == "Maker"
            assert image.getexif().get_ifd(0x8769)[0xA002] == 18


def test_damaged_exif_is_dropped_with_a_note(tmp_path, photograph):
    Image.fromarray(photograph(8, 9)).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    _, sink = _double(tmp_path / "a.png", tmp_path / "b.png")
    assert "damaged EXIF dropped" in sink.notes
    assert _exif.upright(b"II*\0\x08\0\0\0\x09\0", 1, 1) is None and _exif.upright(b"??", 1, 1) is None
    assert _exif.resolution(b"") is None


def test_metadata_too_long_for_jpeg_is_dropped_with_a_note(tmp_path, photograph):
    block, text = Image.Exif(), PngImagePlugin.PngInfo()
    block[0x10F] = "x" * 70_000
    text.add_itxt("XML:com.adobe.xmp", "<x>" + "x" * 70_000 + "</x>")
    Image.fromarray(photograph(8, 9)).save(tmp_path / "a.png", exif=block.tobytes(), pnginfo=text)
    _, sink = _double(tmp_path / "a.png", tmp_path / "a.jpg")
    assert sink.notes[:2] == ("EXIF too long for jpeg dropped", "XMP too long for jpeg dropped")
    assert (tmp_path / "a.jpg").stat().st_size < 5000
    _, sink = _double(tmp_path / "a.png", tmp_path / "b.png")
    assert sink.notes == ()
    with Image.open(tmp_path / "b.png") as image:
        assert len(image.getexif()[0x10F]) == 70_000 and len(image.info["XML:com.adobe.xmp"]) > 70_000


def test_thumbnail_is_unlinked(tmp_path, photograph):
    ifd0 = struct.pack("<HHHIIHHII", 2, 0x10F, 2, 4, 0x00414243, 0x112, 3, 1, 6)[:26]
    thumbnail = struct.pack("<HHHII", 1, 0x201, 4, 1, 99)
    block = b"II*\0\x08\0\0\0" + ifd0 + struct.pack("<I", 38) + thumbnail + bytes(4)
    _, pages = _exif.directories(io.BytesIO(block))
    assert len(pages) == 2
    _, pages = _exif.directories(io.BytesIO(_exif.upright(block, 5, 6)))
    assert len(pages) == 1 and pages[0][0x112][2] == b"\1\0"


@pytest.mark.parametrize("name", ["moving.gif", "moving.webp"])
@pytest.mark.parametrize("target", ["a.gif", "a.webp"])
def test_animations_keep_their_timing(odd_pictures, tmp_path, name, target):
    folder, _ = odd_pictures
    picture, _ = _double(folder / name, tmp_path / target)
    assert picture.animated and picture.frames == 3
    with Image.open(tmp_path / target) as image, Image.open(folder / name) as original:
        assert image.n_frames == 3
        plays = [i.info["loop"] + (i.format == "GIF") for i in (image, original)]  # GIF counts repeats
        assert plays[0] == plays[1]
        ends = 0
        for index, duration in enumerate((50, 70, 90)):
            image.seek(index)
            image.load()
            assert image.info["duration"] == duration
            if image.format == "WEBP":
                assert image.info["timestamp"] == ends
            ends += duration


def test_webp_stays_lossless_unless_a_quality_is_asked_for(odd_pictures, tmp_path):
    folder, _ = odd_pictures
    assert _double(folder / "lossless.webp", tmp_path / "a.webp")[1].quality is None
    assert _double(folder / "lossless.webp", tmp_path / "b.webp", quality=50)[1].quality == 50
    assert _double(folder / "everything.webp", tmp_path / "c.webp")[1].quality == 95
    assert b"VP8L" in (tmp_path / "a.webp").read_bytes() and b"VP8L" not in (tmp_path / "b.webp").read_bytes()


def test_quality(odd_pictures, tmp_path):
    folder, _ = odd_pictures
    for extension in ("jpg", "webp", "avif"):
        sizes = []
        for quality in (20, 98):
            _, sink = _double(folder / "rgb.png", tmp_path / f"a.{extension}", quality=quality)
            assert sink.quality == quality
            sizes.append((tmp_path / f"a.{extension}").stat().st_size)
        assert sizes[0] < sizes[1]
    _, sink = _double(folder / "rgb.png", tmp_path / "a.png", quality=90)
    assert sink.quality is None and sink.notes == ("png is lossless: quality 90 does not apply",)
    with pytest.raises(ValueError, match="quality 0 is not between 1 and 100"):
        _double(folder / "rgb.png", tmp_path / "a.jpg", quality=0)


def test_jpeg_is_written_without_chroma_subsampling(odd_pictures, tmp_path):
    folder, _ = odd_pictures
    _double(folder / "420.jpg", tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    frame = data.index(b"\xff\xc0")
    assert data[frame + 11] == 0x11 and data[:4] == b"\xff\xd8\xff\xe0"


def test_sixteen_bits_round_into_formats_of_less(odd_pictures, tmp_path):
    folder, _ = odd_pictures
    source = _whole(folder / "rgb16.png")[1][0]
    for extension, bits in (("jpg", 8), ("webp", 8), ("avif", 12), ("gif", 8)):
        _, sink = _double(folder / "rgb16.png", tmp_path / f"a.{extension}", quality=100)
        assert f"16 bits rounded to {bits}" in sink.notes
    _, found = _whole(tmp_path / "a.avif")
    assert found.dtype == np.uint16 and np.abs(found[0, ::2, ::2].astype(int) - source).mean() < 2000
    with av.open(str(tmp_path / "a.avif")) as container:
        assert "12" in container.streams.video[0].codec_context.pix_fmt
    rounded = write._rounded(np.array([0, 128, 129, 385, 386, 65535], np.uint16), 8)
    assert rounded.tolist() == [0, 0, 1, 1, 2, 255]


def test_avif_keeps_its_depth_and_full_range(odd_pictures, tmp_path, photograph):
    folder, _ = odd_pictures
    for bits in (10, 12):
        _double(folder / f"avif{bits}.avif", tmp_path / "a.avif")
        with av.open(str(tmp_path / "a.avif")) as container:
            assert str(bits) in container.streams.video[0].codec_context.pix_fmt
        every = np.arange(1 << bits, dtype=np.uint16)
        full = (every << 16 - bits) | (every << 16 - bits) >> bits
        assert full[-1] == 65535
        np.testing.assert_array_equal(write._rounded(full, bits), every << 16 - bits)


def test_what_a_format_cannot_hold_is_refused_before_the_work(odd_pictures, tmp_path):
    folder, _ = odd_pictures
    refusals = {
        ("rgba.png", "a.jpg"): "jpeg holds no transparency, which rgba.png has; write png or webp or avif or tiff",
        ("moving.gif", "a.png"): "png does not hold the 3 frames or pages of moving.gif; write webp or gif",
        ("pages.tif", "a.gif"): "gif does not hold the 3 frames or pages of pages.tif; write tiff",
        ("rgb.png", "a.xyz"): r"the extension '\.xyz' is of no format that can be written; use one of \.png, \.jpg",
    }
    for (source, target), message in refusals.items():
        with pytest.raises(UserError, match=f"{target}: {message}"):
            _double(folder / source, tmp_path / target)
    with pictures.open_picture(folder / "rgb.png") as picture:
        for target, limit in (("a.jpg", 65_500), ("a.webp", 16_383), ("a.avif", 16_384), ("a.gif", 65_535)):
            with pytest.raises(UserError, match=f"{target}: .* pixels are more than the {limit} a side that"):
                with pictures.create(tmp_path / target, picture, 3, limit + 1):
                    pytest.fail("the block was entered")
        with pytest.raises(ValueError, match="format 'psd' is none of png"):
            with pictures.create(tmp_path / "a.bmp", picture, 3, 3, format="psd"):
                pass
    assert list(tmp_path.iterdir()) == []


def test_largest_sides_are_written(odd_pictures, tmp_path):
    folder, _ = odd_pictures
    with pictures.open_picture(folder / "1xN.png") as picture:
        for target, limit in (("a.jpg", 65_500), ("a.webp", 16_383), ("a.gif", 65_535)):
            with pictures.create(tmp_path / target, picture, 2, limit) as sink:
                sink.write(np.full((2, limit, 3), 99, np.uint8))
            with Image.open(tmp_path / target) as image:
                assert image.size == (limit, 2)


def test_mistakes_of_the_program(odd_pictures, tmp_path):
    folder, _ = odd_pictures
    with pictures.open_picture(folder / "rgb.png") as picture:
        picture.rows(5, 9)
        assert "rgb.png: png, 23 x 31 x 3, 8 bits, frames: 1" in repr(picture)
        with pytest.raises(ValueError, match="rows go from top to bottom: 4 of frame 0 after 5 of frame 0"):
            picture.rows(4, 9)
        for wrong in ((9, 9, 0), (9, 24, 0), (9, 10, 1)):
            with pytest.raises(ValueError, match="no rows"):
                picture.rows(*wrong)
        for rows, message in ((np.zeros((1, 30, 3), np.uint8), r"uint8 \(1, 30, 3\) are not uint8 \(n, 31, 3\)"),
                              (np.zeros((1, 31, 3), np.uint16), r"uint16 \(1, 31, 3\) are not uint8"),
                              (np.zeros((24, 31, 3), np.uint8), "24 rows where 23 are missing"),
                              (np.zeros((22, 31, 3), np.uint8), "a.png: 1 rows were not written")):
            with pytest.raises(ValueError, match=message), pictures.create(tmp_path / "a.png", picture, 23, 31) as sink:
                sink.write(rows)
    with pytest.raises(ValueError, match="is closed"):
        picture.rows(9, 10)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_after_an_exception(odd_pictures, tmp_path, monkeypatch):
    folder, _ = odd_pictures
    (tmp_path / "a.png").write_text("before")
    for spool in (0, 1 << 20):
        monkeypatch.setattr(write, "SPOOL_BYTES", spool)
        with pytest.raises(RuntimeError), pictures.open_picture(folder / "rgb.png") as picture:
            with pictures.create(tmp_path / "a.png", picture, 23, 31) as sink:
                sink.write(picture.rows(0, 5))
                raise RuntimeError
    assert (tmp_path / "a.png").read_text() == "before" and os.listdir(tmp_path) == ["a.png"]


@pytest.mark.parametrize("name", ["rgb.png", "rgba16.png", "moving.webp", "pages.tif", "grey.jpg"])
def test_rows_spooled_to_disk_give_the_same_file(odd_pictures, tmp_path, monkeypatch, name):
    folder, _ = odd_pictures
    (tmp_path / "memory").mkdir()
    _double(folder / name, tmp_path / "memory" / name)
    monkeypatch.setattr(write, "SPOOL_BYTES", 0)
    _double(folder / name, tmp_path / name)
    assert (tmp_path / name).read_bytes() == (tmp_path / "memory" / name).read_bytes()


@pytest.mark.parametrize("target", ["a.png", "a.tif", "a.jpg"])
@pytest.mark.parametrize("limit", [3000, 100_000])
def test_full_disk_is_one_line_and_leaves_nothing(tmp_path, photograph, target, limit):
    source = tmp_path / "source.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)).save(source)
    (tmp_path / "out").mkdir()
    code = ("import resource, signal, sys\nfrom jsr import pictures\n"
            f"pictures.write.SPOOL_BYTES = {0 if limit > 3000 else 1 << 30}\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
            f"with pictures.open_picture({str(source)!r}) as p, pictures.create({target!r}, p, 300, 400) as sink:\n"
            "    sink.write(p.rows(0, 300))")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "out", capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)})
    assert f"UserError: {target}: cannot be written: File too large" in done.stderr, done.stderr
    assert os.listdir(tmp_path / "out") == []


def test_no_permission_and_no_folder_are_one_line(odd_pictures, tmp_path):
    folder, _ = odd_pictures
    secret = tmp_path / "secret.png"
    secret.write_bytes((folder / "rgb.png").read_bytes())
    secret.chmod(0)
    code = ("import os\nfrom jsr import pictures\n"
            "if os.getuid() == 0: os.setuid(65534)\n"
            f"pictures.open_picture({str(secret)!r})")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          cwd=Path(__file__).parent.parent)
    assert f"UserError: {secret}: no permission to read it" in done.stderr
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/a.png: cannot be written"):
        _double(folder / "rgb.png", tmp_path / "file" / "a.png")


def _jpeg(pixels, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=92, **options)
    return buffer.getvalue()


def _between_segments(data, junk):
    at = data.index(b"\xff\xdb")
    return data[:at] + junk + data[at:]


def _scan_header(data, last):
    at = data.index(b"\xff\xda")
    end = at + 2 + int.from_bytes(data[at + 2:at + 4], "big")
    return data[:end - 3] + last + data[end:]


@pytest.mark.parametrize("change", [
    lambda data: data[:-2], lambda data: _between_segments(data, bytes(37)),
    lambda data: _between_segments(data, b"\1\xff\x00\2\xff"), lambda data: _scan_header(data, bytes(3)),
    lambda data: _scan_header(_between_segments(data, b"\7"), b"\0\0\x3f")[:-2],
    lambda data: data[:-2] + bytes(37) + data[-2:], lambda data: data[:-2] + b"\xff" * 37 + data[-2:],
    lambda data: data.replace(b"JFIF\0\1", b"JFIF\0\2", 1),
    lambda data: data[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\2" + data[20:],
], ids=["no end marker", "zeros between segments", "no marker between segments", "Samsung's scan header", "all",
        "zeros at the end", "ones at the end", "a version of JFIF to come", "a transform that nobody knows"])
@pytest.mark.parametrize("options", [{}, {"restart_marker_blocks": 2}])
def test_jpegs_that_decoders_warn_about_are_read_where_no_sample_is_missing(tmp_path, photograph, change, options):
    clean = _jpeg(photograph(40, 52), **options)
    (tmp_path / "a.jpg").write_bytes(change(clean))
    want = np.asarray(Image.open(io.BytesIO(clean)))
    np.testing.assert_array_equal(_whole(tmp_path / "a.jpg")[1][0], want)
    np.testing.assert_array_equal(images.read_rgb(tmp_path / "a.jpg"), want)


def _with_tag(tag, value):
    """A grey TIFF file with another value of a tag."""
    buffer = io.BytesIO()
    Image.new("L", (64, 48), 99).save(buffer, "TIFF")
    data = bytearray(buffer.getvalue())
    start, = struct.unpack_from("<I", data, 4)
    count, = struct.unpack_from("<H", data, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, at) == (tag,):
            struct.pack_into("<HHII", data, at, tag, 3, 1, value)
    return bytes(data)


@pytest.mark.parametrize("data, said", [
    *((_with_tag(259, kind), r"is of a kind that cannot be read \(.*; convert it to an ordinary PNG, TIFF or JPEG")
      for kind in (6, 32909, 34712, 34887, 34925, 50000, 50002)),
    (_with_tag(258, 12), "is of a kind that cannot be read|has 12 bits a channel"),
    (b"v/1\x01" + bytes(99), "is an OpenEXR picture, which cannot be read; convert it to PNG"),
    (b"PF\n2 2\n-1.0\n" + bytes(48), r"is a picture of floats \(PFM\), which cannot be read; convert it to PNG"),
    (b"version https://git-lfs.github.com/spec/v1", "is a note of Git LFS in the place of a file")])
def test_good_files_of_kinds_that_are_not_read_are_called_that_by_every_reader(tmp_path, data, said):
    (tmp_path / "a.tif").write_bytes(data)
    for read in (images.read_rgb, _whole, lambda path: images.read_rgb(path.read_bytes(), name=path)):
        with pytest.raises(UserError, match=f"a.tif: {said}"):
            read(tmp_path / "a.tif")


@pytest.mark.parametrize("change", [
    lambda data: data[:900] + data[1300:], lambda data: data[:-200] + data[-2:], lambda data: data[:-40],
    lambda data: data[:900] + bytes(100) + data[1000:]])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
def test_jpegs_with_missing_samples_are_refused_by_every_reader(tmp_path, photograph, change, options):
    (tmp_path / "a.jpg").write_bytes(change(_jpeg(photograph(40, 52), **options)))
    for read in (images.read_rgb, _whole, lambda path: images.read_rgb(path.read_bytes(), name=path)):
        with pytest.raises(UserError, match="a.jpg: damaged or truncated .*replace or remove"):
            read(tmp_path / "a.jpg")


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("tag, value, alpha", [(338, 2, True), (338, 0, False), (339, 1, False)],
                         ids=["alpha", "unspecified", "unsaid"])
def test_a_channel_that_is_not_called_alpha_is_not_taken_for_it(tmp_path, mode, tag, value, alpha):
    Image.new(mode, (8, 6), (200,) * len(mode)).save(tmp_path / "a.tif")
    data, extra = (tmp_path / "a.tif").read_bytes(), struct.pack("<HHIH", 338, 3, 1, 2)
    assert data.count(extra) == 1
    (tmp_path / "a.tif").write_bytes(data.replace(extra, struct.pack("<HHIH", tag, 3, 1, value)))
    if alpha:
        assert _whole(tmp_path / "a.tif")[0].channels == len(mode)
        return
    with pytest.raises(UserError, match="a.tif: has a channel besides its colours, for example infrared.*; remove"):
        pictures.open_picture(tmp_path / "a.tif")


def test_a_cut_animation_is_refused_and_one_without_its_end_noted(tmp_path, photograph):
    frames = [Image.fromarray(photograph(24, 24, seed)).convert("P") for seed in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=50)
    data = (tmp_path / "a.gif").read_bytes()
    for cut, frame in ((40, 3), (len(data) // 2, 2)):
        (tmp_path / "b.gif").write_bytes(data[:-cut])
        with pytest.raises(UserError, match=rf"b.gif: damaged or truncated \(it is cut off in frame {frame}\)"):
            pictures.open_picture(tmp_path / "b.gif")
    for end, notes in ((b"", True), (b";", False), (b"\0\0;", False)):
        (tmp_path / "b.gif").write_bytes(data[:-1] + end)
        with pictures.open_picture(tmp_path / "b.gif") as picture:
            assert any("end is missing" in note for note in picture.notes) == notes and picture.frames == 3


@pytest.mark.parametrize("masks", [(0xF800, 0x7E0, 0x1F), None])
def test_bmps_of_16_bits_a_pixel_are_read(tmp_path, masks):
    """5-6-5 and 5-5-5: Pillow's own pixels, by both readers."""
    rows = np.random.default_rng(0).integers(0, 1 << (16 if masks else 15), (6, 8)).astype("<u2").tobytes()
    table = struct.pack("<III", *masks) if masks else b""
    head = struct.pack("<IHHIIiiHHIIiiII", 54 + len(table + rows), 0, 0, 54 + len(table), 40, 8, 6, 1, 16,
                       3 if masks else 0, len(rows), 0, 0, 0, 0)
    (tmp_path / "a.bmp").write_bytes(b"BM" + head + table + rows)
    want = np.asarray(Image.open(tmp_path / "a.bmp").convert("RGB"))
    np.testing.assert_array_equal(_whole(tmp_path / "a.bmp")[1][0], want)
    np.testing.assert_array_equal(images.read_rgb(tmp_path / "a.bmp"), want)


@pytest.mark.parametrize("bits", [10, 12])
def test_avif_of_more_bits_is_no_image_of_8(odd_pictures, bits):
    for read in (images.read_rgb, images.image_size):
        with pytest.raises(UserError, match=f"avif{bits}.avif: has {bits} bits a channel, not 8; convert it first"):
            read(odd_pictures[0] / f"avif{bits}.avif")


def test_wide_colours_without_profile_are_refused(tmp_path, photograph):
    Image.fromarray(photograph(16, 16)).save(tmp_path / "a.avif")
    data = (tmp_path / "a.avif").read_bytes()
    at = data.index(b"colrnclx") + 8
    (tmp_path / "b.avif").write_bytes(data[:at] + struct.pack(">HH", 9, 16) + data[at + 4:])
    with pytest.raises(UserError, match="wide or HDR colours .primaries 9, transfer 16. without a colour profile"):
        pictures.open_picture(tmp_path / "b.avif")


def test_notes_of_what_is_dropped_on_reading(odd_pictures, tmp_path, photograph):
    folder, _ = odd_pictures
    gain_map = b"<a xmlns='http://ns.adobe.com/hdr-gain-map/1.0/'/>"
    Image.fromarray(photograph(16, 16)).save(tmp_path / "hdr.jpg", xmp=gain_map)
    Image.fromarray(photograph(16, 16)).convert("RGBA").save(tmp_path / "a.ico", sizes=[(16, 16), (8, 8)])
    Image.fromarray(photograph(16, 16)).save(tmp_path / "geo.tif", tiffinfo={33550: (1.0, 1.0, 0.0)})
    for path, note in ((tmp_path / "hdr.jpg", "HDR gain map dropped"), (tmp_path / "a.ico", "the largest of its icons"),
                       (tmp_path / "geo.tif", "GeoTIFF placement dropped"),
                       (folder / "bilevel.png", "grey of 1 bit became 8 bit"),
                       (folder / "colour_key.png", "its transparent colour became alpha"),
                       (folder / "premultiplied.tif", "premultiplied alpha became straight"),
                       (folder / "still.gif", "palette became RGB"),
                       (folder / "turned3.jpg", "turned upright (EXIF orientation 3)"),
                       (folder / "cmyk.jpg", "CMYK became sRGB through its profile")):
        with pictures.open_picture(path) as picture:
            assert note in picture.notes
    with pictures.open_picture(folder / "cmyk.jpg") as picture, pictures.open_picture(folder / "cmyk.tif") as other:
        assert picture.metadata.icc == other.metadata.icc and "sRGB" in _profile_name(picture.metadata.icc)


def _profile_name(icc):
    return ImageCms.getProfileDescription(ImageCms.getOpenProfile(io.BytesIO(icc)))


def test_reduced_copies_in_tiff_are_dropped(tmp_path, photograph):
    big, small = Image.fromarray(photograph(16, 16)), Image.fromarray(photograph(8, 8))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    big.save(tmp_path / "a.tif", save_all=True, append_images=[small])
    with pictures.open_picture(tmp_path / "a.tif") as picture:
        assert picture.frames == 1 and picture.notes == ("smaller copies of the picture dropped",)
        np.testing.assert_array_equal(picture.rows(0, 16), np.asarray(big))


# Peak resident memory in kB; getrusage would count that of the process which started this one.
_PEAK = "def peak(): return int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"


def test_lying_headers_end_quickly_in_little_memory(odd_pictures):
    folder, rows = odd_pictures
    names = [row.name for row in rows if row.name.startswith("claims")]
    code = (f"import sys, time\nfrom jsr import pictures\nfrom jsr.errors import UserError\n{_PEAK}\n"
            "before, start = peak(), time.time()\n"
            f"for name in {names!r}:\n"
            "    try:\n"
            f"        with pictures.open_picture({str(folder)!r} + '/' + name) as p: p.rows(0, p.height)\n"
            "    except UserError: pass\n"
            "    else: sys.exit(name)\n"
            "assert peak() - before < 200_000 and time.time() - start < 5, (before, peak(), time.time() - start)")
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent.parent, check=True)


@pytest.mark.parametrize("source,target", [("big.jpg", "out.jpg"), ("big.png", "out.png"), ("big.png", "out.tif")])
def test_large_pictures_stream(tmp_path, photograph, source, target):
    tile = photograph(256, 256)
    options = {"compress_level": 1} if source.endswith("png") else {}
    Image.fromarray(np.tile(tile, (32, 16, 1))).save(tmp_path / source, **options)
    code = ("from jsr import pictures\npictures.write.SPOOL_BYTES = 0\n"
            f"with pictures.open_picture({source!r}) as p, pictures.create({target!r}, p, p.height, p.width) as sink:\n"
            "    for start in range(0, p.height, 128):\n"
            "        above = max(0, start - 16)\n"
            "        sink.write(p.rows(above, start + 128)[start - above:])\n"
            f"{_PEAK}\nassert peak() < 140_000, peak()")
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True,
                   env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)})
    if target.endswith("tif"):
        with Image.open(tmp_path / source) as original, Image.open(tmp_path / target) as image:
            np.testing.assert_array_equal(np.asarray(image), np.asarray(original))


def test_pictures_are_read_at_once_by_threads(odd_pictures):
    folder, rows = odd_pictures
    chosen = [row for row in _good(rows) if row.pixels.ndim == 3][:40]
    with ThreadPoolExecutor(4) as pool:
        for row, (_, pixels) in zip(chosen, pool.map(lambda row: _whole(folder / row.name), chosen), strict=True):
            assert np.abs(pixels[0].astype(int) - row.pixels).max() <= row.tolerance, row.name


def test_a_picture_may_change_threads(odd_pictures):
    folder, _ = odd_pictures
    with pictures.open_picture(folder / "rgb.png") as picture:
        bands = []
        for start in range(0, 23, 5):
            with ThreadPoolExecutor(1) as pool:
                bands.append(pool.submit(picture.rows, start, min(start + 5, 23)).result())
    np.testing.assert_array_equal(np.concatenate(bands), np.asarray(Image.open(folder / "rgb.png")))


def test_importing_jsr_does_not_import_libvips():
    code = "import sys, jsr, jsr.pictures; sys.exit('pyvips' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent.parent, check=True)


def test_a_link_that_leads_back_to_itself_is_called_that(tmp_path):
    (tmp_path / "a.png").symlink_to("a.png")
    with pytest.raises(UserError, match="a.png: is a link that leads back to itself"):
        pictures.open_picture(tmp_path / "a.png")


def test_damage_in_libvips_words_and_memory_are_one_line(tmp_path):
    for raised, message in ((MemoryError(), "decoding it takes more memory than there is"),
                            (ValueError("unable to call x\n  libx: out of memory here\n"), "takes more memory"),
                            (ValueError("unable to call x\n  libx: bad"), r"damaged or truncated \(libx: bad\)"),
                            (ValueError("unable to call x\n  libx: ZSTD support is not configured"),
                             r"is of a kind that cannot be read \(libx: ZSTD .*; convert it")):
        with pytest.raises(UserError, match=f"a.png: .*{message}"), reading("a.png"):
            raise raised
    assert first_line(ValueError("")) == "ValueError"


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_bmp_keeps_its_pixels_and_resolution(tmp_path, photograph, mode):
    image = Image.fromarray(photograph(9, 14)).convert(mode)
    image.save(tmp_path / "a.bmp", dpi=(300, 150))
    source, target = tmp_path / "a.bmp", tmp_path / "b.bmp"
    with pictures.open_picture(source) as picture, pictures.create(target, picture, 9, 14) as sink:
        sink.write(picture.rows(0, 9))
        assert sink.notes == ()
    with Image.open(tmp_path / "b.bmp") as written:
        assert (written.format, written.mode) == ("BMP", mode)
        np.testing.assert_array_equal(written, image)
        assert written.info["dpi"] == pytest.approx((300, 150), abs=0.1)


@pytest.mark.parametrize("order, kind, value", [(">", 4, 6), ("<", 4, 6), (">", 3, 6), ("<", 3, 6)])
def test_an_orientation_of_any_integer_type_turns_and_is_reset(tmp_path, photograph, order, kind, value):
    field = struct.pack(order + ("I" if kind == 4 else "HH"), *((value,) if kind == 4 else (value, 0)))
    head = struct.pack(order + "2sHIHHHI", b"MM" if order == ">" else b"II", 42, 8, 1, 0x112, kind, 1)
    block = head + field + bytes(4)
    Image.fromarray(photograph(8, 12)).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + block)
    with pictures.open_picture(tmp_path / "a.jpg") as picture:
        assert (picture.height, picture.width) == (12, 8)
    assert _exif.orientation(_exif.upright(block, 12, 8)) == 1


@pytest.mark.parametrize("target", [form.extensions[0] for form in pictures.WRITABLE.values()])
def test_what_made_a_picture_is_in_it_whatever_the_format(tmp_path, photograph, target):
    """Beside the XMP that was there, and once, however often pictures are made of pictures."""
    Image.fromarray(photograph(20, 30)).save(tmp_path / "a.png")
    made = {"software": "jsr", "source": "a <\"&'> ü.png"}
    source = tmp_path / "a.png"
    for number in "1", "2":
        path = tmp_path / f"{number}{target}"
        with pictures.open_picture(source) as picture:
            picture.metadata.xmp = picture.metadata.xmp or XMP
            with pictures.create(path, picture, 20, 30, made=made | {"number": number}) as sink:
                sink.write(picture.rows(0, 20)[..., :3])
        assert pictures.made_by(path) == made | {"number": number}
        source = path
    with pictures.open_picture(path) as picture:
        xmp = picture.metadata.xmp or b""
        assert picture.rows(0, 20).shape[:2] == (20, 30) and xmp.count(b"urn:jsr:1") <= 1
        assert (b"tiff:Orientation" in xmp) == ("xmp" in pictures.WRITABLE[picture.format].holds)


def test_what_made_a_picture_goes_before_xmp_without_room_for_it(tmp_path, photograph):
    Image.fromarray(photograph(20, 30)).save(tmp_path / "a.png")
    assert pictures.made_by(tmp_path / "a.png") is None and pictures.made_by(tmp_path / "none.png") is None
    for xmp in (b"<x:xmpmeta/>", XMP.replace(b"<rdf:RDF", b"<!--" + b"x" * 64_700 + b"--><rdf:RDF")):
        with pictures.open_picture(tmp_path / "a.png") as picture:
            picture.metadata.xmp = xmp
            with pictures.create(tmp_path / "b.jpg", picture, 20, 30, made={"source": "a.png" * 60}) as sink:
                sink.write(picture.rows(0, 20))
        assert sink.notes == ("XMP dropped, which has no room for what made the picture",)
        assert pictures.made_by(tmp_path / "b.jpg") == {"source": "a.png" * 60}


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_whole_jpeg_files_of_any_height_are_whole(photograph, mode):
    for height in (*range(1, 50), 131):
        for subsampling in (0, 1, 2):
            file = io.BytesIO()
            picture = Image.fromarray(photograph(height, 71)).convert(mode)
            picture.save(file, "JPEG", quality=90, subsampling=subsampling)
            libvips.check_jpeg(file.getvalue(), f"{height}.jpg")

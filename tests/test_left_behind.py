"""What a picture's file carries besides pixels: noted where it is dropped, put right or removed where it would lie."""

import re
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import IFDRational
import pytest

from jsr import pictures
from jsr.pictures import _icc, _xmp

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\1" * 200
GAIN_URN = b"urn:iso:std:iso:ts:21496:-1\0"


def grey_profile():
    """The header and the tags of a grey profile, without their contents' sense."""
    body = b"curv\0\0\0\0" + struct.pack(">IHH", 1, 563, 0)
    table = struct.pack(">I4sII", 1, b"kTRC", 144, len(body))
    head = struct.pack(">I4sI4s4s4s", 144 + len(body), b"none", 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    return (head + bytes(12) + b"acsp").ljust(128, b"\0") + table + body


def segment(marker, data):
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def packet(spaces, attributes="", inside=""):
    names = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in spaces.items())
    return (f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
            f'<rdf:RDF xmlns:rdf="{RDF}"><rdf:Description rdf:about="" {names} {attributes}>{inside}'
            '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>').encode()


def xmp(*words):
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet(*words))


def mpf(kinds):
    """An MPF segment that lists pictures of these types."""
    rows = b"".join(struct.pack("<IIIHH", kind, 100, 0, 0, 0) for kind in kinds)
    return segment(0xE2, b"MPF\0II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 0xB002, 7, len(rows), 26, 0) + rows)


@pytest.fixture
def jpeg(tmp_path, photograph):
    """A function of the bytes before and behind a JPEG picture of 48x64 to the path of the file."""
    Image.fromarray(photograph(48, 64)).save(tmp_path / "plain.jpg")
    plain = (tmp_path / "plain.jpg").read_bytes()

    def make(before=b"", behind=b""):
        (tmp_path / "a.jpg").write_bytes(plain[:2] + before + plain[2:] + behind)
        return tmp_path / "a.jpg"

    return make


def doubled(source, target):
    """All notes of a picture written at twice its size."""
    with pictures.open_picture(source) as picture:
        with pictures.create(target, picture, 2 * picture.height, 2 * picture.width) as sink:
            for frame in range(picture.frames):
                sink.write(picture.rows(0, picture.height, frame).repeat(2, 0).repeat(2, 1))
    return [*picture.notes, *sink.notes]


SECOND = b"\xff\xd8\xff\xe0 another picture \xff\xd9"
CAMERA = {"GCamera": "http://ns.google.com/photos/1.0/camera/"}
HDRGM = {"hdrgm": "http://ns.adobe.com/hdr-gain-map/1.0/"}


@pytest.mark.parametrize("before, behind, notes", [
    (b"", b"", []), (b"", bytes(500), []),
    (segment(0xFE, b"made by hand"), b"", ["comment dropped"]),
    (segment(0xEB, b"JP\0\1\0\0\0\1\0\0\0\x30jumb....c2pa"), b"", ["content credentials (C2PA) dropped"]),
    (segment(0xE1, b"FLIR\0\1\0"), b"", ["data of FLIR (APP1) dropped"]),
    (segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0more"), b"", ["extended XMP dropped"]),
    (b"", VIDEO, ["motion video dropped"]),
    (xmp(CAMERA, f'GCamera:MicroVideo="1" GCamera:MicroVideoOffset="{len(VIDEO)}"'), VIDEO,
     ["motion video dropped", "XMP about what is no longer there dropped: GCamera"]),
    (xmp(HDRGM, 'hdrgm:Version="1.0"') + mpf([0x030000, 0]), SECOND,
     ["HDR gain map dropped", "XMP about what is no longer there dropped: hdrgm"]),
    (segment(0xE2, GAIN_URN) + mpf([0x030000, 0]), SECOND, ["HDR gain map dropped"]),
    (mpf([0x030000, 0]), SECOND[:4] + b"urn:com:apple:photo:2020:aux:hdrgainmap", ["HDR gain map dropped"]),
    (mpf([0x030000, 0x020003]), SECOND, ["second picture dropped"]),
    (mpf([0x030000, 0x020003, 0x020003]), SECOND * 2, ["2 further pictures dropped"]),
    (mpf([0x030000, 0x010001]), SECOND, ["smaller copies of the picture dropped"]),
    (b"", b"SEFH of a maker", ["15 bytes behind the picture dropped"]),
])
def test_what_a_jpeg_leaves_behind(jpeg, tmp_path, before, behind, notes):
    assert doubled(jpeg(before, behind), tmp_path / "b.jpg") == notes
    assert doubled(tmp_path / "b.jpg", tmp_path / "c.jpg") == []  # no claim is left


@pytest.mark.parametrize("spaces, attributes, inside, kept, gone", [
    ({"GPano": "http://ns.google.com/photos/1.0/panorama/"}, 'GPano:FullPanoWidthPixels="128" '
     'GPano:FullPanoHeightPixels="64" GPano:CroppedAreaImageWidthPixels="64" GPano:CroppedAreaImageHeightPixels="48" '
     'GPano:CroppedAreaLeftPixels="32" GPano:CroppedAreaTopPixels="8" GPano:PoseHeadingDegrees="77"',
     "<GPano:LargestValidInteriorRectWidth>60.5</GPano:LargestValidInteriorRectWidth>",
     ['FullPanoWidthPixels="256"', 'FullPanoHeightPixels="128"', 'ImageWidthPixels="128"', 'ImageHeightPixels="96"',
      'LeftPixels="64"', 'TopPixels="16"', 'Degrees="77"', ">121<"], []),
    ({"cam": "http://ns.google.com/photos/1.0/camera/", "dc": "http://purl.org/dc/elements/1.1/"},
     'cam:MotionPhoto="1" cam:SpecialTypeID="x"', "<cam:MicroVideo>1</cam:MicroVideo><dc:title>a &amp; b</dc:title>",
     ['cam:SpecialTypeID="x"', "<dc:title>a &amp; b</dc:title>"], ["MotionPhoto", "MicroVideo"]),
    ({"C": "http://ns.google.com/photos/1.0/container/", "I": "http://ns.google.com/photos/1.0/container/item/"},
     "", '<C:Directory><rdf:Seq><rdf:li rdf:parseType="Resource"><C:Item I:Length="9"/></rdf:li></rdf:Seq>'
     "</C:Directory>",
     ["rdf:Description"], ["Directory", "Length", "container"]),
    ({"mwg": "http://www.metadataworkinggroup.com/schemas/regions/",
      "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#"}, "",
     '<mwg:Regions rdf:parseType="Resource"><mwg:AppliedToDimensions stDim:w="64" stDim:h="48" stDim:unit="pixel"/>'
     "</mwg:Regions>", ['stDim:w="128"', 'stDim:h="96"', "mwg:Regions"], []),
    ({"n": "http://ns.adobe.com/xmp/note/", "t": "http://purl.org/dc/terms/"},
     'n:HasExtendedXMP="0123" t:provenance="https://example.org"', "", ["rdf:about"], ["0123", "example.org"]),
])
def test_xmp_says_what_is_true_of_the_result(jpeg, tmp_path, spaces, attributes, inside, kept, gone):
    doubled(jpeg(xmp(spaces, attributes, inside)), tmp_path / "b.webp")
    with Image.open(tmp_path / "b.webp") as image:
        found = image.info["xmp"].decode()
    assert all(text in found for text in kept) and not any(text in found for text in gone), found
    assert found.startswith("<?xpacket begin") and found.endswith('<?xpacket end="w"?>')


def test_xmp_of_a_turned_picture_and_other_packets():
    regions = packet({"m": "http://www.metadataworkinggroup.com/schemas/regions/"}, "", "<m:Regions>1</m:Regions>")
    found, went = _xmp.fitted(regions, (4, 6), (8, 12), turned=True)
    assert b"<m:Regions" not in found and went == ["m"]
    plain = packet({"tiff": "http://ns.adobe.com/tiff/1.0/"}, 'tiff:Orientation="6"  tiff:ImageWidth = "6"')
    same = plain.replace(b'"6"  ', b'"1"  ').replace(b'= "6"', b'= "12"')
    assert _xmp.fitted(plain, (4, 6), (8, 12)) == (same, [])  # byte for byte
    for damaged in (packet(HDRGM, 'hdrgm:Version="1'), b'<!DOCTYPE a [<!ENTITY b "c">]>' + packet(HDRGM)):
        assert _xmp.fitted(damaged, (4, 6), (8, 12)) == (None, [])


@pytest.mark.parametrize("mode, profile, target, kept, note", [
    ("RGB", SRGB, "png", SRGB, ""), ("RGB", SRGB + b"\0", "png", SRGB, "bytes behind the colour profile dropped"),
    ("RGB", SRGB[:-9], "png", None, "colour profile dropped: it is damaged"),
    ("RGB", b"not a profile at all" * 20, "jpg", None, "colour profile dropped: it is damaged"),
    ("L", SRGB, "jpg", None, "colour profile dropped: it is for RGB"), ("L", SRGB, "webp", SRGB, ""),
    ("RGB", grey_profile(), "tif", None, "colour profile dropped: it is for grey"),
    ("L", grey_profile(), "png", grey_profile(), ""),
    ("L", grey_profile(), "webp", None, "colour profile dropped: it is for grey"),
])
def test_profiles_that_do_not_fit(tmp_path, photograph, mode, profile, target, kept, note):
    Image.fromarray(photograph(9, 14)).convert(mode).save(tmp_path / "a.jpg", icc_profile=profile)
    assert doubled(tmp_path / "a.jpg", tmp_path / f"b.{target}") == ([note] if note else [])
    with Image.open(tmp_path / f"b.{target}") as image:
        assert image.info.get("icc_profile") == kept


def test_no_profile_is_no_note():
    assert _icc.fitted(None, False) == _icc.fitted(b"", True) == (None, "")


P3 = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
OWN = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


@pytest.mark.parametrize("chunks, note", [
    ({b"gAMA": (45455,), b"cHRM": OWN}, ""), ({b"gAMA": (100000,)}, "gAMA"), ({b"gAMA": (45455,), b"cHRM": P3}, "cHRM"),
    ({b"gAMA": (100000,), b"cHRM": P3}, "gAMA, cHRM"), ({b"sRGB": (), b"gAMA": (100000,)}, "")])
@pytest.mark.parametrize("target", ["jpg", "tif", "png"])
def test_png_colours(tmp_path, photograph, chunks, note, target):
    Image.fromarray(photograph(9, 14)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    extra = b""
    for kind, values in chunks.items():
        body = kind + (struct.pack(f">{len(values)}I", *values) or b"\0")
        extra += struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    (tmp_path / "a.png").write_bytes(data[:33] + extra + data[33:])
    wanted = [f"{'jpeg' if target == 'jpg' else 'tiff'} does not hold: PNG colours ({note})"] if note else []
    assert doubled(tmp_path / "a.png", tmp_path / f"b.{target}") == (wanted if target != "png" else [])


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def in_png(kind):
    return lambda data: data[:33] + chunk(kind, b"\0" * 8) + data[33:]


def in_webp(kind):
    def add(data):
        return data[:4] + struct.pack("<I", len(data) + 8) + data[8:] + kind + struct.pack("<I", 8) + bytes(8)
    return add


@pytest.mark.parametrize("ending, change, options, notes", [
    ("png", in_png(b"caBX"), {}, ["content credentials (C2PA) dropped"]), ("png", in_png(b"iDOT"), {}, []),
    ("png", in_png(b"prVt"), {}, ["PNG chunk prVt dropped"]),
    ("webp", in_webp(b"C2PA"), {"lossless": True, "exif": Image.Exif().tobytes()},
     ["content credentials (C2PA) dropped"]),
    ("gif", lambda data: data, {"comment": "by hand"},
     ["palette became RGB", "comment dropped", "256 colours a frame"]),
    ("tif", lambda data: data, {"tiffinfo": {37724: b"8BIM" * 9}}, ["Photoshop layers dropped"]),
    ("tif", lambda data: data, {"tiffinfo": {52545: b"jumb" * 9}}, ["content credentials (C2PA) dropped"]),
])
def test_what_other_formats_leave_behind(tmp_path, photograph, ending, change, options, notes):
    source, target = (tmp_path / f"{name}.{ending}" for name in "ab")
    Image.fromarray(photograph(9, 14)).save(source, **options)
    source.write_bytes(change(source.read_bytes()))
    assert doubled(source, target) == notes
    again = [note for note in doubled(target, tmp_path / f"c.{ending}") if "dropped" in note]
    assert again == [] and b"8BIM" not in target.read_bytes()


def test_pages_with_several_profiles(tmp_path):
    pages = [Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (9, 99)]
    pages[0].encoderinfo = {"icc_profile": SRGB}
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:], icc_profile=SRGB)
    with pictures.open_picture(tmp_path / "a.tif") as picture:
        same = [note for note in picture.notes if "profile" in note]
    data = (tmp_path / "a.tif").read_bytes()
    second = data.rfind(struct.pack("<H", 34675))
    assert not same and second > 0
    (tmp_path / "b.tif").write_bytes(data[:second] + struct.pack("<H", 34676) + data[second + 2:])
    with pictures.open_picture(tmp_path / "b.tif") as picture:
        assert any(re.match("colour profiles dropped: the pages", note) for note in picture.notes)


@pytest.mark.parametrize("turned, subject", [(1, (10, 5, 6, 4)), (3, (14, 11, 6, 4)), (6, (11, 10, 4, 6))])
def test_places_in_exif_grow_and_turn(tmp_path, photograph, turned, subject):
    exif = Image.Exif()
    exif[0x112] = turned
    exif.get_ifd(0x8769).update({0x9214: (10, 5, 6, 4), 0xA214: (10, 5),
                                 0xA20E: IFDRational(1000), 0xA20F: IFDRational(999)})
    Image.fromarray(photograph(16, 24)).save(tmp_path / "a.jpg", exif=exif)
    doubled(tmp_path / "a.jpg", tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as image:
        inner = image.getexif().get_ifd(0x8769)
    assert inner[0x9214] == tuple(2 * value for value in subject) and inner[0xA214] == inner[0x9214][:2]
    assert (inner[0xA20E], inner[0xA20F]) == (2000, 1998)

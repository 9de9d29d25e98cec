"""The data that a JPEG file carries beside its picture, found by its markers."""

import mmap
import re
import struct

_NEXT = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # a marker behind samples, but for those that belong to them
_FILM = re.compile(rb"\0\0\0.ftyp(?:mp4|isom|iso\d|qt  |avc1|M4V|3gp|hvc1|heic|mp41|MSNV)", re.DOTALL)
_START, _END, _SCAN, _TABLES, _COMMENT = 0xD8, 0xD9, 0xDA, 0xDB, 0xFE
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without data
_GAIN_MAP = b"urn:iso:std:iso:ts:21496:-1\0"
_GAIN_MAPS = (b"http://ns.adobe.com/hdr-gain-map/", b"aux:hdrgainmap", b"http://ns.apple.com/HDRGainMap/")
_PREVIEWS = (0x010001, 0x010002)  # types of pictures in an MPF index
_FURTHER = {1: "second picture dropped"}

# (segment, how it begins, note); without a note it is read, or is of no use for another picture.
_SEGMENTS = [
    (0xE0, b"JFIF\0", ""), (0xE0, b"JFXX\0", ""), (0xE1, b"Exif\0", ""), (0xE1, b"http://ns.adobe.com/xap/1.0/\0", ""),
    (0xE1, b"http://ns.adobe.com/xmp/extension/\0", "extended XMP dropped"),
    (0xE2, b"ICC_PROFILE\0", ""), (0xE2, b"MPF\0", ""), (0xE2, _GAIN_MAP, ""),
    (0xE2, b"FPXR\0", "FlashPix data dropped"),
    (0xEC, b"Ducky", ""), (0xED, b"Photoshop 3.0\0", ""), (0xEE, b"Adobe", "")]


def left_behind(file):
    """Phrases that say what besides the picture an open JPEG file has that is not read: [str]."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        segments, end = _segments(data)
        notes = [note for marker, payload in segments if (note := _note(marker, payload))]
        behind = data[end:] if any(data[end:end + 4096]) or _FILM.search(data, end) else b""
    index = next((payload for marker, payload in segments if marker == 0xE2 and payload.startswith(b"MPF\0")), b"")
    kinds = _pictures(index[4:])[1:]
    has_gain_map = any(payload.startswith(_GAIN_MAP) or payload.startswith(b"http://ns.adobe.com/xap/1.0/\0")
                       and _GAIN_MAPS[0] in payload for _, payload in segments) or any(
                           name in behind for name in (_GAIN_MAP, *_GAIN_MAPS))
    if has_gain_map:
        notes.append("HDR gain map dropped")
        kinds = kinds[:-1]
    if any(kind in _PREVIEWS for kind in kinds):
        notes.append("smaller copies of the picture dropped")
    if further := sum(kind not in _PREVIEWS for kind in kinds):
        notes.append(_FURTHER.get(further, f"{further} further pictures dropped"))
    if _FILM.search(behind):
        notes.append("motion video dropped")
    elif behind.strip(b"\0") and not (has_gain_map or kinds):
        notes.append(f"{len(behind):,} bytes behind the picture dropped")
    return list(dict.fromkeys(notes))


def luma_table(file):
    """The first quantisation table of an open JPEG file, 64 integers in zigzag order; None of a file without one."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        segments, _ = _segments(data)
    for marker, payload in segments:
        if marker == _TABLES and payload:
            wide = payload[0] >> 4  # 16 bits a step, big endian
            steps = payload[1:65 + 64 * wide]
            if payload[0] & 15 == 0 and len(steps) == 64 * (1 + wide):
                return struct.unpack(f">64{'H' if wide else 'B'}", steps)
    return None


def _segments(data):
    """([(marker, data)] of the segments, the position behind the picture)."""
    found, at = [], 2
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        marker = data[at + 1]
        if marker == _END:
            return found, at + 2
        if marker in _ALONE or marker in (0x00, 0xFF):
            at += 1 if marker == 0xFF else 2
            continue
        if at + 4 > len(data):
            break
        length, = struct.unpack_from(">H", data, at + 2)
        if marker >= 0xE0 or marker == _TABLES:
            found.append((marker, data[at + 4:at + 2 + length]))
        at += 2 + max(length, 2)
        if marker == _SCAN:
            match = _NEXT.search(data, at)
            at = match.start() if match else len(data)
    return found, len(data)


def _note(marker, payload):
    if marker == _COMMENT:
        return "comment dropped"
    if not 0xE0 <= marker <= 0xEF:
        return ""
    for known, start, note in _SEGMENTS:
        if marker == known and payload.startswith(start):
            return note
    if marker == 0xEB and b"c2pa" in payload:
        return "content credentials (C2PA) dropped"
    if marker == 0xEB and payload.startswith(b"JP"):
        return ""  # a later part of them, or of what the first part's note named
    name = re.match(rb"[ -~]{3,24}", payload)
    return f"data of {name[0].decode() if name else 'unknown kind'} (APP{marker - 0xE0}) dropped"


def _pictures(block):
    """The types of all pictures in the index of an MPF segment; [] of none or a damaged one."""
    try:
        order = {b"II": "<", b"MM": ">"}[block[:2]]
        at, = struct.unpack_from(order + "I", block, 4)
        count, = struct.unpack_from(order + "H", block, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, _, size, offset = struct.unpack_from(order + "HHII", block, entry)
            if tag == 0xB002:
                rows = [struct.unpack_from(order + "I", block, offset + 16 * n)[0] for n in range(size // 16)]
                return [row & 0xFFFFFF for row in rows]
    except (KeyError, struct.error):
        pass
    return []

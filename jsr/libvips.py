"""libvips, set up once, and its reports on JPEG files, which Pillow does not give."""

import functools
import logging
import os
import re
import struct
import threading
import zlib

from jsr import native
from jsr.errors import FileError
from jsr.parallel import cores

# How libvips and Pillow say that a file may be whole, but that they do not read its kind.
_UNSUPPORTED = re.compile("not configured|unsupported|not supported|not implemented|unimplemented|unknown compression|"
                          "not a whole number of bytes", re.IGNORECASE)
_LOCK = threading.Lock()  # libvips has one place for what it says
_WHOLE, _MOST = set(), 100_000  # (name, bytes, checksum) of JPEG files that were found whole
_JPEG_MARKER = re.compile(rb"\xff+[^\x00\xff]")
_AFTER_SCAN = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
_END, _SCAN, _SEQUENTIAL, _WHOLE_SCAN = 0xD9, 0xDA, (0xC0, 0xC1), b"\x00\x3f\x00"
_JFIF, _ADOBE, _FRAMES = 0xE0, 0xEE, {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without data
_FILLING = {0x00, 0xFF, *range(0xD0, 0xD8)}  # bytes that may stand behind a scan's last sample
_NEAR_END, _MOST_UNREAD = 64, 8  # bytes at the end of a scan; those that a decoder has no use for, of a few encoders


@functools.cache
def vips():
    """The module pyvips, set up once: no operation cache, few threads, silent."""
    with native.environment("VIPS_WARNING", "1"):  # read as it starts: libvips's own warnings leave the terminal alone
        import pyvips
    if "VIPSHOME" not in os.environ:
        os.unsetenv("VIPSHOME")  # libvips tells itself, and every child of the process, where it was built
    pyvips.cache_set_max(0)
    pyvips.concurrency_set(min(4, cores()))
    logging.getLogger("pyvips").setLevel(logging.CRITICAL + 1)
    return pyvips


def first_line(e):
    """The complaint of libvips or Pillow on one line, without libvips's general first line."""
    lines = [line.strip() for line in str(e).splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith(("unable to", "source:"))), type(e).__name__)


def undecodable(name, e):
    """The line for a file that libvips or Pillow could not decode, with the exception `e`."""
    reason = first_line(e)
    if _UNSUPPORTED.search(reason):
        return f"{name}: is of a kind that cannot be read ({reason}); convert it to an ordinary PNG, TIFF or JPEG"
    return f"{name}: damaged or truncated ({reason}); replace or remove the file"


def unread_tiff(data, name):
    """The line for the bytes of a TIFF file that Pillow could not read, with libvips's reason."""
    try:
        pyvips = vips()
        pyvips.Image.tiffload_buffer(data, access="sequential", fail_on="error").avg()
    except Exception as e:  # pyvips.Error, ImportError of a checkout that is not installed
        return undecodable(name, e)
    return f"{name}: is of a kind that Pillow does not read; convert it to an ordinary PNG, TIFF or JPEG"


def tidied_jpeg(data):
    """A JPEG file without what decoders warn about though no sample is missing.

    That is bytes between two segments, a sequential scan whose header does not say 0, 63, 0 (as some phones write it),
    a missing end marker, and versions of JFIF and transforms of Adobe's segment that nobody knows, which decoders take
    for the usual ones.

    Args:
      data: bytes-like, the file.

    Returns:
      bytes, or None where there is nothing to tidy. Whether samples are missing shows when they are decoded.
    """
    parts, at, kept, sequential, match, adobe, usual = [], 2, 0, False, None, None, {}
    while match := _JPEG_MARKER.search(data, at):
        marker = data[match.end() - 1]
        if match.start() > at:
            parts.append(data[kept:at])
            kept = match.start()
        at = match.end()
        if marker == _END:
            break
        if marker in _ALONE:
            continue
        if at + 2 > len(data):
            match = None
            break
        length, = struct.unpack_from(">H", data, at)
        named = data[at + 2:at + 7]
        if marker == _JFIF and named == b"JFIF\0" and length > 7 and data[at + 7:at + 8] not in (b"", b"\1"):
            usual[at + 7] = 1
        elif marker == _ADOBE and named == b"Adobe" and length > 13:
            adobe = at + 13
        elif marker in _FRAMES and adobe is not None and len(data) > at + 7:
            of_colours = {3: (1, 0), 4: (2, 0)}.get(data[at + 7], ())
            if of_colours and data[adobe] not in of_colours:
                usual[adobe] = of_colours[0]
        at += max(length, 2)
        sequential |= marker in _SEQUENTIAL
        if marker == _SCAN:
            if sequential and at <= len(data) and data[at - 3:at] != _WHOLE_SCAN:
                parts += [data[kept:at - 3], _WHOLE_SCAN]
                kept = at
            after = _AFTER_SCAN.search(data, at)
            at = after.start() if after else len(data)
    if not match:
        parts += [data[kept:], b"\xff\xd9"]
        kept = len(data)
    if usual:
        mended = bytearray(data)
        for place, value in usual.items():
            if place < len(mended):
                mended[place] = value
        mended = bytes(mended)
        return tidied_jpeg(mended) or mended
    return b"".join([*parts, data[kept:]]) if parts else None


def _only_scan(data):
    """(start, end) of the samples of a tidy JPEG file with one scan, coded by Huffman's codes; None of another."""
    at, huffman = 2, False
    while match := _JPEG_MARKER.search(data, at):
        marker, at = data[match.end() - 1], match.end()
        if marker == _END or at + 2 > len(data):
            return None
        if marker in _ALONE:
            continue
        huffman |= marker in _SEQUENTIAL
        at += max(int.from_bytes(data[at:at + 2], "big"), 2)
        if marker == _SCAN:
            after = _AFTER_SCAN.search(data, at)
            return (at, after.start()) if huffman and after and data[after.end() - 1] == _END else None
    return None


def _watched(pyvips, data):
    """A libvips source of a JPEG file, and a function to how many bytes of its scan no decoder has asked for.

    The last of them are handed out one by one. What encoders fill up with, zeros and ones, does not count.
    """
    start, end = _only_scan(data) or (0, 0)
    at, source = 0, pyvips.SourceCustom()

    def read(size):
        nonlocal at
        stop = start if at < start else max(end - _NEAR_END, at + 1) if at < end else len(data)
        given = data[at:min(at + size, stop)]
        at += len(given)
        return bytes(given)

    source.on_read(read)
    return source, lambda: sum(byte not in _FILLING for byte in data[at:end])


def check_jpeg(data, name):
    """Raises FileError where samples are missing in a JPEG file, for which decoders put grey or others.

    That is where libjpeg warns, which Pillow keeps to itself, and where all rows are there before the scan ends: of
    zeroed or overwritten bytes decoders make fewer blocks or more. What has as many blocks is a valid file of another
    picture, which nothing tells. A file is decoded for it once a process.

    Args:
      data: bytes of the file, tidied.
      name: what the message calls it.
    """
    file = str(name), len(data), zlib.crc32(data)
    if file in _WHOLE:
        return
    try:
        pyvips = vips()
    except ImportError:  # a checkout that is not installed, as benchmarks/device.py runs in
        return
    with _LOCK:
        pyvips.vips_lib.vips_error_clear()
        try:  # smaller, which is quicker: the samples are decoded all the same
            rest = pyvips.Image.jpegload_buffer(data).height % 8
            shrink = next(shrink for shrink in (8, 4, 2, 1) if not rest or rest >= shrink)  # else rows are left out
            source, unread = _watched(pyvips, data)
            pyvips.Image.jpegload_source(source, shrink=shrink, access="sequential", fail_on="truncated").avg()
            # What is missing in the last rows is no error.
            said = pyvips.ffi.string(pyvips.vips_lib.vips_error_buffer()).decode(errors="replace")
            if unread() > _MOST_UNREAD:
                said += "\nJPEG data are left when all rows are there"
        except pyvips.Error as e:
            said = first_line(e)
    # Other threads' lines are of other loaders.
    if warning := next((line for line in said.splitlines() if "jpeg" in line.lower()), None):
        raise FileError(undecodable(name, warning))
    if len(_WHOLE) > _MOST:
        _WHOLE.clear()
    _WHOLE.add(file)

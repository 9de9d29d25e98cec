"""The orientation of stored pixels: EXIF's, or where a file has none, its XMP packet's.

Every command reads pictures upright, originals, inputs and results alike. Files of challenges and benchmarks state no
orientation, so that the published protocols' numbers are those of the stored pixels.
"""

import re

UPRIGHT = 1

_XMP = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([1-8])\b")


def of_xmp(packet: bytes | str | None) -> int:
    """The orientation, 1..8, that an XMP packet states; 1 where it states none."""
    found = _XMP.search(packet.encode(errors="replace") if isinstance(packet, str) else packet or b"")
    return int(found[1]) if found else UPRIGHT

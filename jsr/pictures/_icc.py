"""Colour profiles: checks that a profile is whole and fits its samples."""

import io
import struct

from PIL import ImageCms

_SPACES = {b"GRAY": "grey", b"RGB ": "RGB", b"CMYK": "CMYK", b"Lab ": "Lab"}
_HEADER, _TAG = 128, 12  # bytes


def fitted(profile, is_grey):
    """A profile as it may be written beside samples.

    Args:
      profile: bytes, or None.
      is_grey: whether the samples are stored as grey, else as RGB.

    Returns:
      (bytes or None, a note or ""): without what stands behind its end; None where it is damaged or of other samples.
    """
    if not profile:
        return None, ""
    if len(profile) < _HEADER + 4 or profile[36:40] != b"acsp":
        return None, "colour profile dropped: it is damaged"
    size, = struct.unpack_from(">I", profile)
    space, kind, connection = profile[16:20], profile[12:16], profile[20:24]
    tags, = struct.unpack_from(">I", profile, _HEADER)
    if not (_HEADER + 4 + _TAG * tags <= size <= len(profile)) or size % 4 and profile[8] > 3 or any(
            sum(struct.unpack_from(">II", profile, _HEADER + 8 + _TAG * tag)) > size for tag in range(tags)):
        return None, "colour profile dropped: it is damaged"
    if space != (b"GRAY" if is_grey else b"RGB "):
        return None, f"colour profile dropped: it is for {_SPACES.get(space, 'other samples')}"
    if kind in (b"link", b"abst", b"nmcl") or connection not in (b"XYZ ", b"Lab "):
        return None, "colour profile dropped: it is not of a picture's colours"
    return profile[:size], "bytes behind the colour profile dropped" if size < len(profile) else ""


def converts_cmyk(profile):
    """Whether a profile, bytes, tells the colours of CMYK samples."""
    try:
        ImageCms.buildTransform(io.BytesIO(profile), ImageCms.createProfile("sRGB"), "CMYK", "RGB")
    except ImageCms.PyCMSError:
        return False
    return True

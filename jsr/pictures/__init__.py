"""A person's picture files: read from top to bottom, written in the same format with all that belongs to them.

`jsr.images` is the strict reader of data sets. Here nothing of a file may be lost on its way: bit depth, grey, alpha,
colour profile, EXIF, XMP, IPTC, resolution, frames and their timing are kept where the output format can hold them;
where it cannot, a note or one line of refusal says so. Files larger than memory stream through libvips; formats that
libvips does not know are read through Pillow. Decoded JPEGs equal Pillow's, on which networks were trained.

    with pictures.open_picture("in.jpg") as picture:
        with pictures.create("out.jpg", picture, 2 * picture.height, 2 * picture.width) as sink:
            for start in range(0, picture.height, 256):
                rows = picture.rows(start, min(start + 256, picture.height))
                sink.write(rows.repeat(2, 0).repeat(2, 1))

A picture or a sink belongs to one thread at a time; different ones may be used at once.
"""

from jsr.pictures.formats import READABLE, WRITABLE, Format, format_of, output_format
from jsr.pictures.read import Picture, made_by, open_picture
from jsr.pictures.write import Sink, create

__all__ = ["READABLE", "WRITABLE", "Format", "Picture", "Sink", "create", "format_of", "made_by", "open_picture",
           "output_format"]

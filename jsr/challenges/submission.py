"""The ZIP archive that a challenge's server took."""

import zipfile

from jsr.images import png_bytes, read_rgb

_TURNING = (b"eXIf", b"XML:com.adobe.xmp")  # what in a PNG file may state an orientation
_PNG_RGB_8 = b"\x08\x02"  # bit depth and colour type, bytes 24 and 25 of a PNG file


def readme(runtime_s, *, cpu=False, extra_data=False, description=""):
    """The text of readme.txt.

    Args:
      runtime_s: per image, s.
      cpu: measured on a CPU, not a GPU.
      extra_data: trained on more than the organisers' data.
      description: anything else, one line.
    """
    return (f"runtime per image [s] : {runtime_s:g}\n"
            f"CPU[1] / GPU[0] : {int(cpu)}\n"
            f"Extra Data [1] / No Extra Data [0] : {int(extra_data)}\n"
            f"Other description : {description}\n")


def write_zip(file, images, text, *, on_image=lambda: None):
    """Writes the archive: `<name>.png` for every image and readme.txt, at its root.

    AIM 2022's own rules for this could not be found; the format is inferred from what sibling challenges (NTIRE, MIPI)
    ask for: PNG files called as the inputs, no folders, four lines of readme. 8-bit RGB PNG files go in as they are,
    others are written anew; the archive's bytes do not depend on the clock.

    Args:
      file: open for writing in binary.
      images: {stem of the input: path of the restored image}.
      text: of readme.txt.
      on_image: called after each image.

    Raises:
      UserError: an image that cannot be read.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, source in sorted(images.items()):
            archive.writestr(zipfile.ZipInfo(f"{name}.png"), _png(source))
            on_image()
        archive.writestr(zipfile.ZipInfo("readme.txt"), text)


def _png(path):
    image = read_rgb(path)
    data = path.read_bytes()
    plain = data.startswith(b"\x89PNG") and data[24:26] == _PNG_RGB_8 and not any(kind in data for kind in _TURNING)
    return data if plain else png_bytes(image)

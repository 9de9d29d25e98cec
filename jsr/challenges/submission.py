"""The ZIP archive that a challenge's server took."""

from pathlib import Path
import zipfile

from jsr.images import png_bytes, read_rgb

_TURNING = (b"eXIf", b"XML:com.adobe.xmp")  # what in a PNG file may state an orientation
_PNG_RGB_8 = b"\x08\x02"  # bit depth and colour type, bytes 24 and 25 of a PNG file


def readme(runtime_s, *, unit="image", cpu=False, extra_data=False, description=""):
    """The text of readme.txt.

    Args:
      runtime_s: runtime per `unit`, s.
      unit: "image" or "frame", of jsr.challenges.Submission.
      cpu: measured on a CPU, not a GPU.
      extra_data: trained on more than the organisers' data.
      description: anything else, one line.
    """
    return (f"runtime per {unit} [s] : {runtime_s:g}\n"
            f"CPU[1] / GPU[0] : {int(cpu)}\n"
            f"Extra Data [1] / No Extra Data [0] : {int(extra_data)}\n"
            f"Other description : {description}\n")


def write_zip(file, images, text):
    """Writes the archive: `<name>.png` for every image and readme.txt, at its root.

    None of the five challenges' reports says what the archive looks like, AIM 2020's and AIM 2022's that CodaLab took
    it, NTIRE 2023's that mail did, AIS 2024's that the organisers did; NTIRE 2024's speaks of code and a factsheet. The
    form is inferred from sibling challenges on CodaLab (NTIRE, MIPI): PNG files called as the inputs, no folders, four
    lines of readme. Of a clip (AIM 2022, track 2), inferred too, there are frames 001/001.png and so on, as the
    organisers' ffmpeg command writes them, and the runtime is one of a frame. What differs by challenge is data,
    jsr.challenges.Submission. 8-bit RGB PNG files go in as they are, others are written anew; the archive's bytes do
    not depend on the clock.

    Args:
      file: open for writing in binary.
      images: iterable of (stem of the input, path of the restored image, or uint8 (H, W, 3)), in the archive's order.
      text: text of readme.txt.

    Raises:
      UserError: an image that cannot be read.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, source in images:
            archive.writestr(zipfile.ZipInfo(f"{name}.png"), _png(source) if isinstance(source, Path) else
                             png_bytes(source))
        archive.writestr(zipfile.ZipInfo("readme.txt"), text)


def _png(path):
    image = read_rgb(path)
    data = path.read_bytes()
    plain = data.startswith(b"\x89PNG") and data[24:26] == _PNG_RGB_8 and not any(kind in data for kind in _TURNING)
    return data if plain else png_bytes(image)

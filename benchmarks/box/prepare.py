"""Makes the training pictures of the networks that jsr ships: photographs that packages bring, and drawn ones.

    python benchmarks/box/prepare.py OUT --photographs FOLDER... --fonts FOLDER... [--strict]
    python benchmarks/box/prepare.py OUT --test --photographs FOLDER... --fonts FOLDER... --seed 1 --drawn 6

`sources.tsv` beside this file names every photograph, the package or source repository that holds it, its licence and
who states that licence, its author, how far it is shrunk until JPEG's traces are gone, and its SHA-256; README.md says
where photographs and fonts are got. Files are found below the folders by name and hash. Without `--photographs` the
drawn pictures alone are made, for which see `drawings.py`. `--test` makes the pictures that no training sees, whole:
they never were JPEGs, so that harm shows.

OUT gets PNG files, RGB, 8 bit, in the folders photographs and drawn (those to test on in OUT itself), and `data.tsv`:
for every picture its origin, licence, standing and author, and the SHA-256 of its pixels. The same inputs give the same
pixels; a model file trained on them carries the SHA-256 of the list. Standings:

    author         the author's own statement for this picture
    public domain  works of public bodies and what their makers gave away
    package        one statement of a package for all its files; `--strict` leaves these out
    drawn          by `drawings.py`; the pictures do not carry the licences of the fonts
"""

import argparse
import bz2
import collections
import contextlib
import csv
import hashlib
import io
from pathlib import Path
import re
import shutil
import sys

import numpy as np
from PIL import Image, ImageOps

from jsr.errors import UserError
from jsr.files import sha256, writing

sys.path.insert(0, str(Path(__file__).parent))

import drawings

SOURCES = Path(__file__).parent / "sources.tsv"
COLUMNS = "file", "width", "height", "sha256", "origin", "licence", "standing", "author"
TILE = 320  # side of the tiles, px, at least: sides of a picture are cut into equal parts
DETAIL = 3.0  # mean second difference of a tile, grey levels; flatter tiles teach little
FLAT_KEPT = 8  # of so many flat tiles of a picture one stays, so that flat ground is not unknown


def main(argv=None):
    """Runs the command; a user's mistake is one line and status 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="a folder that does not exist yet")
    parser.add_argument("--photographs", type=Path, nargs="+", default=[], help="folders with the unpacked packages")
    parser.add_argument("--fonts", type=Path, nargs="+", default=[], help="folders with fonts; Pillow's own if none")
    parser.add_argument("--strict", action="store_true", help="without what only a package's statement covers")
    parser.add_argument("--test", action="store_true", help="the photographs to test on, which no training sees")
    parser.add_argument("--drawn", type=int, default=69, help="how many pictures to draw (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the drawings; another one for pictures to test on")
    args = parser.parse_args(argv)
    try:
        rows = prepare(**vars(args))
    except UserError as e:
        sys.exit(f"error: {e}")
    for standing, count in collections.Counter(row["standing"] for row in rows).items():
        pixels = sum(row["width"] * row["height"] for row in rows if row["standing"] == standing)
        print(f"{standing}: {count} pictures, {pixels / 1e6:.1f} Mpx")
    print(f"{args.out / 'data.tsv'}: SHA-256 {sha256(args.out / 'data.tsv')}")


def prepare(out, photographs=(), fonts=(), *, strict=False, test=False, drawn=69, seed=0):
    """Writes tiles, drawings and their list into a new folder.

    Args:
      out: the folder, which does not exist yet; it appears when all is in it.
      photographs: folders below which the files of `sources.tsv` lie; () for none of them.
      fonts: folders below which .ttf and .otf files lie; () for Pillow's own font.
      strict: leave out photographs that only a package's statement for all its files covers.
      test: take the photographs to test on, whole, instead of those to train on.
      drawn: number of pictures to draw.
      seed: seed of the drawings.

    Returns:
      The rows of `data.tsv`, a dict of `COLUMNS` each.

    Raises:
      UserError: `out` exists or cannot be written, or a photograph is missing or another one.
    """
    if out.exists():
        raise UserError(f"{out}: exists; name a new folder or remove it first")
    for folder in (*photographs, *fonts):
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder")
    rows, grounds = [], []
    with _new_folder(out) as folder:
        for source, path in find(photographs, use="test" if test else "train", strict=strict):
            photograph = read(path, float(source["shrink"]))
            for name, tile in [(f"{source['name']}.png", photograph)] if test else tiles(source, photograph):
                rows.append(_save(folder, name if test else f"photographs/{name}", tile, source))
                if source["standing"] != "package" and min(tile.size) >= drawings.SIDE:
                    grounds.append(tile)  # never the package kind: the drawings are the same with --strict
        letters = drawings.Fonts(fonts)
        for number in range(drawn):
            kind, picture = drawings.draw(number, seed=seed, fonts=letters, photographs=grounds)
            name = f"drawn_{seed}_{number:03d}_{kind}.png"
            rows.append(_save(folder, name if test else f"drawn/{name}", picture, {
                "origin": f"drawings.py, seed {seed}, number {number}", "licence": "none needed", "standing": "drawn",
                "author": "jsr"}))
        with open(folder / "data.tsv", "w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
    return rows


def sources():
    """The rows of `sources.tsv`, a dict each."""
    with open(SOURCES, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def find(folders, *, use, strict):
    """Pairs of (row of `sources.tsv`, path) of all photographs of a use, in the list's order; [] without folders.

    Raises:
      UserError: a file is not below the folders, or none of that name has the right hash.
    """
    wanted = [s for s in sources() if folders and s["use"] == use and not (strict and s["standing"] == "package")]
    names = {Path(s["file"]).name for s in wanted}
    there = collections.defaultdict(list)
    for path in sorted(p for folder in folders for p in folder.rglob("*") if p.name in names):
        there[path.name].append(path)
    found = []
    for source in wanted:
        paths = there[Path(source["file"]).name]
        match = next((p for p in paths if sha256(p) == source["sha256"]), None)
        if match is None:
            problem = f"another file (SHA-256 differs: {paths[0]})" if paths else "not below the folders"
            raise UserError(f"{source['file']}: {problem}; it comes with {source['origin']}")
        found.append((source, match))
    return found


def read(path, shrink):
    """A photograph, upright and shrunk: an RGB picture.

    `.edj` (themes of Enlightenment) hold JPEGs, of which the largest is taken; `.dat` is SciPy's raccoon; `.exr` holds
    linear light, which is cut at 1 and given the curve of sRGB.

    Raises:
      UserError: an `.exr` and the package that reads it is not installed.
    """
    if path.suffix == ".edj":
        data = path.read_bytes()
        picture = max(_jpegs(data), key=lambda im: im.width * im.height)
    elif path.suffix == ".dat":
        picture = Image.fromarray(np.frombuffer(bz2.decompress(path.read_bytes()), np.uint8).reshape(768, 1024, 3))
    elif path.suffix == ".exr":
        picture = _exr(path)
    else:
        picture = Image.open(path)
    picture = ImageOps.exif_transpose(picture).convert("RGB")
    if shrink == 1:
        return picture
    size = round(picture.width / shrink), round(picture.height / shrink)
    return picture.resize(size, Image.Resampling.LANCZOS)


def tiles(source, picture):
    """Yields (file name, tile) over a whole photograph; of the flat tiles one in `FLAT_KEPT`, the first included."""
    down, across = max(1, picture.height // TILE), max(1, picture.width // TILE)
    flat = 0
    for row in range(down):
        for column in range(across):
            box = (picture.width * column // across, picture.height * row // down,
                   picture.width * (column + 1) // across, picture.height * (row + 1) // down)
            tile = picture.crop(box)
            if detail(tile) < DETAIL:
                flat += 1
                if flat % FLAT_KEPT != 1:
                    continue
            yield f"{source['name']}_{row:02d}{column:02d}.png", tile


def detail(picture):
    """Mean absolute second difference of the luma, both ways, in grey levels."""
    luma = np.asarray(picture, np.float32) @ np.float32([0.299, 0.587, 0.114])
    return float(np.mean([np.abs(np.diff(luma, 2, axis=axis)).mean() for axis in (0, 1)]))


def pixels_sha256(picture):
    """The SHA-256 of size and pixels, whatever the PNG encoder."""
    return hashlib.sha256(f"{picture.width} {picture.height} ".encode() + picture.tobytes()).hexdigest()


def _jpegs(data):
    for start in re.finditer(b"\xff\xd8\xff", data):
        with contextlib.suppress(OSError):
            yield Image.open(io.BytesIO(data[start.start():]))


def _exr(path):
    try:
        import OpenEXR  # these few pictures alone need it
    except ImportError:
        raise UserError(f"{path}: needs a reader; install the Python package OpenEXR") from None
    with OpenEXR.File(str(path)) as file:
        channels = file.channels()
        light = np.clip(np.float64((channels.get("RGB") or channels["RGBA"]).pixels[..., :3]), 0, 1)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return Image.fromarray(np.rint(255 * srgb).astype(np.uint8))


def _save(folder, name, picture, source):
    (folder / name).parent.mkdir(exist_ok=True)
    picture.save(folder / name)
    return {"file": name, "width": picture.width, "height": picture.height, "sha256": pixels_sha256(picture),
            **{key: source[key] for key in COLUMNS[4:]}}


@contextlib.contextmanager
def _new_folder(out):
    """A folder beside `out` that becomes `out` when the block ends well, and goes when it does not."""
    part = out.parent / f".{out.name}.part"
    with writing(out):
        shutil.rmtree(part, ignore_errors=True)  # of a run that was killed
        part.mkdir(parents=True)
        try:
            yield part
            part.rename(out)
        finally:
            shutil.rmtree(part, ignore_errors=True)


if __name__ == "__main__":
    Image.MAX_IMAGE_PIXELS = None  # photographs of known hash; here, because it holds for the whole process
    main()

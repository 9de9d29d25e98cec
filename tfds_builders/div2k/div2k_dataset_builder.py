"""div2k: the 900 public HR images of DIV2K in the official split, downloaded or from the user's own copy."""

from pathlib import Path
import zipfile

from jsr.datasets.images_builder import IMAGE_PROTOCOLS, ImagesBuilder, configs
from jsr.datasets.records import Original
from jsr.errors import UserError

_URL = "https://data.vision.ee.ethz.ch/cvl/DIV2K/"


class Builder(ImagesBuilder):
    """Builder of `div2k`."""

    BUILDER_CONFIGS = configs(*IMAGE_PROTOCOLS)
    LICENCE = "none formal: academic research only, say the authors; the photographs' copyright is their owners'"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Optional: a folder with DIV2K_train_HR and DIV2K_valid_HR, as folders or as the official zip files.
    """
    # split: name of the archive and of the folder in it, numbers of the images
    SPLITS = {
        "train": ("DIV2K_train_HR", range(1, 801)),
        "validation": ("DIV2K_valid_HR", range(801, 901)),
    }

    def _sources(self, dl_manager):
        places = self._manual_places(dl_manager) or self._download(dl_manager)
        return {split: _sources_in(places[split], stem, numbers) for split, (stem, numbers) in self.SPLITS.items()}

    def _manual_places(self, dl_manager):
        """{split: folder or archive} in the user's folder; None where the images are to be downloaded.

        Only a folder that was asked for must hold them: TFDS's default one serves other datasets too.
        """
        try:
            folder = Path(self.manual_dir or dl_manager.manual_dir)
        except AssertionError:  # TFDS: there is no such folder
            return None
        places = {split: _find(folder, *wanted) for split, wanted in self.SPLITS.items()}
        missing = [self.SPLITS[split][0] for split, place in places.items() if place is None]
        if not missing:
            return places
        if self.manual_dir or len(missing) < len(places):
            raise UserError(f"{folder}: {' and '.join(missing)} not found; looked for folders of these names with PNG "
                            "files like 0001.png, and for .zip files of these names, here and up to two folders down")
        return None

    def _download(self, dl_manager):
        urls = {split: f"{_URL}{stem}.zip" for split, (stem, _) in self.SPLITS.items()}
        size = sum(self.url_infos[url].size for url in urls.values())
        # Archives that are there already are not fetched again, but TFDS does not say beforehand which these are.
        self._check_disk(len(urls), 2 * size, "archives")
        try:
            return {split: Path(path) for split, path in dl_manager.download(urls).items()}
        except Exception as e:  # TFDS, requests and urllib3 each have their own
            raise UserError(f"{_URL}: download failed ({' '.join(str(e).split())}); try again, or fetch the archives "
                            "another way and name their folder with --manual_dir") from e


def _find(folder, stem, numbers):
    """The folder, else the archive, called `stem` that holds the most of the numbered images; None if none does."""
    wanted = {_file(n) for n in numbers}
    best, most = None, 0
    for pattern in (f"{depth}{stem}{suffix}" for suffix in ("", ".zip") for depth in ("", "*/", "*/*/")):
        for path in sorted(folder.glob(pattern)):
            held = len(wanted & set(_listing(path)))
            if held == len(wanted):
                return path
            if held > most:
                best, most = path, held
    return best


def _sources_in(place, stem, numbers):
    listing = _listing(place)
    files = {n: listing.get(_file(n), _file(n)) for n in numbers}
    if place.is_dir():
        return [Original(f"{n:04d}", str(place / file)) for n, file in files.items()]
    return [Original(f"{n:04d}", str(place), file) for n, file in files.items()]


def _listing(place):
    """{file name: name within the folder or archive}"""
    if place.is_dir():
        return {path.name: path.name for path in place.iterdir()}
    try:
        with zipfile.ZipFile(place) as archive:
            return {Path(name).name: name for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile) as e:
        raise UserError(f"{place}: damaged archive ({e}); fetch it again") from e


def _file(number):
    return f"{number:04d}.png"

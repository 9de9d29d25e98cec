"""ldv3: the videos of LDV 3.0 in the split of AIM 2022 compressed SR, Track 2, from the user's own copy."""

import dataclasses
from pathlib import Path
import zipfile

from jsr.datasets.clips_builder import ClipsBuilder
from jsr.datasets.folders_builder import manual_folder
from jsr.datasets.records import Original
from jsr.datasets.videos import Clip
from jsr.errors import UserError

HOME = "https://github.com/RenYang-home/LDV_dataset"
_HM = (("encoder", "hm"), ("library", "HM 16.20, by the organisers"))


@dataclasses.dataclass(frozen=True)
class Part:
    """An archive of the organisers' with HR videos, and the one with their LR streams.

    Attributes:
      hr, lr: names of the archives, and of the folders that they were unpacked to.
      count: videos, called 001.mkv and so on.
    """

    hr: str
    lr: str
    count: int


class Builder(ClipsBuilder):
    """Builder of `ldv3`."""

    LICENCE = "source videos CC BY; the dataset for academic research only, say the authors"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Fetch train_down4_gt.zip, track3_val_gt.zip, track3_test_gt.zip (train), video_val_gt.zip (validation), "
        f"video_test_gt.zip (test) by the links in {HOME} (LDV 2.0, Track 3; LDV 3.0, Track 2) into one folder, "
        "unpacked or not; the LR streams, if wanted: train_down4_QP37, validation_track3, test_track3, video_val, "
        "video_test")
    MULTIPLE = 64  # of the organisers
    SPLITS = {
        "train": {
            "ntire22_train": Part("train_down4_gt", "train_down4_QP37", 240),
            "ntire22_val": Part("track3_val_gt", "validation_track3", 15),
            "ntire22_test": Part("track3_test_gt", "test_track3", 15),
        },
        "validation": {"aim22_val": Part("video_val_gt", "video_val", 15)},
        "test": {"aim22_test": Part("video_test_gt", "video_test", 15)},
    }

    def _sources(self, dl_manager):
        folder = manual_folder(self, dl_manager)
        splits = {}
        for split, parts in self.SPLITS.items():
            places = {prefix: _find(folder, part.hr) for prefix, part in parts.items()}
            missing = [parts[prefix].hr for prefix, place in places.items() if place is None]
            if not missing:
                splits[split] = self._clips(folder, split, places)
            elif len(missing) < len(places):
                raise UserError(f"{folder}: holds a part of the split {split}, but not {' and '.join(missing)}, as "
                                f"folder or .zip file, here or up to two folders down; fetch it from {HOME}")
            else:
                self.announce(f"{self.name}: {folder} has no {' and no '.join(missing)}; the split {split} is left out")
        if not splits:
            raise UserError(f"{folder}: holds no archive of {self.name}. {self.MANUAL_DOWNLOAD_INSTRUCTIONS}")
        return splits

    def _clips(self, folder, split, places):
        parts = self.SPLITS[split]
        streams = {prefix: _find(folder, part.lr) for prefix, part in parts.items()} if self.protocol else {}
        if self.protocol:
            missing = [parts[prefix].lr for prefix, place in streams.items() if place is None]
            if 0 < len(missing) < len(parts):
                raise UserError(f"{folder}: holds the organisers' LR streams of a part of the split {split}, but not "
                                f"{' and '.join(missing)}; fetch these too, or move the others away to have all made "
                                "by x265")
            made_by = "x265, from the HR clips" if missing else "HM 16.20, the organisers' own"
            self.announce(f"{self.name}: the LR clips of {split} are by {made_by}")
        return [clip for prefix, part in parts.items()
                for clip in _part(prefix, part, places[prefix], streams.get(prefix))]


def _part(prefix, part, place, lr_place):
    hr, lr = (_files(where, part.count) if where else None for where in (place, lr_place))
    for number in range(1, part.count + 1):
        source = hr[number]
        yield Clip(f"{prefix}_{number:03d}", source.path, source.member, *([lr[number], _HM] if lr else []))


def _find(folder, stem):
    """The folder, else the archive, called `stem`; None where there is neither."""
    places = (path for pattern in (f"{depth}{stem}{suffix}" for suffix in ("", ".zip") for depth in ("", "*/", "*/*/"))
              for path in sorted(folder.glob(pattern)))
    return next(places, None)


def _files(place, count):
    """{number: Source}; of a file that is missing, the place where it should be."""
    found = {}
    if place.is_dir():
        for path in sorted(place.rglob("*.mkv")):
            found.setdefault(path.name, Original(path.stem, str(path)))
    else:
        try:
            with zipfile.ZipFile(place) as archive:
                for member in sorted(archive.namelist()):
                    found.setdefault(Path(member).name, Original(Path(member).stem, str(place), member))
        except (OSError, zipfile.BadZipFile) as e:
            raise UserError(f"{place}: damaged archive ({e}); fetch it again") from e
    return {number: found.get(name) or _absent(place, name)
            for number, name in ((number, f"{number:03d}.mkv") for number in range(1, count + 1))}


def _absent(place, name):
    return Original(name, str(place / name)) if place.is_dir() else Original(name, str(place), name)
